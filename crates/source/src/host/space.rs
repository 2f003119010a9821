//! Room on a file system.

use std::path::Path;

use tintype_model::plan::Check;
use tintype_model::{Error, Result};

/// Bytes that can still be written where `path`, or the nearest directory above it, lies.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let mut there = path;
    while !there.exists() {
        there = there.parent().unwrap_or(Path::new("/"));
    }
    let found =
        rustix::fs::statvfs(there).map_err(|errno| Error::io(errno.into(), there.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses before anything is written.
pub(crate) fn require(name: &str, path: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(path)?;
    if free < needed {
        return Err(Error::no_space(format!(
            "{name}: {} has {} MiB free, {} MiB are needed; make room or choose another directory",
            path.display(),
            free >> 20,
            needed >> 20
        )));
    }
    Ok(())
}

pub(crate) fn check(path: &Path, needed: u64) -> Check {
    let at = path.display();
    match free_bytes(path) {
        Ok(free) if free < needed => Check::block(
            "free-space",
            format!("{at} has {} MiB free, {} MiB are needed", free >> 20, needed >> 20),
            "make room, or restore to another place",
        ),
        Ok(free) => Check::pass("free-space", format!("{at} has {} MiB free", free >> 20)),
        Err(error) => Check::block("free-space", error.to_string(), "choose a place that exists"),
    }
}
