//! Snapshots that were there and whose fate is not: gc refuses, because what it cannot see it
//! would delete.
//!
//! No interleaving gives a false alarm (format.md §11):
//! - An annotation is put only by who has read the fate as committed, and here annotations were
//!   read before fates. A fate goes only after its session was put on a retired list, and lists
//!   were read after fates.
//! - What the newest record absorbed had a fate when that record was made, which goes only by a
//!   later record or by itself, and the same record was found newest again. Whether the session
//!   is still there says nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tintype_model::{Error, Result};

use crate::format::records::{FateState, names};
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::snapshots::Annotations;
use crate::repo::state::State;

impl Repository {
    /// An error for the first snapshot without a readable fate that is not in `give_up`; gives
    /// those that are.
    pub(super) fn settle_lost(
        &self,
        state: &State,
        annotations: &Annotations,
        give_up: &BTreeSet<SnapshotId>,
    ) -> Result<BTreeSet<SnapshotId>> {
        let mut lost: BTreeMap<SnapshotId, String> = BTreeMap::new();
        for (id, error) in &state.damaged {
            lost.insert(*id, error.to_string());
        }
        for id in lost_fates(state, annotations) {
            let fate = names::fate(id);
            lost.entry(id).or_insert_with(|| {
                format!("{fate} is missing: what else is there shows that it was")
            });
        }
        let now = self.env.clock.now();
        for (id, what) in &lost {
            let locked = annotations.locked_until(*id).filter(|until| *until > now);
            let advice = match locked {
                Some(until) => format!(
                    "bring it back from a copy of the store; it is locked until {until}, so it \
                     cannot be given up before"
                ),
                None => format!(
                    "bring it back from a copy of the store, or give the snapshot up: `tintype \
                     repo gc --give-up {id}`"
                ),
            };
            if locked.is_some() || !give_up.contains(id) {
                return Err(Error::corrupt(format!(
                    "gc deletes nothing while there is damage: {what}; {advice}"
                )));
            }
        }
        if let Some(whole) = give_up.iter().find(|id| !lost.contains_key(*id)) {
            return Err(Error::invalid(format!(
                "snapshot {whole} cannot be given up: nothing shows that its fate is lost; delete \
                 it instead"
            )));
        }
        Ok(lost.into_keys().collect())
    }
}

/// Snapshots of which something says that they were committed, and whose fates are not there.
pub(crate) fn lost_fates(state: &State, annotations: &Annotations) -> Vec<SnapshotId> {
    let is_known = |id: &SnapshotId| state.fates.contains_key(id) || state.retired.contains(id);
    let mut lost: Vec<SnapshotId> = annotations
        .ids()
        .filter(|id| !state.retired.contains(id))
        .filter(|id| state.fates.get(id).is_none_or(|f| f.state != FateState::Committed))
        .collect();
    let leaving: HashSet<&str> = state.newest.delete.objects.iter().map(String::as_str).collect();
    let absorbed = state.newest.absorbed.iter().filter(|id| !is_known(id));
    lost.extend(absorbed.filter(|id| !leaving.contains(&names::fate(**id)[..])));
    lost
}
