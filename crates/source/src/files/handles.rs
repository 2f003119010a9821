//! Directory handles: a directory is known by its parent and its name, and is opened when it
//! is needed.
//!
//! A walk runs far ahead of those who read its files, and each queued file holds its
//! directory; so the number of *open* descriptors is bounded by a pool. When the pool is full
//! the handle that was opened first is closed; who needs it again reopens it through its
//! parents, and the device and inode must then be the same. Nothing here uses a path, so
//! paths may be longer than PATH_MAX, and no component is ever a symlink.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// How a directory is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To be listed and read.
    List,
    /// Only to reach what is below it (`O_PATH`): needs no read permission.
    Reach,
}

/// Bounds the number of directories that are open at once.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    opened: Mutex<VecDeque<Weak<DirHandle>>>,
}

impl Pool {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(4), opened: Mutex::default() })
    }

    /// Notes that `handle` was opened; closes the oldest if there are too many.
    fn admit(&self, handle: &Arc<DirHandle>) {
        let mut opened = lock(&self.opened);
        opened.push_back(Arc::downgrade(handle));
        while opened.len() > self.limit {
            let Some(oldest) = opened.pop_front() else { break };
            if let Some(handle) = oldest.upgrade() {
                drop(opened);
                lock(&handle.fd).take();
                drop(handle);
                opened = lock(&self.opened);
            }
        }
    }
}

/// A directory that can be opened again at any time.
#[derive(Debug)]
pub struct DirHandle {
    parent: Option<Arc<DirHandle>>,
    /// Below the parent, or an absolute path if there is no parent.
    name: Box<[u8]>,
    /// Where it is opened, if that is not below its parent: an absolute path.
    elsewhere: Option<Box<[u8]>>,
    access: Access,
    /// Bytes of its path in the tree.
    path_length: usize,
    fd: Mutex<Option<Arc<OwnedFd>>>,
    /// Device and inode when it was first opened.
    identity: OnceLock<(u64, u64)>,
    pool: Arc<Pool>,
}

impl DirHandle {
    pub(crate) fn root(
        path: &[u8],
        path_length: usize,
        access: Access,
        pool: Arc<Pool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent: None,
            name: path.into(),
            elsewhere: None,
            access,
            path_length,
            fd: Mutex::new(None),
            identity: OnceLock::new(),
            pool,
        })
    }

    /// `elsewhere`: the directory that stands in its place.
    pub(crate) fn child(
        self: &Arc<Self>,
        name: &[u8],
        elsewhere: Option<&[u8]>,
        access: Access,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(self)),
            name: name.into(),
            elsewhere: elsewhere.map(Into::into),
            access,
            path_length: self.path_length + 1 + name.len(),
            fd: Mutex::new(None),
            identity: OnceLock::new(),
            pool: Arc::clone(&self.pool),
        })
    }

    /// Its names from the top downwards, without that of the top.
    pub(crate) fn names(&self) -> Vec<&[u8]> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(parent) = &at.parent {
            names.push(&*at.name);
            at = parent;
        }
        names.reverse();
        names
    }

    pub(crate) fn path_length(&self) -> usize {
        self.path_length
    }

    /// Opened so that its attributes can be read, not only reached.
    pub(crate) fn is_listable(&self) -> bool {
        self.access == Access::List
    }

    /// The open directory. `ESTALE`: it was replaced by another one.
    pub fn fd(self: &Arc<Self>) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(fd) = &*lock(&self.fd) {
            return Ok(Arc::clone(fd));
        }
        // Climb to the nearest open ancestor, then open downwards: no recursion, because
        // trees can be deeper than stacks.
        let mut closed = vec![self];
        let mut base = None;
        while let Some(parent) = closed.last().and_then(|dir| dir.parent.as_ref()) {
            if let Some(fd) = &*lock(&parent.fd) {
                base = Some(Arc::clone(fd));
                break;
            }
            closed.push(parent);
        }
        let mut fd = base;
        for dir in closed.into_iter().rev() {
            fd = Some(dir.open_below(fd.as_deref())?);
        }
        fd.ok_or(Errno::BADF)
    }

    /// Device of the directory, once it has been opened.
    pub(crate) fn device(&self) -> Option<u64> {
        self.identity.get().map(|identity| identity.0)
    }

    fn open_below(self: &Arc<Self>, parent: Option<&OwnedFd>) -> Result<Arc<OwnedFd>, Errno> {
        let fd = if let Some(parent) = parent {
            // An absolute path is opened wherever the parent is.
            open_directory(parent, self.elsewhere.as_ref().unwrap_or(&self.name), self.access)?
        } else {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            let how = if self.access == Access::Reach { OFlags::PATH } else { OFlags::RDONLY };
            openat(CWD, &*self.name, flags | how, Mode::empty())?
        };
        let stat = fstat(&fd)?;
        let identity = (stat.st_dev, stat.st_ino);
        if *self.identity.get_or_init(|| identity) != identity {
            return Err(Errno::STALE);
        }
        let fd = Arc::new(fd);
        *lock(&self.fd) = Some(Arc::clone(&fd));
        self.pool.admit(self);
        Ok(fd)
    }
}

impl Drop for DirHandle {
    /// Iterative: a chain of a hundred thousand parents must not overflow the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
        }
    }
}

/// Opens a directory below another; access times stay as they are where we may say so.
fn open_directory(parent: &OwnedFd, name: &[u8], access: Access) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if access == Access::Reach {
        return openat(parent, name, flags | OFlags::PATH, Mode::empty());
    }
    match openat(parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(parent, name, flags, Mode::empty()),
        other => other,
    }
}

/// Locks also after a panic elsewhere: what these mutexes guard is whole between two calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
