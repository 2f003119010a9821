//! Making the newest gc record anew where it, or a retired list, is damaged or gone, or a condemned
//! list that is in force is damaged (format.md §11.7): from the trailers of all packs and from the fates, as a gc that deletes no pack.
//!
//! 1. Its number is above every number that a gc may have used or may still use: that of a gc
//!    is one more than the `base_seq` of its session, and than that of its condemned list; where
//!    no record is left, it jumps. So whatever else arrives late is void.
//! 2. Nobody can begin to write while the record cannot be read. Writers that began before are
//!    waited for or fenced: what they reuse may be in nobody's index but that of the lost
//!    record.
//! 3. What the lost record retired is on a list, or, where its gc was interrupted before it put
//!    one, still has its tombstone: nothing of it was removed yet.
//! 4. What the lost record deletes is in its condemned list as long as its gc is not done with
//!    packs. A paused gc may still delete them, so such a pack is named only where it has the
//!    one copy of something that a living snapshot needs: then it was not to be deleted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tintype_model::{Error, ErrorKind, Result};

use super::lost::keep_traces;
use super::{Outcome, RepairReport, collect};
use crate::backend::list_all;
use crate::cancel::Cancel;
use crate::format::object::ObjectType;
use crate::format::records::{
    Condemned, Deletions, GcRecord, Manifest, Retired, SessionKind, SessionRecord, names,
};
use crate::gc::GcOptions;
use crate::id::{RandomId, SnapshotId};
use crate::index::local::LocalSegment;
use crate::index::segment::{PackRow, SegmentBuilder};
use crate::index::{Index, PackId};
use crate::repo::Repository;
use crate::repo::session::{Session, is_unreadable};
use crate::repo::snapshots::{Annotations, merge};
use crate::repo::state::State;

/// More gcs than anybody ran: added where not even a damaged record tells their number.
const UNSEEN: u32 = 1_000_000;
/// Eight digits.
const MOST_SEQ: u32 = 99_999_999;

/// What counts, as far as it can be read.
pub(super) struct Known {
    pub absorbed: Vec<RandomId>,
    pub annotations: BTreeMap<SnapshotId, u32>,
    pub retired: Vec<String>,
    pub unreadable_lists: Vec<String>,
    pub living: Vec<(SnapshotId, Manifest)>,
    /// Sessions that left nothing but rests, by a retired list or the newest record.
    pub gone: HashSet<RandomId>,
    /// Sessions that a list said to be retired which cannot be read any more.
    pub forgotten: Vec<RandomId>,
}

impl Repository {
    /// Gives the report with the name of the new record.
    pub(super) fn repair_record(&self, workers: usize, cancel: &Cancel) -> Result<RepairReport> {
        let seq = self.unused_seq()?;
        let session = self.put_session(SessionKind::Gc, Vec::new(), seq - 1)?;
        let id = session.id;
        let repaired = self.write_record(&session, seq, workers, cancel);
        let _ = self.close_gc(id);
        self.cache.clear();
        repaired
    }

    /// Above all that gcs used or may still use.
    fn unused_seq(&self) -> Result<u32> {
        let records = list_all(&*self.backend, "gc/")?;
        let seen = records.iter().filter_map(|listed| names::parse_number(&listed.name)).max();
        let mut highest = seen.unwrap_or_default();
        for listed in list_all(&*self.backend, "condemned/")? {
            let seq = listed.name.split('/').nth(1).and_then(|seq| seq.parse::<u32>().ok());
            highest = highest.max(seq.map_or(0, |seq| seq.saturating_add(1)));
        }
        for listed in list_all(&*self.backend, "session/")? {
            match self.get_json::<SessionRecord>(ObjectType::Session, &listed.name) {
                Ok(record) if record.kind == SessionKind::Gc => {
                    highest = highest.max(record.base_seq.saturating_add(1));
                }
                Err(error) if error.is(ErrorKind::Unavailable) => return Err(error),
                _ => {}
            }
        }
        let next = highest.saturating_add(if seen.is_some() { 1 } else { 1 + UNSEEN });
        match next <= MOST_SEQ {
            true => Ok(next),
            false => Err(Error::corrupt("no number is left for a gc record")),
        }
    }

    fn write_record(
        &self,
        session: &Session<'_>,
        seq: u32,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<RepairReport> {
        let options = GcOptions { cancel: cancel.clone(), ..GcOptions::default() };
        self.settle_writers(session.id, &options)?;
        self.refuse_living_gc(session, &options)?;
        // Annotations before fates before retired lists, as a gc reads them.
        let annotations = self.read_annotations()?;
        let state = self.read_state_leniently()?;
        let mut known = self.known_of(&state, annotations)?;
        keep_traces(&mut known, &state);
        known.forgotten = self.forgotten_parents(&state)?;
        let mut report = RepairReport::default();
        self.index_packs(session, &known, workers, cancel, &mut report)?;
        self.put_record(session, seq, known, report)
    }

    /// Commits an index made of the session's segments.
    pub(super) fn put_record(
        &self,
        session: &Session<'_>,
        seq: u32,
        known: Known,
        mut report: RepairReport,
    ) -> Result<RepairReport> {
        let base = session.segments();
        let mut objects = known.unreadable_lists;
        let mut settled = known.gone;
        settled.extend(&known.absorbed);
        objects.extend(self.superseded_segments(&base, &settled)?);
        let record = GcRecord {
            seq,
            session: session.id,
            base,
            absorbed: known.absorbed,
            annotations: known.annotations,
            retired: known.retired,
            delete: Deletions { objects, retire: known.forgotten },
            time: self.env.clock.now(),
        };
        let name = names::gc(seq);
        self.put_json(ObjectType::GcRecord, &name, &record).map_err(|error| {
            match error.kind() {
                ErrorKind::AlreadyExists => Error::locked("another gc or repair was faster"),
                _ => error,
            }
        })?;
        if self.newest_seq()? != seq {
            return Err(Error::locked("another gc or repair was faster"));
        }
        self.finish_deletions(&record)?;
        report.segments = record.base;
        report.replaced = record.delete.objects;
        report.record = Some(name);
        Ok(report)
    }

    /// The one that made the lost record may still be deleting.
    fn refuse_living_gc(&self, own: &Session<'_>, options: &GcOptions) -> Result<()> {
        for other in self.undecided_sessions()? {
            let Some(record) = other.record.as_ref().filter(|r| r.kind == SessionKind::Gc) else {
                continue;
            };
            if other.id == own.id {
                continue;
            }
            if !self.is_dead_session(&other, options) {
                return Err(Error::locked(format!(
                    "a gc of process {} on {} (since {}) may be at work; end it, or run the repair \
                     again two hours after its last sign of life",
                    record.pid, record.host, record.started
                )));
            }
            self.close_gc(other.id)?;
        }
        Ok(())
    }

    pub(super) fn known_of(&self, state: &State, annotations: Annotations) -> Result<Known> {
        let (mut retired, mut unreadable_lists) = (Vec::new(), Vec::new());
        for name in &state.retired_lists {
            match self.get_json::<Retired>(ObjectType::Retired, name) {
                Ok(_) => retired.push(name.clone()),
                Err(error) if error.is(ErrorKind::Corrupt) => unreadable_lists.push(name.clone()),
                Err(error) => return Err(error),
            }
        }
        let snapshots = merge(state, annotations).snapshots;
        let annotated = snapshots.iter().filter(|s| s.standing.last > 0);
        let annotations = annotated.map(|s| (s.id, s.standing.last)).collect();
        let now = self.env.clock.now();
        let living = snapshots.into_iter().filter(|s| !s.standing.is_dead(now));
        Ok(Known {
            absorbed: state.fates.keys().copied().collect(),
            annotations,
            retired,
            unreadable_lists,
            living: living.map(|s| (s.id, s.manifest)).collect(),
            gone: state.retired.iter().chain(&state.newest.delete.retire).copied().collect(),
            forgotten: Vec::new(),
        })
    }

    /// Where a retired list is lost: parents of snapshots of which nothing is there, as it is when
    /// a retirement is done. Else each would be missed for ever. Not where the record is lost
    /// too, because only that knows whether a gc saw their fates last.
    pub(super) fn forgotten_parents(&self, state: &State) -> Result<Vec<RandomId>> {
        let newest = match self.newest_record() {
            Err(error) if is_unreadable(&error) => return Ok(Vec::new()),
            newest => newest?,
        };
        if !state.lacks_lists() {
            return Ok(Vec::new());
        }
        let mut traces: HashSet<RandomId> = newest.absorbed.into_iter().collect();
        for prefix in ["annotation/", "fate/", "session/"] {
            let listed = self.names_of(prefix)?;
            traces.extend(listed.iter().filter_map(|name| names::parse_id(name, prefix)));
        }
        let segments = self.names_of("index/")?;
        traces.extend(segments.iter().filter_map(|name| Some(names::parse_segment(name)?.0)));
        let left_nothing = |id: &RandomId| !state.retired.contains(id) && !traces.contains(id);
        let parents: BTreeSet<RandomId> = state.parents().filter(left_nothing).collect();
        Ok(parents.into_iter().collect())
    }

    /// Publishes what all packs hold, but for those that a gc may be about to delete.
    fn index_packs(
        &self,
        session: &Session<'_>,
        known: &Known,
        workers: usize,
        cancel: &Cancel,
        report: &mut RepairReport,
    ) -> Result<()> {
        let row = |(pack, size_bytes)| PackRow { pack, size_bytes };
        let all: Vec<PackRow> = self.stored_packs()?.into_iter().map(row).collect();
        let condemned = self.all_condemned()?;
        let (doubtful, sure): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|row| condemned.contains(&row.pack));
        let none = HashSet::new();
        self.index_rows(session, &sure, &none, workers, cancel, report)?;
        if doubtful.is_empty() {
            return Ok(());
        }
        let needed = self.needed_of(session, known, &doubtful, workers, cancel)?;
        let (needed, spare): (Vec<_>, Vec<_>) =
            doubtful.into_iter().partition(|row| needed.contains(&row.pack));
        report.left_out.extend(spare.iter().map(|row| row.pack.object_name()));
        self.index_rows(session, &needed, &none, workers, cancel, report)
    }

    pub(super) fn index_rows(
        &self,
        session: &Session<'_>,
        rows: &[PackRow],
        suspects: &HashSet<PackId>,
        workers: usize,
        cancel: &Cancel,
        report: &mut RepairReport,
    ) -> Result<()> {
        let mut builder = SegmentBuilder::default();
        collect(self, rows, suspects, workers, cancel, &mut |outcome| {
            session.beat()?;
            self.take(session, outcome, &mut builder, report)
        })?;
        self.publish(session, &mut builder)
    }

    /// Of packs that were condemned: those that have the one copy of something. All, where
    /// damage hides what is needed.
    fn needed_of(
        &self,
        session: &Session<'_>,
        known: &Known,
        doubtful: &[PackRow],
        workers: usize,
        cancel: &Cancel,
    ) -> Result<HashSet<PackId>> {
        let mut index = Index::default();
        for name in session.segments() {
            index.segments.push(Arc::new(self.load_segment(&name)?));
        }
        collect(self, doubtful, &HashSet::new(), workers, cancel, &mut |outcome| {
            if let Outcome::Frames { row, placed, .. } = outcome {
                let mut builder = SegmentBuilder::default();
                builder.add(row, &placed);
                index.segments.push(Arc::new(LocalSegment::build(&builder.take(), None)?));
            }
            Ok(())
        })?;
        let packs: HashSet<PackId> = doubtful.iter().map(|row| row.pack).collect();
        match self.packs_with_last_copies(&index, &known.living, &packs, cancel) {
            Err(error) if error.is(ErrorKind::Corrupt) => Ok(packs),
            needed => needed,
        }
    }

    /// Whatever record they belong to.
    fn all_condemned(&self) -> Result<HashSet<PackId>> {
        let mut packs = HashSet::new();
        for listed in list_all(&*self.backend, "condemned/")? {
            match self.get_json::<Condemned>(ObjectType::Condemned, &listed.name) {
                Ok(list) => packs.extend(list.packs.iter().filter_map(|name| PackId::parse(name))),
                Err(error) if error.is(ErrorKind::Corrupt) || error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(packs)
    }

    /// All segments but the new ones, those of gcs that are not decided, and those of writers of
    /// whom it is not known what became: one may be all that shows a snapshot whose fate and
    /// session are lost. Segments are listed before sessions, because a session is put before its
    /// segments.
    fn superseded_segments(
        &self,
        base: &[String],
        settled: &HashSet<RandomId>,
    ) -> Result<Vec<String>> {
        let segments = list_all(&*self.backend, "index/")?;
        let open: HashSet<_> = self.undecided_sessions()?.into_iter().map(|s| s.id).collect();
        let base: HashSet<&String> = base.iter().collect();
        let is_old = |name: &String| {
            names::parse_segment(name).is_some_and(|(owner, _)| {
                let of_gc = names::is_gc_segment(name) && !open.contains(&owner);
                (of_gc || settled.contains(&owner)) && !base.contains(name)
            })
        };
        Ok(segments.into_iter().map(|listed| listed.name).filter(is_old).collect())
    }
}
