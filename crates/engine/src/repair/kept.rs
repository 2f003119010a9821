//! Bringing back fates and retired lists from the local cache (format.md §11.7).
//!
//! Both never change, and the cache has them as they were stored: sealed under their names, so that
//! what opens there is what was in the store. Only this machine may have it still, so it is looked
//! for before anything else is repaired, and before the cache is thrown away.
//!
//! A damaged object goes before the good one can be put, and a session without a fate might be taken
//! for one of a dead writer in between: an annotation that changes nothing speaks for it then.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use tintype_model::{Error, ErrorKind, Result};

use super::{LOST_CHANGES, RepairReport};
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, Change, Fate, FateState, Retired, names};
use crate::repo::Repository;
use crate::repo::session::is_unreadable;

impl Repository {
    /// Puts again what is damaged, or missing although others show that it was there.
    pub(super) fn restore_kept(&self, report: &mut RepairReport) -> Result<()> {
        self.restore_damaged::<Retired>(ObjectType::Retired, "retired/", report)?;
        self.restore_damaged::<Fate>(ObjectType::Fate, "fate/", report)?;
        let listed: BTreeSet<String> = self.names_of("retired/")?.into_iter().collect();
        let named = match self.newest_record() {
            Err(error) if is_unreadable(&error) => Vec::new(),
            newest => newest?.retired,
        };
        for name in named.iter().filter(|name| !listed.contains(*name)) {
            self.put_kept::<Retired>(ObjectType::Retired, name, report);
        }
        let annotations = self.read_annotations()?;
        let state = self.read_state_leniently()?;
        // Where lists are lost too, a parent may be missing because it was pruned.
        let pruned = self.forgotten_parents(&state)?;
        let missing = self.missing_fates(&state, &annotations)?.unwrap_or_default();
        for id in missing.into_keys().filter(|id| !pruned.contains(id)) {
            self.put_kept::<Fate>(ObjectType::Fate, &names::fate(id), report);
        }
        Ok(())
    }

    fn restore_damaged<T: DeserializeOwned + Send>(
        &self,
        object_type: ObjectType,
        prefix: &str,
        report: &mut RepairReport,
    ) -> Result<()> {
        let listed = self.names_of(prefix)?;
        let read = self.read_each(&listed, |name| self.get_json::<T>(object_type, name))?;
        let is_damaged = |error: &Error| is_unreadable(error) && !error.is(ErrorKind::Unsupported);
        for (name, first) in listed.iter().zip(read) {
            // Twice: what went wrong on its way is no damage.
            if !first.is_err_and(|error| is_damaged(&error))
                || !self.get_json::<T>(object_type, name).is_err_and(|error| is_damaged(&error))
                || self.kept::<T>(object_type, name).is_none()
            {
                continue;
            }
            match self.speak_for(name).and_then(|()| self.backend.delete(name)) {
                Ok(()) => self.put_kept::<T>(object_type, name, report),
                Err(error) => report.not_mended.push((name.clone(), error.to_string())),
            }
        }
        Ok(())
    }

    /// Nobody ends a session that has an annotation, or that the newest record absorbed. Where nothing
    /// tells what was there, a lock may be lost: a hold.
    fn speak_for(&self, fate: &str) -> Result<()> {
        let Some(id) = names::parse_id(fate, "fate/") else { return Ok(()) };
        let kept = self.kept::<Fate>(ObjectType::Fate, fate);
        if kept.is_none_or(|(fate, _)| fate.state != FateState::Committed) {
            return Ok(());
        }
        let change = match self.newest_record() {
            _ if !self.names_of(&format!("annotation/{id}/"))?.is_empty() => return Ok(()),
            Ok(newest) if newest.absorbed.contains(&id) => return Ok(()),
            Ok(_) => Change::Tag { add: Vec::new(), remove: Vec::new() },
            Err(error) if is_unreadable(&error) => Change::Hold(LOST_CHANGES.into()),
            Err(error) => return Err(error),
        };
        let nothing = Annotation { time: self.env.clock.now(), by: "repair".into(), change };
        match self.put_json(ObjectType::Annotation, &names::annotation(id, 1), &nothing) {
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(()),
            put => put,
        }
    }

    fn put_kept<T: DeserializeOwned>(
        &self,
        object_type: ObjectType,
        name: &str,
        report: &mut RepairReport,
    ) {
        let Some((_, sealed)) = self.kept::<T>(object_type, name) else { return };
        match self.backend.put(name, &sealed) {
            Ok(()) => report.restored.push(name.to_owned()),
            Err(error) => report.not_mended.push((name.to_owned(), error.to_string())),
        }
    }
}
