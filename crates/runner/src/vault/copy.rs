//! Copies of snapshots in another repository.

use std::collections::BTreeSet;

use tintype_engine::cancel::Cancel;
use tintype_engine::copy::{CopyEvent, CopyOptions, KNOWN_LIMIT};
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::Result;

use super::{Vault, WAITING_WORKERS};
use crate::progress::Progress;
use crate::snapshot::part;

/// Ids of snapshots here and there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub copied: Vec<(String, String)>,
    /// Which were there already.
    pub there: Vec<(String, String)>,
    /// Which could not be copied whole, and so were not, with the cause.
    pub failed: Vec<(String, String)>,
    /// What the copies added.
    pub stored_bytes: u64,
    /// False if it was stopped; the next one goes on.
    pub is_whole: bool,
}

impl Vault {
    /// Visible snapshots that are whole ones, not parts of a run that goes on.
    pub fn whole_snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut snapshots = self.snapshots()?.snapshots;
        snapshots.retain(|snapshot| !part::is_part(&snapshot.manifest));
        Ok(snapshots)
    }

    /// Copies what is missing there.
    pub fn copy_to(
        &self,
        target: &Self,
        ids: &BTreeSet<String>,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Copied> {
        let mut chosen = self.snapshots()?.snapshots;
        chosen.retain(|snapshot| ids.contains(&snapshot.id.to_string()));
        let ids: Vec<_> = chosen.iter().map(|snapshot| snapshot.id).collect();
        let plan = self.repository.plan_copy(&target.repository, &ids)?;
        for planned in plan.snapshots.iter().filter(|planned| planned.present.is_none()) {
            Progress::add(&progress.total_entries, planned.entries);
            Progress::add(&progress.total_bytes, planned.bytes);
        }
        let on_event = |event| match event {
            CopyEvent::Read { bytes } => {
                Progress::add(&progress.bytes, bytes);
                Progress::add(&progress.moved_bytes, bytes);
            }
            CopyEvent::Entries { count } => {
                Progress::add(&progress.entries, count);
                Progress::add(&progress.files, count);
            }
            _ => {}
        };
        let options = CopyOptions {
            workers: WAITING_WORKERS,
            known_limit: KNOWN_LIMIT,
            cancel,
            on_event: &on_event,
        };
        let report = self.repository.copy_to(&target.repository, &plan, &options)?;
        let pairs = |pairs: Vec<(SnapshotId, SnapshotId)>| {
            pairs.into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
        };
        let failed = report.failed.into_iter().map(|(id, why)| (id.to_string(), why));
        Ok(Copied {
            copied: pairs(report.copied),
            there: pairs(report.skipped),
            failed: failed.collect(),
            stored_bytes: report.stored_bytes,
            is_whole: report.complete,
        })
    }
}
