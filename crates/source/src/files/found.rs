//! One entry that a walk found.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node, Problem, ProblemKind, file_name};

use super::extras::{Reach, inode_flags, proc_path, xattrs};
use super::handles::DirHandle;
use super::problems::{merge, metadata, unreadable};
use super::read::OpenFile;
use super::stat::stat_fd;

/// An entry with what `statx` said of it. What needs more system calls is loaded on demand:
/// by [`Found::open`] for files, by [`Found::load_extras`] for all others.
#[derive(Debug)]
pub struct Found {
    /// In the tree: `files/etc/hosts`.
    pub path: Vec<u8>,
    pub node: Node,
    /// The directory it lies in; none for the base of the walk.
    pub(crate) dir: Option<Arc<DirHandle>>,
    /// Itself, if it is a directory.
    pub(crate) own: Option<Arc<DirHandle>>,
    pub(crate) blocks: u64,
    /// Inode flags that statx told.
    pub(crate) attributes: u32,
}

impl Found {
    pub fn name(&self) -> &[u8] {
        file_name(&self.path)
    }

    /// About how much memory it takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.node.extras_bytes()
    }

    /// Bytes that the file system says to have allocated: below the size, if it is sparse.
    pub fn allocated_bytes(&self) -> u64 {
        self.blocks * 512
    }

    /// Opens a file for reading. It is not opened if a symlink, a device or another file took
    /// its name since the walk saw it; a file that only grew or shrank is opened, and
    /// [`OpenFile::refresh`] brings the node up to date.
    pub fn open(&self) -> Result<OpenFile, Problem> {
        let dir = self.directory()?;
        let file = open_quietly(&dir, self.name()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NXIO => replaced(),
            errno => unreadable("cannot be opened", errno),
        })?;
        let stat = stat_fd(&file).map_err(|errno| unreadable("cannot be looked at", errno))?;
        let same = stat.kind == Kind::File
            && (stat.inode, stat.device) == (self.node.inode, self.node.device);
        if same { Ok(OpenFile::new(file, stat)) } else { Err(replaced()) }
    }

    /// Completes the node of what is not a file: symlink target, attributes, flags.
    pub fn load_extras(&mut self) {
        let problem = match self.node.kind {
            Kind::File | Kind::Image | Kind::Stream | Kind::Unknown => None,
            Kind::Directory => self.load_directory(),
            Kind::Symlink => self.load_target().err().or_else(|| self.load_by_path()),
            Kind::Fifo | Kind::CharDevice | Kind::BlockDevice | Kind::Socket => self.load_by_path(),
        };
        if let Some(problem) = problem {
            let extras = self.node.extras_mut();
            extras.problem = Some(merge(extras.problem.take(), problem));
        }
    }

    fn directory(&self) -> Result<Arc<OwnedFd>, Problem> {
        let dir = self.dir.as_ref().ok_or_else(replaced)?;
        dir.fd().map_err(|errno| match errno {
            Errno::STALE | Errno::NOTDIR | Errno::LOOP => replaced(),
            errno => unreadable("its directory cannot be opened", errno),
        })
    }

    fn load_directory(&mut self) -> Option<Problem> {
        if let Some(fd) = self.readable_directory() {
            return load_by_fd(&fd, &mut self.node);
        }
        if self.attributes != 0 {
            self.node.extras_mut().flags = self.attributes;
        }
        self.load_by_path()
    }

    /// A descriptor that attributes and flags can be read from. A directory that is only the
    /// way to a root, or whose listing is not allowed, may not have one.
    fn readable_directory(&self) -> Option<Arc<OwnedFd>> {
        let own = self.own.as_ref()?.fd().ok()?;
        if self.own.as_ref()?.is_listable() {
            return Some(own);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&own, c".", flags, Mode::empty()).ok().map(Arc::new)
    }

    fn load_by_path(&mut self) -> Option<Problem> {
        let path = match (&self.dir, &self.own) {
            (Some(_), _) => match self.directory() {
                Ok(dir) => (proc_path(&dir, self.name()), dir),
                Err(problem) => return Some(problem),
            },
            (None, Some(own)) => match own.fd() {
                Ok(dir) => (proc_path(&dir, b"."), dir),
                Err(errno) => return Some(metadata("xattrs not read", errno)),
            },
            (None, None) => return None,
        };
        let (found, problem) = xattrs(Reach::Path(&path.0));
        if !found.is_empty() {
            self.node.extras_mut().xattrs = found;
        }
        problem
    }

    fn load_target(&mut self) -> Result<(), Problem> {
        let dir = self.directory()?;
        let target = readlinkat(dir, self.name(), Vec::new()).map_err(|errno| match errno {
            Errno::INVAL => replaced(),
            errno => unreadable("symlink cannot be read", errno),
        })?;
        self.node.extras_mut().target = target.into_bytes();
        Ok(())
    }
}

/// Puts attributes and flags of an open file or directory into its node.
pub(crate) fn load_by_fd(fd: &impl AsFd, node: &mut Node) -> Option<Problem> {
    let (found, mut problem) = xattrs(Reach::Fd(fd.as_fd()));
    if !found.is_empty() {
        node.extras_mut().xattrs = found;
    }
    match inode_flags(fd.as_fd()) {
        Ok(0) => {}
        Ok(flags) => node.extras_mut().flags = flags,
        Err(more) => problem = Some(merge(problem, more)),
    }
    problem
}

/// Opens without following symlinks, without waiting for the other end of a fifo, and, where
/// that is allowed, without changing the access time.
fn open_quietly(dir: &impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(dir, name, flags, Mode::empty()),
        other => other,
    }
}

fn replaced() -> Problem {
    let message = "another thing took its name before it was read".to_owned();
    Problem { kind: ProblemKind::Vanished, message }
}
