//! What a frozen view holds.

use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use tintype_model::Result;
use tintype_model::entry::Node;

use crate::files::Excludes;

/// Something at a place of a resource's tree.
pub struct Part {
    /// Path below the resource's place, without slashes at its ends; empty: the place itself.
    pub at: Vec<u8>,
    pub content: Content,
}

impl Part {
    pub fn object(at: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { at: at.into(), content: Content::Object(bytes.into()) }
    }
}

pub enum Content {
    /// A directory that is walked.
    Files {
        root: PathBuf,
        excludes: Arc<Excludes>,
        /// Whether what is mounted below it belongs to it.
        one_file_system: bool,
        /// Directories by device and inode that are not entered: parts of their own, own scratch.
        never_enter: Vec<(u64, u64)>,
        /// Directories in whose place others are walked: path below the root, and where. A
        /// subvolume inside of a snapshotted one stands in its own snapshot.
        grafts: Vec<(Vec<u8>, PathBuf)>,
        changed: Changed<Vec<Vec<u8>>>,
    },
    /// A disk, read by offset by several threads.
    Image { node: Node, image: Arc<dyn ReadImage>, changed: Changed<Vec<Range<u64>>> },
    /// Bytes in order. `end` is asked after the last byte whether it was the end.
    Stream { node: Node, read: Box<dyn Read + Send>, end: EndOfStream },
    /// A small definition.
    Object(Vec<u8>),
}

impl Content {
    /// A directory with all that its own file system holds below it.
    pub fn directory(root: PathBuf, excludes: Arc<Excludes>) -> Self {
        Self::Files {
            root,
            excludes,
            one_file_system: true,
            never_enter: Vec::new(),
            grafts: Vec::new(),
            changed: Changed::Unknown,
        }
    }
}

pub type EndOfStream = Box<dyn FnOnce() -> Result<()> + Send>;

/// What may differ from the parent's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed<T> {
    /// Everything is looked at.
    Unknown,
    /// Only this, and all below it where it is a directory that is new; the rest is taken from the
    /// parent unread. Names: paths below the root, sorted by bytes. Ranges: sorted, disjoint.
    Only(T),
}

/// A disk that does not change while it is read.
pub trait ReadImage: Send + Sync {
    fn size_bytes(&self) -> u64;

    /// Fills the buffer from a position; an end before that of the buffer is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// How far from the start of a range on, and not behind its end, all is known to be zeros
    /// without being read (true), or nothing is.
    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        Ok((range.end, false))
    }

    /// Whether a range is known to be zeros without being read.
    fn is_zero(&self, range: Range<u64>) -> Result<bool> {
        let end = range.end;
        Ok(self.extent(range)? == (end, true))
    }

    /// Asked after the last byte: whether it changed after all.
    fn changed(&self) -> bool {
        false
    }
}
