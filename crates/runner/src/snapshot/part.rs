//! Parts: snapshots that are taken to be joined to one (see [`super::join`]). They are no snapshots
//! for users: none is the latest, retention does not count them, and what an interrupted run leaves
//! of them goes after a week.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_engine::format::records::Manifest;
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::{Error, Result};

use crate::group::BORROWS;

/// Of a manifest's options: the part that it is.
pub const PART: &str = "part";
/// Of a manifest's options: the snapshots that it was joined of.
pub const JOINED: &str = "joined";

/// A run that was interrupted finds its parts again for so long.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Which part of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Id of the run.
    pub run: String,
    /// Tells the parts of a run apart.
    pub name: String,
}

impl Part {
    pub fn of(manifest: &Manifest) -> Option<Self> {
        serde_json::from_value(manifest.options[PART].clone()).ok()
    }

    /// For [`super::Labels::options`]. `borrows`: of the whole run, see [`crate::group::borrows`].
    pub fn options(&self, borrows: bool) -> Value {
        json!({ PART: self, BORROWS: borrows })
    }
}

pub fn is_part(manifest: &Manifest) -> bool {
    !manifest.options[PART].is_null()
}

/// For what gives a snapshot away: a part is none yet, and goes when its run has ended.
pub fn refuse(snapshot: &Snapshot) -> Result<()> {
    if !is_part(&snapshot.manifest) {
        return Ok(());
    }
    let id = snapshot.id.short();
    let (run, name) = match Part::of(&snapshot.manifest) {
        Some(Part { run, name }) => (run, name),
        None => ("?".to_owned(), "?".to_owned()),
    };
    Err(Error::invalid(format!(
        "snapshot {id} is part {name} of run {run}, which is not joined yet; take the snapshot that \
         the run makes of its parts"
    )))
}

/// What a snapshot was joined of.
pub fn joined_of(manifest: &Manifest) -> Vec<SnapshotId> {
    serde_json::from_value(manifest.options[JOINED].clone()).unwrap_or_default()
}

/// Parts of runs that nobody goes on with any more: the youngest is older than a week.
pub fn rests(snapshots: &[Snapshot], now: Timestamp) -> Vec<&Snapshot> {
    let mut runs = BTreeMap::<_, Vec<&Snapshot>>::new();
    for part in snapshots.iter().filter(|snapshot| is_part(&snapshot.manifest)) {
        let run = part.manifest.options[PART]["run"].as_str();
        runs.entry(run).or_default().push(part);
    }
    let ended = |part: &&Snapshot| {
        let seconds = part.manifest.stats["seconds"].as_f64().unwrap_or_default();
        let taken = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
        part.manifest.time.checked_add(taken).unwrap_or(Timestamp::MAX)
    };
    let is_over = |parts: &Vec<&Snapshot>| {
        parts.iter().map(ended).max().is_some_and(|last| now.duration_since(last) > KEPT)
    };
    let over = runs.into_values().filter(is_over).flatten();
    over.filter(|part| part.standing.protection(now).is_none()).collect()
}
