//! Snapshots as listed.

use std::collections::BTreeMap;

use tintype_model::{Error, Result};

use super::Repository;
use super::annotate::Standing;
use super::state::State;
use crate::format::records::{FateState, Manifest};
use crate::id::SnapshotId;

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub manifest: Manifest,
    pub standing: Standing,
}

/// All that is there, with what could not be read.
pub struct Listing {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    pub damaged: Vec<Error>,
}

impl Repository {
    /// Visible snapshots, oldest first.
    pub fn snapshots(&self) -> Result<Listing> {
        let state = self.read_state()?;
        self.snapshots_in(state)
    }

    pub(crate) fn snapshots_in(&self, state: State) -> Result<Listing> {
        let now = self.env.clock.now();
        let mut listing = self.all_committed(state)?;
        listing.snapshots.retain(|s| !s.standing.is_dead(now));
        Ok(listing)
    }

    /// Deleted ones too, as long as gc has not removed them.
    pub(crate) fn all_committed(&self, state: State) -> Result<Listing> {
        let annotated = self.annotated()?;
        let mut damaged: Vec<Error> = state.damaged.into_iter().map(|(_, e)| e).collect();
        let mut snapshots = Vec::new();
        for (id, fate) in state.fates {
            let (FateState::Committed, Some(manifest)) = (fate.state, fate.manifest) else {
                continue;
            };
            let standing = if annotated.contains_key(&id) {
                self.standing(id, &manifest)
            } else {
                Ok(Standing::of(&manifest))
            };
            let standing = standing.unwrap_or_else(|error| {
                // It stays listed: its data may well be whole.
                damaged.push(error);
                Standing::of(&manifest)
            });
            snapshots.push(Snapshot { id, manifest, standing });
        }
        snapshots.sort_by_key(|s| (s.manifest.time, s.id));
        Ok(Listing { snapshots, damaged })
    }

    /// How many annotations each snapshot has: one listing instead of one for each.
    fn annotated(&self) -> Result<BTreeMap<SnapshotId, u32>> {
        let mut count = BTreeMap::new();
        self.backend.list("annotation/", &mut |listed| {
            if let Some(id) = crate::format::records::names::parse_id(&listed.name, "annotation/") {
                *count.entry(id).or_insert(0) += 1;
            }
            Ok(())
        })?;
        Ok(count)
    }
}
