//! Metadata of directories that stay while what they hold is exchanged.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Timespec, Timestamps, fstat, futimens};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use crate::files::{self, TargetOptions, whole_node};
use crate::volume::place;

fn open(dir: &Path) -> Result<OwnedFd> {
    place::open(dir).map_err(|errno: Errno| Error::io(errno.into(), dir.display()))
}

/// Gives one directory what another has: owner, mode, attributes, times.
pub(super) fn copy_metadata(from: &Path, to: &Path) -> Result<()> {
    let node = whole_node(&open(from)?).map_err(|error| error.context(from.display()))?;
    let problems = files::Target::open(to, TargetOptions::default())?.finish_dir(b"", &node)?;
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(Error::unavailable(format!("{}: {}", to.display(), problem.message))),
    }
}

/// Does something in a directory whose times must not tell of it.
pub(super) fn keeping_times<T>(dir: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let directory = open(dir)?;
    let failed = |errno: Errno| Error::io(errno.into(), dir.display());
    let before = fstat(&directory).map_err(failed)?;
    let done = act()?;
    let time =
        |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    let times = Timestamps {
        last_access: time(before.st_atime as i64, before.st_atime_nsec as u64),
        last_modification: time(before.st_mtime as i64, before.st_mtime_nsec as u64),
    };
    // Who may write to it may not always set its times.
    let _ = futimens(&directory, &times);
    Ok(done)
}
