//! One entry of a snapshot's tree, without its content.
//!
//! Paths inside a tree are bytes with `/` between components, no leading and no trailing
//! slash, no empty, `.` or `..` component and no NUL: `files/etc/hosts`. The root is the
//! empty path and has no entry. Entries are ordered so that everything below a directory
//! follows it at once, see [`path_order`].

use std::cmp::Ordering;
use std::sync::Arc;

/// What an entry is. The numbers are part of the format (docs/format.md, leaf page).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    File = 0,
    Directory = 1,
    Symlink = 2,
    Fifo = 3,
    CharDevice = 4,
    BlockDevice = 5,
    /// Recorded, never restored: the process that listens makes it anew.
    Socket = 6,
    /// The content of a block device or a disk image, cut at fixed positions.
    Image = 7,
    /// Bytes from standard input or a command: no owner, no times of its own.
    Stream = 8,
    /// Could not even be looked at; `problem` says why.
    Unknown = 9,
}

impl Kind {
    pub fn from_number(number: u8) -> Option<Self> {
        use Kind::{
            BlockDevice, CharDevice, Directory, Fifo, File, Image, Socket, Stream, Symlink, Unknown,
        };
        [File, Directory, Symlink, Fifo, CharDevice, BlockDevice, Socket, Image, Stream, Unknown]
            .into_iter()
            .find(|k| *k as u8 == number)
    }

    /// Whether entries of this kind have content in chunks.
    pub fn has_content(self) -> bool {
        matches!(self, Kind::File | Kind::Image | Kind::Stream)
    }
}

/// A moment: seconds since 1970-01-01 UTC (negative before) and nanoseconds below 10^9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// Owner and group by number and by name; names are bytes because the system's are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub user: Vec<u8>,
    pub group: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xattr {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// Inode flags that are kept, as `FS_IOC_GETFLAGS` gives them.
pub mod flags {
    pub const IMMUTABLE: u32 = 0x10;
    pub const APPEND: u32 = 0x20;
    pub const NODUMP: u32 = 0x40;
    pub const NOATIME: u32 = 0x80;
    pub const NOCOW: u32 = 0x0080_0000;
    pub const KEPT: u32 = IMMUTABLE | APPEND | NODUMP | NOATIME | NOCOW;
}

/// Why an entry is not what it should be. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ProblemKind {
    /// Its content could not be read: there is none, or not all. The snapshot is incomplete.
    Unreadable = 1,
    /// It changed while it was read: the content is a mixture. The snapshot is complete.
    Changed = 2,
    /// It was there when its directory was listed and gone when it was read.
    Vanished = 3,
    /// Content is whole; some metadata (xattrs, ACLs, flags) could not be read.
    Metadata = 4,
}

impl ProblemKind {
    pub fn from_number(number: u8) -> Option<Self> {
        use ProblemKind::{Changed, Metadata, Unreadable, Vanished};
        [Unreadable, Changed, Vanished, Metadata].into_iter().find(|k| *k as u8 == number)
    }

    /// Whether a snapshot with such an entry is `incomplete`. A file that was deleted by its
    /// owner meanwhile, or that was written to, is not a failure of the snapshot.
    pub fn makes_incomplete(self) -> bool {
        matches!(self, ProblemKind::Unreadable | ProblemKind::Metadata)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    pub kind: ProblemKind,
    pub message: String,
}

/// What most entries do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extras {
    /// Sorted by name. ACLs are here as `system.posix_acl_access` and `…_default`.
    pub xattrs: Vec<Xattr>,
    /// Inode flags out of [`flags::KEPT`].
    pub flags: u32,
    /// Where a symlink points, as stored.
    pub target: Vec<u8>,
    /// Major and minor number of a device node.
    pub device_number: Option<(u32, u32)>,
    pub problem: Option<Problem>,
}

/// Metadata of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// The lower 12 bits of `st_mode`: permissions, setuid, setgid, sticky.
    pub mode: u16,
    pub owner: Arc<Owner>,
    pub mtime: Time,
    pub ctime: Time,
    /// Bytes of content; 0 where [`Kind::has_content`] is false.
    pub size: u64,
    pub inode: u64,
    pub device: u64,
    /// Number of hard links; entries with `links > 1` and equal `(device, inode)` are one file.
    pub links: u32,
    pub extras: Option<Box<Extras>>,
}

impl Node {
    /// Something of which only the kind is known yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            mode: 0,
            owner: Arc::default(),
            mtime: Time::default(),
            ctime: Time::default(),
            size: 0,
            inode: 0,
            device: 0,
            links: 1,
            extras: None,
        }
    }

    /// Whether nothing says that the file changed since `parent` was captured: size, mtime,
    /// ctime, inode and all that a change of would change ctime too.
    pub fn same_stat(&self, parent: &Node) -> bool {
        self.kind == parent.kind
            && self.size == parent.size
            && self.mtime == parent.mtime
            && self.ctime == parent.ctime
            && self.inode == parent.inode
            && self.mode == parent.mode
            && self.links == parent.links
            && (Arc::ptr_eq(&self.owner, &parent.owner) || self.owner == parent.owner)
    }

    pub fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// About how much memory the extras take.
    pub fn extras_bytes(&self) -> usize {
        self.extras.as_ref().map_or(0, |extras| {
            let xattrs = extras.xattrs.iter();
            size_of::<Extras>()
                + extras.target.len()
                + extras.problem.as_ref().map_or(0, |p| p.message.len())
                + xattrs.map(|x| size_of::<Xattr>() + x.name.len() + x.value.len()).sum::<usize>()
        })
    }

    pub fn problem(&self) -> Option<&Problem> {
        self.extras.as_ref().and_then(|e| e.problem.as_ref())
    }

    /// Whether all of its attributes and flags were read when it was captured: what is missing
    /// was not there.
    pub fn extras_are_whole(&self) -> bool {
        self.problem().is_none_or(|problem| problem.kind == ProblemKind::Changed)
    }

    /// Whether what it held could not be read when it was captured, or only in part: what is
    /// stored of it must never be taken for the whole.
    pub fn is_lost(&self) -> bool {
        use ProblemKind::{Unreadable, Vanished};
        let says = self.kind.has_content() || self.kind == Kind::Symlink;
        says && self.problem().is_some_and(|p| matches!(p.kind, Unreadable | Vanished))
    }
}

/// The order of entries in a tree: as if `/` were smaller than every other byte, so that
/// `a`, `a/b`, `a.txt` stand in this order and a subtree is one contiguous range.
pub fn path_order(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rank = |path: &[u8]| match path.get(common) {
        None => 0u16,
        Some(b'/') => 1,
        Some(other) => u16::from(*other) + 2,
    };
    rank(a).cmp(&rank(b))
}

/// Whether `path` is `ancestor` or lies below it. Everything lies below the root (empty).
pub fn is_within(path: &[u8], ancestor: &[u8]) -> bool {
    ancestor.is_empty()
        || path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Whether `path` is a legal tree path (see the module's head); `max` bounds its length.
pub fn is_valid_path(path: &[u8], max: usize) -> bool {
    !path.is_empty()
        && path.len() <= max
        && !path.contains(&0)
        && path.split(|b| *b == b'/').all(|c| !c.is_empty() && c != b"." && c != b"..")
}

/// The last component of a path.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_is_contiguous() {
        let mut paths: Vec<&[u8]> = vec![b"a.txt", b"a/b", b"a", b"a/b/c", b"a\x01", b"b"];
        paths.sort_by(|a, b| path_order(a, b));
        let want: Vec<&[u8]> = vec![b"a", b"a/b", b"a/b/c", b"a\x01", b"a.txt", b"b"];
        assert_eq!(paths, want);
    }

    #[test]
    fn hostile_paths_are_refused() {
        for bad in [&b""[..], b"/a", b"a/", b"a//b", b"a/../b", b".", b"a\0b"] {
            assert!(!is_valid_path(bad, 100), "{bad:?}");
        }
        assert!(is_valid_path(b"files/..a/b.", 100));
    }
}
