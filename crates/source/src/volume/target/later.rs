//! What was written after the undo point began, and to what was restored: it is in no snapshot, so
//! it must not be removed.
//!
//! The moment is the time of a file that is made right before the undo point, on the file system of
//! the volume, by whose clock its entries are dated too. A change of content, owner or name gives a
//! file a new ctime, which nobody can set. The switch renames the entries at the top itself, so
//! those are looked at before it ([`settled`]), and after it by their mtime; so are directories, in
//! which we move what is left out, with their times kept. What was restored is looked at the same way
//! when it is taken back, from the moment right before the switch on.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

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

/// Inodes of files at the top that were not changed since a moment, sorted.
pub(super) fn settled(layout: &Layout, since: &Path) -> Result<Vec<u64>> {
    let (None, Some(moment)) = (&layout.only, moment::noted(since)?) else {
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

/// The same of what was restored, of which some may wait where it was staged: told by content alone,
/// as long as it is not known when the last of it was renamed.
pub(super) fn settled_back(layout: &Layout) -> Result<Vec<u64>> {
    if moment::noted(&layout.shown())?.is_some() {
        return settled(layout, &layout.shown());
    }
    let (None, Some(moment)) = (&layout.only, moment::noted(&layout.switched())?) else {
        return Ok(Vec::new());
    };
    let mut settled = Vec::new();
    for dir in [&layout.live, &layout.staged()] {
        let failed = |error| Error::io(error, dir.display());
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let found = entry.map_err(failed)?.path().symlink_metadata().ok();
            let found = found.filter(|found| !found.is_dir() && !moment.is_before_write(found));
            settled.extend(found.map(|found| found.ino()));
        }
    }
    settled.sort_unstable();
    Ok(settled)
}

/// Whether some of what was replaced changed after the undo point, or is still written to.
pub(super) fn any(layout: &Layout, journal: &Journal, cancel: &Cancel) -> Result<bool> {
    changed(layout, &layout.moment(), &journal.settled, cancel)
}

/// Whether some of what was restored, and is staged again, was written to since.
pub(super) fn is_written(layout: &Layout, journal: &Journal) -> Result<bool> {
    let settled = journal.settled_back.as_deref().unwrap_or_default();
    // Taking back is not stopped halfway.
    changed(layout, &layout.switched(), settled, &Cancel::default())
}

/// What cannot be looked at may have changed.
fn changed(layout: &Layout, since: &Path, settled: &[u64], cancel: &Cancel) -> Result<bool> {
    let Some(moment) = moment::noted(since)? else { return Ok(false) };
    let top = layout.staged();
    if !processes::writing_below(&top).is_empty() {
        return Ok(true);
    }
    let is_settled = |found: &Metadata| settled.binary_search(&found.ino()).is_ok();
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
