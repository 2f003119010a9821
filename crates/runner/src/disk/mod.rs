//! Looking into disks that a snapshot holds: an image read by position, and files out of one.

mod chosen;
mod extract;
mod kept;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::id::ContentId;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::list::total;
use tintype_engine::tree::pieces::read_list;
use tintype_engine::tree::{Content, Reference, TreeEntry};
use tintype_model::{Error, Result};
use tintype_source::connector::ReadImage;

use self::kept::Kept;
use crate::content;

pub use chosen::{Chosen, choose};
pub use extract::{Extract, Extracted, Place};

/// Lists that lead to chunks: each covers a gigabyte and more.
const LISTS_BYTES: usize = 16 << 20;
/// Chunks as they were before they were stored. File systems read near each other.
const CHUNKS_BYTES: usize = 32 << 20;

/// An image of a snapshot, or any file of it, read at any position by any number of threads.
/// However large it is, only what leads to the positions that are read is held, within bounds.
pub struct StoredImage {
    reader: Arc<ContentReader<'static>>,
    /// For messages.
    name: String,
    size_bytes: u64,
    top: Top,
    lists: Kept<Positions>,
    chunks: Kept<Vec<u8>>,
    buffers: Mutex<Vec<ReadBuffer>>,
    cancel: Cancel,
}

enum Top {
    /// All of it, of a small file.
    Bytes(Vec<u8>),
    List(u8, Arc<Positions>),
}

/// A list with where each of its references ends.
struct Positions {
    ends: Vec<u64>,
    list: Vec<Reference>,
}

impl Positions {
    fn new(list: Vec<Reference>) -> Self {
        let ends = list.iter().scan(0, |end, reference| {
            *end += reference.length;
            Some(*end)
        });
        Self { ends: ends.collect(), list }
    }

    fn memory_bytes(&self) -> usize {
        self.list.len() * (size_of::<Reference>() + size_of::<u64>())
    }

    /// What covers a position, and where that begins.
    fn at(&self, position: u64) -> Option<(u64, Reference)> {
        let number = self.ends.partition_point(|end| *end <= position);
        let reference = *self.list.get(number)?;
        Some((self.ends[number] - reference.length, reference))
    }
}

impl StoredImage {
    pub fn open(
        reader: impl Into<Arc<ContentReader<'static>>>,
        entry: &TreeEntry,
        name: String,
        cancel: Cancel,
    ) -> Result<Self> {
        let (reader, size_bytes) = (reader.into(), entry.node.size);
        let top = match &entry.content {
            _ if !entry.node.kind.has_content() => {
                return Err(Error::invalid(format!("{name} is no disk image and no file")));
            }
            Content::References { depth, list } => {
                if total(list)? != size_bytes {
                    return Err(Error::corrupt(format!("{name}: its content has another length")));
                }
                Top::List(*depth, Arc::new(Positions::new(list.clone())))
            }
            Content::Slot(_) | Content::None => Top::Bytes(content::whole(&reader, entry, &name)?),
        };
        Ok(Self {
            reader,
            name,
            size_bytes,
            top,
            lists: Kept::new(LISTS_BYTES),
            chunks: Kept::new(CHUNKS_BYTES),
            buffers: Mutex::default(),
            cancel,
        })
    }

    /// The same, holding no more than this of what was read last: for whoever reads in order.
    #[must_use]
    pub fn holding(self, bytes: usize) -> Self {
        Self { lists: Kept::new(bytes), chunks: Kept::new(bytes), ..self }
    }

    /// The chunk, or the hole, that covers a position, and where it begins.
    fn piece(&self, depth: u8, top: &Arc<Positions>, at: u64) -> Result<(u64, Reference)> {
        let (mut list, mut begin, mut depth) = (Arc::clone(top), 0, depth);
        loop {
            let outside = || Error::corrupt("a list of its content ends before its image");
            let (start, reference) = list.at(at - begin).ok_or_else(outside)?;
            begin += start;
            match reference.id {
                Some(id) if depth > 0 => {
                    depth -= 1;
                    list = self.list(&id, depth, reference.length)?;
                }
                _ => return Ok((begin, reference)),
            }
        }
    }

    fn list(&self, id: &ContentId, depth: u8, length: u64) -> Result<Arc<Positions>> {
        if let Some(list) = self.lists.get(id) {
            return Ok(list);
        }
        let list = self.with_buffer(|buffer| read_list(&self.reader, buffer, id, depth, length))?;
        let list = Arc::new(Positions::new(list));
        self.lists.put(*id, &list, list.memory_bytes());
        Ok(list)
    }

    fn chunk(&self, id: &ContentId, length: u64) -> Result<Arc<Vec<u8>>> {
        if let Some(chunk) = self.chunks.get(id) {
            return Ok(chunk);
        }
        let mut raw = Vec::new();
        self.with_buffer(|buffer| self.reader.read(id, FrameKind::Chunk, buffer, &mut raw))?;
        if raw.len() as u64 != length {
            return Err(Error::corrupt(format!("chunk {id} has another length")));
        }
        let chunk = Arc::new(raw);
        self.chunks.put(*id, &chunk, chunk.len());
        Ok(chunk)
    }

    fn with_buffer<T>(&self, work: impl FnOnce(&mut ReadBuffer) -> Result<T>) -> Result<T> {
        let locked = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = locked().pop();
        let mut buffer = idle.map_or_else(ReadBuffer::new, Ok)?;
        let result = work(&mut buffer);
        locked().push(buffer);
        result
    }

    fn read(&self, mut at: u64, mut out: &mut [u8]) -> Result<()> {
        let (depth, list) = match &self.top {
            Top::Bytes(bytes) => {
                out.copy_from_slice(&bytes[at as usize..at as usize + out.len()]);
                return Ok(());
            }
            Top::List(depth, list) => (*depth, list),
        };
        while !out.is_empty() {
            self.cancel.check()?;
            let (begin, Reference { length, id }) = self.piece(depth, list, at)?;
            let skip = at - begin;
            let (part, rest) = out.split_at_mut((out.len() as u64).min(length - skip) as usize);
            match id {
                None => part.fill(0),
                Some(id) => {
                    let chunk = self.chunk(&id, length)?;
                    part.copy_from_slice(&chunk[skip as usize..skip as usize + part.len()]);
                }
            }
            at += part.len() as u64;
            out = rest;
        }
        Ok(())
    }

    fn named(&self, at: u64, error: Error) -> Error {
        error.context(format!("{}, byte {at}", self.name))
    }
}

impl ReadImage for StoredImage {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            let error = Error::invalid("there is nothing behind the end of an image");
            return Err(self.named(offset, error));
        }
        self.read(offset, buffer).map_err(|error| self.named(offset, error))
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        let (mut at, end) = (range.start, range.end.min(self.size_bytes));
        let Top::List(depth, list) = &self.top else { return Ok((end, false)) };
        let mut found = None;
        while at < end {
            self.cancel.check()?;
            let piece = self.piece(*depth, list, at).map_err(|error| self.named(at, error))?;
            let (begin, Reference { length, id }) = piece;
            if *found.get_or_insert(id.is_none()) != id.is_none() {
                break;
            }
            at = begin + length;
        }
        Ok((at.min(end), found.unwrap_or(false)))
    }
}
