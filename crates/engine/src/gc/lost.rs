//! Snapshots that were there and whose fate is not: gc refuses, because what it cannot see it
//! would delete.
//!
//! No interleaving gives a false alarm (format.md §11):
//! - An annotation is put only by who has read the fate as committed, and here annotations were
//!   read before fates. A fate goes only after its session was put on a retired list, and lists
//!   were read after fates.
//! - What the newest record absorbed had a fate when that record was made, which goes only by a
//!   later record, and the same record was found newest again. Sessions of readers and gcs are
//!   left out: their fates go without a list. One that cannot be read may be a snapshot's.

use std::collections::{BTreeMap, BTreeSet};

use tintype_model::{Error, ErrorKind, Result};

use crate::format::object::ObjectType;
use crate::format::records::{FateState, SessionKind, SessionRecord, names};
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::session::is_unreadable;
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
        for id in self.lost_fates(state, annotations)? {
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

    fn lost_fates(&self, state: &State, annotations: &Annotations) -> Result<Vec<SnapshotId>> {
        let is_known = |id: &SnapshotId| state.fates.contains_key(id) || state.retired.contains(id);
        let mut lost: Vec<SnapshotId> = annotations
            .ids()
            .filter(|id| !state.retired.contains(id))
            .filter(|id| state.fates.get(id).is_none_or(|f| f.state != FateState::Committed))
            .collect();
        for id in state.newest.absorbed.iter().filter(|id| !is_known(id)) {
            match self.get_json::<SessionRecord>(ObjectType::Session, &names::session(*id)) {
                Ok(record) if record.kind == SessionKind::Snapshot => lost.push(*id),
                Err(error) if is_unreadable(&error) => lost.push(*id),
                Err(error) if error.is(ErrorKind::Unavailable) => return Err(error),
                _ => {}
            }
        }
        Ok(lost)
    }
}
