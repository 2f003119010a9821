//! References to content, and lists of them (format.md §9.3).

use tintype_model::{Error, Result};

use super::{Content, Reference};
use crate::format::bytes::{Reader, put_varint};
use crate::format::frame::Kind;
use crate::format::limits;
use crate::id::ContentId;
use crate::store::{Store, Worker};

pub(super) const MOST_INLINE: usize = 64;
const LEAST: usize = 128;
const MOST: usize = 2048;
const CUT_MASK: u64 = 511;

pub(super) fn put_references(out: &mut Vec<u8>, depth: u8, list: &[Reference]) {
    put_varint(out, u64::from(depth));
    put_varint(out, list.len() as u64);
    for reference in list {
        put_varint(out, reference.length << 1 | u64::from(reference.id.is_none()));
        if let Some(id) = &reference.id {
            out.extend_from_slice(&id.0);
        }
    }
}

/// `most`: how many there may be; what is more is refused before it is decoded.
pub(super) fn take_references(
    reader: &mut Reader<'_>,
    most: usize,
) -> Result<(u8, Vec<Reference>)> {
    let depth = reader.bounded(limits::REFERENCE_DEPTH as usize, "reference depth")? as u8;
    let count = reader.bounded(most, "number of references")?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let word = reader.varint()?;
        let id = if word & 1 == 0 { Some(ContentId(reader.array()?)) } else { None };
        list.push(Reference { length: word >> 1, id });
    }
    Ok((depth, list))
}

/// Raw bytes of a list frame.
pub fn encode_list(depth: u8, list: &[Reference]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + list.len() * 36);
    out.extend_from_slice(b"R\x01");
    put_references(&mut out, depth, list);
    out
}

/// Opens a list frame that must have `depth` and cover `length` bytes.
pub fn decode_list(raw: &[u8], depth: u8, length: u64) -> Result<Vec<Reference>> {
    let mut reader = Reader::new(raw);
    if reader.take(2)? != b"R\x01" {
        return Err(Error::corrupt("a list has an unknown version"));
    }
    let (found, list) = take_references(&mut reader, limits::REFERENCES)?;
    reader.finish("list")?;
    if found != depth || total(&list)? != length {
        return Err(Error::corrupt("a list does not cover what its reference says"));
    }
    Ok(list)
}

/// Sum of lengths; overflow is corruption.
pub fn total(list: &[Reference]) -> Result<u64> {
    list.iter()
        .try_fold(0u64, |sum, r| sum.checked_add(r.length))
        .ok_or_else(|| Error::corrupt("lengths of references add up to more than 64 bits"))
}

/// Puts references into list frames as they come, so that memory does not grow with the file:
/// at most one unfinished list for each depth is held.
pub struct ListBuilder<'s, 'r> {
    store: &'s Store<'r>,
    /// References that wait for a list, and whether one was made of those before; by depth.
    levels: Vec<Level>,
    /// Depth of the references that are pushed.
    depth: u8,
    length: u64,
}

#[derive(Default)]
struct Level {
    waiting: Vec<Reference>,
    has_list: bool,
}

impl<'s, 'r> ListBuilder<'s, 'r> {
    /// For references of `depth` (0: chunks).
    pub fn new(store: &'s Store<'r>, depth: u8) -> Self {
        Self { store, levels: vec![Level::default()], depth, length: 0 }
    }

    /// Bytes that were pushed so far.
    pub fn length_bytes(&self) -> u64 {
        self.length
    }

    /// The next reference; neighbouring holes become one.
    pub fn push(&mut self, worker: &mut Worker, reference: Reference) -> Result<()> {
        self.length = self
            .length
            .checked_add(reference.length)
            .ok_or_else(|| Error::unsupported("a file is longer than 2^64 bytes"))?;
        match self.levels[0].waiting.last_mut() {
            Some(last) if last.id.is_none() && reference.id.is_none() => {
                last.length += reference.length;
                Ok(())
            }
            _ => self.add(worker, 0, reference),
        }
    }

    fn add(&mut self, worker: &mut Worker, level: usize, reference: Reference) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        let waiting = &mut self.levels[level].waiting;
        waiting.push(reference);
        let keys = self.store.repository().keys();
        let ends = |id: ContentId| keys.cut_hash(&[&id.0]) & CUT_MASK == 0;
        let full =
            waiting.len() >= MOST || (waiting.len() >= LEAST && reference.id.is_some_and(ends));
        if full { self.close(worker, level) } else { Ok(()) }
    }

    /// Makes what waits at `level` one list.
    fn close(&mut self, worker: &mut Worker, level: usize) -> Result<()> {
        let waiting = std::mem::take(&mut self.levels[level].waiting);
        self.levels[level].has_list = true;
        let raw = encode_list(self.depth + level as u8, &waiting);
        let stored = self.store.put(worker, Kind::List, &raw)?;
        let length = total(&waiting)?;
        self.add(worker, level + 1, Reference { length, id: Some(stored.id) })
    }

    /// What the entry holds: no references, a few, or the top of lists.
    pub fn finish(mut self, worker: &mut Worker) -> Result<Content> {
        let mut level = 0;
        while self.levels[level].has_list || self.levels[level].waiting.len() > MOST_INLINE {
            if !self.levels[level].waiting.is_empty() {
                self.close(worker, level)?;
            }
            level += 1;
        }
        let depth = self.depth + level as u8;
        if depth > limits::REFERENCE_DEPTH {
            return Err(Error::unsupported("a file has more chunks than the format can name"));
        }
        let list = std::mem::take(&mut self.levels[level].waiting);
        Ok(if list.is_empty() { Content::None } else { Content::References { depth, list } })
    }
}
