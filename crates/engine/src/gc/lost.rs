//! Snapshots that were there and whose fate is not: gc refuses, because what it cannot see it
//! would delete.
//!
//! While nothing is lost, no interleaving gives a false alarm (format.md §11.5; `protocol::lister`
//! explores them):
//! - An annotation is put only by who has read the fate as committed, and here annotations were
//!   read before fates. A fate goes only after its session was put on a retired list, and lists
//!   were read after fates.
//! - What the newest record absorbed had a fate when that record was made, which goes only by a
//!   later record or by itself, and the same record was found newest again. Whether the session
//!   is still there says nothing.
//! - A writer commits only if it found its parent visible; the parent goes as any other.
//! - A writer puts its session before any segment, and the session goes only by a record that
//!   retires it. One that had no fate when fates were listed, and whose session is not there
//!   later, while no other record became the newest, was lost.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tintype_model::{Error, Result};

use super::GcOptions;
use crate::backend::list_all;
use crate::format::records::{FateState, names};
use crate::id::{RandomId, SnapshotId};
use crate::repo::Repository;
use crate::repo::snapshots::Annotations;
use crate::repo::state::State;

impl Repository {
    /// Sessions without a fate that must have been decided, or were there, each with what shows
    /// it. `None`: another record became the newest, read again.
    pub(crate) fn missing_fates(
        &self,
        state: &State,
        annotations: &Annotations,
    ) -> Result<Option<BTreeMap<SnapshotId, String>>> {
        let mut missing = BTreeMap::new();
        for id in undecided_witnessed(state, annotations) {
            let fate = names::fate(id);
            missing.insert(id, format!("{fate} is missing: what else is there shows that it was"));
        }
        let strays = self.stray_segments(state)?;
        if !strays.is_empty() && self.newest_seq()? != state.newest.seq {
            return Ok(None);
        }
        for (id, segment) in strays {
            missing.entry(id).or_insert_with(|| {
                let (fate, session) = (names::fate(id), names::session(id));
                format!("{fate} and {session} are missing: {segment} shows that they were")
            });
        }
        Ok(Some(missing))
    }

    /// Sessions of which there is a segment and nothing else.
    fn stray_segments(&self, state: &State) -> Result<BTreeMap<RandomId, String>> {
        let newest = &state.newest;
        let expected: HashSet<&String> = newest.base.iter().chain(&newest.delete.objects).collect();
        let mut strays = BTreeMap::new();
        for listed in list_all(&*self.backend, "index/")? {
            let owner = names::parse_segment(&listed.name).map(|(id, _)| id);
            if let Some(id) = owner
                && !names::is_gc_segment(&listed.name)
                && !expected.contains(&listed.name)
                && !state.is_settled(&id)
            {
                strays.insert(id, listed.name);
            }
        }
        let mut found = BTreeMap::new();
        for (id, segment) in strays {
            if !self.exists(&names::session(id))? {
                found.insert(id, segment);
            }
        }
        Ok(found)
    }

    /// An error for the first snapshot without a readable fate that is not given up; gives
    /// those that are. `None`: read again.
    pub(super) fn settle_lost(
        &self,
        state: &State,
        annotations: &Annotations,
        options: &GcOptions,
    ) -> Result<Option<BTreeSet<SnapshotId>>> {
        let Some(mut lost) = self.missing_fates(state, annotations)? else { return Ok(None) };
        for (id, error) in &state.damaged {
            lost.insert(*id, error.to_string());
        }
        let give_up = &options.give_up;
        let now = self.env.clock.now();
        for (id, what) in &lost {
            let standing = annotations.standing(*id);
            let locked = standing.locked_until.filter(|until| *until > now);
            let held = (!standing.holds.is_empty()).then(|| {
                let reasons: Vec<&str> = standing.holds.iter().map(String::as_str).collect();
                reasons.join(", ")
            });
            let is_settled = locked.is_none()
                && give_up.contains(id)
                && (held.is_none() || options.despite_holds);
            if is_settled {
                continue;
            }
            let advice = match (locked, held) {
                (Some(until), _) => {
                    format!("it is locked until {until}, so it cannot be given up before")
                }
                (None, Some(reasons)) => format!(
                    "it is held ({reasons}), so it is given up only by `tintype repo gc --give-up \
                     {id} --despite-holds`"
                ),
                (None, None) => {
                    format!("or give the snapshot up: `tintype repo gc --give-up {id}`")
                }
            };
            return Err(Error::corrupt(format!(
                "gc deletes nothing while there is damage: {what}; bring it back from a copy of \
                 the store, or by `tintype repo verify --repair-index` on a machine whose cache \
                 has it; {advice}"
            )));
        }
        if let Some(whole) = give_up.iter().find(|id| !lost.contains_key(*id)) {
            return Err(Error::invalid(format!(
                "snapshot {whole} cannot be given up: nothing shows that its fate is lost; delete \
                 it instead"
            )));
        }
        Ok(Some(lost.into_keys().collect()))
    }
}

/// Snapshots of which something says that they were committed, and whose fates are not there.
fn undecided_witnessed(state: &State, annotations: &Annotations) -> Vec<SnapshotId> {
    let mut lost: Vec<SnapshotId> = annotations
        .ids()
        .filter(|id| !state.retired.contains(id) && !state.newest.delete.retire.contains(id))
        .filter(|id| state.fates.get(id).is_none_or(|f| f.state != FateState::Committed))
        .collect();
    let leaving: HashSet<&str> = state.newest.delete.objects.iter().map(String::as_str).collect();
    let absorbed = state.newest.absorbed.iter();
    let is_known = |id: &SnapshotId| state.fates.contains_key(id) || state.retired.contains(id);
    let absorbed = absorbed.filter(|id| !is_known(id));
    lost.extend(absorbed.filter(|id| !leaving.contains(&names::fate(**id)[..])));
    lost.extend(state.parents().filter(|id| !state.is_settled(id)));
    lost
}
