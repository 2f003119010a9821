//! What a copy will do: which snapshots are there already, and what they were copied from.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tintype_model::{Error, Result};

use crate::format::records::Operation;
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

/// One chosen snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedCopy {
    pub source: SnapshotId,
    pub time: Timestamp,
    pub host: String,
    pub entries: u64,
    pub bytes: u64,
    /// The target's snapshot that is its copy, or its original.
    pub present: Option<SnapshotId>,
}

/// Oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct CopyPlan {
    pub snapshots: Vec<PlannedCopy>,
}

impl Repository {
    /// Plans to copy these snapshots of this repository into `target`.
    pub fn plan_copy(&self, target: &Repository, ids: &[SnapshotId]) -> Result<CopyPlan> {
        if self.id() == target.id() {
            return Err(Error::invalid("source and target are the same repository"));
        }
        target.allow_write()?;
        self.config.features.allow(Operation::Read)?;
        let source = self.snapshots()?.snapshots;
        for id in ids {
            if !source.iter().any(|snapshot| snapshot.id == *id) {
                return Err(Error::not_found(format!("there is no snapshot {}", id.short())));
            }
        }
        let there = target.snapshots()?.snapshots;
        let copies = copies(self, &there);
        let chosen = source.iter().filter(|snapshot| ids.contains(&snapshot.id));
        let snapshots = chosen.map(|snapshot| {
            let manifest = &snapshot.manifest;
            let original = manifest.origin.as_ref().filter(|o| o.repository == target.id());
            let original =
                original.filter(|o| there.iter().any(|s| s.id == o.snapshot)).map(|o| o.snapshot);
            PlannedCopy {
                source: snapshot.id,
                time: manifest.time,
                host: manifest.host.clone(),
                entries: manifest.entries,
                bytes: manifest.bytes,
                present: copies.get(&snapshot.id).map(|copy| copy.id).or(original),
            }
        });
        Ok(CopyPlan { snapshots: snapshots.collect() })
    }
}

/// Snapshots of the target by the snapshot of `source` that they are copies of.
pub(super) fn copies<'s>(
    source: &Repository,
    target: &'s [Snapshot],
) -> HashMap<SnapshotId, &'s Snapshot> {
    let mut copies = HashMap::new();
    for snapshot in target {
        let origin = snapshot.manifest.origin.as_ref();
        if let Some(origin) = origin.filter(|o| o.repository == source.id()) {
            copies.insert(origin.snapshot, snapshot);
        }
    }
    copies
}

/// The copied snapshot that is most like `wanted`: of the same host and paths if there is one,
/// then the nearest in time.
pub(super) fn nearest<'s>(
    wanted: &Snapshot,
    copied: impl Iterator<Item = &'s Snapshot>,
) -> Option<&'s Snapshot> {
    let manifest = &wanted.manifest;
    copied.min_by_key(|snapshot| {
        let other = &snapshot.manifest;
        let same = other.host == manifest.host && other.paths == manifest.paths;
        let distance = other.time.duration_since(manifest.time).unsigned_abs();
        (!same, distance, snapshot.id)
    })
}
