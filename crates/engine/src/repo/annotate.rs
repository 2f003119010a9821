//! What may change about a snapshot: annotations in sequence (format.md §11.3).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use super::Repository;
use super::state::ATTEMPTS;
use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, Change, Manifest, Operation, names};
use crate::id::SnapshotId;

/// The merge of a manifest's and all annotations' word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub tags: BTreeSet<String>,
    pub note: String,
    pub expiry: Option<Timestamp>,
    pub holds: BTreeSet<String>,
    /// Who placed each of them.
    #[serde(skip)]
    pub held_by: BTreeMap<String, BTreeSet<String>>,
    pub locked_until: Option<Timestamp>,
    /// When it was deleted, and why.
    pub deleted: Option<(Timestamp, String)>,
    /// Last verification: when, percent of data read, damaged chunks.
    pub verified: Option<(Timestamp, u8, u64)>,
    /// Number of the last annotation.
    #[serde(skip)]
    pub last: u32,
}

impl Standing {
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            tags: manifest.tags.iter().cloned().collect(),
            note: manifest.note.clone(),
            expiry: manifest.expiry,
            ..Self::default()
        }
    }

    /// Applies the next annotation.
    pub fn apply(&mut self, annotation: &Annotation) {
        match &annotation.change {
            Change::Tag { add, remove } => {
                self.tags.extend(add.iter().cloned());
                self.tags.retain(|tag| !remove.contains(tag));
            }
            Change::Note(note) => self.note.clone_from(note),
            Change::Expiry(expiry) => self.expiry = *expiry,
            Change::Hold(reason) => {
                self.holds.insert(reason.clone());
                self.held_by.entry(reason.clone()).or_default().insert(annotation.by.clone());
            }
            Change::Release(reason) => {
                self.holds.remove(reason);
                self.held_by.remove(reason);
            }
            Change::Lock(until) => self.locked_until = self.locked_until.max(Some(*until)),
            Change::Deleted(reason) => self.deleted = Some((annotation.time, reason.clone())),
            Change::Verified { data_percent, damaged } => {
                self.verified = Some((annotation.time, *data_percent, *damaged));
            }
        }
    }

    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }

    /// Deleted, and no lock says otherwise.
    pub fn is_dead(&self, now: Timestamp) -> bool {
        self.deleted.is_some() && !self.is_locked(now)
    }

    /// Why it must not be deleted, if so.
    pub fn protection(&self, now: Timestamp) -> Option<String> {
        if self.is_locked(now) {
            return self.locked_until.map(|until| format!("it is locked until {until}"));
        }
        self.holds.first().map(|reason| format!("it is held: {reason}"))
    }
}

impl Repository {
    /// The standing of a snapshot now. Reads every annotation; none may be missing, neither
    /// between nor of those that the newest gc record knows (format.md §11.5).
    pub fn standing(&self, id: SnapshotId, manifest: &Manifest) -> Result<Standing> {
        for _ in 0..ATTEMPTS {
            let newest = self.newest_record()?;
            let standing = self.merge_annotations(id, manifest)?;
            let known = newest.annotations.get(&id).copied().unwrap_or_default();
            if standing.last >= known {
                return Ok(standing);
            }
            if self.newest_seq()? == newest.seq {
                return Err(withheld(id, standing.last, known, newest.seq));
            }
        }
        Err(Error::unavailable("gcs ran all the time while the snapshot was read; try again"))
    }

    fn merge_annotations(&self, id: SnapshotId, manifest: &Manifest) -> Result<Standing> {
        let mut standing = Standing::of(manifest);
        for listed in list_all(&*self.backend, &format!("annotation/{id}/"))? {
            let number = names::parse_number(&listed.name);
            if number != Some(standing.last + 1) {
                return Err(Error::corrupt(format!(
                    "{} is missing: annotations have no gaps",
                    names::annotation(id, standing.last + 1)
                )));
            }
            let annotation = self.get_json(ObjectType::Annotation, &listed.name)?;
            standing.apply(&annotation);
            standing.last += 1;
        }
        Ok(standing)
    }

    /// Whether the snapshots are there and not deleted. For pins: called after the session was
    /// put. Annotations are read before retired lists, so that whoever misses the tombstone
    /// because it was removed sees the retirement.
    pub fn check_visible(&self, ids: &[SnapshotId]) -> Result<()> {
        let gone =
            |id: &SnapshotId| Err(Error::not_found(format!("snapshot {} was deleted", id.short())));
        for id in ids {
            if self.is_dead_or_gone(*id)? {
                return gone(id);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let retired = self.read_retired()?;
        ids.iter().find(|id| retired.contains(id)).map_or(Ok(()), gone)
    }

    /// By the same rule as gc: deleted, and no lock says otherwise.
    fn is_dead_or_gone(&self, id: SnapshotId) -> Result<bool> {
        let mut standing = Standing::default();
        for listed in list_all(&*self.backend, &format!("annotation/{id}/"))? {
            match self.get_json::<Annotation>(ObjectType::Annotation, &listed.name) {
                Ok(annotation) => standing.apply(&annotation),
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(standing.is_dead(self.env.clock.now()) || !self.exists(&names::fate(id))?)
    }

    /// Appends a change; what it means is decided on the standing of the moment, again if
    /// another change came first.
    pub fn annotate(
        &self,
        id: SnapshotId,
        manifest: &Manifest,
        by: &str,
        change: Change,
    ) -> Result<Standing> {
        let operation = match change {
            Change::Deleted(_) => Operation::Delete,
            _ => Operation::Write,
        };
        self.config.features.allow(operation)?;
        let mut name = String::new();
        for _ in 0..ATTEMPTS {
            let mut standing = self.standing(id, manifest)?;
            let now = self.env.clock.now();
            permit(&standing, &change, now)
                .map_err(|e| e.context(format!("snapshot {}", id.short())))?;
            let annotation = Annotation { time: now, by: by.to_owned(), change: change.clone() };
            name = names::annotation(id, standing.last + 1);
            match self.put_json(ObjectType::Annotation, &name, &annotation) {
                Ok(()) => {}
                Err(error) if error.is(ErrorKind::AlreadyExists) => continue,
                // A full store must still be able to delete.
                Err(error)
                    if error.is(ErrorKind::NoSpace)
                        && operation == Operation::Delete
                        && self.backend.give_up_reserve()? =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            }
            // The snapshot may have been removed for good between reading and putting.
            if self.read_retired()?.contains(&id) {
                return Err(Error::not_found(format!("snapshot {} was deleted", id.short())));
            }
            standing.apply(&annotation);
            standing.last += 1;
            return Ok(standing);
        }
        Err(Error::unavailable(format!(
            "{name} was taken each time; others change this snapshot all the time, or the store does \
             not list what it holds: try again, and if that does not help ask `tintype repo probe` \
             about the store"
        )))
    }
}

/// The newest gc record knows of annotations that are not there.
pub(super) fn withheld(id: SnapshotId, found: u32, known: u32, seq: u32) -> Error {
    Error::corrupt(format!(
        "{} is missing: {} knows {known} changes of this snapshot; until it is back, the snapshot \
         can be read, and neither changed nor deleted",
        names::annotation(id, found + 1),
        names::gc(seq)
    ))
}

/// Whether a change may be made to a snapshot of this standing.
fn permit(standing: &Standing, change: &Change, now: Timestamp) -> Result<()> {
    if standing.is_dead(now) {
        return Err(Error::not_found("was deleted"));
    }
    match change {
        Change::Deleted(_) => match standing.protection(now) {
            Some(why) => Err(Error::locked(format!("cannot be deleted: {why}"))),
            None => Ok(()),
        },
        Change::Lock(until) if *until <= now => {
            Err(Error::invalid(format!("a lock until {until} would be over already")))
        }
        Change::Lock(until) if standing.locked_until.is_some_and(|now| now > *until) => {
            Err(Error::locked("is locked for longer already; a lock can only be extended"))
        }
        Change::Release(reason) if !standing.holds.contains(reason) => {
            Err(Error::not_found(format!("has no hold {reason:?}")))
        }
        _ => Ok(()),
    }
}
