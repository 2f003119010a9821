//! Making the index anew from the packs themselves.
//!
//! Every pack lists its frames in its trailer (format.md §7); where that is damaged, its frames
//! are found by scanning. The result is published as the segments of a session of its own,
//! which closes with them. Why that is safe beside writers and gcs (format.md §11):
//!
//! 1. The session is put first, as a writer's: a gc that lists sessions later waits for it, so
//!    it reads the index again after these segments count.
//! 2. Condemned lists are read after that: a gc that listed sessions before had put its list,
//!    so its packs are seen here and left out. If that gc has committed meanwhile, its list is
//!    no longer in force, but the newest record, read next, names what it deletes: left out
//!    too. Packs are listed last: what older records named is gone by then.
//! 3. Segments of undecided sessions count for nobody, and their packs are left out: a writer
//!    that fails must not leave chunks that others built on without its fate. While a writer
//!    is undecided, packs that no segment at all names may be its own and are left out as well.
//! 4. Nothing is removed but segments that cannot be read, and those only after the session is
//!    closed: until then they are as unreadable as before. An empty segment takes the name, so
//!    that whoever reads the index finds every name that it must. A crash between leaves a
//!    missing segment, which the next repair mends.
//!
//! What that leaves wrong (packs that are gone, damaged frames, packs of a session whose fate is
//! lost) takes a new gc record: `lost.rs`. Where the record itself is damaged: `record.rs`. What is
//! no part of the index: `config.rs`, `sessions.rs`, `kept.rs`.

mod changes;
mod config;
mod kept;
mod lost;
mod record;
mod sessions;

pub use changes::{LOST_CHANGES, LostChanges};

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use crate::backend::list_all;
use crate::cancel::Cancel;
use crate::compress::Decompressor;
use crate::format::frame::{Kind, Placed};
use crate::format::object::{HEADER_BYTES, ObjectType, seal_bytes};
use crate::format::records::{SessionKind, names};
use crate::gc::GcOptions;
use crate::index::local::LocalSegment;
use crate::index::segment::{PackRow, Segment, SegmentBuilder};
use crate::index::{Index, Location, PackId};
use crate::pack::reader::PackReader;
use crate::parallel;
use crate::repo::Repository;
use crate::repo::session::Session;

/// Packs that are looked at before the results are taken.
const BATCH: usize = 64;
const SEGMENT_RECORDS: usize = 256 << 10;
const RESCUE_WORKERS: usize = 8;

/// Which packs are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairScope {
    /// Those that no readable segment in force names.
    Unnamed,
    All,
    /// As `Unnamed`, and these frame by frame: what does not open leaves the index.
    Suspects(HashSet<PackId>),
}

impl RepairScope {
    fn suspects(&self) -> &HashSet<PackId> {
        static NONE: LazyLock<HashSet<PackId>> = LazyLock::new(HashSet::new);
        match self {
            Self::Suspects(packs) => packs,
            Self::Unnamed | Self::All => &NONE,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RepairReport {
    /// Packs whose frames are in the index now, and how many frames.
    pub packs: u64,
    pub frames: u64,
    /// Packs of these whose trailer was damaged, so that their frames were searched for.
    pub scanned: Vec<String>,
    /// Packs of which nothing could be read, with the cause.
    pub unreadable: Vec<(String, String)>,
    /// Packs that may belong to a writer that is not done, or that a gc deletes.
    pub left_out: Vec<String>,
    /// Segments that were unreadable or missing and are empty now.
    pub replaced: Vec<String>,
    pub segments: Vec<String>,
    /// Packs that the index named and that are gone: nothing in them is taken for stored now.
    pub lost: Vec<String>,
    /// Of the two copies of the configuration: those that were written again.
    pub configs: Vec<String>,
    /// Session objects of snapshots that were written again from their fates.
    pub sessions: Vec<String>,
    /// Fates and retired lists that were damaged or missing, and whole in the local cache.
    pub restored: Vec<String>,
    /// What of the last two could not be written again, with the cause.
    pub not_mended: Vec<(String, String)>,
    /// The gc record that was made anew, and with it all of the index.
    pub record: Option<String>,
}

/// What a pack gave.
pub(crate) enum Outcome {
    Frames { row: PackRow, placed: Vec<Placed>, scanned: bool },
    Unreadable { row: PackRow, error: Error },
}

/// Reads the frames of many packs; `each` gets the results one after the other. `suspects`:
/// packs whose own list is not believed, so that every frame is opened.
pub(crate) fn collect(
    repository: &Repository,
    rows: &[PackRow],
    suspects: &HashSet<PackId>,
    workers: usize,
    cancel: &Cancel,
    each: &mut dyn FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    for batch in rows.chunks(BATCH) {
        cancel.check()?;
        let work = |(): &mut (), row: &PackRow| frames_of(repository, *row, suspects);
        let outcomes = parallel::map(repository.env(), workers, batch, || Ok(()), work)?;
        outcomes.into_iter().try_for_each(&mut *each)?;
    }
    Ok(())
}

fn frames_of(repository: &Repository, row: PackRow, suspects: &HashSet<PackId>) -> Outcome {
    let (keys, id) = (&repository.keys, repository.config.id);
    let is_suspect = suspects.contains(&row.pack);
    let read =
        PackReader::open(&*repository.backend, keys, id, row.pack).and_then(|reader| match reader
            .trailer(&*repository.backend, row.size_bytes)
        {
            Ok(placed) if !is_suspect => Ok((placed, false)),
            Ok(_) => scan(repository, &reader, row).map(|placed| (placed, true)),
            Err(error) if error.is(ErrorKind::Corrupt) => {
                scan(repository, &reader, row).map(|placed| (placed, true))
            }
            Err(error) => Err(error),
        });
    match read {
        Ok((placed, scanned)) => Outcome::Frames { row, placed, scanned },
        Err(error) => Outcome::Unreadable { row, error },
    }
}

/// Frames that open and hold what their id names.
fn scan(repository: &Repository, reader: &PackReader, row: PackRow) -> Result<Vec<Placed>> {
    let mut decompressor = Decompressor::new()?;
    let (mut placed, mut raw) = (Vec::new(), Vec::new());
    let mut found = |frame: Placed, sealed: &mut [u8]| {
        let at = location(row.pack, &frame);
        let keys = &repository.keys;
        let id = &frame.head.id;
        if reader.open_frame(keys, id, &at, sealed, &mut decompressor, &mut raw).is_ok() {
            placed.push(frame);
        }
        Ok(())
    };
    let (start, end) = (HEADER_BYTES as u64, row.size_bytes);
    reader.scan(&*repository.backend, start, end, &mut found, &mut |_, _| {})?;
    Ok(placed)
}

pub(crate) fn location(pack: PackId, placed: &Placed) -> Location {
    let head = &placed.head;
    Location {
        pack,
        offset: placed.offset,
        stored_bytes: head.stored_bytes,
        raw_bytes: head.raw_bytes,
        kind: head.kind,
    }
}

impl Repository {
    /// What can be read of the index, and in memory the frames of all packs that it does not
    /// name. For reading only: it may name what is about to be deleted.
    pub(crate) fn rescue_index(&self) -> Result<Index> {
        let state = self.read_state_leniently()?;
        let mut index = Index::default();
        let mut named = BTreeSet::new();
        for name in state.segments() {
            match self.load_segment(&name) {
                Ok(segment) => {
                    named.extend(segment.pack_rows()?.iter().map(|row| row.pack));
                    index.segments.push(Arc::new(segment));
                }
                Err(error) if error.is(ErrorKind::Corrupt) || error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let rows: Vec<PackRow> = self
            .stored_packs()?
            .into_iter()
            .filter(|(pack, _)| !named.contains(pack))
            .map(|(pack, size_bytes)| PackRow { pack, size_bytes })
            .collect();
        let (none, cancel) = (HashSet::new(), Cancel::default());
        collect(self, &rows, &none, RESCUE_WORKERS, &cancel, &mut |outcome| {
            if let Outcome::Frames { row, placed, .. } = outcome {
                let mut builder = SegmentBuilder::default();
                builder.add(row, &placed);
                let segment = LocalSegment::build(&builder.take(), None)?;
                index.segments.push(Arc::new(segment));
            }
            Ok(())
        })?;
        Ok(index)
    }

    /// Makes the index anew, and the newest gc record too where that, a retired list or a condemned
    /// list in force is damaged; and what is no part of it and told twice: a copy of the
    /// configuration, sessions of snapshots. What is lost for good leaves the index, so that the next writer who has it
    /// stores it again. Needs the right to delete where anything is.
    pub fn repair_index(
        &self,
        scope: &RepairScope,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<RepairReport> {
        self.allow_maintenance()?;
        let configs = self.mend_config()?;
        let mut kept = RepairReport::default();
        self.restore_kept(&mut kept)?;
        let mut report = match self.read_state().and_then(|_| self.read_condemned()) {
            Err(error) if error.is(ErrorKind::Corrupt) => {
                tracing::warn!(%error, "the gc record is made anew");
                self.repair_record(workers, cancel)?
            }
            Err(error) => return Err(error),
            Ok(_) => {
                let mut report = self.rebuild_segments(scope, workers, cancel)?;
                self.mend_loss(scope, workers, cancel, &mut report)?;
                report
            }
        };
        report.configs = configs;
        report.restored = kept.restored;
        report.not_mended = kept.not_mended;
        self.mend_sessions(workers, cancel, &mut report)?;
        Ok(report)
    }

    fn rebuild_segments(
        &self,
        scope: &RepairScope,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<RepairReport> {
        let session = self.begin_session(SessionKind::Snapshot, Vec::new())?;
        match self.rebuild(&session, scope, workers, cancel) {
            Ok((mut report, damaged)) => {
                report.segments = session.segments();
                session.close()?;
                self.replace_segments(damaged, &mut report)?;
                self.cache.clear();
                Ok(report)
            }
            Err(error) => {
                // What was published already is right; it counts.
                let _ = session.close();
                Err(error)
            }
        }
    }

    fn rebuild(
        &self,
        session: &Session<'_>,
        scope: &RepairScope,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<(RepairReport, Vec<String>)> {
        let mut report = RepairReport::default();
        let mut avoid = self.read_condemned()?;
        let state = self.read_state()?;
        avoid.extend(state.newest.delete.objects.iter().filter_map(|name| PackId::parse(name)));
        let mut damaged = Vec::new();
        let mut named = BTreeSet::new();
        for name in state.segments() {
            match self.fetch_segment(&name) {
                Ok(segment) => named.extend(segment.packs.iter().map(|row| row.pack)),
                Err(error) if error.is(ErrorKind::Corrupt) || error.is(ErrorKind::NotFound) => {
                    damaged.push(name);
                }
                Err(error) => return Err(error),
            }
        }
        if !damaged.is_empty() && self.newest_seq()? != state.newest.seq {
            return Err(Error::locked("a gc ran meanwhile; run the repair again"));
        }
        if !damaged.is_empty() {
            // Gc cannot end dead writers while it cannot read the index.
            let options = GcOptions { cancel: cancel.clone(), ..GcOptions::default() };
            self.settle_writers(session.id, &options)?;
        }
        let writers = self.undecided_packs(session, &mut avoid)?;
        let mut rows = Vec::new();
        for (pack, size_bytes) in self.stored_packs()? {
            if *scope != RepairScope::All && named.contains(&pack) {
                continue;
            }
            if avoid.contains(&pack) || (writers && !named.contains(&pack)) {
                report.left_out.push(pack.object_name());
            } else {
                rows.push(PackRow { pack, size_bytes });
            }
        }
        if writers && !damaged.is_empty() && !report.left_out.is_empty() {
            return Err(Error::locked(
                "the index cannot be made anew while a snapshot is being written; run the repair \
                 again when it is done",
            ));
        }
        let mut builder = SegmentBuilder::default();
        collect(self, &rows, scope.suspects(), workers, cancel, &mut |outcome| {
            session.beat()?;
            self.take(session, outcome, &mut builder, &mut report)
        })?;
        self.publish(session, &mut builder)?;
        Ok((report, damaged))
    }

    /// Packs named by segments of other undecided writers; gives whether there are such writers.
    fn undecided_packs(&self, own: &Session<'_>, packs: &mut HashSet<PackId>) -> Result<bool> {
        let others: HashSet<_> = self
            .undecided_sessions()?
            .into_iter()
            .filter(|s| s.kind() != Some(SessionKind::Read) && s.id != own.id)
            .map(|s| s.id)
            .collect();
        for listed in list_all(&*self.backend, "index/")? {
            let owner = names::parse_segment(&listed.name).map(|(id, _)| id);
            if owner.is_some_and(|id| others.contains(&id)) {
                match self.fetch_segment(&listed.name) {
                    Ok(segment) => packs.extend(segment.packs.iter().map(|row| row.pack)),
                    Err(error) if error.is(ErrorKind::Unavailable) => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Ok(!others.is_empty())
    }

    fn take(
        &self,
        session: &Session<'_>,
        outcome: Outcome,
        builder: &mut SegmentBuilder,
        report: &mut RepairReport,
    ) -> Result<()> {
        match outcome {
            Outcome::Frames { row, placed, scanned } => {
                report.packs += 1;
                report.frames += placed.len() as u64;
                if scanned {
                    report.scanned.push(row.pack.object_name());
                }
                builder.add(row, &placed);
                if builder.len() >= SEGMENT_RECORDS {
                    self.publish(session, builder)
                } else {
                    Ok(())
                }
            }
            Outcome::Unreadable { error, .. } if error.is(ErrorKind::Unavailable) => Err(error),
            Outcome::Unreadable { row, error } => {
                report.unreadable.push((row.pack.object_name(), error.to_string()));
                Ok(())
            }
        }
    }

    fn publish(&self, session: &Session<'_>, builder: &mut SegmentBuilder) -> Result<()> {
        if builder.is_empty() {
            return Ok(());
        }
        let name = session.segment_name(session.segments().len() as u32);
        self.put_segment(&name, &builder.take())?;
        session.published(name);
        Ok(())
    }

    fn put_segment(&self, name: &str, segment: &Segment) -> Result<()> {
        let place = self.place(ObjectType::IndexSegment, name);
        let sealed = seal_bytes(&place, Kind::IndexBlock, &segment.encode(), &self.env)?;
        self.backend.put(name, &sealed)
    }

    fn replace_segments(&self, damaged: Vec<String>, report: &mut RepairReport) -> Result<()> {
        for name in damaged {
            self.backend.delete(&name)?;
            match self.put_segment(&name, &Segment::default()) {
                // Somebody else repaired it at the same moment.
                Err(error) if !error.is(ErrorKind::AlreadyExists) => return Err(error),
                _ => report.replaced.push(name),
            }
        }
        Ok(())
    }
}
