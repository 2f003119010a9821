//! Directories in which we make and remove something of our own.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Timespec, Timestamps, fstat, futimens};
use tintype_model::{Error, Result};

use super::place;

/// Does something in a directory whose times must not tell of it.
pub(super) fn keeping_times<T>(dir: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let directory = place::open(dir).map_err(|errno| Error::io(errno.into(), dir.display()))?;
    let before = times(&directory);
    let done = act()?;
    restore(&directory, before);
    Ok(done)
}

/// Moves directories whose times must not tell of it, as those of xfs do when two are exchanged.
/// What is none, or not there, is moved too.
pub(super) fn keeping_own_times<T>(paths: [&Path; 2], act: impl FnOnce() -> T) -> T {
    let directories = paths.map(|path| place::open(path).ok());
    let before = directories.each_ref().map(|directory| directory.as_ref().and_then(times));
    let done = act();
    for (directory, before) in directories.iter().zip(before) {
        if let Some(directory) = directory {
            restore(directory, before);
        }
    }
    done
}

fn times(directory: &OwnedFd) -> Option<Timestamps> {
    let found = fstat(directory).ok()?;
    let time =
        |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    Some(Timestamps {
        last_access: time(found.st_atime as i64, found.st_atime_nsec as u64),
        last_modification: time(found.st_mtime as i64, found.st_mtime_nsec as u64),
    })
}

fn restore(directory: &OwnedFd, before: Option<Timestamps>) {
    if let Some(before) = before {
        // Who may write to a directory may not always set its times.
        let _ = futimens(directory, &before);
    }
}
