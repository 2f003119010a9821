//! Snapshots as trees: entries in path order, cut into pages, a Merkle B-tree (format.md §9).

pub mod builder;
pub mod cursor;
pub mod inner;
pub mod leaf;
pub mod list;
#[cfg(test)]
mod tests;

use tintype_model::entry::Node;

use crate::id::ContentId;

/// An entry with what its content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// See [`tintype_model::entry`].
    pub path: Vec<u8>,
    pub node: Node,
    pub content: Content,
    /// Extended attributes above 4096 bytes: frames of their own, not in `node`.
    pub large_xattrs: Vec<LargeXattr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    None,
    Slot(Slot),
    References { depth: u8, list: Vec<Reference> },
}

/// A small file inside a parcel; its length is the entry's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub parcel: Parcel,
    pub offset: u32,
    /// Tells whether two files are equal without reading them.
    pub digest: [u8; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parcel {
    pub id: ContentId,
    pub raw_bytes: u32,
    pub files: u32,
}

/// A piece of content: a chunk, a list of further references, or (`None`) zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    pub length: u64,
    pub id: Option<ContentId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeXattr {
    pub name: Vec<u8>,
    pub length: u32,
    pub id: ContentId,
}

/// A page as its parent names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub first: Vec<u8>,
    pub id: ContentId,
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
}

/// A whole tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    pub id: ContentId,
    pub level: u8,
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
}

impl TreeEntry {
    /// Whether content, and so far as it is known without reading, bytes are the same.
    pub fn same_content(&self, other: &TreeEntry) -> bool {
        self.node.size == other.node.size
            && match (&self.content, &other.content) {
                (Content::Slot(a), Content::Slot(b)) => a.digest == b.digest,
                (a, b) => a == b,
            }
    }

    pub fn is_problem(&self) -> bool {
        self.node.problem().is_some_and(|p| p.kind.makes_incomplete())
    }
}
