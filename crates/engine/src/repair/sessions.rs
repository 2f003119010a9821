//! Writing the session object of a snapshot again from its fate (format.md §11.7).
//!
//! As long as the snapshot lives nobody else removes it, so it would be damage for as long. Only of
//! committed sessions: gc removes the others by itself. That is safe at any moment, because a
//! session that is decided is what its fate says and nobody goes by its object any more:
//!
//! 1. Its owner is done with it, and its pins are over.
//! 2. Who looks for undecided sessions lists fates after sessions, and leaves out those that are
//!    decided or retired, whether the object is there, whole, or neither.
//! 3. A gc that retires the snapshot meanwhile may delete the object before it is put here. It is
//!    on a retired list then, before its fate goes, and the next gc deletes what is left of those.

use std::collections::HashSet;

use tintype_model::{Error, ErrorKind, Result};

use super::RepairReport;
use crate::cancel::Cancel;
use crate::format::object::ObjectType;
use crate::format::records::{FateState, Manifest, SessionKind, SessionRecord, names};
use crate::id::RandomId;
use crate::parallel;
use crate::repo::Repository;
use crate::repo::session::is_unreadable;

const BATCH: usize = 256;

impl Repository {
    /// Notes the names that were written again, and why others were not: what else was repaired is
    /// told all the same. Those that are gone as well: an earlier repair may have been cut short
    /// between removing and putting.
    pub(super) fn mend_sessions(
        &self,
        workers: usize,
        cancel: &Cancel,
        report: &mut RepairReport,
    ) -> Result<()> {
        let state = self.read_state()?;
        let leaving: HashSet<&String> = state.newest.delete.objects.iter().collect();
        let committed: Vec<(RandomId, &Manifest)> = state
            .fates
            .iter()
            .filter(|(id, fate)| {
                fate.state == FateState::Committed && !leaving.contains(&names::session(**id))
            })
            .filter_map(|(id, fate)| Some((*id, fate.manifest.as_ref()?)))
            .collect();
        for batch in committed.chunks(BATCH) {
            cancel.check()?;
            let work = |(): &mut (), (id, manifest): &(RandomId, &Manifest)| {
                self.mend_session(&names::session(*id), manifest)
            };
            let done = parallel::map(self.env(), workers, batch, || Ok(()), work)?;
            for ((id, _), is_mended) in batch.iter().zip(done) {
                let name = names::session(*id);
                match is_mended {
                    Ok(true) => report.sessions.push(name),
                    Ok(false) => {}
                    Err(error) => report.not_mended.push((name, error.to_string())),
                }
            }
        }
        Ok(())
    }

    fn mend_session(&self, name: &str, manifest: &Manifest) -> Result<bool> {
        let read = || self.get_json::<SessionRecord>(ObjectType::Session, name);
        // Twice: what went wrong on its way is no damage.
        // Not one of a newer version.
        let is_damaged = |error: &Error| is_unreadable(error) && !error.is(ErrorKind::Unsupported);
        let twice = |error: Error| if is_damaged(&error) { read() } else { Err(error) };
        match read().or_else(twice) {
            Ok(_) => return Ok(false),
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) if is_damaged(&error) => self.backend.delete(name)?,
            Err(error) => return Err(error),
        }
        match self.put_json(ObjectType::Session, name, &session_of(manifest)) {
            Ok(()) => Ok(true),
            // Somebody else repaired it at the same moment.
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What the fate knows of it; nobody needs the rest.
fn session_of(manifest: &Manifest) -> SessionRecord {
    SessionRecord {
        kind: SessionKind::Snapshot,
        pins: Vec::new(),
        host: manifest.host.clone(),
        host_id: String::new(),
        pid: 0,
        process_start: String::new(),
        started: manifest.time,
        base_seq: 0,
    }
}
