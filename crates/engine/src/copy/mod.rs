//! Copying snapshots into another repository: other key, other store. Chunk boundaries stay,
//! names are keyed anew, and content that is there already is not even read.
//!
//! ```text
//! plan → learn from the nearest copy and from the journal ([`pair`], [`mapping`])
//!   → for each snapshot: pin, walk its tree, move what is not known ([`batch`]), commit,
//!     carry over what was said about it ([`standing`])
//! ```
//!
//! Stopped at any point, the next run goes on: what was uploaded counts, the journal names it,
//! and a snapshot with the same origin is not copied again.

mod batch;
mod long;
mod mapping;
mod pair;
mod plan;
mod standing;

use std::sync::Mutex;

use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use crate::cancel::Cancel;
use crate::format::records::{Manifest, Origin, SessionKind};
use crate::id::SnapshotId;
use crate::reader::{ContentReader, ReadBuffer};
use crate::repo::Repository;
use crate::repo::session::Session;
use crate::repo::snapshots::Snapshot;
use crate::store::Store;
use crate::tree::builder::TreeBuilder;
use crate::tree::cursor::Cursor;
use crate::tree::{Content, Root};
use batch::{Batch, Line};
use mapping::{Journal, Mapping};
use pair::Half;
pub use plan::{CopyPlan, PlannedCopy};

pub struct CopyOptions<'c> {
    pub workers: usize,
    /// Chunks, and small files, whose names in both repositories are kept in memory (about 100
    /// and 50 bytes each). What is beyond is read again.
    pub known_limit: usize,
    pub cancel: &'c Cancel,
    pub on_event: &'c (dyn Fn(CopyEvent) + Sync),
}

/// 4 million chunks: about 4 TB of large files, 600 MB of memory at the very most.
pub const KNOWN_LIMIT: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEvent {
    /// Two trees are compared to learn what is there.
    Pairing {
        source: SnapshotId,
        target: SnapshotId,
    },
    Begins {
        source: SnapshotId,
        entries: u64,
        bytes: u64,
    },
    /// A chunk was read from the source and is in the target.
    Read {
        bytes: u64,
    },
    /// Entries that are in the new tree.
    Entries {
        count: u64,
    },
    Copied {
        source: SnapshotId,
        target: SnapshotId,
    },
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct CopyReport {
    /// Source and target.
    pub copied: Vec<(SnapshotId, SnapshotId)>,
    pub skipped: Vec<(SnapshotId, SnapshotId)>,
    /// Snapshots that could not be copied whole, and so were not, with the cause.
    pub failed: Vec<(SnapshotId, String)>,
    /// Snapshots that somebody deleted since the plan was made.
    pub gone: Vec<SnapshotId>,
    /// Compressed bytes that were new to the target.
    pub stored_bytes: u64,
    /// False if it was stopped.
    pub complete: bool,
}

impl Repository {
    /// Copies what the plan names into `target`. Errors of single snapshots are in the report;
    /// an error means that nothing more could be done.
    pub fn copy_to(
        &self,
        target: &Repository,
        plan: &CopyPlan,
        options: &CopyOptions<'_>,
    ) -> Result<CopyReport> {
        target.allow_write()?;
        target.close_abandoned()?;
        let mut mapping = Mapping::new(options.known_limit);
        let journal = open_journal(self, target, &mut mapping);
        let mut copier = Copier {
            source: self,
            target,
            reader: self.reader()?,
            mapping: Mutex::new(mapping),
            journal: Mutex::new(journal),
            options,
            sources: self.snapshots()?.snapshots,
            copies: target.snapshots()?.snapshots,
            paired: Vec::new(),
            report: CopyReport { complete: true, ..CopyReport::default() },
        };
        for planned in &plan.snapshots {
            match copier.one(planned) {
                Ok(()) => {}
                Err(error) if error.is(ErrorKind::Canceled) => {
                    copier.report.complete = false;
                    return Ok(copier.report);
                }
                Err(error) if error.is(ErrorKind::NotFound) && !self.has(planned.source)? => {
                    copier.report.gone.push(planned.source);
                }
                Err(error) if error.is(ErrorKind::Corrupt) || error.is(ErrorKind::NotFound) => {
                    copier.report.failed.push((planned.source, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        let journal = copier.journal.into_inner().expect("no panic while held");
        if copier.report.failed.is_empty() {
            journal.into_iter().for_each(Journal::remove);
        }
        Ok(copier.report)
    }

    fn has(&self, id: SnapshotId) -> Result<bool> {
        Ok(self.snapshots()?.snapshots.iter().any(|snapshot| snapshot.id == id))
    }
}

/// Without a cache, or if it cannot be written, an interrupted copy reads more again.
fn open_journal(
    source: &Repository,
    target: &Repository,
    mapping: &mut Mapping,
) -> Option<Journal> {
    let path = target.cache.dir()?.join(format!("copy-{}.journal", source.id()));
    match Journal::open(&path, target.keys.journal_key(source.id()), mapping) {
        Ok(journal) => Some(journal),
        Err(error) => {
            tracing::warn!(%error, "no journal: an interrupted copy will read more again");
            None
        }
    }
}

struct Copier<'c> {
    source: &'c Repository,
    target: &'c Repository,
    reader: ContentReader<'c>,
    mapping: Mutex<Mapping>,
    journal: Mutex<Option<Journal>>,
    options: &'c CopyOptions<'c>,
    sources: Vec<Snapshot>,
    /// Snapshots of the target, also those made by this run.
    copies: Vec<Snapshot>,
    /// Sources of which the mapping knows everything.
    paired: Vec<SnapshotId>,
    report: CopyReport,
}

impl Copier<'_> {
    fn one(&mut self, planned: &PlannedCopy) -> Result<()> {
        self.options.cancel.check()?;
        let gone = || Error::not_found(format!("snapshot {} is gone", planned.source.short()));
        let snapshot = self.sources.iter().find(|s| s.id == planned.source).ok_or_else(gone)?;
        let snapshot = snapshot.clone();
        let by = format!("copy of {}/{}", self.source.id(), snapshot.id);
        let copies = plan::copies(self.source, &self.copies);
        if let Some(copy) = copies.get(&snapshot.id) {
            // An earlier run may have been stopped between the commit and the annotations.
            let (target, standing) = (self.target, &snapshot.standing);
            standing::carry_over(target, copy.id, &copy.manifest, standing, &by)?;
            self.report.skipped.push((snapshot.id, copy.id));
            return Ok(());
        }
        if let Some(original) = planned.present {
            self.report.skipped.push((snapshot.id, original));
            return Ok(());
        }
        let pin = self.source.pin(snapshot.id)?;
        let copied = self.copy(&snapshot, &pin);
        let closed = pin.close();
        let (id, manifest) = copied?;
        closed?;
        standing::carry_over(self.target, id, &manifest, &snapshot.standing, &by)?;
        (self.options.on_event)(CopyEvent::Copied { source: snapshot.id, target: id });
        self.report.copied.push((snapshot.id, id));
        self.paired.push(snapshot.id);
        let standing = self.target.standing(id, &manifest)?;
        self.copies.push(Snapshot { id, manifest, standing });
        Ok(())
    }

    /// The snapshot that was copied before and is most like this one; learned from.
    fn base(&mut self, wanted: &Snapshot) -> Result<Option<SnapshotId>> {
        let copies = plan::copies(self.source, &self.copies);
        let candidates = self.sources.iter().filter(|s| copies.contains_key(&s.id));
        let Some(base) = plan::nearest(wanted, candidates) else { return Ok(None) };
        let copy = copies[&base.id];
        let (source, target) = (base.id, copy.id);
        if !self.paired.contains(&source) {
            (self.options.on_event)(CopyEvent::Pairing { source, target });
            let reader = self.target.reader()?;
            let left = Half { reader: &self.reader, root: Root::of(&base.manifest) };
            let right = Half { reader: &reader, root: Root::of(&copy.manifest) };
            match pair::learn(&left, &right, &self.mapping, self.options.cancel) {
                // Damage there costs reading again.
                Err(error) if !error.is(ErrorKind::Corrupt) => return Err(error),
                Err(error) => tracing::warn!(%error, "learning from an earlier copy"),
                Ok(()) => {}
            }
            self.paired.push(source);
        }
        Ok(Some(target))
    }

    fn copy(&mut self, snapshot: &Snapshot, pin: &Session<'_>) -> Result<(SnapshotId, Manifest)> {
        let base = self.base(snapshot)?;
        let target = self.target;
        let store = match target.begin_writing(SessionKind::Snapshot, base) {
            // The base was deleted meanwhile: it only was to help.
            Err(error) if error.is(ErrorKind::NotFound) && base.is_some() => {
                target.begin_writing(SessionKind::Snapshot, None)?
            }
            store => store?,
        };
        let root = match self.build(snapshot, &store, pin) {
            Ok(root) => root,
            Err(error) => {
                // What was uploaded counts for the next run.
                if let Err(second) = store.abandon() {
                    tracing::warn!(error = %second, "closing an interrupted copy");
                }
                return Err(error);
            }
        };
        let copies = plan::copies(self.source, &self.copies);
        let manifest = Manifest {
            root: root.id,
            level: root.level,
            entries: root.entries,
            bytes: root.bytes,
            problems: root.problems,
            parent: snapshot.manifest.parent.and_then(|id| copies.get(&id).map(|copy| copy.id)),
            origin: Some(Origin { repository: self.source.id(), snapshot: snapshot.id }),
            ..snapshot.manifest.clone()
        };
        let stored = &store.stats.stored_bytes;
        self.report.stored_bytes += stored.load(std::sync::atomic::Ordering::Relaxed);
        let id = store.commit(manifest.clone())?;
        Ok((id, manifest))
    }

    fn build(&self, snapshot: &Snapshot, store: &Store<'_>, pin: &Session<'_>) -> Result<Root> {
        let manifest = &snapshot.manifest;
        let (entries, bytes) = (manifest.entries, manifest.bytes);
        let event = self.options.on_event;
        event(CopyEvent::Begins { source: snapshot.id, entries, bytes });
        let line = Line {
            reader: &self.reader,
            store,
            mapping: &self.mapping,
            journal: &self.journal,
            options: self.options,
        };
        let mut cursor = Cursor::new(&self.reader, Root::of(manifest))?;
        let mut builder = TreeBuilder::new(store)?;
        let mut buffer = ReadBuffer::new()?;
        let mut batch = Batch::default();
        while let Some(mut entry) = cursor.next_entry()? {
            if let Content::References { depth: depth @ 1.., list } = &mut entry.content {
                event(CopyEvent::Entries { count: batch.finish(&line, &mut builder)? });
                let (depth, list) = (*depth, std::mem::take(list));
                builder.push(long::carry(&line, &mut buffer, depth, list, entry)?)?;
                event(CopyEvent::Entries { count: 1 });
                continue;
            }
            batch.add(&line, entry)?;
            if batch.is_full() {
                self.options.cancel.check()?;
                pin.beat()?;
                store.beat()?;
                event(CopyEvent::Entries { count: batch.finish(&line, &mut builder)? });
            }
        }
        event(CopyEvent::Entries { count: batch.finish(&line, &mut builder)? });
        let root = builder.finish()?;
        let same = (root.entries, root.bytes, root.problems)
            == (manifest.entries, manifest.bytes, manifest.problems);
        if same {
            Ok(root)
        } else {
            Err(Error::internal("the copied tree does not hold what its source holds"))
        }
    }
}
