//! What stands at a path with all its metadata, and putting metadata onto it.

use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, ioctl_getflags, openat, readlinkat};
use tintype_model::entry::{Kind, Node, Problem, flags};
use tintype_model::{Error, Result};

use super::metadata::{Before, Made, set_flags};
use super::temp::kept_flags;
use super::{Owners, Target};
use crate::files::extras::{Reach, proc_path, xattrs};
use crate::files::found::load_by_fd;
use crate::files::stat::stat_fd;

impl Target {
    /// Like [`Target::stat`], with symlink target, attributes and flags.
    pub fn inspect(&self, path: &[u8]) -> Result<Option<Node>> {
        let Some(mut node) = self.stat(path)? else { return Ok(None) };
        let problem = if matches!(node.kind, Kind::File | Kind::Directory) {
            let fd = self.root.open(path, OFlags::RDONLY | OFlags::NONBLOCK);
            load_by_fd(&fd.map_err(|errno| self.root.refused(path, errno))?, &mut node)
        } else {
            let (parent, name) = self.root.parent(path)?;
            if node.kind == Kind::Symlink {
                let target = readlinkat(&parent.fd, name, Vec::new());
                let target = target.map_err(|errno| self.root.refused(path, errno))?;
                node.extras_mut().target = target.into_bytes();
            }
            let (found, problem) = xattrs(Reach::Path(&proc_path(&parent.fd, name)));
            if !found.is_empty() {
                node.extras_mut().xattrs = found;
            }
            problem
        };
        match problem {
            None => Ok(Some(node)),
            Some(problem) => {
                Err(Error::unavailable(format!("{}: {}", self.root.shown(path), problem.message)))
            }
        }
    }

    /// Gives a directory that was just made its owner and mode (but open to its owner, and
    /// without set-id bits), because a restore that is interrupted finds it again and leaves it
    /// as it is. All else, and what is refused, comes with [`Target::finish_dir`].
    pub fn prepare_dir(&self, path: &[u8], node: &Node) {
        let Ok(fd) = self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY) else { return };
        let ids = match &self.applier.owners {
            Owners::Keep => None,
            Owners::Numbers => Some((node.owner.uid, node.owner.gid)),
            Owners::Names(accounts) => Some(accounts.numbers_of(&node.owner)),
        };
        if let Some((uid, gid)) = ids.filter(|(uid, gid)| *uid != u32::MAX && *gid != u32::MAX) {
            let _ = fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
        // With an ACL, which comes later, the group's bits are not the group's rights.
        let xattrs = node.extras.as_ref().map_or(&[][..], |extras| &extras.xattrs);
        let has_acl = xattrs.iter().any(|xattr| xattr.name.starts_with(b"system."));
        let mask = if has_acl { 0o1707 } else { 0o1777 };
        let _ = fchmod(&fd, Mode::from_raw_mode(u32::from(node.mode & mask | 0o700)));
    }

    /// Puts an entry's metadata onto what stands there, of the same kind, and leaves the content.
    pub fn set_metadata(&self, path: &[u8], node: &Node) -> Result<Vec<Problem>> {
        let is_symlink = node.kind == Kind::Symlink;
        let before = Before { acl: !is_symlink, existed: true, flags: true };
        if !node.kind.has_content() {
            let (parent, name) = self.root.parent(path)?;
            let how = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat(&parent.fd, name, how, Mode::empty())
                .map_err(|errno| self.root.refused(path, errno))?;
            let stat = stat_fd(&fd).map_err(|errno| self.root.refused(path, errno))?;
            if stat.kind != node.kind {
                return Err(self.root.in_the_way(path, stat.kind));
            }
            return Ok(self.applier.apply(Made::Path(fd.as_fd(), is_symlink), node, before));
        }
        let fd = self
            .root
            .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .map_err(|errno| self.root.refused(path, errno))?;
        let stat = stat_fd(&fd).map_err(|errno| self.root.refused(path, errno))?;
        if stat.kind != Kind::File {
            return Err(self.root.in_the_way(path, stat.kind));
        }
        let wanted = if node.extras_are_whole() {
            kept_flags(node)
        } else {
            ioctl_getflags(&fd).map_or(0, |found| found.bits() & flags::KEPT)
        };
        // What is immutable takes nothing; if that stays, each thing that is refused says so.
        if stat.attributes != 0 {
            let _ = set_flags(&fd, 0);
        }
        let mut problems = self.applier.apply(Made::Open(fd.as_fd()), node, before);
        if wanted & (flags::IMMUTABLE | flags::APPEND) != 0 && node.links > 1 {
            self.defer_flags(path, wanted);
        } else {
            problems.extend(set_flags(&fd, wanted));
        }
        Ok(problems)
    }
}
