//! One gc from beginning to end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use super::mark::Live;
use super::{GcPlan, merge, plan, rests};
use crate::cancel::Cancel;
use crate::format::frame::sealed_bytes;
use crate::format::object::ObjectType;
use crate::format::records::{Condemned, FateState, GcRecord, Manifest, SessionKind, names};
use crate::id::{RandomId, SnapshotId};
use crate::index::segment::Record;
use crate::index::{Index, PackId};
use crate::reader::{ContentReader, ReadBuffer};
use crate::repo::Repository;
use crate::repo::session::{Proofs, Session, Silence, Undecided};
use crate::repo::state::{ATTEMPTS, State};
use crate::store::{Store, Worker};

#[derive(Clone)]
pub struct GcOptions {
    /// Packs of which more than this is live stay as they are; 0: nothing is copied.
    pub keep_above_percent: u8,
    /// Packs in which something is damaged go too, and what lives in them is copied.
    pub rewrite_damaged: bool,
    /// How long to wait for writers before giving up.
    pub wait: Duration,
    /// A writer that gave no sign of life for this long is fenced: its commit will fail.
    pub fence_after: Duration,
    /// Snapshots whose fate is lost or damaged, and which are given up: whatever is left of them
    /// goes. Gc refuses while there are others.
    pub give_up: BTreeSet<SnapshotId>,
    /// Give up also what is held.
    pub despite_holds: bool,
    pub cancel: Cancel,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            keep_above_percent: 60,
            rewrite_damaged: false,
            wait: Duration::from_mins(1),
            fence_after: Duration::from_hours(2),
            give_up: BTreeSet::new(),
            despite_holds: false,
            cancel: Cancel::default(),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct GcReport {
    pub plan: GcPlan,
    pub deleted_packs: usize,
    pub deleted_bytes: u64,
    pub copied_bytes: u64,
    pub deleted_objects: u64,
    /// Sessions of writers that were taken for dead.
    pub fenced: usize,
    /// Packs that were spared because something live in them could not be read.
    pub spared: Vec<String>,
}

/// What lives, as read in one go in the order that the protocol wants.
pub(super) struct Reading {
    pub state: State,
    pub index: Index,
    pub segment_names: Vec<String>,
    pub living: Vec<(SnapshotId, Manifest)>,
    /// Of the living: the number of the last annotation.
    pub annotations: BTreeMap<SnapshotId, u32>,
    pub dead: BTreeSet<SnapshotId>,
    /// Of what is to be given up: that which really has no readable fate.
    pub given_up: BTreeSet<SnapshotId>,
}

impl Repository {
    /// What gc would free now; changes nothing.
    pub fn plan_gc(&self, options: &GcOptions) -> Result<GcPlan> {
        self.plan_gc_without(&BTreeSet::new(), options)
    }

    /// What gc would free if these snapshots were deleted; changes nothing.
    pub fn plan_gc_without(
        &self,
        deleted: &BTreeSet<SnapshotId>,
        options: &GcOptions,
    ) -> Result<GcPlan> {
        let mut reading = self.read_for_gc(options)?;
        reading.living.retain(|(id, _)| !deleted.contains(id));
        let reader = ContentReader::new(self, reading.index.clone());
        let live = Live::mark(&reader, &reading.index, &reading.roots(), &options.cancel)?;
        let stored = self.stored_packs()?;
        let damaged = match options.rewrite_damaged {
            true => self.damaged_packs(&reading.index, &stored, &options.cancel)?,
            false => HashSet::new(),
        };
        Ok(plan::decide(&live.usage()?, &stored, &damaged, options.keep_above_percent))
    }

    /// Frees what no snapshot needs. Safe beside writers and readers. On a full store it uses
    /// the reserve, and copies nothing: only packs without anything that is needed go.
    pub fn gc(&self, options: &GcOptions) -> Result<GcReport> {
        self.allow_maintenance()?;
        let done = match self.try_gc(options) {
            Err(error) if error.is(ErrorKind::NoSpace) => {
                tracing::warn!(%error, "the store is full: gc copies nothing");
                self.backend.give_up_reserve()?;
                let copy_nothing =
                    GcOptions { keep_above_percent: 0, rewrite_damaged: false, ..options.clone() };
                self.try_gc(&copy_nothing)
            }
            done => done,
        };
        self.backend.keep_reserve();
        done
    }

    fn try_gc(&self, options: &GcOptions) -> Result<GcReport> {
        let newest = self.read_state()?.newest;
        let report =
            GcReport { deleted_objects: self.finish_deletions(&newest)?, ..GcReport::default() };
        let session = self.begin_session(SessionKind::Gc, Vec::new())?;
        let id = session.id;
        let done = self.run_gc(session, newest, options, report);
        // A gc session that is there without a fate may still be at work; that of a gc which is
        // done goes with its record's deletions. If this fails too, the next gc removes it.
        if done.is_err()
            && let Err(error) = self.close_gc(id)
        {
            tracing::debug!(%error, session = %id, "the session of this gc stays undecided");
        }
        done
    }

    fn run_gc(
        &self,
        session: Session<'_>,
        newest: GcRecord,
        options: &GcOptions,
        mut report: GcReport,
    ) -> Result<GcReport> {
        report.plan = self.plan_gc(options)?;
        let candidates = report.plan.ids();
        let condemned =
            Condemned { packs: report.plan.candidates.iter().map(|c| c.pack.clone()).collect() };
        let name = names::condemned(newest.seq, session.id);
        self.put_json(ObjectType::Condemned, &name, &condemned)?;
        report.fenced = self.settle_writers(session.id, options)?;
        let reading = self.read_for_gc(options)?;
        if reading.state.newest.seq != newest.seq {
            return Err(Error::locked("another gc ran meanwhile; nothing was deleted by this one"));
        }
        let gc_id = session.id;
        let doubtful =
            self.doubtful_packs(&reading.index, &report.plan, &session, &options.cancel)?;
        // Copies go where nothing is condemned, and are made of what no pack surely has.
        let avoided = candidates.union(&doubtful).copied().collect();
        let index = Index { condemned: Arc::new(avoided), ..reading.index.clone() };
        let store = Store::new(self, session, index);
        let going = (&candidates, &doubtful);
        let record = self.prepare(&reading, going, &store, options, &mut report)?;
        options.cancel.check()?;
        match self.put_json(ObjectType::GcRecord, &names::gc(record.seq), &record) {
            Ok(()) => {}
            Err(error) if error.is(ErrorKind::AlreadyExists) => {
                let theirs: GcRecord =
                    self.get_json(ObjectType::GcRecord, &names::gc(record.seq))?;
                if theirs.session != gc_id {
                    self.backend.delete(&name)?;
                    return Err(Error::locked(
                        "another gc was faster; nothing was deleted by this one",
                    ));
                }
            }
            Err(error) => return Err(error),
        }
        if self.newest_seq()? != record.seq {
            return Err(Error::locked("another gc was faster; nothing was deleted by this one"));
        }
        report.deleted_objects += self.finish_deletions(&record)?;
        report.deleted_objects += self.backend.sweep()?;
        Ok(report)
    }

    /// Annotations, sessions, fates, retired, index: in this order (format.md §11.5, 5).
    fn read_for_gc(&self, options: &GcOptions) -> Result<Reading> {
        for _ in 0..ATTEMPTS {
            if let Some(reading) = self.try_read_for_gc(options)? {
                return Ok(reading);
            }
        }
        Err(Error::unavailable("the repository changed too often while gc read it; try again"))
    }

    fn try_read_for_gc(&self, options: &GcOptions) -> Result<Option<Reading>> {
        let annotations = self.read_annotations()?;
        let open = self.undecided_sessions()?;
        let readable = open.iter().filter_map(|session| session.record.as_ref());
        let pinned: BTreeSet<SnapshotId> =
            readable.flat_map(|record| record.pins.iter().copied()).collect();
        let hides_pins = open.iter().any(|session| session.record.is_none());
        let (state, index) = self.read_index(HashSet::new())?;
        let Some(given_up) = self.settle_lost(&state, &annotations, options)? else {
            return Ok(None);
        };
        let Some(listing) = self.all_committed(&state, annotations)? else { return Ok(None) };
        if let Some(error) = listing.damaged.first() {
            return Err(Error::corrupt(format!(
                "gc deletes nothing while there is damage: {error}"
            )));
        }
        let mut dead = listing.dead(self.env.clock.now(), &pinned);
        if hides_pins {
            dead.clear();
        }
        let mut stay = listing.snapshots;
        stay.retain(|s| !dead.contains(&s.id));
        let annotated = stay.iter().filter(|s| s.standing.last > 0);
        let annotations = annotated.map(|s| (s.id, s.standing.last)).collect();
        let living = stay.into_iter().map(|s| (s.id, s.manifest)).collect();
        let segment_names = state.segments();
        Ok(Some(Reading { state, index, segment_names, living, annotations, dead, given_up }))
    }

    /// Every pack that the store lists, with its size.
    pub(crate) fn stored_packs(&self) -> Result<BTreeMap<PackId, u64>> {
        let mut packs = BTreeMap::new();
        for class in ["data/", "meta/"] {
            self.backend.list(class, &mut |listed| {
                if let Some(pack) = PackId::parse(&listed.name) {
                    packs.insert(pack, listed.size_bytes);
                }
                Ok(())
            })?;
        }
        Ok(packs)
    }

    /// Waits until every writer that may have seen the old state is decided; fences the dead.
    /// `own` is left out. A session that cannot be read counts as a writer (format.md §11.1).
    pub(crate) fn settle_writers(&self, own: RandomId, options: &GcOptions) -> Result<usize> {
        let mut proofs = Proofs::default();
        let waited_for: BTreeSet<RandomId> = self
            .endable_sessions(&mut proofs)?
            .into_iter()
            .filter(|s| s.may_write() && s.id != own)
            .map(|s| s.id)
            .collect();
        let patience = Silence::PATIENCE.min(options.fence_after);
        let mut silence = Silence::default();
        let started = self.env.clock.elapsed();
        let mut fenced = 0;
        loop {
            let now = self.env.clock.elapsed();
            let mut busy = Vec::new();
            for session in self.endable_sessions(&mut proofs)? {
                let is_waited_for = waited_for.contains(&session.id);
                let is_dead = match session.record {
                    Some(_) => self.is_dead_session(&session, options),
                    None => is_waited_for && silence.of(&session, now) >= patience,
                };
                if is_dead && session.kind() != Some(SessionKind::Gc) && session.id != own {
                    fenced += usize::from(self.decide_other(&session, FateState::Aborted)?);
                } else if is_waited_for {
                    busy.push(session);
                }
            }
            // Those that can be read first.
            busy.sort_by_key(|session| session.record.is_none());
            let Some(session) = busy.first() else { return Ok(fenced) };
            options.cancel.check()?;
            let wait = match session.record {
                Some(_) => options.wait,
                None => options.wait.max(patience),
            };
            if now.saturating_sub(started) >= wait {
                return Err(still_busy(&busy, session));
            }
            self.env.clock.sleep(Duration::from_millis(500));
        }
    }

    pub(crate) fn is_dead_session(&self, session: &Undecided, options: &GcOptions) -> bool {
        let is_gone = |record| (self.identity.is_gone)(&self.identity, record);
        session.record.as_ref().is_some_and(is_gone)
            || session.is_stalled(self, options.fence_after)
    }

    /// Everything up to the commit: what goes, copies of what lives in it, the new index.
    /// `doubtful`: packs whose copies do not count.
    fn prepare(
        &self,
        reading: &Reading,
        (candidates, doubtful): (&HashSet<PackId>, &HashSet<PackId>),
        store: &Store<'_>,
        options: &GcOptions,
        report: &mut GcReport,
    ) -> Result<GcRecord> {
        let reader = ContentReader::new(self, reading.index.clone());
        let live = Live::mark(&reader, &reading.index, &reading.roots(), &options.cancel)?;
        let mut gone = candidates.clone();
        let records = live.to_copy(&gone, doubtful)?;
        let copied = Self::copy_forward(&records, &reader, &mut gone, store, options, report)?;
        let stored = self.stored_packs()?;
        report.deleted_packs = gone.iter().filter(|p| stored.contains_key(*p)).count();
        report.deleted_bytes = gone.iter().filter_map(|p| stored.get(p)).sum();
        gone.extend(lost_and_unused(&live, &stored)?);
        let state = &reading.state;
        let merged = merge::merge(
            &reader,
            &live,
            &reading.segment_names,
            &state.newest.base,
            (&gone, doubtful),
            store.id(),
            copied.len() as u32,
            &options.cancel,
        )?;
        let base = [copied, merged].concat();
        let delete = rests::deletions(self, reading, &gone, &base)?;
        let absorbed =
            state.fates.keys().filter(|id| !delete.retire.contains(id)).copied().collect();
        Ok(GcRecord {
            seq: state.newest.seq + 1,
            session: store.id(),
            base,
            absorbed,
            annotations: reading.annotations.clone(),
            retired: state.retired_lists.iter().cloned().collect(),
            delete,
            time: self.env.clock.now(),
        })
    }

    /// Copies live chunks out of packs that go; a pack with one that cannot be read is spared.
    /// Gives the names of the segments that name the copies.
    fn copy_forward(
        records: &[Record],
        reader: &ContentReader<'_>,
        gone: &mut HashSet<PackId>,
        store: &Store<'_>,
        options: &GcOptions,
        report: &mut GcReport,
    ) -> Result<Vec<String>> {
        let (mut worker, mut buffer, mut raw) = (Worker::new()?, ReadBuffer::new()?, Vec::new());
        for record in records {
            options.cancel.check()?;
            store.beat()?;
            raw.clear();
            match reader.read(&record.id, record.kind, &mut buffer, &mut raw) {
                Ok(()) => {
                    store.put(&mut worker, record.kind, &raw)?;
                    report.copied_bytes += sealed_bytes(record.stored_bytes) as u64;
                }
                Err(error) if error.is(ErrorKind::Corrupt) => {
                    for place in reader.index().places(&record.id)? {
                        if gone.remove(&place.pack) {
                            let name = place.pack.object_name();
                            tracing::warn!(%error, pack = name, "pack is spared");
                            report.spared.push(name);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        store.flush()?;
        Ok(store.segment_names())
    }
}

impl Repository {
    /// Of `packs`, those that hold something which these snapshots need and no other pack has.
    pub(crate) fn packs_with_last_copies(
        &self,
        index: &Index,
        snapshots: &[(SnapshotId, Manifest)],
        packs: &HashSet<PackId>,
        cancel: &Cancel,
    ) -> Result<HashSet<PackId>> {
        let roots: Vec<_> = snapshots.iter().map(|(id, manifest)| (*id, manifest)).collect();
        let reader = ContentReader::fixed(self, index.clone());
        let live = Live::mark(&reader, index, &roots, cancel)?;
        let mut needed = HashSet::new();
        for record in live.to_copy(packs, &HashSet::new())? {
            needed.extend(index.places(&record.id)?.into_iter().map(|place| place.pack));
        }
        Ok(needed)
    }
}

fn still_busy(busy: &[Undecided], session: &Undecided) -> Error {
    let what = match &session.record {
        Some(record) => format!("one by {} since {}", record.host, record.started),
        None => format!(
            "the object of session {} cannot be read, and whoever put it gives signs of life",
            session.id
        ),
    };
    Error::locked(format!(
        "{} snapshot(s) are being written ({what}); nothing was deleted: run gc again when they \
         are done, or with a longer --wait",
        busy.len()
    ))
}

/// Packs that the index names, that are gone, and that nothing living needs: else content of
/// theirs would pass for stored.
fn lost_and_unused(live: &Live<'_>, stored: &BTreeMap<PackId, u64>) -> Result<Vec<PackId>> {
    let lost = live
        .usage()?
        .into_iter()
        .filter(|(id, used)| used.live_frames == 0 && !stored.contains_key(id));
    Ok(lost.map(|(id, _)| id).collect())
}

impl Reading {
    fn roots(&self) -> Vec<(SnapshotId, &Manifest)> {
        self.living.iter().map(|(id, manifest)| (*id, manifest)).collect()
    }
}
