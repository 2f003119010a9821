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

/// All references of depth 0, in the order of the content.
pub fn flatten(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    depth: u8,
    list: Vec<Reference>,
) -> Result<Vec<Reference>> {
    let (mut depth, mut list) = (depth, list);
    while depth > 0 {
        depth -= 1;
        let mut below = Vec::new();
        for reference in list {
            match reference.id {
                Some(id) => below.extend(read_list(reader, buffer, &id, depth, reference.length)?),
                None => below.push(reference),
            }
        }
        list = below;
    }
    Ok(list)
}
