//! Index segments: each is opened, those in force become the index that the rest goes by.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tintype_model::{Error, ErrorKind, Result};

use super::VerifyOptions;
use super::objects::{Inventory, Name, true_name};
use super::report::{Findings, Problem, Severity};
use crate::backend::Listed;
use crate::format::object::ObjectType;
use crate::format::records::names;
use crate::index::local::LocalSegment;
use crate::index::segment::{PackRow, Segment, SegmentBuilder};
use crate::index::{Index, PackId};
use crate::pack::ends::Tally;
use crate::repair;
use crate::repo::Repository;

/// A pack as the index in force names it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Indexed {
    pub size_bytes: u64,
    pub tally: Tally,
}

#[derive(Default)]
pub(super) struct Segments {
    pub index: Index,
    pub packs: BTreeMap<PackId, Indexed>,
    /// Packs of sessions that are not decided, as far as they published segments.
    pub undecided: BTreeSet<PackId>,
}

impl Segments {
    /// Opens every segment. What a damaged or missing one would have said is taken from the
    /// trailers of packs that no other names, so that the rest can be looked at all the same.
    pub(super) fn read(
        repository: &Repository,
        inventory: &Inventory,
        listed: &[Listed],
        options: &VerifyOptions<'_>,
        findings: &mut Findings,
    ) -> Result<Self> {
        let in_force: BTreeSet<String> = inventory.segments_in_force().into_iter().collect();
        let present = inventory.all_segments();
        let names: BTreeSet<&str> = in_force.iter().map(String::as_str).chain(present).collect();
        let mut segments = Self::default();
        let mut lost = false;
        for name in names {
            options.cancel.check()?;
            let counts = in_force.contains(name);
            match repository.fetch_segment(name) {
                Ok(segment) if counts => segments.add(repository, name, &segment)?,
                Ok(segment) => segments.note_unused(inventory, name, &segment, findings),
                Err(error) => {
                    lost |= counts;
                    report(repository, name, counts, &error, listed, findings)?;
                }
            }
        }
        if lost {
            segments.rescue(repository, inventory, options)?;
        }
        Ok(segments)
    }

    fn add(&mut self, repository: &Repository, name: &str, segment: &Segment) -> Result<()> {
        let path = repository.cache.segment_path(name);
        self.index.segments.push(Arc::new(LocalSegment::build(segment, path.as_deref())?));
        self.count(segment);
        Ok(())
    }

    fn count(&mut self, segment: &Segment) {
        for row in &segment.packs {
            self.packs.entry(row.pack).or_default().size_bytes = row.size_bytes;
        }
        let mut tallies = vec![Tally::default(); segment.packs.len()];
        for record in &segment.records {
            tallies[record.pack as usize].record(record);
        }
        for (row, tally) in segment.packs.iter().zip(tallies) {
            self.packs.entry(row.pack).or_default().tally.join(tally);
        }
    }

    /// A segment that is whole and does not count: of a session that is not decided, or a rest.
    fn note_unused(
        &mut self,
        inventory: &Inventory,
        name: &str,
        segment: &Segment,
        findings: &mut Findings,
    ) {
        let owner = names::parse_segment(name).map(|(id, _)| id);
        let is_open = owner.is_some_and(|id| {
            inventory.sessions.contains_key(&id)
                && !inventory.fates.contains_key(&id)
                && !inventory.retired.contains(&id)
        });
        if is_open {
            self.undecided.extend(segment.packs.iter().map(|row| row.pack));
        } else if !inventory.leaving().contains(name) {
            let found = "a whole segment that nobody names";
            findings.add(Severity::Info, Problem::Orphan, name, "nothing", found);
        }
    }

    fn rescue(
        &mut self,
        repository: &Repository,
        inventory: &Inventory,
        options: &VerifyOptions<'_>,
    ) -> Result<()> {
        let mut rows = Vec::new();
        for (name, size_bytes) in &inventory.sizes {
            let Name::Pack(pack) = Name::of(name) else { continue };
            if !self.packs.contains_key(&pack) && !self.undecided.contains(&pack) {
                rows.push(PackRow { pack, size_bytes: *size_bytes });
            }
        }
        let (workers, cancel) = (options.workers, options.cancel);
        repair::collect(repository, &rows, &HashSet::new(), workers, cancel, &mut |outcome| {
            if let repair::Outcome::Frames { row, placed, .. } = outcome {
                let mut builder = SegmentBuilder::default();
                builder.add(row, &placed);
                let segment = builder.take();
                self.index.segments.push(Arc::new(LocalSegment::build(&segment, None)?));
                self.count(&segment);
            }
            Ok(())
        })
    }
}

fn report(
    repository: &Repository,
    name: &str,
    counts: bool,
    error: &Error,
    listed: &[Listed],
    findings: &mut Findings,
) -> Result<()> {
    let other = if error.is(ErrorKind::Corrupt) {
        true_name(repository, name, ObjectType::IndexSegment, listed)
    } else {
        None
    };
    if let Some(other) = other {
        let (severity, problem) = (Severity::Damage, Problem::Misplaced);
        let found = format!("the object that belongs at {other}");
        findings.add(severity, problem, name, "the segment of this name", found);
        return Ok(());
    }
    let expected = if counts { "an index segment in force" } else { "an index segment" };
    findings.unreadable(name, expected, error).map(|_| ())
}
