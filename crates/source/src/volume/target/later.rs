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
use crate::host::processes;

/// Done a second time it stays the first moment.
pub(super) fn mark(layout: &Layout) -> Result<()> {
    let path = layout.moment();
    match std::fs::File::create_new(&path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io(error, path.display()))
        }
        _ => Ok(()),
    }
}

pub(super) fn unmark(layout: &Layout) -> Result<()> {
    match std::fs::remove_file(layout.moment()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(error, layout.moment().display()))
        }
        _ => Ok(()),
    }
}

type Moment = (i64, i64);

/// None: there is no undo point.
fn moment(layout: &Layout) -> Result<Option<Moment>> {
    match layout.moment().symlink_metadata() {
        Ok(found) => Ok(Some((found.ctime(), found.ctime_nsec()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(error, layout.moment().display())),
    }
}

fn is_changed(found: &Metadata, moment: Moment) -> bool {
    (found.ctime(), found.ctime_nsec()) >= moment
}

fn is_written(found: &Metadata, moment: Moment) -> bool {
    (found.mtime(), found.mtime_nsec()) >= moment
}

/// Inodes of files at the top that were not changed up to now, sorted.
pub(super) fn settled(layout: &Layout) -> Result<Vec<u64>> {
    let (None, Some(moment)) = (&layout.only, moment(layout)?) else { return Ok(Vec::new()) };
    let failed = |error| Error::io(error, layout.live.display());
    let mut settled = Vec::new();
    for entry in std::fs::read_dir(&layout.live).map_err(failed)? {
        let found = entry.map_err(failed)?.path().symlink_metadata();
        settled.extend(
            found
                .ok()
                .filter(|found| !found.is_dir() && !is_changed(found, moment))
                .map(|found| found.ino()),
        );
    }
    settled.sort_unstable();
    Ok(settled)
}

/// Whether some of what was replaced changed after the undo point, or is still written to. What
/// cannot be looked at may have changed.
pub(super) fn any(layout: &Layout, journal: &Journal, cancel: &Cancel) -> Result<bool> {
    let Some(moment) = moment(layout)? else { return Ok(false) };
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
                is_written(&found, moment)
            } else {
                is_changed(&found, moment)
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
