//! Where files are restored to: a directory that nothing written here can leave.
//!
//! Paths are bytes relative to the target, as in a tree. Every entry is made under a
//! temporary name and renamed into place, so that what stood there is replaced at once or not
//! at all. What may not be replaced is reported as a conflict (`AlreadyExists`); metadata
//! that cannot be set is reported as a problem, and the entry is there.
//!
//! The order of calls: [`Target::make_dir`] before what it holds, then files, symlinks and
//! special files in any order and from any thread, hard links after the file they link to,
//! [`Target::finish_dir`] for each directory after all that it holds, [`Target::complete`].

mod beneath;
mod content;
mod extra;
mod leftover;
mod mend;
mod metadata;
mod temp;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, RenameFlags, fchmod, linkat, mkdirat, mknodat,
    openat, renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node, Problem, file_name};
use tintype_model::{Error, ErrorKind, Result};

use self::beneath::Root;
use self::metadata::{Applier, Before, Made, set_flags};
use self::temp::{Temporary, kept_flags};
use super::handles::lock;
use super::owners::Accounts;
use super::stat::{stat_at, stat_fd};

pub(crate) use self::leftover::is_temporary;
pub use self::metadata::Owners;
pub use self::temp::TempFile;

/// How a target is written.
#[derive(Debug, Default)]
pub struct TargetOptions {
    pub owners: Owners,
    /// A file in the place of a directory and an empty directory in the place of a file are
    /// removed instead of being reported.
    pub replace_kinds: bool,
    /// Makes temporary names unlike those of other restores: random, from the caller.
    pub nonce: u64,
    /// Resolve paths name by name, as on kernels without `openat2`.
    pub by_component: bool,
}

/// Whether something may stand where an entry is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Nothing; else it is a conflict.
    New,
    /// It is replaced.
    Replace,
}

/// See the module's head. Shared by threads.
#[derive(Debug)]
pub struct Target {
    root: Root,
    applier: Applier,
    replace_kinds: bool,
    nonce: u64,
    counter: AtomicU64,
    /// Flags that must wait until all hard links are made.
    deferred: Mutex<Vec<(Vec<u8>, u32)>>,
    /// Directories that stood there before.
    existing: Mutex<std::collections::HashSet<Vec<u8>>>,
    accounts: Accounts,
}

impl Target {
    /// Opens an existing directory; symlinks in `dir` itself are followed, none below it.
    pub fn open(dir: &Path, options: TargetOptions) -> Result<Self> {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, dir, how, Mode::empty())
            .map_err(|errno| Error::io(errno.into(), format_args!("target {}", dir.display())))?;
        Ok(Self {
            root: Root::new(fd, dir, options.by_component),
            applier: Applier::new(options.owners),
            replace_kinds: options.replace_kinds,
            nonce: options.nonce,
            counter: AtomicU64::new(0),
            deferred: Mutex::default(),
            existing: Mutex::default(),
            accounts: Accounts::of_host(),
        })
    }

    /// Makes a directory, open to nobody else until [`Target::finish_dir`]; true if there was
    /// one already.
    pub fn make_dir(&self, path: &[u8]) -> Result<bool> {
        let (parent, name) = self.root.parent(path)?;
        let private = Mode::RWXU;
        match mkdirat(&parent.fd, name, private) {
            Ok(()) => return Ok(false),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.root.refused(path, errno)),
        }
        let present = stat_at(&parent.fd, name).map_err(|errno| self.root.refused(path, errno))?;
        if present.kind == Kind::Directory {
            lock(&self.existing).insert(path.to_vec());
            if present.mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root() {
                self.unlock_dir(path);
            }
            return Ok(true);
        }
        if !self.replace_kinds {
            return Err(self.root.in_the_way(path, present.kind));
        }
        unlinkat(&parent.fd, name, AtFlags::empty())
            .map_err(|errno| self.root.refused(path, errno))?;
        mkdirat(&parent.fd, name, private).map_err(|errno| self.root.refused(path, errno))?;
        Ok(false)
    }

    /// Makes a read-only directory of our own writable until it is finished. If that fails,
    /// what is written into it will say so.
    fn unlock_dir(&self, path: &[u8]) {
        if let Ok(fd) = self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            let _ = fchmod(&fd, Mode::RWXU);
        }
    }

    /// Begins a file whose content comes in pieces. Of `node` only the flags matter yet.
    pub fn begin_file(&self, path: &[u8], node: &Node) -> Result<TempFile<'_>> {
        TempFile::create(self, path, node)
    }

    /// A whole file at once.
    pub fn write_small(
        &self,
        path: &[u8],
        data: &[u8],
        node: &Node,
        put: Put,
    ) -> Result<Vec<Problem>> {
        let file = TempFile::create(self, path, node)?;
        file.write_at(0, data)?;
        file.finish(node, put)
    }

    /// A symlink to `node.extras.target`.
    pub fn symlink(&self, path: &[u8], node: &Node, put: Put) -> Result<Vec<Problem>> {
        let target = node.extras.as_ref().map_or(&[][..], |extras| &extras.target);
        self.make_other(path, node, put, |parent, name| symlinkat(target, parent, name))
    }

    /// A fifo or a device node.
    pub fn special(&self, path: &[u8], node: &Node, put: Put) -> Result<Vec<Problem>> {
        let kind = match node.kind {
            Kind::Fifo => FileType::Fifo,
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => {
                let path = self.root.shown(path);
                return Err(Error::unsupported(format!("{path}: no special file to restore")));
            }
        };
        let number = node.extras.as_ref().and_then(|extras| extras.device_number);
        let device = match (kind, number) {
            (FileType::Fifo, _) => 0,
            (_, Some((major, minor))) => rustix::fs::makedev(major, minor),
            (_, None) => {
                return Err(Error::invalid(format!(
                    "{}: device without a number",
                    self.root.shown(path)
                )));
            }
        };
        let mode = Mode::RUSR | Mode::WUSR;
        self.make_other(path, node, put, |parent, name| mknodat(parent, name, kind, mode, device))
    }

    /// What has no content: made under a temporary name, then opened with `O_PATH` and checked
    /// to be ours, so that metadata cannot hit what somebody put in its place.
    fn make_other(
        &self,
        path: &[u8],
        node: &Node,
        put: Put,
        make: impl FnOnce(&OwnedFd, &[u8]) -> Result<(), Errno>,
    ) -> Result<Vec<Problem>> {
        let (parent, _) = self.root.parent(path)?;
        let name = self.temporary_name();
        make(&parent.fd, &name).map_err(|errno| self.root.refused(path, errno))?;
        let mut temporary = Temporary { parent: Arc::clone(&parent), name, armed: true };
        let how = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent.fd, &*temporary.name, how, Mode::empty())
            .map_err(|errno| self.root.refused(path, errno))?;
        let stat = stat_fd(&made).map_err(|errno| self.root.refused(path, errno))?;
        let number = node.extras.as_ref().and_then(|extras| extras.device_number);
        let ours = stat.kind == node.kind
            && stat.links == 1
            && (node.kind == Kind::Fifo || node.kind == Kind::Symlink || Some(stat.rdev) == number);
        if !ours {
            return Err(Error::denied(format!(
                "{}: somebody replaces it meanwhile",
                self.root.shown(path)
            )));
        }
        let before = Before { acl: parent.has_default_acl, ..Before::default() };
        let is_link = node.kind == Kind::Symlink;
        let before = if is_link { Before::default() } else { before };
        let problems = self.applier.apply(Made::Path(made.as_fd(), is_link), node, before);
        place(self, &mut temporary, path, put)?;
        Ok(problems)
    }

    /// A further name for the file at `existing`. `Unsupported` where files cannot have several
    /// names, or not there.
    pub fn hard_link(&self, existing: &[u8], path: &[u8], put: Put) -> Result<()> {
        let (from, from_name) = self.root.parent(existing)?;
        let (parent, name) = self.root.parent(path)?;
        let none = AtFlags::empty();
        let cannot = |errno| match errno {
            Errno::EXIST => self.root.conflict(path, "exists already"),
            Errno::XDEV => self.not_linked(existing, "on another file system"),
            Errno::MLINK => self.not_linked(existing, "it has too many names"),
            Errno::PERM | Errno::NOTSUP | Errno::NOSYS => {
                self.not_linked(existing, "not permitted there")
            }
            errno => self.root.refused(path, errno),
        };
        if put == Put::New {
            return linkat(&from.fd, from_name, &parent.fd, name, none).map_err(cannot);
        }
        let temporary = self.temporary_name();
        linkat(&from.fd, from_name, &parent.fd, &*temporary, none).map_err(cannot)?;
        let mut temporary = Temporary { parent, name: temporary, armed: true };
        place(self, &mut temporary, path, put)?;
        // Renaming over another name of the same file does nothing: both names stay.
        temporary.armed = true;
        Ok(())
    }

    /// Puts a directory's metadata onto it, after all that it holds. An empty path is the
    /// target itself.
    pub fn finish_dir(&self, path: &[u8], node: &Node) -> Result<Vec<Problem>> {
        let fd = self.root.open_dir(path)?;
        let existed = path.is_empty() || lock(&self.existing).remove(path);
        let before = Before { acl: true, existed, flags: true };
        let mut problems = self.applier.apply(Made::Open(fd.as_fd()), node, before);
        if !existed || node.extras_are_whole() {
            problems.extend(set_flags(&fd, kept_flags(node)));
        }
        self.root.forget(path);
        Ok(problems)
    }

    /// Does what had to wait for the end. The problems come with the paths they belong to;
    /// those of all entries together have an empty path.
    pub fn complete(&self) -> Vec<(Vec<u8>, Problem)> {
        let mut problems = Vec::new();
        for (path, wanted) in std::mem::take(&mut *lock(&self.deferred)) {
            let problem = match self.root.open(&path, OFlags::RDONLY | OFlags::NONBLOCK) {
                Ok(fd) => set_flags(&fd, wanted),
                Err(errno) => Some(super::problems::metadata("inode flags not restored", errno)),
            };
            problems.extend(problem.map(|problem| (path, problem)));
        }
        problems.extend(self.applier.refused_owners().map(|problem| (Vec::new(), problem)));
        problems
    }

    /// Waits until all that was written is on its disk, on each file system below the target.
    pub fn sync(&self) -> Result<()> {
        self.root.sync().map_err(|errno| Error::io(errno.into(), "target"))
    }

    /// What stands at `path`, itself if it is a symlink; extras are not loaded.
    pub fn stat(&self, path: &[u8]) -> Result<Option<Node>> {
        let found = self.root.parent(path).and_then(|(parent, name)| {
            stat_at(&parent.fd, name).map_err(|errno| self.root.refused(path, errno))
        });
        match found {
            Ok(stat) => Ok(Some(stat.node(Arc::new(self.accounts.owner(stat.uid, stat.gid))))),
            Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The sorted names in a directory; an empty path is the target itself.
    pub fn list_dir(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let fd = self.root.open_dir(path)?;
        let mut buffer = vec![std::mem::MaybeUninit::uninit(); 64 * 1024];
        let mut directory = RawDir::new(&fd, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = directory.next() {
            let entry = entry.map_err(|errno| self.root.refused(path, errno))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The whole path of something in it, for messages.
    pub fn shown(&self, path: &[u8]) -> String {
        self.root.shown(path)
    }

    /// Removes a file, or a directory that is empty.
    pub fn remove(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = self.root.parent(path)?;
        let removed = match unlinkat(&parent.fd, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => unlinkat(&parent.fd, name, AtFlags::REMOVEDIR),
            other => other,
        };
        self.root.forget(path);
        removed.map_err(|errno| self.root.refused(path, errno))
    }

    fn not_linked(&self, existing: &[u8], why: &str) -> Error {
        let first = self.root.shown(existing);
        Error::unsupported(format!("not made a further name of {first}: {why}"))
    }

    fn temporary_name(&self) -> Vec<u8> {
        leftover::temporary_name(self.nonce, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    fn defer_flags(&self, path: &[u8], wanted: u32) {
        lock(&self.deferred).push((path.to_vec(), wanted));
    }
}

/// Gives what was made its final name.
fn place(target: &Target, temporary: &mut Temporary, path: &[u8], put: Put) -> Result<()> {
    let fd = &temporary.parent.fd;
    let name = file_name(path);
    let from = &*temporary.name;
    let placed = match put {
        Put::Replace => replace(target, fd, from, name),
        Put::New => match renameat_with(fd, from, fd, name, RenameFlags::NOREPLACE) {
            // The file system does not know the flag; a hard link refuses to replace too.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(fd, from, fd, name, AtFlags::empty())
                .and_then(|()| unlinkat(fd, from, AtFlags::empty())),
            other => other,
        },
    };
    match placed {
        Ok(()) => temporary.armed = false,
        Err(errno) => return Err(not_placed(&target.root, fd, path, errno)),
    }
    Ok(())
}

fn replace(target: &Target, fd: &OwnedFd, from: &[u8], name: &[u8]) -> Result<(), Errno> {
    match renameat(fd, from, fd, name) {
        Err(Errno::ISDIR) if target.replace_kinds => {
            unlinkat(fd, name, AtFlags::REMOVEDIR)?;
            renameat(fd, from, fd, name)
        }
        other => other,
    }
}

fn not_placed(root: &Root, fd: &OwnedFd, path: &[u8], errno: Errno) -> Error {
    let present = stat_at(fd, file_name(path)).ok();
    match (errno, present) {
        (Errno::EXIST | Errno::ISDIR, Some(present)) => root.in_the_way(path, present.kind),
        (Errno::NOTEMPTY, _) => root.conflict(path, "a directory that is not empty is in the way"),
        (Errno::PERM, Some(present)) if present.attributes != 0 => {
            let path = root.shown(path);
            Error::denied(format!("{path}: what stands there is immutable (chattr -i)"))
        }
        (errno, _) => root.refused(path, errno),
    }
}
