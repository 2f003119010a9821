//! What helps against what was found: for each finding the ways out that mend it, and no other.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::objects::{Inventory, Name};
use super::packs::PackDamage;
use super::report::{Finding, Problem, Severity};
use super::segments::Segments;
use crate::format::object::ObjectType;
use crate::format::records::{Annotation, Fate, FateState, names};
use crate::id::RandomId;
use crate::index::PackId;
use crate::pack::reader::PackReader;
use crate::repo::Repository;
use crate::repo::annotate::Standing;

/// In the order in which they are to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// A repair, at the depth that found it.
    RepairIndex,
    /// A snapshot that reads everything, of a source which still has what is lost.
    SnapshotAgain,
    /// Going on without changes of this snapshot.
    AcceptLostChanges,
    /// A gc that gives this snapshot up.
    GiveUp,
    /// A gc that replaces damaged packs.
    RewriteDamaged,
    /// Another key slot for the same secret.
    ReplaceKey,
    /// Any gc.
    Gc,
}

/// What the rest of the repository says about the things that were found.
#[derive(Default)]
pub(super) struct Known {
    newest_gc: Option<u32>,
    segments_in_force: HashSet<String>,
    /// Sessions with a readable fate that are not retired.
    committed: HashSet<RandomId>,
    retired: HashSet<RandomId>,
    /// Fates that cannot be read, and that the local cache has.
    kept_fates: HashSet<RandomId>,
    /// Snapshots whose lock is in force: they cannot be given up.
    locked: HashSet<RandomId>,
    /// Packs that the index in force names.
    indexed: HashSet<PackId>,
    /// Packs of writers that are not decided.
    undecided: HashSet<PackId>,
    /// Packs that lost something which the index names.
    touched: HashSet<PackId>,
    /// There are packs that no index names: what is missed may be in one.
    has_unnamed_packs: bool,
}

impl Known {
    pub(super) fn note_objects(&mut self, repository: &Repository, inventory: &Inventory) {
        let kept = repository.cache.names("fate").into_iter();
        let lost = kept.filter_map(|name| names::parse_id(&name, "fate/")).filter(|id| {
            !inventory.fates.contains_key(id)
                && repository.kept::<Fate>(ObjectType::Fate, &names::fate(*id)).is_some()
        });
        self.kept_fates = lost.collect();
        let now = repository.env.clock.now();
        let is_locked = |annotations: &BTreeMap<u32, Option<Annotation>>| {
            let mut standing = Standing::default();
            annotations.values().flatten().for_each(|annotation| standing.apply(annotation));
            standing.locked_until.is_some_and(|until| until > now)
        };
        let locked = inventory.annotations.iter().filter(|(_, found)| is_locked(found));
        self.locked = locked.map(|(id, _)| *id).collect();
        self.newest_gc = inventory.records.last_key_value().map(|(seq, _)| *seq);
        self.segments_in_force = inventory.segments_in_force().into_iter().collect();
        self.retired.clone_from(&inventory.retired);
        let committed = inventory.fates.iter().filter(|(id, fate)| {
            fate.state == FateState::Committed && !inventory.retired.contains(*id)
        });
        self.committed = committed.map(|(id, _)| *id).collect();
    }

    pub(super) fn note_segments(
        &mut self,
        repository: &Repository,
        inventory: &Inventory,
        segments: &Segments,
    ) {
        self.indexed = segments.packs.keys().copied().collect();
        self.undecided = segments.undecided.iter().copied().collect();
        // One whose header does not open gives nothing back.
        let opens = |pack: PackId| {
            let (backend, keys) = (&*repository.backend, &repository.keys);
            PackReader::open(backend, keys, repository.config.id, pack).is_ok()
        };
        self.has_unnamed_packs = inventory.sizes.keys().any(|name| match Name::of(name) {
            Name::Pack(pack) => !self.indexed.contains(&pack) && opens(pack),
            _ => false,
        });
    }

    pub(super) fn note_packs(&mut self, damage: &PackDamage) {
        let frames = damage.lost_frames.keys().map(|(pack, _)| *pack);
        self.touched = frames.chain(damage.lost_packs.keys().copied()).collect();
    }
}

/// Decides.
pub(super) fn remedies(finding: &Finding, known: &Known) -> Vec<Remedy> {
    let object = &finding.object[..];
    let name = Name::of(object);
    if let Name::Pack(pack) = name {
        return of_pack(finding, pack, known);
    }
    if finding.severity != Severity::Damage {
        return Vec::new();
    }
    let remedy = match name {
        Name::Gc(seq) if known.newest_gc > Some(seq) => Remedy::Gc,
        Name::Session(id) if !known.committed.contains(&id) => Remedy::Gc,
        Name::Segment if !known.segments_in_force.contains(object) => return Vec::new(),
        Name::Config | Name::Gc(_) | Name::Retired | Name::Session(_) | Name::Segment => {
            Remedy::RepairIndex
        }
        Name::Unknown if object.starts_with("gc/") => Remedy::RepairIndex,
        Name::Slot(_) => Remedy::ReplaceKey,
        Name::Fate(id) if known.kept_fates.contains(&id) => Remedy::RepairIndex,
        Name::Fate(id) if known.locked.contains(&id) => return Vec::new(),
        Name::Fate(_) if finding.problem != Problem::Disagrees => Remedy::GiveUp,
        Name::Annotation(id, _) if known.committed.contains(&id) => Remedy::AcceptLostChanges,
        Name::Annotation(id, _) if known.retired.contains(&id) => Remedy::Gc,
        Name::Condemned if is_left_behind(object, known) => Remedy::Gc,
        Name::Unknown if object.starts_with("chunk ") && finding.problem == Problem::Missing => {
            return match known.has_unnamed_packs {
                true => vec![Remedy::RepairIndex, Remedy::SnapshotAgain],
                false => vec![Remedy::SnapshotAgain],
            };
        }
        _ => return Vec::new(),
    };
    vec![remedy]
}

fn of_pack(finding: &Finding, pack: PackId, known: &Known) -> Vec<Remedy> {
    match (finding.severity, finding.problem) {
        (Severity::Info, Problem::Unreadable) => vec![Remedy::RewriteDamaged],
        (Severity::Damage, _) if finding.affected_count > 0 => {
            vec![Remedy::RepairIndex, Remedy::SnapshotAgain]
        }
        (Severity::Damage, _) if known.touched.contains(&pack) => vec![Remedy::RepairIndex],
        (Severity::Damage, _) if known.indexed.contains(&pack) => vec![Remedy::RewriteDamaged],
        // Nobody else needs it, unless its writer is still at work.
        (Severity::Damage, _) if !known.undecided.contains(&pack) => vec![Remedy::Gc],
        _ => Vec::new(),
    }
}

/// The next gc removes lists of lower numbers than its own.
fn is_left_behind(object: &str, known: &Known) -> bool {
    let seq = object.split('/').nth(1).and_then(|seq| seq.parse::<u32>().ok());
    seq.is_some_and(|seq| known.newest_gc >= Some(seq))
}
