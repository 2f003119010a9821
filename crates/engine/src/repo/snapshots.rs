//! Snapshots as listed.

use std::collections::{BTreeMap, BTreeSet};

use tintype_model::{Error, ErrorKind, Result};

use super::Repository;
use super::annotate::{Standing, withheld};
use super::session::is_unreadable;
use super::state::{ATTEMPTS, State};
use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, FateState, Manifest, names};
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
    /// Fates that cannot be read: each may be that of a snapshot, the newest for instance.
    pub unknown: Vec<String>,
}

/// Every annotation of the repository. Must be read before the state that it is used with:
/// whoever misses a tombstone because gc removed it then sees the retirement.
pub(crate) struct Annotations {
    by_snapshot: BTreeMap<SnapshotId, BTreeMap<u32, Result<Annotation, Error>>>,
}

impl Annotations {
    /// Whoever has one was committed.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SnapshotId> {
        self.by_snapshot.keys().copied()
    }

    /// Locks and holds of a snapshot. One that cannot be read may be a hold.
    pub(crate) fn standing(&self, id: SnapshotId) -> Standing {
        let mut standing = Standing::default();
        for annotation in self.by_snapshot.get(&id).into_iter().flat_map(BTreeMap::values) {
            match annotation {
                Ok(annotation) => standing.apply(annotation),
                Err(_) => {
                    standing.holds.insert("a change that cannot be read".to_owned());
                }
            }
        }
        standing
    }
}

impl Repository {
    /// Visible snapshots, oldest first. Lists what can be listed, whatever is damaged.
    pub fn snapshots(&self) -> Result<Listing> {
        for _ in 0..ATTEMPTS {
            let annotations = self.read_annotations()?;
            let state = self.read_state_leniently()?;
            let now = self.env.clock.now();
            let Some(missing) = self.missing_fates(&state, &annotations)? else { continue };
            let Some(mut listing) = self.all_committed(&state, annotations)? else { continue };
            let fates = state.damaged.iter().filter(|(id, _)| *id != SnapshotId::default());
            listing.unknown.extend(fates.map(|(id, _)| names::fate(*id)));
            let is_told = |id: &SnapshotId| state.damaged.iter().any(|(damaged, _)| damaged == id);
            for (id, error) in missing.into_iter().filter(|(id, _)| !is_told(id)) {
                listing.damaged.push(Error::corrupt(error));
                listing.unknown.push(names::fate(id));
            }
            listing.damaged.extend(state.damaged.into_iter().map(|(_, error)| error));
            listing.snapshots.retain(|s| !s.standing.is_dead(now));
            return Ok(listing);
        }
        Err(Error::unavailable("the snapshots changed too often while they were read; try again"))
    }

    /// Every committed snapshot of `state`, deleted ones too as long as gc has not removed
    /// them. `None`: what was read is out of date, read again.
    pub(crate) fn all_committed(
        &self,
        state: &State,
        annotations: Annotations,
    ) -> Result<Option<Listing>> {
        let mut listing = merge(state, annotations);
        let mut withholds = false;
        for snapshot in &listing.snapshots {
            let (id, found) = (snapshot.id, snapshot.standing.last);
            let known = state.newest.annotations.get(&id).copied().unwrap_or_default();
            if found >= known {
                continue;
            }
            // They were read before the record: those that were put between are there now.
            let again = list_all(&*self.backend, &format!("annotation/{id}/"))?;
            if again.iter().filter_map(|l| names::parse_number(&l.name)).max() >= Some(known) {
                return Ok(None);
            }
            listing.damaged.push(withheld(id, found, known, state.newest.seq));
            withholds = true;
        }
        // Of a snapshot that a later gc retired they are gone rightly.
        let is_current = !withholds || self.newest_seq()? == state.newest.seq;
        Ok(is_current.then_some(listing))
    }

    pub(crate) fn read_annotations(&self) -> Result<Annotations> {
        let mut by_snapshot: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let listed = self.names_of("annotation/")?;
        let get = |name: &str| self.get_json::<Annotation>(ObjectType::Annotation, name);
        for (name, read) in listed.iter().zip(self.read_each(&listed, get)?) {
            let id = names::parse_id(name, "annotation/");
            let (Some(id), Some(number)) = (id, names::parse_number(name)) else { continue };
            match read {
                Err(error) if error.is(ErrorKind::NotFound) => continue,
                Err(error) if !is_unreadable(&error) => return Err(error),
                read => by_snapshot.entry(id).or_default().insert(number, read),
            };
        }
        Ok(Annotations { by_snapshot })
    }
}

/// A snapshot whose annotations are damaged stays listed, with what could be read: its data may
/// well be whole.
pub(crate) fn merge(state: &State, annotations: Annotations) -> Listing {
    let mut by_snapshot = annotations.by_snapshot;
    let mut damaged = Vec::new();
    let mut snapshots = Vec::new();
    for (id, fate) in &state.fates {
        let (FateState::Committed, Some(manifest)) = (fate.state, &fate.manifest) else { continue };
        let mut standing = Standing::of(manifest);
        let mut expected = 1;
        for (number, annotation) in by_snapshot.remove(id).unwrap_or_default() {
            // A hostile name may carry any number: holes are named, but not millions of them.
            for gap in (expected..number).take(64) {
                let name = names::annotation(*id, gap);
                damaged.push(Error::corrupt(format!("{name} is missing: there is a later one")));
            }
            expected = number + 1;
            match annotation {
                Ok(annotation) => standing.apply(&annotation),
                Err(error) => damaged.push(error),
            }
        }
        standing.last = expected - 1;
        snapshots.push(Snapshot { id: *id, manifest: manifest.clone(), standing });
    }
    snapshots.sort_by_key(|s| (s.manifest.time, s.id));
    Listing { snapshots, damaged, unknown: Vec::new() }
}

impl Listing {
    /// Ids of snapshots that are deleted and neither locked nor pinned.
    pub(crate) fn dead(
        &self,
        now: jiff::Timestamp,
        pinned: &BTreeSet<SnapshotId>,
    ) -> BTreeSet<SnapshotId> {
        self.snapshots
            .iter()
            .filter(|s| s.standing.is_dead(now) && !pinned.contains(&s.id))
            .map(|s| s.id)
            .collect()
    }
}
