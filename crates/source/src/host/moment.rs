//! The moment right before an undo point, kept as a file on the file system of what is replaced, by
//! whose clock that is dated too: what changed after it is in no snapshot, and must not be removed.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tintype_model::{Error, Result};

/// Seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64, i64);

/// Done a second time it stays the first moment.
pub(crate) fn note(path: &Path) -> Result<()> {
    match File::create_new(path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io(error, path.display()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(error, path.display()))
        }
        _ => Ok(()),
    }
}

/// None: there is no undo point.
pub(crate) fn noted(path: &Path) -> Result<Option<Moment>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(Moment(found.ctime(), found.ctime_nsec()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(error, path.display())),
    }
}

impl Moment {
    /// Content, owner, mode or name.
    pub(crate) fn is_before_change(self, found: &Metadata) -> bool {
        Self(found.ctime(), found.ctime_nsec()) >= self
    }

    /// Content alone: a switch renames what it replaces.
    pub(crate) fn is_before_write(self, found: &Metadata) -> bool {
        Self(found.mtime(), found.mtime_nsec()) >= self
    }
}
