//! Is everything there, and is it what was written? First a plan, which costs a listing, then
//! its execution, which goes on after everything it finds:
//!
//! ```text
//! small objects, each under its own name   (objects)
//!   → do they fit together                 (protocol)
//!   → index segments                       (segments)
//!   → ends of all packs; whole packs       (packs)
//!   → pages and what entries refer to      (trees)
//! ```
//!
//! Packs come before trees, so that one pass over the trees tells which paths of which
//! snapshots every damage touches.

mod objects;
mod packs;
mod protocol;
mod remedy;
mod report;
mod segments;
mod trees;

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use tintype_model::{ErrorKind, Result};

use crate::backend::{Listed, list_all};
use crate::cancel::Cancel;
use crate::crypto::slot::Secret;
use crate::format::records::Operation;
use crate::index::PackId;
use crate::reader::ContentReader;
use crate::repo::Repository;
use objects::{Inventory, Name};
use packs::{Checker, PackDamage};
pub use remedy::Remedy;
use remedy::{Known, remedies};
use report::Findings;
pub use report::{Affected, Finding, Problem, Severity, VerifyReport};
use segments::Segments;
use trees::TreeCounts;

/// How much content is read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Everything but content; of packs only their ends, and the pages in them.
    Metadata,
    /// And this share of the packs, whole: the same packs for the same seed.
    Sample { percent: f64, seed: u64 },
    /// And all packs, whole: every byte of the repository.
    All,
}

pub struct VerifyOptions<'v> {
    pub depth: Depth,
    /// Packs that an interrupted verification has read already, as it told by
    /// [`VerifyEvent::PackVerified`].
    pub verified: &'v HashSet<PackId>,
    /// If given, key slots are tried with it.
    pub secret: Option<&'v Secret>,
    pub workers: usize,
    /// For pieces of packs that are read at the same time; a piece is a few MiB.
    pub memory_bytes: u64,
    pub cancel: &'v Cancel,
    pub on_event: &'v (dyn Fn(VerifyEvent) + Sync),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Objects,
    Index,
    /// Ends of packs; counted in packs.
    Packs,
    /// Whole packs; counted in packs and bytes.
    Reading,
    /// Counted in entries; shared pages are read once, so it may end early.
    Trees,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyEvent {
    /// A stage begins, with what it will do if that is known.
    Stage {
        stage: Stage,
        count: u64,
        bytes: u64,
    },
    Done {
        count: u64,
        bytes: u64,
    },
    /// A pack was read whole and is good: a later run may skip it.
    PackVerified(PackId),
}

/// What a verification will look at.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyPlan {
    pub depth: Depth,
    pub objects: u64,
    pub packs: u64,
    /// Packs that will be read whole, without those that were verified before.
    pub whole_packs: u64,
    pub whole_bytes: u64,
    #[serde(skip)]
    listed: Vec<Listed>,
    #[serde(skip)]
    chosen: BTreeSet<PackId>,
}

impl Repository {
    /// Decides what to read; costs one listing.
    pub fn plan_verify(&self, depth: Depth, verified: &HashSet<PackId>) -> Result<VerifyPlan> {
        self.config.features.allow(Operation::Check)?;
        let listed = list_all(&*self.backend, "")?;
        let packs: Vec<(PackId, u64)> = listed
            .iter()
            .filter_map(|l| match Name::of(&l.name) {
                Name::Pack(pack) => Some((pack, l.size_bytes)),
                _ => None,
            })
            .collect();
        let chosen = choose(depth, &packs);
        let whole = packs.iter().filter(|(p, _)| chosen.contains(p) && !verified.contains(p));
        Ok(VerifyPlan {
            depth,
            objects: listed.len() as u64,
            packs: packs.len() as u64,
            whole_packs: whole.clone().count() as u64,
            whole_bytes: whole.map(|(_, size)| size).sum(),
            listed,
            chosen,
        })
    }

    /// Looks at everything that the plan names. An error means that the store itself failed;
    /// what is wrong with the repository is in the report, also after a request to stop.
    pub fn verify(&self, plan: &VerifyPlan, options: &VerifyOptions<'_>) -> Result<VerifyReport> {
        let (started, clock) = (self.env.clock.now(), self.env.clock.elapsed());
        let mut report = VerifyReport {
            repository: self.config.id,
            started,
            seconds: 0.0,
            complete: true,
            objects: plan.objects,
            snapshots: 0,
            pages: 0,
            entries: 0,
            packs: plan.packs,
            packs_read: 0,
            bytes_read: 0,
            packs_skipped: 0,
            gc_meanwhile: false,
            findings: Vec::new(),
            blind_spots: report::BLIND_SPOTS.to_vec(),
        };
        let (mut findings, mut known) = (Findings::default(), Known::default());
        let newest = newest_gc(&plan.listed);
        match self.verify_all(plan, options, &mut known, &mut findings, &mut report) {
            Ok(()) => {}
            Err(error) if error.is(ErrorKind::Canceled) => report.complete = false,
            Err(error) => return Err(error),
        }
        if newest_gc(&list_all(&*self.backend, "gc/")?) > newest {
            report.gc_meanwhile = true;
            findings.drop_missing();
        }
        report.findings = findings.finish();
        for finding in &mut report.findings {
            finding.remedies = remedies(finding, &known);
        }
        report.seconds = self.env.clock.elapsed().saturating_sub(clock).as_secs_f64();
        Ok(report)
    }

    fn verify_all(
        &self,
        plan: &VerifyPlan,
        options: &VerifyOptions<'_>,
        known: &mut Known,
        findings: &mut Findings,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let stage = |stage, count| {
            (options.on_event)(VerifyEvent::Stage { stage, count, bytes: 0 });
        };
        stage(Stage::Objects, plan.objects);
        let inventory = Inventory::read(self, &plan.listed, options, findings)?;
        inventory.check_protocol(self, findings);
        known.note_objects(self, &inventory);
        if let Some(secret) = options.secret {
            self.check_secret(secret, findings)?;
        }
        stage(Stage::Index, 0);
        let segments = Segments::read(self, &inventory, &plan.listed, options, findings)?;
        known.note_segments(self, &inventory, &segments);
        let checker =
            Checker { repository: self, inventory: &inventory, segments: &segments, options };
        let damage: PackDamage = checker.check(&plan.chosen, findings)?;
        known.note_packs(&damage);
        report.packs_read = damage.packs_read;
        report.bytes_read = damage.bytes_read;
        report.packs_skipped = damage.packs_skipped;
        let snapshots = inventory.snapshots(self);
        report.snapshots = snapshots.len() as u64;
        let reader = ContentReader::fixed(self, segments.index.clone());
        let counts: TreeCounts = trees::check(&reader, &snapshots, &damage, options, findings)?;
        report.pages = counts.pages;
        report.entries = counts.entries;
        Ok(())
    }

    /// The secret with which the repository was opened must open a slot.
    fn check_secret(&self, secret: &Secret, findings: &mut Findings) -> Result<()> {
        match self.slot_of(secret) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let found = "no slot opens: one of them is damaged or was removed";
                let (severity, problem) = (Severity::Damage, Problem::Unreadable);
                findings.add(severity, problem, "keys/…", "a slot for the secret given", found);
            }
            Err(error) => {
                findings.unreadable("keys/…", "a slot for the secret given", &error)?;
            }
        }
        Ok(())
    }
}

fn newest_gc(listed: &[Listed]) -> Option<u32> {
    let number = |l: &Listed| match Name::of(&l.name) {
        Name::Gc(seq) => Some(seq),
        _ => None,
    };
    listed.iter().filter_map(number).max()
}

/// The packs of a sample are those with the smallest hashes of seed and name.
fn choose(depth: Depth, packs: &[(PackId, u64)]) -> BTreeSet<PackId> {
    let (percent, seed) = match depth {
        Depth::Metadata => return BTreeSet::new(),
        Depth::All => return packs.iter().map(|(pack, _)| *pack).collect(),
        Depth::Sample { percent, seed } => (percent.clamp(0.0, 100.0), seed),
    };
    let mut hashed: Vec<(blake3::Hash, PackId)> = packs
        .iter()
        .map(|(pack, _)| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&seed.to_le_bytes()).update(pack.object_name().as_bytes());
            (hasher.finalize(), *pack)
        })
        .collect();
    hashed.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    let count = (packs.len() as f64 * percent / 100.0).ceil() as usize;
    hashed.into_iter().take(count).map(|(_, pack)| pack).collect()
}

impl VerifyOptions<'_> {
    /// A verification that is not watched, not resumed and cannot be stopped.
    pub fn quiet<'v>(
        depth: Depth,
        verified: &'v HashSet<PackId>,
        cancel: &'v Cancel,
    ) -> VerifyOptions<'v> {
        VerifyOptions {
            depth,
            verified,
            secret: None,
            workers: 2,
            memory_bytes: 256 << 20,
            cancel,
            on_event: &|_| {},
        }
    }
}
