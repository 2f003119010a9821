//! Removes a tree that is ours. What is mounted in it is not entered: that is not ours.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, IFlags, Mode, OFlags, ResolveFlags, ioctl_getflags, ioctl_setflags, openat, openat2,
    unlinkat,
};
use rustix::io::Errno;

use crate::volume::{btrfs, ioctl, opened};

/// A directory whose entries are being removed.
struct Level {
    directory: OwnedFd,
    left: Vec<Vec<u8>>,
    /// Its name in the level above.
    name: Vec<u8>,
}

/// What is not there is removed already. `EXDEV`: something is mounted in it.
pub(super) fn remove(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlink(&parent, name) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    let mut levels = Vec::new();
    enter(parent.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?, name, &mut levels)?;
    while let Some(mut level) = levels.pop() {
        let Some(name) = level.left.pop() else {
            let above =
                levels.last().map_or(parent.as_fd(), |above: &Level| above.directory.as_fd());
            remove_directory(above, &level.name)?;
            continue;
        };
        let removed = unlink(&level.directory, &name);
        let here = level.directory.try_clone().map_err(|_| Errno::MFILE)?;
        levels.push(level);
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => enter(here, &name, &mut levels)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn enter(parent: OwnedFd, name: &[u8], levels: &mut Vec<Level>) -> Result<(), Errno> {
    // A subvolume goes at once, unless there are others in it.
    if is_subvolume(&parent, name) && ioctl::destroy_subvolume(&parent, name).is_ok() {
        return Ok(());
    }
    let directory = open(&parent, name)?;
    let left = opened::names(&directory)?;
    levels.push(Level { directory, left, name: name.to_vec() });
    Ok(())
}

fn open(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match openat2(parent, name, how, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => openat(parent, name, how, Mode::empty()),
        other => other,
    }
}

fn is_subvolume(parent: &OwnedFd, name: &[u8]) -> bool {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| found.st_ino == btrfs::TOP_INODE) && btrfs::is_btrfs(parent)
}

fn unlink(directory: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::PERM) => {}
        other => return other,
    }
    let is_directory = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir());
    if is_directory {
        return Err(Errno::ISDIR);
    }
    // Immutable, or in an immutable directory.
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    loosen(&directory);
    if let Ok(file) = openat(&directory, name, how, Mode::empty()) {
        loosen(&file);
    }
    unlinkat(&directory, name, AtFlags::empty())
}

fn remove_directory(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        other => return other,
    }
    loosen(&parent);
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(directory) = openat(&parent, name, how, Mode::empty()) {
        loosen(&directory);
    }
    unlinkat(&parent, name, AtFlags::REMOVEDIR)
}

fn loosen(file: impl AsFd) {
    if let Ok(flags) = ioctl_getflags(&file) {
        // What is refused shows when it is removed.
        let _ = ioctl_setflags(&file, flags - (IFlags::IMMUTABLE | IFlags::APPEND));
    }
}
