//! Metadata of directories that stay while what they hold is exchanged.

use std::os::fd::OwnedFd;
use std::path::Path;

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
