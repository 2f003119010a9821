//! What verify advises mends what it found: every kind of object, damaged and removed.

use std::collections::{BTreeSet, HashSet};

use tintype_engine::backend::Backend as _;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::names;
use tintype_engine::gc::GcOptions;
use tintype_engine::index::PackId;
use tintype_engine::repair::RepairScope;
use tintype_engine::verify::{Depth, Finding, Remedy, Severity, VerifyOptions};

use super::damage::{World, world_of};
use super::*;

/// A repair, a snapshot, a rewriting; after what it brings to light, another round.
const MOST_ROUNDS: usize = 4;

pub(super) fn damage(repository: &Repository) -> Vec<Finding> {
    let (verified, cancel) = (HashSet::new(), Cancel::default());
    let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
    let plan = repository.plan_verify(Depth::All, &verified).unwrap();
    let found = repository.verify(&plan, &options).unwrap().findings;
    found.into_iter().filter(|finding| finding.severity == Severity::Damage).collect()
}

fn follow(repository: &Repository, remedy: Remedy, findings: &[Finding], world: &World) {
    let advised = || findings.iter().filter(|finding| finding.remedies.contains(&remedy));
    let id = |finding: &Finding, prefix| names::parse_id(&finding.object, prefix).unwrap();
    let gc = |options: GcOptions| {
        let options = GcOptions { fence_after: std::time::Duration::ZERO, ..options };
        repository.gc(&options).unwrap();
    };
    match remedy {
        Remedy::RepairIndex => {
            let packs = findings.iter().filter_map(|f| PackId::parse(&f.object)).collect();
            let scope = RepairScope::Suspects(packs);
            repository.repair_index(&scope, 2, &Cancel::default()).unwrap();
        }
        Remedy::SnapshotAgain => {
            for (_, files) in &world.all {
                snapshot(repository, files);
            }
        }
        Remedy::AcceptLostChanges => advised().for_each(|finding| {
            repository.accept_lost_changes(id(finding, "annotation/"), "test").unwrap();
        }),
        Remedy::GiveUp => {
            let give_up = advised().map(|finding| id(finding, "fate/")).collect();
            gc(GcOptions { give_up, despite_holds: true, ..GcOptions::default() });
        }
        Remedy::RewriteDamaged => {
            gc(GcOptions { rewrite_damaged: true, ..GcOptions::default() });
        }
        Remedy::ReplaceKey => advised().for_each(|finding| {
            repository.remove_key(id(finding, "keys/")).unwrap();
        }),
        Remedy::Gc => gc(GcOptions::default()),
    }
}

/// Gives what was advised first.
fn is_mended(world: &World, left: &MemoryBackend, case: &str) -> Vec<Remedy> {
    let (env, _) = manual(77);
    let backend = Arc::new(left.clone());
    let repository = Repository::open(backend, &secret(), options(&env)).unwrap();
    let mut first = None;
    let mut given_up = HashSet::new();
    for _ in 0..MOST_ROUNDS {
        let found = damage(&repository);
        let mut advised: Vec<Remedy> = found.iter().flat_map(|f| f.remedies.clone()).collect();
        advised.sort_unstable();
        advised.dedup();
        first.get_or_insert_with(|| advised.clone());
        if found.is_empty() {
            let kept = world.all.iter().filter(|(id, _)| !given_up.contains(id));
            for (id, files) in kept {
                let Some((_, root)) = roots(&repository).into_iter().find(|(other, _)| other == id)
                else {
                    // Of the newest nobody else knows yet.
                    assert!(case.starts_with("fate/") && case.ends_with("gone"), "{case}: {id}");
                    continue;
                };
                let (read, unreadable) = read_all(&repository, root).unwrap();
                assert!(unreadable.is_empty() && read == *files, "{case}: {id} is whole again");
            }
            return first.unwrap_or_default();
        }
        let lost = found.iter().filter(|finding| finding.remedies.contains(&Remedy::GiveUp));
        given_up.extend(lost.filter_map(|finding| names::parse_id(&finding.object, "fate/")));
        assert!(!advised.is_empty(), "{case}: {found:#?}");
        // One after the other: what is behind may depend on what was before.
        for remedy in advised {
            follow(&repository, remedy, &found, world);
        }
    }
    panic!("{case}: {:#?}", damage(&repository));
}

#[test]
fn what_is_advised_mends_what_was_found() {
    let world = world_of(0);
    let mut unseen = BTreeSet::new();
    for (kind, names) in world.kinds() {
        // Keys are in nobody else's hands, and nothing is told of empty objects that are gone.
        if ["keys", "beat"].contains(&&kind[..]) {
            continue;
        }
        for name in names {
            let good = world.memory.get(&name, u64::MAX).unwrap();
            let mut flipped = good.clone();
            flipped[good.len() / 2] ^= 1;
            let mut at_end = good.clone();
            at_end[good.len() - 1] ^= 1;
            for (how, bytes) in [("flipped", Some(flipped)), ("end", Some(at_end)), ("gone", None)]
            {
                let left = world.memory.copy();
                match bytes {
                    Some(bytes) => left.overwrite(&name, bytes),
                    None => left.delete(&name).unwrap(),
                }
                let advised = is_mended(&world, &left, &format!("{name}: {how}"));
                let wanted: &[Remedy] = match &kind[..] {
                    "annotation" => &[Remedy::AcceptLostChanges, Remedy::Gc],
                    "fate" => &[Remedy::GiveUp, Remedy::Gc, Remedy::RepairIndex],
                    "condemned" => &[Remedy::Gc],
                    "session" => &[Remedy::RepairIndex, Remedy::Gc],
                    "data" | "meta" => {
                        &[Remedy::RepairIndex, Remedy::SnapshotAgain, Remedy::RewriteDamaged]
                    }
                    _ => &[Remedy::RepairIndex],
                };
                if advised.is_empty() {
                    assert_eq!(how, "gone", "{name}");
                    unseen.insert(kind.clone());
                }
                let is_wanted = |remedy| wanted.contains(remedy);
                assert!(advised.iter().all(is_wanted), "{name}, {how}: {advised:?}");
            }
        }
    }
    // Nobody needs these, or knows of them: a condemned list of the past, what was put since the
    // newest gc record, and the list that this record makes again.
    let unseen: Vec<&str> = unseen.iter().map(String::as_str).collect();
    assert_eq!(unseen, ["annotation", "condemned", "fate", "retired"]);
}
