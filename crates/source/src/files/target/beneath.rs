//! Reaching directories below a root without ever leaving it.
//!
//! Every path is resolved from the root's descriptor by `openat2` with `RESOLVE_BENEATH`,
//! `RESOLVE_NO_SYMLINKS` and `RESOLVE_NO_MAGICLINKS`: the kernel itself refuses each symlink,
//! also one that is put there while it resolves. Kernels before 5.6 (and sandboxes without
//! the call) are served component by component with `O_NOFOLLOW`, which refuses the same.
//! Everything else is done with a parent's descriptor and one name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{
    Mode, OFlags, ResolveFlags, fstat, ioctl_getflags, lgetxattr_query, openat, openat2, syncfs,
};
use rustix::io::Errno;
use tintype_model::entry::{Kind, flags, is_valid_path};
use tintype_model::{Error, Result};

use crate::files::extras::proc_path;
use crate::files::handles::lock;

/// The longest path that is accepted, in bytes; far above PATH_MAX.
const LONGEST_PATH: usize = 1 << 20;
const LONGEST_NAME: usize = 255;
/// The longest piece of a path that the kernel takes at once (PATH_MAX less a reserve).
const LONGEST_PIECE: usize = 4000;
/// Parents that stay open.
const CACHED: usize = 64;

/// A directory below the root, or the root.
#[derive(Debug)]
pub(super) struct Parent {
    path: Vec<u8>,
    pub fd: OwnedFd,
    /// It has a default ACL, which new entries inherit.
    pub has_default_acl: bool,
    /// It has inode flags, which new entries may inherit.
    pub has_flags: bool,
}

#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    /// How it was named, for messages.
    dir: PathBuf,
    by_component: AtomicBool,
    /// The one used last stands last.
    cache: Mutex<Vec<Arc<Parent>>>,
    /// By device: a directory of each file system that something was put on.
    file_systems: Mutex<HashMap<u64, OwnedFd>>,
}

impl Root {
    pub(super) fn new(fd: OwnedFd, dir: &Path, by_component: bool) -> Self {
        Self {
            fd,
            dir: dir.to_path_buf(),
            by_component: AtomicBool::new(by_component),
            cache: Mutex::default(),
            file_systems: Mutex::default(),
        }
    }

    /// Waits until every file system has on its disk what was written to it.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        lock(&self.file_systems).values().chain([&self.fd]).try_for_each(syncfs)
    }

    /// The directory that `path` lies in, and its name there.
    pub(super) fn parent<'p>(&self, path: &'p [u8]) -> Result<(Arc<Parent>, &'p [u8])> {
        check(path)?;
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        Ok((self.directory(parent)?, name))
    }

    fn directory(&self, path: &[u8]) -> Result<Arc<Parent>> {
        {
            let mut cache = lock(&self.cache);
            if let Some(index) = cache.iter().rposition(|parent| parent.path == path) {
                if index + 1 != cache.len() {
                    let hit = cache.remove(index);
                    cache.push(hit);
                }
                return Ok(Arc::clone(&cache[cache.len() - 1]));
            }
        }
        let parent = Arc::new(self.load(path).map_err(|errno| self.refused(path, errno))?);
        let mut cache = lock(&self.cache);
        cache.push(Arc::clone(&parent));
        if cache.len() > CACHED {
            cache.remove(0);
        }
        Ok(parent)
    }

    fn load(&self, path: &[u8]) -> Result<Parent, Errno> {
        let readable = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match self.open(path, readable) {
            Err(Errno::ACCESS) => self.open(path, OFlags::PATH | OFlags::DIRECTORY)?,
            other => other?,
        };
        if let Entry::Vacant(new) = lock(&self.file_systems).entry(fstat(&fd)?.st_dev) {
            // Not the directory's own descriptor: that may be one that cannot be synced.
            if let Ok(own) = self.open(path, readable) {
                new.insert(own);
            }
        }
        let acl = lgetxattr_query(proc_path(&fd, b"."), c"system.posix_acl_default");
        let has_default_acl = acl.is_ok_and(|length| length > 0);
        let has_flags = ioctl_getflags(&fd).is_ok_and(|found| found.bits() & flags::KEPT != 0);
        Ok(Parent { path: path.to_vec(), fd, has_default_acl, has_flags })
    }

    /// Forgets what is known of a directory and of all below it.
    pub(super) fn forget(&self, path: &[u8]) {
        lock(&self.cache).retain(|parent| !tintype_model::entry::is_within(&parent.path, path));
    }

    /// Opens what lies at `path`; the root itself if it is empty.
    pub(super) fn open(&self, path: &[u8], how: OFlags) -> Result<OwnedFd, Errno> {
        let mut rest = path;
        let mut at: Option<OwnedFd> = None;
        while rest.len() > LONGEST_PIECE {
            let Some(slash) = rest[..LONGEST_PIECE].iter().rposition(|byte| *byte == b'/') else {
                return Err(Errno::NAMETOOLONG);
            };
            let from = at.as_ref().unwrap_or(&self.fd);
            at = Some(self.step(from, &rest[..slash], OFlags::PATH | OFlags::DIRECTORY)?);
            rest = &rest[slash + 1..];
        }
        let from = at.as_ref().unwrap_or(&self.fd);
        self.step(from, if rest.is_empty() { b"." } else { rest }, how)
    }

    /// Opens a directory for reading; the root itself if the path is empty.
    pub(super) fn open_dir(&self, path: &[u8]) -> Result<OwnedFd> {
        if !path.is_empty() {
            check(path)?;
        }
        let how = OFlags::RDONLY | OFlags::DIRECTORY;
        self.open(path, how).map_err(|errno| self.refused(path, errno))
    }

    /// The whole path of something below, for messages.
    pub(super) fn shown(&self, path: &[u8]) -> String {
        if path.is_empty() {
            return self.dir.display().to_string();
        }
        self.dir.join(OsStr::from_bytes(path)).display().to_string()
    }

    /// An error of the system at `path`, as the caller should see it.
    pub(super) fn refused(&self, path: &[u8], errno: Errno) -> Error {
        match errno {
            Errno::LOOP | Errno::XDEV => {
                let path = self.shown(path);
                Error::denied(format!("{path}: a symlink is in the way, and none is followed"))
            }
            Errno::NOTDIR => self.conflict(path, "something that is no directory is in the way"),
            // No lack of space: to make room does not help.
            Errno::FBIG => {
                let path = self.shown(path);
                Error::unsupported(format!("{path}: a file cannot be that large there"))
            }
            errno => Error::io(errno.into(), self.shown(path)),
        }
    }

    pub(super) fn conflict(&self, path: &[u8], what: &str) -> Error {
        Error::already_exists(format!("{}: {what}", self.shown(path)))
    }

    /// Something stands where nothing, or something else, should.
    pub(super) fn in_the_way(&self, path: &[u8], kind: Kind) -> Error {
        let what = match kind {
            Kind::Directory => "a directory is in the way",
            Kind::Symlink => "a symlink is in the way",
            Kind::File => "a file is in the way",
            _ => "a special file is in the way",
        };
        self.conflict(path, what)
    }

    fn step(&self, from: &OwnedFd, path: &[u8], how: OFlags) -> Result<OwnedFd, Errno> {
        let how = how | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !self.by_component.load(Ordering::Relaxed) {
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            loop {
                match openat2(from, path, how, Mode::empty(), resolve) {
                    // Something was renamed meanwhile, and the kernel wants to look again.
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(Errno::NOSYS) => break,
                    other => return other,
                }
            }
            self.by_component.store(true, Ordering::Relaxed);
        }
        by_component(from, path, how)
    }
}

fn by_component(from: &OwnedFd, path: &[u8], how: OFlags) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    let mut names = path.split(|byte| *byte == b'/').peekable();
    while let Some(name) = names.next() {
        let flags = match names.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            None => how,
        };
        let dir = at.as_ref().map_or(from.as_fd(), AsFd::as_fd);
        at = Some(openat(dir, name, flags, Mode::empty())?);
    }
    at.ok_or(Errno::INVAL)
}

/// Whether a path may be used below a root at all.
pub(super) fn check(path: &[u8]) -> Result<()> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    if !is_valid_path(path, LONGEST_PATH) {
        return Err(Error::invalid(format!("{}: not a path below the target", shown())));
    }
    if path.split(|byte| *byte == b'/').any(|name| name.len() > LONGEST_NAME) {
        return Err(Error::invalid(format!("{}: a name is longer than 255 bytes", shown())));
    }
    Ok(())
}
