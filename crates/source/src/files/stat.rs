//! What one `statx` tells, in the size that a million of them may have.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node, Owner, Time};

/// One `statx`, without names.
#[derive(Clone, Debug)]
pub(crate) struct Stat {
    pub kind: Kind,
    pub mode: u16,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub blocks: u64,
    pub inode: u64,
    pub device: u64,
    pub mtime: Time,
    pub ctime: Time,
    pub rdev: (u32, u32),
    /// Kept inode flags that statx itself tells: immutable, append, nodump.
    pub attributes: u32,
    /// Something is mounted here, perhaps the same file system again (since Linux 5.8).
    pub is_mount: bool,
}

/// Of `name` below `dir`, itself if it is a symlink, and without triggering automounts.
pub(crate) fn stat_at(dir: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = statx(dir, name, flags, MASK)?;
    Ok(Stat::from(&stat))
}

/// Of an open file, as it is now.
pub(crate) fn stat_fd(fd: impl AsFd) -> Result<Stat, Errno> {
    let stat = statx(fd, c"", AtFlags::EMPTY_PATH, MASK)?;
    Ok(Stat::from(&stat))
}

const MASK: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::NLINK)
    .union(StatxFlags::UID)
    .union(StatxFlags::GID)
    .union(StatxFlags::MTIME)
    .union(StatxFlags::CTIME)
    .union(StatxFlags::INO)
    .union(StatxFlags::SIZE)
    .union(StatxFlags::BLOCKS);

impl From<&Statx> for Stat {
    fn from(stat: &Statx) -> Self {
        use tintype_model::entry::flags;
        let attributes =
            stat.stx_attributes.bits() as u32 & (flags::IMMUTABLE | flags::APPEND | flags::NODUMP);
        Self {
            kind: kind_of(u32::from(stat.stx_mode)),
            mode: stat.stx_mode & 0o7777,
            links: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            blocks: stat.stx_blocks,
            inode: stat.stx_ino,
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            mtime: Time { seconds: stat.stx_mtime.tv_sec, nanoseconds: stat.stx_mtime.tv_nsec },
            ctime: Time { seconds: stat.stx_ctime.tv_sec, nanoseconds: stat.stx_ctime.tv_nsec },
            rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
            attributes,
            is_mount: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

impl Stat {
    pub(crate) fn node(&self, owner: Arc<Owner>) -> Node {
        let mut node = Node {
            kind: self.kind,
            mode: self.mode,
            owner,
            mtime: self.mtime,
            ctime: self.ctime,
            size: if self.kind.has_content() { self.size } else { 0 },
            inode: self.inode,
            device: self.device,
            links: self.links,
            extras: None,
        };
        if matches!(self.kind, Kind::CharDevice | Kind::BlockDevice) {
            node.extras_mut().device_number = Some(self.rdev);
        }
        node
    }

    /// Whether both tell the same state of the same file.
    pub(crate) fn agrees_with(&self, node: &Node) -> bool {
        self.inode == node.inode
            && self.size == node.size
            && self.mtime == node.mtime
            && self.ctime == node.ctime
    }
}

/// The node of what could not be looked at.
pub(crate) fn unknown_node() -> Node {
    Node { links: 0, ..Node::new(Kind::Unknown) }
}

fn kind_of(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => Kind::Unknown,
    }
}
