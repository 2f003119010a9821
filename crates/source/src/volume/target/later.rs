//! What was written after the undo point began: it is in no snapshot, so it must not be removed.
//!
//! The moment is the time of a file that is made right before the undo point, on the file system of
//! the volume, by whose clock its entries are dated too. A change of content, owner or name gives a
//! file a new ctime, which nobody can set. The switch renames the entries at the top itself, so
//! those are looked at before it ([`settled`]), and after it by their mtime; so are directories, in
//! which we move what is left out, with their times kept.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use tintype_model::cancel::Cancel;
use tintype_model::{Error, Result};

use super::journal::Journal;
use super::layout::Layout;
use crate::host::{moment, processes};

pub(super) fn mark(layout: &Layout) -> Result<()> {
    moment::note(&layout.moment())
}

pub(super) fn unmark(layout: &Layout) -> Result<()> {
    moment::forget(&layout.moment())
}

/// Inodes of files at the top that were not changed up to now, sorted.
pub(super) fn settled(layout: &Layout) -> Result<Vec<u64>> {
    let (None, Some(moment)) = (&layout.only, moment::noted(&layout.moment())?) else {
        return Ok(Vec::new());
    };
    let failed = |error| Error::io(error, layout.live.display());
    let mut settled = Vec::new();
    for entry in std::fs::read_dir(&layout.live).map_err(failed)? {
        let found = entry.map_err(failed)?.path().symlink_metadata();
        settled.extend(
            found
                .ok()
                .filter(|found| !found.is_dir() && !moment.is_before_change(found))
                .map(|found| found.ino()),
        );
    }
    settled.sort_unstable();
    Ok(settled)
}

/// Whether some of what was replaced changed after the undo point, or is still written to. What
/// cannot be looked at may have changed.
pub(super) fn any(layout: &Layout, journal: &Journal, cancel: &Cancel) -> Result<bool> {
    let Some(moment) = moment::noted(&layout.moment())? else { return Ok(false) };
    let top = layout.staged();
    if !processes::writing_below(&top).is_empty() {
        return Ok(true);
    }
    let is_settled = |found: &Metadata| journal.settled.binary_search(&found.ino()).is_ok();
    let Ok(device) = top.symlink_metadata().map(|found| found.dev()) else {
        return Ok(true);
    };
    let mut left = vec![top];
    while let Some(dir) = left.pop() {
        cancel.check()?;
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return Ok(true),
        };
        for entry in entries {
            let Ok(entry) = entry else { return Ok(true) };
            let path = entry.path();
            let Ok(found) = path.symlink_metadata() else { return Ok(true) };
            // Under all its names, of which others may lie deeper.
            let was_moved = found.dev() == device && is_settled(&found);
            let is_later = if found.is_dir() || was_moved {
                moment.is_before_write(&found)
            } else {
                moment.is_before_change(&found)
            };
            if is_later {
                return Ok(true);
            }
            if found.is_dir() {
                left.push(path);
            }
        }
    }
    Ok(false)
}
