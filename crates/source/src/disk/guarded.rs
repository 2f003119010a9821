//! What a reader cannot take must not end the run: an image can hold anything, and a panic of a
//! reader is an error of that file system.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tintype_model::{Error, Result};

use super::{DiskEntry, DiskFiles, Each};

struct Guarded(Box<dyn DiskFiles>);

pub(super) fn open(
    open: impl FnOnce() -> Result<Box<dyn DiskFiles>>,
) -> Result<Box<dyn DiskFiles>> {
    let files = guard(open)?;
    Ok(Box::new(Guarded(files)))
}

/// Readers keep nothing that a panic could leave half changed but their caches, which are filled
/// by one assignment.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::invalid("the file system is damaged: its reader cannot go on"))
    })
}

impl DiskFiles for Guarded {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn has_owners(&self) -> bool {
        self.0.has_owners()
    }

    fn stat(&self, path: &[u8]) -> Result<DiskEntry> {
        guard(|| self.0.stat(path))
    }

    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>> {
        guard(|| self.0.list(path))
    }

    fn read(&self, path: &[u8], each: &mut Each<'_>) -> Result<u64> {
        guard(|| self.0.read(path, each))
    }
}
