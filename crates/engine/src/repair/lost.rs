//! Taking out of the index what is lost, and into it what living snapshots need and nobody names:
//! by a new gc record that deletes no pack (format.md §11.7).
//!
//! A writer believes the index, so content of a pack that is gone would never be stored again,
//! and every later snapshot of it would be as unreadable as the first. As soon as no record names
//! it, the next writer who has it stores it, and all snapshots that need it are whole again.
//!
//! Safe beside writers and gcs:
//! 1. It is a gc whose candidates are none: it finishes the newest record n first and commits
//!    n + 1, so of it and every gc that began at n one is void.
//! 2. Fates are read before packs are listed: what an absorbed fate names is listed, or lost.
//!    Whoever is undecided keeps its segments, and its fate counts beside the new record.
//! 3. Every pack that is there is named, also of a session that is undecided: its fate may be
//!    what was lost. If it is a writer that fails, a gc finds its packs in the index and unused.

use std::collections::{BTreeMap, HashSet};

use tintype_model::{Error, ErrorKind, Result};

use super::record::Known;
use super::{RepairReport, RepairScope};
use crate::cancel::Cancel;
use crate::format::records::{GcRecord, SessionKind, names};
use crate::id::RandomId;
use crate::index::segment::PackRow;
use crate::index::{Index, PackId};
use crate::pack::ends::Ends;
use crate::repo::Repository;
use crate::repo::session::Session;
use crate::repo::snapshots::merge;
use crate::repo::state::State;

/// How the index in force and what is stored differ.
struct Loss {
    /// Named and not there.
    gone: Vec<PackId>,
    /// There with another length than the index says.
    changed: HashSet<PackId>,
    /// A living snapshot needs something that is in no segment, and there are packs which no
    /// segment names.
    withheld: bool,
    index: Index,
}

impl Repository {
    /// Commits a new index where the one in force names what is lost, or lacks what is there.
    pub(super) fn mend_loss(
        &self,
        scope: &RepairScope,
        workers: usize,
        cancel: &Cancel,
        report: &mut RepairReport,
    ) -> Result<()> {
        let loss = self.find_loss(cancel)?;
        let mut suspects: HashSet<PackId> =
            scope.suspects().union(&loss.changed).copied().collect();
        if loss.gone.is_empty() && suspects.is_empty() && !loss.withheld {
            return Ok(());
        }
        // Their trailers name what an earlier repair left out.
        let ends = Ends::of_all(self, &loss.index, &self.stored_packs()?, cancel)?;
        suspects.extend(ends.iter().filter(|(_, ends)| **ends == Ends::Differ).map(|(id, _)| *id));
        let newest = self.newest_record()?;
        self.finish_deletions(&newest)?;
        let session = self.put_session(SessionKind::Gc, Vec::new(), newest.seq)?;
        let id = session.id;
        let done = self.reindex(&session, newest.seq, &suspects, workers, cancel);
        let _ = self.close_gc(id);
        self.cache.clear();
        let replaced = std::mem::take(&mut report.replaced);
        *report = done?;
        report.replaced.extend(replaced);
        report.lost = loss.gone.iter().map(PackId::object_name).collect();
        Ok(())
    }

    fn reindex(
        &self,
        session: &Session<'_>,
        newest: u32,
        suspects: &HashSet<PackId>,
        workers: usize,
        cancel: &Cancel,
    ) -> Result<RepairReport> {
        let annotations = self.read_annotations()?;
        let state = self.read_state()?;
        if state.newest.seq != newest {
            return Err(Error::locked("a gc ran meanwhile; run the repair again"));
        }
        let mut known = self.known_of(&state, annotations)?;
        keep_traces(&mut known, &state);
        let mut report = RepairReport::default();
        let rows: Vec<PackRow> = self
            .stored_packs()?
            .into_iter()
            .map(|(pack, size_bytes)| PackRow { pack, size_bytes })
            .collect();
        self.index_rows(session, &rows, suspects, workers, cancel, &mut report)?;
        self.put_record(session, newest + 1, known, report)
    }

    /// Packs are listed after the index was read: a pack is put before the segment that names it.
    fn find_loss(&self, cancel: &Cancel) -> Result<Loss> {
        let annotations = self.read_annotations()?;
        let (state, index) = self.read_index(HashSet::new())?;
        let mut stored = self.stored_packs()?;
        if self.newest_seq()? != state.newest.seq {
            return Err(Error::locked("a gc ran meanwhile; run the repair again"));
        }
        let mut named = BTreeMap::new();
        for segment in &index.segments {
            named.extend(segment.pack_rows()?.iter().map(|row| (row.pack, row.size_bytes)));
        }
        let (gone, changed) = (Vec::new(), HashSet::new());
        let mut loss = Loss { gone, changed, withheld: false, index };
        for (pack, size_bytes) in named {
            match stored.remove(&pack) {
                None => loss.gone.push(pack),
                Some(found) if found != size_bytes => {
                    loss.changed.insert(pack);
                }
                Some(_) => {}
            }
        }
        if loss.gone.is_empty() && !stored.is_empty() {
            let snapshots = merge(&state, annotations).snapshots;
            let now = self.env.clock.now();
            let living: Vec<_> = snapshots
                .into_iter()
                .filter(|s| !s.standing.is_dead(now))
                .map(|s| (s.id, s.manifest))
                .collect();
            loss.withheld = self.lacks_content(&loss.index, &living, cancel)?;
        }
        Ok(loss)
    }

    fn lacks_content(
        &self,
        index: &Index,
        living: &[(RandomId, crate::format::records::Manifest)],
        cancel: &Cancel,
    ) -> Result<bool> {
        match self.packs_with_last_copies(index, living, &HashSet::new(), cancel) {
            Ok(_) => Ok(false),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// What the newest record knows and nobody finds stays known: it is damage that the new record
/// must not hide.
pub(super) fn keep_traces(known: &mut Known, state: &State) {
    let GcRecord { absorbed, annotations, delete, .. } = &state.newest;
    let found: HashSet<RandomId> = known.absorbed.iter().copied().collect();
    let leaving: HashSet<&str> = delete.objects.iter().map(String::as_str).collect();
    known.absorbed.extend(absorbed.iter().filter(|id| {
        !found.contains(*id)
            && !state.retired.contains(*id)
            && !leaving.contains(&names::fate(**id)[..])
    }));
    for (id, last) in annotations.iter().filter(|(id, _)| !state.retired.contains(*id)) {
        let entry = known.annotations.entry(*id).or_default();
        *entry = (*entry).max(*last);
    }
}
