//! The repository's directory, held open: every call is relative to it, so that nothing is ever
//! written below an empty mount point, and a directory that vanished is told apart from a
//! missing object.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use rustix::fs::{Dir, FileType, Gid, Mode, OFlags, StatFs, Uid};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use super::way::Way;

pub(super) const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;

pub(super) struct Root {
    pub(super) path: PathBuf,
    pub(super) directory: OwnedFd,
    /// Its file server is elsewhere, or a program: system calls may be repeated behind our back.
    pub(super) network: bool,
    pub(super) way: OnceLock<Way>,
    /// Whose directory it is, where root works in it: what root makes there must not lock the
    /// owner out.
    owner: Option<(Uid, Gid)>,
    /// Directories whose own entries are known to be durable.
    known: Mutex<HashSet<String>>,
}

/// The directory part of a name; empty at the top.
pub(super) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// As a path below the root.
pub(super) fn relative(directory: &str) -> &str {
    if directory.is_empty() { "." } else { directory }
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Arc<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
            Error::io(errno.into(), format_args!("cannot open directory {}", path.display()))
        })?;
        let network = rustix::fs::fstatfs(&directory).is_ok_and(|found| is_remote(&found));
        let owner = rustix::fs::fstat(&directory)
            .ok()
            .filter(|stat| stat.st_uid != 0 && rustix::process::geteuid().is_root());
        Ok(Arc::new(Self {
            path: path.to_owned(),
            directory,
            network,
            way: OnceLock::new(),
            owner: owner.map(|stat| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))),
            known: Mutex::default(),
        }))
    }

    /// Creates the directory and its missing parents, durably.
    pub(super) fn create(path: &Path) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let fail = |error| Error::io(error, format_args!("cannot create {}", path.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
        for directory in path.ancestors().skip(1).take(2) {
            let directory = if directory == OsStr::new("") { Path::new(".") } else { directory };
            // A parent we may not read is not ours to sync.
            if let Ok(open) = File::open(directory) {
                tolerate_unsupported(rustix::fs::fsync(&open)).map_err(|e| fail(e.into()))?;
            }
        }
        Ok(())
    }

    /// Names what happened to what; finds out whether it is the root itself that is gone.
    pub(super) fn fail(&self, errno: impl Into<std::io::Error>, name: &str) -> Error {
        let error = errno.into();
        let lost = matches!(
            error.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::StaleNetworkFileHandle
        );
        if lost && self.is_gone() {
            return Error::unavailable(format!(
                "the repository's directory {} is gone (unmounted?)",
                self.path.display()
            ));
        }
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("object {name} does not exist"))
            }
            std::io::ErrorKind::AlreadyExists => {
                Error::already_exists(format!("object {name} exists already"))
            }
            _ => Error::io(error, format_args!("{}/{name}", self.path.display())),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        rustix::fs::fstat(&self.directory).is_ok_and(|stat| stat.st_nlink == 0)
            || matches!(rustix::fs::fstat(&self.directory), Err(Errno::STALE | Errno::NOTCONN))
    }

    /// Gives a new file to whom the repository belongs.
    pub(super) fn give(&self, file: impl AsFd) {
        let Some((user, group)) = self.owner else { return };
        if let Err(error) = rustix::fs::fchown(file, Some(user), Some(group)) {
            // A file server that takes root for nobody.
            tracing::debug!(%error, "an object stays with root");
        }
    }

    fn give_directory(&self, directory: &str) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory, directory, flags, Mode::empty()) {
            Ok(open) => self.give(open),
            Err(error) => tracing::debug!(%error, "a directory stays with root"),
        }
    }

    /// Makes the entries of a directory durable.
    pub(super) fn sync(&self, directory: &str) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, relative(directory), flags, Mode::empty())
            .and_then(|open| tolerate_unsupported(rustix::fs::fsync(&open)))
            .map_err(|errno| self.fail(errno, directory))
    }

    /// Makes a directory and its parents exist durably. The lock is held while it syncs, so
    /// that no other thread relies on an entry that is not durable yet.
    pub(super) fn ensure(&self, directory: &str) -> Result<()> {
        if directory.is_empty() {
            return Ok(());
        }
        let mut known = self.known.lock().expect("nothing panics while it holds this lock");
        if known.contains(directory) {
            return Ok(());
        }
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        for end in ends {
            let part = &directory[..end];
            if known.contains(part) {
                continue;
            }
            match rustix::fs::mkdirat(&self.directory, part, PRIVATE_DIRECTORY) {
                Ok(()) => self.give_directory(part),
                // Another process may have made it a moment ago and not have synced it yet: one
                // sync serves all that is there.
                Err(Errno::EXIST) => self.siblings(parent(part), &mut known)?,
                Err(errno) => return Err(self.fail(errno, part)),
            }
            self.sync(parent(part))?;
            known.insert(part.to_owned());
        }
        Ok(())
    }

    /// Forgets what it knows of a directory: it was found missing.
    pub(super) fn forget(&self, directory: &str) {
        let mut known = self.known.lock().expect("nothing panics while it holds this lock");
        known.retain(|one| !directory.starts_with(one.as_str()));
    }

    fn siblings(&self, directory: &str, known: &mut HashSet<String>) -> Result<()> {
        let fail = |errno| self.fail(errno, directory);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&self.directory, relative(directory), flags, Mode::empty())
            .map_err(fail)?;
        for entry in Dir::new(open).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if let (FileType::Directory, Ok(name)) = (entry.file_type(), entry.file_name().to_str())
            {
                known.insert(join(directory, name));
            }
        }
        Ok(())
    }
}

pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// SMB and some FUSE file systems cannot sync a directory; they have no cache of entries either.
fn tolerate_unsupported(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::INVAL | Errno::NOTSUP | Errno::BADF) => Ok(()),
        other => other,
    }
}

/// Whether a file server answers, or a program, by the magic numbers of statfs(2).
pub fn is_remote(file_system: &StatFs) -> bool {
    const NFS: u32 = 0x6969;
    const SMB: u32 = 0x517B;
    const CIFS: u32 = 0xFF53_4D42;
    const SMB2: u32 = 0xFE53_4D42;
    const FUSE: u32 = 0x6573_5546;
    const CEPH: u32 = 0x00C3_6400;
    const NINE_P: u32 = 0x0102_1997;
    const AFS: u32 = 0x5346_414F;
    let number = file_system.f_type as u32;
    [NFS, SMB, CIFS, SMB2, FUSE, CEPH, NINE_P, AFS].contains(&number)
}
