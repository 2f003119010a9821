//! Snapshots as trees: entries in path order, cut into pages, a Merkle B-tree (format.md §9).

pub mod builder;
pub mod cursor;
pub mod diff;
pub mod find;
pub mod forest;
pub mod inner;
pub mod join;
pub mod leaf;
pub mod list;
pub mod pieces;
pub mod span;
#[cfg(test)]
mod tests;

use tintype_model::entry::Node;
use tintype_model::{Error, Result};

use crate::format::records::Manifest;
use crate::id::ContentId;
use cursor::Page;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

impl Root {
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.root,
            level: manifest.level,
            entries: manifest.entries,
            bytes: manifest.bytes,
            problems: manifest.problems,
        }
    }
}

impl Child {
    /// The page at the top; its first path is not known before it is read, and empty here.
    pub fn of_root(root: &Root) -> Self {
        Self {
            first: Vec::new(),
            id: root.id,
            entries: root.entries,
            bytes: root.bytes,
            problems: root.problems,
        }
    }

    /// What the parent, or the manifest, promises about the page is what the page holds.
    pub fn check_counts(&self, page: &Page) -> Result<()> {
        let add = |sum: (u64, u64, u64), entries: u64, bytes: u64, problems: u64| {
            (sum.0.wrapping_add(entries), sum.1.wrapping_add(bytes), sum.2.wrapping_add(problems))
        };
        let found = match page {
            Page::Inner(children) => {
                children.iter().fold((0, 0, 0), |sum, c| add(sum, c.entries, c.bytes, c.problems))
            }
            Page::Leaf(entries) => entries
                .iter()
                .fold((0, 0, 0), |sum, e| add(sum, 1, e.node.size, u64::from(e.is_problem()))),
        };
        if found == (self.entries, self.bytes, self.problems) {
            return Ok(());
        }
        let who = if self.first.is_empty() { "the manifest" } else { "its parent" };
        Err(Error::corrupt(format!(
            "page {}: {who} promises {} entries with {} bytes and {} problems, it has {}, {}, {}",
            self.id, self.entries, self.bytes, self.problems, found.0, found.1, found.2
        )))
    }
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

    /// About how much memory it takes, for queues that are bounded by bytes.
    pub fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::References { list, .. } => list.capacity() * size_of::<Reference>(),
            Content::None | Content::Slot(_) => 0,
        };
        let xattrs = self.large_xattrs.iter().map(|x| size_of::<LargeXattr>() + x.name.len());
        size_of::<Self>()
            + self.path.len()
            + self.node.extras_bytes()
            + content
            + xattrs.sum::<usize>()
    }

    pub fn is_problem(&self) -> bool {
        self.node.problem().is_some_and(|p| p.kind.makes_incomplete())
    }
}
