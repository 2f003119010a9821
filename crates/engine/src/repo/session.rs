//! Sessions: how writers, readers and gc make themselves known, and how each is decided once
//! (format.md §11.1, §11.2).
//!
//! ```text
//! put session ──► undecided ──put fate──► committed | closed     by its owner
//!                     └──────put fate──► closed | aborted        by another: process gone, fenced
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tintype_model::{Error, ErrorKind, Result};

use super::Repository;
use crate::backend::list_all;
use crate::format::object::ObjectType;
use crate::format::records::{Fate, FateState, Manifest, SessionKind, SessionRecord, names};
use crate::id::{RandomId, SnapshotId};

/// How often a living session shows that it lives.
pub const BEAT: Duration = Duration::from_mins(1);

/// Whether an error says that an object is there and tells nothing: damaged, or none of ours.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Unsupported)
}

/// One session of ours.
pub struct Session<'r> {
    repository: &'r Repository,
    pub id: RandomId,
    kind: SessionKind,
    /// Of this process's clock.
    begun_seconds: u64,
    next_beat_seconds: AtomicU64,
    segments: std::sync::Mutex<Vec<String>>,
}

impl Repository {
    /// Puts the session. What is pinned must be checked to be visible after this.
    pub fn begin_session(&self, kind: SessionKind, pins: Vec<SnapshotId>) -> Result<Session<'_>> {
        let base_seq = if kind == SessionKind::Gc { self.newest_seq()? } else { 0 };
        self.put_session(kind, pins, base_seq)
    }

    pub(crate) fn put_session(
        &self,
        kind: SessionKind,
        pins: Vec<SnapshotId>,
        base_seq: u32,
    ) -> Result<Session<'_>> {
        let id = RandomId(self.env.bytes());
        let record = SessionRecord {
            kind,
            pins,
            host: self.identity.host.clone(),
            host_id: self.identity.host_id.clone(),
            pid: self.identity.pid,
            process_start: self.identity.process_start.clone(),
            started: self.env.clock.now(),
            base_seq,
        };
        self.put_json(ObjectType::Session, &names::session(id), &record)?;
        let begun_seconds = self.env.clock.elapsed().as_secs();
        Ok(Session {
            repository: self,
            id,
            kind,
            begun_seconds,
            next_beat_seconds: AtomicU64::new(begun_seconds + BEAT.as_secs()),
            segments: std::sync::Mutex::default(),
        })
    }

    /// A reader's session that pins a snapshot: gc leaves all of it alone until it is closed.
    /// Where damage hides whether it is visible, it is read as long as it is there: gc deletes
    /// nothing then.
    pub fn pin(&self, snapshot: SnapshotId) -> Result<Session<'_>> {
        let session = self.begin_session(SessionKind::Read, vec![snapshot])?;
        match self.check_visible(&[snapshot]) {
            Ok(()) => Ok(session),
            Err(error) if error.is(ErrorKind::Corrupt) => {
                tracing::warn!(%error, "cannot tell whether the snapshot is visible");
                Ok(session)
            }
            Err(error) => {
                session.close()?;
                Err(error)
            }
        }
    }

    /// Sessions without a fate, with how many beats they gave, also those whose object cannot be
    /// read. Fates are listed after sessions, so that none is missed which was there when its
    /// session was seen; and before retired lists, so that a fate that was removed in between is
    /// no session without one.
    pub fn undecided_sessions(&self) -> Result<Vec<Undecided>> {
        let sessions = list_all(&*self.backend, "session/")?;
        let mut decided = HashSet::new();
        self.backend.list("fate/", &mut |listed| {
            decided.extend(names::parse_id(&listed.name, "fate/"));
            Ok(())
        })?;
        let mut open = Vec::new();
        for listed in sessions {
            let Some(id) = names::parse_id(&listed.name, "session/") else { continue };
            if decided.contains(&id) {
                continue;
            }
            let record = match self.get_json::<SessionRecord>(ObjectType::Session, &listed.name) {
                Ok(record) => Some(record),
                Err(error) if error.is(ErrorKind::NotFound) => continue,
                Err(error) if is_unreadable(&error) => None,
                Err(error) => return Err(error),
            };
            open.push(Undecided { id, beats: self.count_beats(id)?, record });
        }
        // A damaged list makes too many of them look undecided: to be waited for, not deleted.
        let retired = self.read_retired_leniently()?;
        open.retain(|session| !retired.contains(&session.id));
        Ok(open)
    }

    /// Sessions without a fate that nobody proves to have had one. Only these may be ended by
    /// another: the fate of the others was lost, and a new one would bury their snapshot.
    /// `known`: what an earlier call has found.
    pub(crate) fn endable_sessions(&self, known: &mut Proofs) -> Result<Vec<Undecided>> {
        let mut open = self.undecided_sessions()?;
        let is_new =
            |session: &Undecided| session.may_write() && !known.0.contains_key(&session.id);
        if open.iter().any(is_new) {
            let annotations = list_all(&*self.backend, "annotation/")?;
            let annotated = annotations.iter().map(|l| names::parse_id(&l.name, "annotation/"));
            let mut decided: HashSet<_> = annotated.flatten().collect();
            let state = self.read_state_leniently()?;
            decided.extend(state.parents());
            decided.extend(state.newest.absorbed);
            for session in open.iter().filter(|session| session.may_write()) {
                known.0.entry(session.id).or_insert_with(|| decided.contains(&session.id));
            }
        }
        open.retain(|session| known.0.get(&session.id) != Some(&true));
        Ok(open)
    }

    pub(crate) fn exists(&self, name: &str) -> Result<bool> {
        match self.backend.stat(name) {
            Ok(_) => Ok(true),
            Err(error) if error.is(ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn count_beats(&self, id: RandomId) -> Result<u32> {
        let beats = list_all(&*self.backend, &format!("beat/{id}/"))?;
        Ok(beats.iter().filter_map(|l| names::parse_number(&l.name)).max().unwrap_or(0))
    }

    /// Decides a session of another process. `Ok(false)`: it was decided meanwhile.
    pub(crate) fn decide_other(&self, session: &Undecided, state: FateState) -> Result<bool> {
        let id = session.id;
        match session.kind() {
            Some(SessionKind::Gc) => return self.close_gc(id),
            Some(_) => {}
            // It may be a gc's, whose segments count through its record alone; those of a writer
            // count for nobody yet.
            None => {
                return self.put_fate(id, &Fate { state, segments: Vec::new(), manifest: None });
            }
        }
        let segments = list_all(&*self.backend, "index/")?
            .into_iter()
            .map(|l| l.name)
            .filter(|name| names::parse_segment(name).is_some_and(|(session, _)| session == id))
            .collect();
        self.put_fate(id, &Fate { state, segments, manifest: None })
    }

    /// Ends the session of a gc. What it made counts through its record alone, so its fate names
    /// nothing, and it may end even while its commit is on its way (format.md §11.5).
    pub(crate) fn close_gc(&self, id: RandomId) -> Result<bool> {
        let state = FateState::Closed;
        self.put_fate(id, &Fate { state, segments: Vec::new(), manifest: None })
    }

    /// `Ok(false)`: another was there first.
    fn put_fate(&self, id: RandomId, fate: &Fate) -> Result<bool> {
        match self.put_json(ObjectType::Fate, &names::fate(id), fate) {
            Ok(()) => Ok(true),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes sessions that dead processes of this host left, so that what they uploaded counts.
    pub fn close_abandoned(&self) -> Result<usize> {
        let mut closed = 0;
        for session in self.endable_sessions(&mut Proofs::default())? {
            let is_gone = |record| (self.identity.is_gone)(&self.identity, record);
            if session.record.as_ref().is_some_and(is_gone) {
                closed += usize::from(self.decide_other(&session, FateState::Closed)?);
            }
        }
        Ok(closed)
    }
}

/// Whether something shows that a session without a fate had one: asked once of each.
#[derive(Default)]
pub(crate) struct Proofs(HashMap<RandomId, bool>);

pub struct Undecided {
    pub id: RandomId,
    pub beats: u32,
    /// `None`: it cannot be read. Its owner, if it has one, may be alive all the same.
    pub record: Option<SessionRecord>,
}

impl Undecided {
    pub fn kind(&self) -> Option<SessionKind> {
        self.record.as_ref().map(|record| record.kind)
    }

    /// Whether it may commit a snapshot. What cannot be read may be of any kind.
    pub fn may_write(&self) -> bool {
        self.kind().is_none_or(|kind| kind == SessionKind::Snapshot)
    }

    /// Whether it gave no sign of life for `patience`, as far as clocks can be believed: this
    /// only decides when it is fenced. Never of one that cannot be read: see `Silence`.
    pub fn is_stalled(&self, repository: &Repository, patience: Duration) -> bool {
        let Some(record) = &self.record else { return false };
        let alive = SignedDuration::from_secs(i64::from(self.beats) * BEAT.as_secs() as i64);
        let silent = repository.env.clock.now().duration_since(record.started) - alive;
        silent.unsigned_abs() > patience
    }
}

/// Since when sessions gave no beat, as this process saw it: of those that cannot be read nobody
/// knows when they began.
#[derive(Default)]
pub(crate) struct Silence(BTreeMap<RandomId, (u32, Duration)>);

impl Silence {
    /// A living session beats once a minute.
    pub(crate) const PATIENCE: Duration = BEAT.saturating_mul(2);

    /// How long `session` was silent, when seen at `now` of a clock that only goes forward.
    pub(crate) fn of(&mut self, session: &Undecided, now: Duration) -> Duration {
        let seen = self.0.entry(session.id).or_insert((session.beats, now));
        if seen.0 != session.beats {
            *seen = (session.beats, now);
        }
        now.saturating_sub(seen.1)
    }
}

impl Session<'_> {
    pub(crate) fn segment_name(&self, number: u32) -> String {
        names::segment(self.id, self.kind, number)
    }

    /// Shows that this session lives, if it is time to. Each is numbered by the minutes since its
    /// begin, so that one after a long silence makes up for it.
    pub fn beat(&self) -> Result<()> {
        let now = self.repository.env.clock.elapsed().as_secs();
        let due = self.next_beat_seconds.load(Ordering::Relaxed);
        let next = now + BEAT.as_secs();
        if now < due
            || self
                .next_beat_seconds
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return Ok(());
        }
        let number = (now - self.begun_seconds) / BEAT.as_secs();
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        match self.repository.backend.put(&names::beat(self.id, number), &[]) {
            Err(error) if !error.is(ErrorKind::AlreadyExists) => Err(error),
            _ => Ok(()),
        }
    }

    /// Names a segment that the fate will make count.
    pub(crate) fn published(&self, segment: String) {
        self.segments.lock().expect("no panic while it is held").push(segment);
    }

    pub(crate) fn segments(&self) -> Vec<String> {
        self.segments.lock().expect("no panic while it is held").clone()
    }

    /// Ends without a snapshot; what was published counts.
    pub fn close(self) -> Result<()> {
        self.end(self.segments())
    }

    /// Ends without a snapshot; what was published counts for nobody, and the next gc frees it.
    pub(crate) fn discard(self) -> Result<()> {
        self.end(Vec::new())
    }

    fn end(&self, segments: Vec<String>) -> Result<()> {
        match self.decide(&Fate { state: FateState::Closed, segments, manifest: None }) {
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(()),
            other => other,
        }
    }

    /// Makes the snapshot visible: the one moment in which it comes to be.
    pub fn commit(self, manifest: Manifest) -> Result<SnapshotId> {
        let id = self.id;
        let fate = Fate {
            state: FateState::Committed,
            segments: self.segments(),
            manifest: Some(manifest),
        };
        let lost = || {
            Error::locked(format!(
                "session {id} was ended by a gc that took it for dead; nothing is lost: run the \
                 snapshot again, it reuses what was uploaded"
            ))
        };
        match self.decide(&fate) {
            Ok(()) => {}
            Err(error) if error.is(ErrorKind::AlreadyExists) => {
                // Perhaps an earlier try of our own got through.
                let repository = self.repository;
                let found: Fate = repository.get_json(ObjectType::Fate, &names::fate(id))?;
                if found != fate {
                    return Err(lost());
                }
            }
            Err(error) => return Err(error),
        }
        if self.repository.read_retired()?.contains(&id) { Err(lost()) } else { Ok(id) }
    }

    fn decide(&self, fate: &Fate) -> Result<()> {
        self.repository.put_json(ObjectType::Fate, &names::fate(self.id), fate)
    }
}
