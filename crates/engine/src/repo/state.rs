//! What counts at a moment: the newest gc record, the fates, what is retired (format.md §11).
//!
//! The order of reads is part of the protocol: fates before retired lists, and the gc record
//! again at the end, so that a gc that finished meanwhile is seen and reading starts over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tintype_model::{Error, ErrorKind, Result};

use super::Repository;
use super::session::is_unreadable;
use crate::backend::list_all;
use crate::format::frame::Kind;
use crate::format::limits;
use crate::format::object::{ObjectType, open_bytes};
use crate::format::records::{Condemned, Deletions, Fate, FateState, GcRecord, Retired, names};
use crate::id::{RandomId, SnapshotId};
use crate::index::local::LocalSegment;
use crate::index::segment::Segment;
use crate::index::{Index, PackId};
use crate::parallel;

/// Readings of what changes all the time before giving up.
pub(crate) const ATTEMPTS: usize = 32;

/// Small objects that one thread reads before another is worth its while.
const READS_PER_READER: usize = 16;
const MOST_READERS: usize = 8;

/// Whether damage of what everything hangs on ends the reading.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Strict,
    Lenient,
}

impl Care {
    fn forgives(self, error: &Error) -> bool {
        self == Care::Lenient && error.is(ErrorKind::Corrupt)
    }
}

pub struct State {
    pub newest: GcRecord,
    /// Of every decided session that is not retired. Unreadable ones are in `damaged`.
    pub fates: BTreeMap<RandomId, Fate>,
    pub retired: HashSet<RandomId>,
    /// Names of the lists that say so.
    pub retired_lists: BTreeSet<String>,
    /// Fates that are there and cannot be read. Gc deletes nothing while there is one.
    pub damaged: Vec<(RandomId, Error)>,
    /// Segments of sessions with a damaged fate, by listing: most likely they count.
    pub unattested: Vec<String>,
}

/// All retired lists, as one reading found them.
#[derive(Default)]
struct RetiredLists {
    names: BTreeSet<String>,
    sessions: HashSet<RandomId>,
}

impl State {
    /// Parents of committed snapshots: each was found visible by its child's writer.
    pub(crate) fn parents(&self) -> impl Iterator<Item = SnapshotId> {
        let committed = self.fates.values().filter(|fate| fate.state == FateState::Committed);
        committed.filter_map(|fate| fate.manifest.as_ref()?.parent)
    }

    /// Whether a retired list, or the record that names them, is damaged or missing.
    pub(crate) fn lacks_lists(&self) -> bool {
        self.damaged.iter().any(|(id, _)| *id == RandomId::default())
    }

    /// Whether it is known what became of a session.
    pub(crate) fn is_settled(&self, id: &RandomId) -> bool {
        self.fates.contains_key(id)
            || self.retired.contains(id)
            || self.newest.delete.retire.contains(id)
            || self.newest.absorbed.contains(id)
            || self.damaged.iter().any(|(damaged, _)| damaged == id)
    }

    /// Names of all index segments that count.
    pub fn segments(&self) -> Vec<String> {
        // What the record retires is on a list only a moment later, and its segments may have gone
        // with an earlier record.
        let GcRecord { absorbed, delete, .. } = &self.newest;
        let absorbed: HashSet<&RandomId> = absorbed.iter().chain(&delete.retire).collect();
        let mut names = self.newest.base.clone();
        for (id, fate) in &self.fates {
            if !absorbed.contains(id) {
                names.extend(fate.segments.iter().cloned());
            }
        }
        names.extend(self.unattested.iter().cloned());
        names
    }
}

impl Repository {
    /// Sequence number of the newest gc record.
    pub(crate) fn newest_seq(&self) -> Result<u32> {
        let records = list_all(&*self.backend, "gc/")?;
        records
            .iter()
            .filter_map(|l| names::parse_number(&l.name))
            .max()
            .ok_or_else(|| advised(Error::corrupt("there is no gc record (`gc/…`)")))
    }

    pub(crate) fn newest_record(&self) -> Result<GcRecord> {
        let mut tries = 0;
        loop {
            let seq = self.newest_seq()?;
            tries += 1;
            match self.get_json::<GcRecord>(ObjectType::GcRecord, &names::gc(seq)) {
                Ok(record) if record.seq == seq => return Ok(record),
                Ok(record) => {
                    let (name, says) = (names::gc(seq), record.seq);
                    return Err(advised(Error::corrupt(format!("{name}: says it is {says}"))));
                }
                // A higher one is there by now.
                Err(error) if error.is(ErrorKind::NotFound) && tries < ATTEMPTS => {}
                Err(error) if error.is(ErrorKind::NotFound) => {
                    let name = names::gc(seq);
                    return Err(advised(Error::corrupt(format!(
                        "{name}: is listed and not there"
                    ))));
                }
                Err(error) => return Err(advised(error)),
            }
        }
    }

    /// Reads what counts now.
    pub fn read_state(&self) -> Result<State> {
        self.read_state_as(Care::Strict)
    }

    /// For those who only read: goes on without a gc record or a retired list that is damaged,
    /// with every segment that is there. Never to decide what may be deleted or reused.
    pub fn read_state_leniently(&self) -> Result<State> {
        self.read_state_as(Care::Lenient)
    }

    fn read_state_as(&self, care: Care) -> Result<State> {
        for _ in 0..ATTEMPTS {
            match self.try_read_state(care) {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("the repository changed too often while it was read; try again"))
    }

    fn try_read_state(&self, care: Care) -> Result<Option<State>> {
        let mut damaged = Vec::new();
        let mut newest = match self.newest_record() {
            Err(error) if care.forgives(&error) => {
                damaged.push((RandomId::default(), error));
                None
            }
            other => Some(other?),
        };
        let mut fates = BTreeMap::new();
        let listed = self.names_of("fate/")?;
        let read = self.read_each(&listed, |name| self.read_kept(ObjectType::Fate, name))?;
        for (name, fate) in listed.iter().zip(read) {
            let Some(id) = names::parse_id(name, "fate/") else { continue };
            match fate {
                Ok(fate) => {
                    fates.insert(id, fate);
                }
                // It goes only after its session was retired: on a list by now.
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) if is_unreadable(&error) => damaged.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        let unattested = self.segments_of(&damaged)?;
        let lists = self.read_retired_as(care, &mut damaged)?;
        match &newest {
            Some(newest) if self.newest_seq()? != newest.seq => return Ok(None),
            Some(newest) => note_missing_lists(newest, &lists, care, &mut damaged)?,
            None => newest = Some(self.record_of_everything(&fates)?),
        }
        let newest = newest.expect("just set");
        let RetiredLists { names: retired_lists, sessions: retired } = lists;
        if damaged.is_empty() {
            self.forget_kept(&listed, &retired, &retired_lists);
        }
        fates.retain(|id, _| !retired.contains(id));
        Ok(Some(State { newest, fates, retired, retired_lists, damaged, unattested }))
    }

    /// Drops from the cache what is gone for good, after all lists that there must be were read. What is missing and was not to go stays: it
    /// may be the last copy (`repair/kept.rs`).
    fn forget_kept(&self, fates: &[String], retired: &HashSet<RandomId>, lists: &BTreeSet<String>) {
        let fates: HashSet<&String> = fates.iter().collect();
        for name in self.cache.names("fate").iter().filter(|name| !fates.contains(name)) {
            let is_retired = names::parse_id(name, "fate/").is_none_or(|id| retired.contains(&id));
            let is_committed = || {
                let kept = self.kept::<Fate>(ObjectType::Fate, name);
                kept.is_some_and(|(fate, _)| fate.state == FateState::Committed)
            };
            if is_retired || !is_committed() {
                self.cache.forget_object(name);
            }
        }
        for name in self.cache.names("retired") {
            if !lists.contains(&name) {
                self.cache.forget_object(&name);
            }
        }
    }

    /// In the place of a damaged gc record: every segment counts.
    fn record_of_everything(&self, fates: &BTreeMap<RandomId, Fate>) -> Result<GcRecord> {
        let segments = list_all(&*self.backend, "index/")?.into_iter().map(|l| l.name);
        Ok(GcRecord {
            seq: self.newest_seq().unwrap_or(0),
            session: RandomId::default(),
            base: segments.filter(|name| names::parse_segment(name).is_some()).collect(),
            absorbed: fates.keys().copied().collect(),
            annotations: BTreeMap::new(),
            retired: Vec::new(),
            delete: Deletions::default(),
            time: self.env.clock.now(),
        })
    }

    fn segments_of(&self, damaged: &[(RandomId, Error)]) -> Result<Vec<String>> {
        if damaged.is_empty() {
            return Ok(Vec::new());
        }
        let mut names: Vec<String> =
            list_all(&*self.backend, "index/")?.into_iter().map(|l| l.name).collect();
        names.retain(|name| {
            names::parse_segment(name).is_some_and(|(id, _)| damaged.iter().any(|(d, _)| *d == id))
        });
        Ok(names)
    }

    /// What the cache has of an object that never changes, and its sealed bytes.
    pub(crate) fn kept<T: DeserializeOwned>(
        &self,
        object_type: ObjectType,
        name: &str,
    ) -> Option<(T, Vec<u8>)> {
        let sealed = self.cache.object(name)?;
        let value = self.open_json(object_type, name, sealed.clone()).ok()?;
        Some((value, sealed))
    }

    /// From the cache if it is there: for what never changes.
    fn read_kept<T: DeserializeOwned>(&self, object_type: ObjectType, name: &str) -> Result<T> {
        if let Some((value, _)) = self.kept(object_type, name) {
            return Ok(value);
        }
        let sealed = self.backend.get(name, limits::JSON_BYTES)?;
        let value = self.open_json(object_type, name, sealed.clone())?;
        self.cache.keep_object(name, &sealed);
        Ok(value)
    }

    pub(crate) fn names_of(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(list_all(&*self.backend, prefix)?.into_iter().map(|listed| listed.name).collect())
    }

    /// Reads each; where there are many, several at once.
    pub(crate) fn read_each<T: Send>(
        &self,
        names: &[String],
        read: impl Fn(&str) -> Result<T> + Sync,
    ) -> Result<Vec<Result<T>>> {
        let readers = (names.len() / READS_PER_READER).clamp(1, MOST_READERS);
        parallel::map(&self.env, readers, names, || Ok(()), |(), name| read(name))
    }

    pub(crate) fn read_retired(&self) -> Result<HashSet<RandomId>> {
        Ok(self.read_retired_as(Care::Strict, &mut Vec::new())?.sessions)
    }

    pub(crate) fn read_retired_leniently(&self) -> Result<HashSet<RandomId>> {
        Ok(self.read_retired_as(Care::Lenient, &mut Vec::new())?.sessions)
    }

    fn read_retired_as(
        &self,
        care: Care,
        damaged: &mut Vec<(RandomId, Error)>,
    ) -> Result<RetiredLists> {
        for _ in 0..ATTEMPTS {
            if let Some(lists) = self.try_read_retired(care, damaged)? {
                return Ok(lists);
            }
        }
        Err(Error::unavailable(
            "the store lists `retired/…` objects that it does not give; try again, and if that does \
             not help ask `tintype repo probe` about the store",
        ))
    }

    /// `None`: lists were merged meanwhile; the union was put before those that went.
    fn try_read_retired(
        &self,
        care: Care,
        damaged: &mut Vec<(RandomId, Error)>,
    ) -> Result<Option<RetiredLists>> {
        let mut lists = RetiredLists::default();
        let listed = self.names_of("retired/")?;
        let read = self.read_each(&listed, |name| self.read_kept(ObjectType::Retired, name))?;
        for (name, list) in listed.into_iter().zip(read) {
            let list: Result<Retired> = list;
            match list {
                Ok(list) => lists.sessions.extend(list.sessions),
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
                Err(error) if care.forgives(&error) => {
                    damaged.push((RandomId::default(), error));
                }
                Err(error) => return Err(advised(error)),
            }
            lists.names.insert(name);
        }
        Ok(Some(lists))
    }

    /// Packs of condemned lists in force (format.md §11.4). For writers: read after the
    /// session was put and before the index. Lists that cannot be read and are of another number
    /// are not in force, whoever put them.
    pub(crate) fn read_condemned(&self) -> Result<HashSet<PackId>> {
        let mut lists = Vec::new();
        for listed in list_all(&*self.backend, "condemned/")? {
            let seq = listed.name.split('/').nth(1).and_then(|s| s.parse::<u32>().ok());
            match self.get_json::<Condemned>(ObjectType::Condemned, &listed.name) {
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) if !is_unreadable(&error) => return Err(error),
                read => lists.push((seq.unwrap_or(u32::MAX), read)),
            }
        }
        let newest = self.newest_seq()?;
        let mut packs = HashSet::new();
        for (seq, list) in lists {
            match list {
                Ok(list) if seq >= newest => {
                    packs.extend(list.packs.iter().filter_map(|name| PackId::parse(name)));
                }
                Err(error) if seq == newest => {
                    return Err(Error::corrupt(format!(
                        "{error}; it may name packs that a gc is about to delete: run `tintype \
                         repo gc`, which leaves this list behind"
                    )));
                }
                _ => {}
            }
        }
        Ok(packs)
    }

    /// Loads the segments that count.
    pub fn read_index(&self, condemned: HashSet<PackId>) -> Result<(State, Index)> {
        for _ in 0..ATTEMPTS {
            let state = self.read_state()?;
            let names = state.segments();
            match names.iter().map(|name| self.load_segment(name).map(Arc::new)).collect() {
                Ok(_) if self.newest_seq()? != state.newest.seq => {}
                Ok(segments) => {
                    self.cache.keep_segments(&names);
                    return Ok((state, Index { segments, condemned: Arc::new(condemned) }));
                }
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
            if self.newest_seq()? == state.newest.seq {
                return Err(Error::corrupt(
                    "an index segment is missing; `tintype repo verify --repair-index` makes the \
                     index anew from the packs",
                ));
            }
        }
        Err(Error::unavailable("the index changed too often while it was read; try again"))
    }

    pub(crate) fn load_segment(&self, name: &str) -> Result<LocalSegment> {
        let path = self.cache.segment_path(name);
        if let Some(path) = path.as_deref().filter(|p| p.exists())
            && let Ok(segment) = LocalSegment::open(path)
        {
            return Ok(segment);
        }
        LocalSegment::build(&self.fetch_segment(name)?, path.as_deref())
    }

    pub(crate) fn fetch_segment(&self, name: &str) -> Result<Segment> {
        let sealed = self.backend.get(name, limits::JSON_BYTES).map_err(|error| {
            if !error.is(ErrorKind::Denied) {
                return error;
            }
            // Not worked around: an index in part would hide what is there.
            Error::denied(format!(
                "index segment {name} may not be read: {}; give this user the rights that he has \
                 on the other objects of the repository",
                error.message()
            ))
        })?;
        let raw =
            open_bytes(&self.place(ObjectType::IndexSegment, name), Kind::IndexBlock, sealed)?;
        Segment::decode(&raw).map_err(|e| e.context(name))
    }
}

/// Of damage to what everything hangs on: says what to do.
fn advised(error: Error) -> Error {
    if !error.is(ErrorKind::Corrupt) {
        return error;
    }
    let advice =
        "`tintype repo verify --repair-index` makes the gc record anew from packs and fates";
    Error::corrupt(format!("{}; {advice}", error.message()))
}

/// Lists that the newest record names were there before it, and go only after a higher one:
/// called when the same record was newest before and after they were listed.
fn note_missing_lists(
    newest: &GcRecord,
    lists: &RetiredLists,
    care: Care,
    damaged: &mut Vec<(RandomId, Error)>,
) -> Result<()> {
    for name in newest.retired.iter().filter(|name| !lists.names.contains(*name)) {
        let record = names::gc(newest.seq);
        let error = advised(Error::corrupt(format!("{name} is missing: {record} names it")));
        if !care.forgives(&error) {
            return Err(error);
        }
        damaged.push((RandomId::default(), error));
    }
    Ok(())
}
