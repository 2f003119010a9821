//! Whether somebody wrote to a cluster that was restored and is taken back. By being started and
//! stopped alone a server changes its files, so their times tell nothing. But what it writes for
//! somebody gets a number, of a transaction, an object or a lock: as long as it was stopped in order
//! and would give the same numbers next, nobody wrote. Files of settings are told by their times.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use super::place::Place;
use super::unpack;

/// Of `global/pg_control`, `catalog/pg_control.h`: where its version stands, and for versions that have
/// them there the state and what will be given next: a transaction, an object, a lock of several.
const VERSION: std::ops::Range<usize> = 8..12;
const KNOWN: [u32; 3] = [1300, 1700, 1800];
const STATE: std::ops::Range<usize> = 16..20;
const NEXT: std::ops::Range<usize> = 64..84;

#[derive(PartialEq, Serialize, Deserialize)]
struct Note {
    /// Of another version all of it, which a start changes.
    control: Vec<u8>,
    /// By the name of a file: its size and when it was written.
    settings: BTreeMap<String, (u64, i64, i64)>,
}

/// Right before the switch; done a second time the first one stays.
pub(super) fn note(place: &Place) -> Result<()> {
    let path = place.note();
    if path.exists() {
        return Ok(());
    }
    let text = serde_json::to_vec(&look(place)?).expect("texts and numbers only");
    let beside = place.note_beside();
    let written = unpack::file(&beside, None, &mut &text[..]);
    written
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(|error| Error::io(error, path.display()))
}

/// Of what was switched back to where it was staged. What cannot be told may have been written.
pub(super) fn is_changed(place: &Place) -> bool {
    let Ok(noted) = std::fs::read(place.note()) else { return false };
    let Ok(noted) = serde_json::from_slice::<Note>(&noted) else { return true };
    look(place).map_or(true, |now| now != noted)
}

pub(super) fn forget(place: &Place) -> Result<()> {
    for path in [place.note_beside(), place.note()] {
        crate::host::replaced::remove(&path)?;
    }
    Ok(())
}

fn look(place: &Place) -> Result<Note> {
    let staged = place.staged();
    let file = staged.join("global/pg_control");
    let whole = std::fs::read(&file).map_err(|error| Error::io(error, file.display()))?;
    Ok(Note { control: numbers(whole), settings: settings(&staged)? })
}

fn numbers(control: Vec<u8>) -> Vec<u8> {
    let parts = (control.get(VERSION), control.get(STATE), control.get(NEXT));
    let (Some(version), Some(state), Some(next)) = parts else { return control };
    let version = version.try_into().map(u32::from_ne_bytes);
    match version.is_ok_and(|version| KNOWN.contains(&version)) {
        true => [state, next].concat(),
        false => control,
    }
}

fn settings(data: &Path) -> Result<BTreeMap<String, (u64, i64, i64)>> {
    let failed = |error| Error::io(error, data.display());
    let mut settings = BTreeMap::new();
    for entry in data.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().extension().is_some_and(|end| end == "conf") {
            let found = entry.metadata().map_err(failed)?;
            settings.insert(name, (found.size(), found.mtime(), found.mtime_nsec()));
        }
    }
    Ok(settings)
}
