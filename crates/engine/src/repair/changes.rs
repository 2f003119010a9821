//! Going on without changes of a snapshot that are lost for good (format.md §11.7).
//!
//! Annotations have no gaps, and the newest gc record knows how many there were; while one is
//! missing or damaged, the snapshot is not changed and gc deletes nothing. Whoever accepts the
//! loss puts a hold under each lost name: that makes the row whole without a new record, and
//! because a lock may be what was lost, the snapshot stays until a person releases it. If a lost
//! one turns up meanwhile, it keeps its name.

use std::collections::BTreeSet;

use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, Change, names};
use crate::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::state::ATTEMPTS;

/// Reason of the hold that takes the place of what is lost.
pub const LOST_CHANGES: &str = "changes were lost";

/// A name with any number can be put by who has no key.
const MOST_MISSING: u64 = 10_000;

/// Names of annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LostChanges {
    pub missing: Vec<String>,
    /// They are there and cannot be read.
    pub damaged: Vec<String>,
}

impl LostChanges {
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }
}

impl Repository {
    /// Which changes of a snapshot were made and cannot be read.
    pub fn lost_changes(&self, id: SnapshotId) -> Result<LostChanges> {
        Ok(self.lost_and_last(id)?.0)
    }

    fn lost_and_last(&self, id: SnapshotId) -> Result<(LostChanges, u32)> {
        for _ in 0..ATTEMPTS {
            let newest = self.newest_record()?;
            let known = newest.annotations.get(&id).copied().unwrap_or_default();
            let found = self.find_lost(id, known)?;
            if self.newest_seq()? == newest.seq {
                return Ok(found);
            }
        }
        Err(Error::unavailable("gcs ran all the time while the snapshot was read; try again"))
    }

    /// Those among the numbers up to the highest that is there or known.
    fn find_lost(&self, id: SnapshotId, known: u32) -> Result<(LostChanges, u32)> {
        let listed = list_all(&*self.backend, &format!("annotation/{id}/"))?;
        let present: BTreeSet<u32> =
            listed.iter().filter_map(|listed| names::parse_number(&listed.name)).collect();
        let last = present.last().copied().unwrap_or_default().max(known);
        if u64::from(last) > present.len() as u64 + MOST_MISSING {
            return Err(Error::corrupt(format!(
                "{}: more than {MOST_MISSING} changes before it are missing; nobody made so many, \
                 so remove this object from the store",
                names::annotation(id, last)
            )));
        }
        let mut lost = LostChanges::default();
        for number in 1..=last {
            let name = names::annotation(id, number);
            if !present.contains(&number) {
                lost.missing.push(name);
                continue;
            }
            let read = || self.get_json::<Annotation>(ObjectType::Annotation, &name);
            // Twice: what went wrong on its way must not cost a lock.
            let is_corrupt = |error: &Error| error.is(ErrorKind::Corrupt);
            match read().or_else(|error| if is_corrupt(&error) { read() } else { Err(error) }) {
                Err(error) if is_corrupt(&error) => lost.damaged.push(name),
                read => drop(read?),
            }
        }
        Ok((lost, last))
    }

    /// Puts a hold in the place of each lost change; gives which they were. `by`: who accepts it.
    pub fn accept_lost_changes(&self, id: SnapshotId, by: &str) -> Result<LostChanges> {
        self.allow_maintenance()?;
        let (lost, last) = self.lost_and_last(id)?;
        if lost.is_empty() {
            return Ok(lost);
        }
        let change = Change::Hold(LOST_CHANGES.into());
        let hold = Annotation { time: self.env.clock.now(), by: by.to_owned(), change };
        // One behind them all comes first: until the row is whole it has a gap, so that nobody
        // takes what is left of it for all there was.
        self.put_json(ObjectType::Annotation, &names::annotation(id, last + 1), &hold)?;
        for name in &lost.damaged {
            self.backend.delete(name)?;
        }
        for name in lost.missing.iter().chain(&lost.damaged) {
            match self.put_json(ObjectType::Annotation, name, &hold) {
                Err(error) if error.is(ErrorKind::AlreadyExists) => {}
                put => put?,
            }
        }
        Ok(lost)
    }
}
