//! What an entry refers to, lists opened.

use std::collections::HashSet;

use tintype_model::{Error, Result};

use super::list::decode_list;
use super::{Content, Reference, TreeEntry};
use crate::format::frame::Kind;
use crate::id::ContentId;
use crate::reader::{ContentReader, ReadBuffer};

/// Opens one list frame.
pub fn read_list(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    id: &ContentId,
    depth: u8,
    length: u64,
) -> Result<Vec<Reference>> {
    let mut raw = Vec::new();
    reader.read(id, Kind::List, buffer, &mut raw)?;
    decode_list(&raw, depth, length).map_err(|e| e.context(format!("list {id}")))
}

/// A frame that an entry refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: ContentId,
    pub kind: Kind,
    /// As the entry says; `None` for a list of references, whose length it does not say.
    pub raw_bytes: Option<u64>,
}

/// Calls `each` for everything that an entry refers to: parcel, chunks, lists and what they
/// name, large xattrs. Goes on after a list that cannot be opened; gives those. Opens each list
/// once, so that lists which name each other ever more cost no more than they weigh.
pub fn for_each_piece(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    entry: &TreeEntry,
    each: &mut dyn FnMut(Piece),
) -> Vec<(ContentId, Error)> {
    let mut failed = Vec::new();
    for xattr in &entry.large_xattrs {
        let raw_bytes = Some(u64::from(xattr.length));
        each(Piece { id: xattr.id, kind: Kind::List, raw_bytes });
    }
    match &entry.content {
        Content::None => {}
        Content::Slot(slot) => {
            let raw_bytes = Some(u64::from(slot.parcel.raw_bytes));
            each(Piece { id: slot.parcel.id, kind: Kind::Parcel, raw_bytes });
        }
        Content::References { depth, list } => {
            // At most four levels, each bounded by the format.
            let mut waiting = vec![(*depth, list.clone())];
            let mut opened = HashSet::new();
            while let Some((depth, list)) = waiting.pop() {
                for reference in list {
                    let Some(id) = reference.id else { continue };
                    if depth == 0 {
                        each(Piece { id, kind: Kind::Chunk, raw_bytes: Some(reference.length) });
                        continue;
                    }
                    each(Piece { id, kind: Kind::List, raw_bytes: None });
                    if !opened.insert((id, depth, reference.length)) {
                        continue;
                    }
                    match read_list(reader, buffer, &id, depth - 1, reference.length) {
                        Ok(inner) => waiting.push((depth - 1, inner)),
                        Err(error) => failed.push((id, error)),
                    }
                }
            }
        }
    }
    failed
}

/// The references of depth 0 of some content, in its order; holes may come from any depth. Holds
/// one list of each depth, however long the content is. After an error nothing comes.
pub struct References<'c, 'r> {
    reader: &'c ContentReader<'r>,
    buffer: &'c mut ReadBuffer,
    /// Depth and rest of the lists that are open, the innermost last.
    open: Vec<(u8, std::vec::IntoIter<Reference>)>,
}

impl<'c, 'r> References<'c, 'r> {
    pub fn new(
        reader: &'c ContentReader<'r>,
        buffer: &'c mut ReadBuffer,
        depth: u8,
        list: Vec<Reference>,
    ) -> Self {
        Self { reader, buffer, open: vec![(depth, list.into_iter())] }
    }

    fn descend(&mut self, id: &ContentId, depth: u8, length: u64) -> Result<()> {
        let below = read_list(self.reader, self.buffer, id, depth, length)?;
        self.open.push((depth, below.into_iter()));
        Ok(())
    }
}

impl Iterator for References<'_, '_> {
    type Item = Result<Reference>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((depth, rest)) = self.open.last_mut() {
            let depth = *depth;
            match rest.next() {
                None => {
                    self.open.pop();
                }
                Some(Reference { length, id: Some(id) }) if depth > 0 => {
                    if let Err(error) = self.descend(&id, depth - 1, length) {
                        self.open.clear();
                        return Some(Err(error));
                    }
                }
                Some(reference) => return Some(Ok(reference)),
            }
        }
        None
    }
}
