//! The index comes back from the packs.

use std::collections::HashSet;

use tintype_engine::ErrorKind;
use tintype_engine::backend::count::Op;
use tintype_engine::backend::faults::Effect;
use tintype_engine::backend::{Backend as _, FaultyBackend};
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{Change, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::index::PackId;
use tintype_engine::repair::RepairScope;
use tintype_engine::verify::Remedy;

use super::*;

fn segments(memory: &MemoryBackend) -> Vec<String> {
    memory.names().into_iter().filter(|name| name.starts_with("index/")).collect()
}

fn two() -> (MemoryBackend, Repository, Vec<(SnapshotId, Files)>) {
    let (memory, repository, clock) = repository(7);
    let mut files = sample(300);
    let mut all = Vec::new();
    for number in 0..2 {
        clock.advance(std::time::Duration::from_mins(1));
        files.insert(b"files/own".to_vec(), File::of(noise(number, 50 * CHUNK)));
        all.push((snapshot(&repository, &files), files.clone()));
    }
    (memory, repository, all)
}

fn all_readable(repository: &Repository, all: &[(SnapshotId, Files)]) {
    for (id, files) in all {
        let (found, failed) = read_all(repository, root(repository, *id)).unwrap();
        assert!(failed.is_empty() && found == *files);
    }
}

#[test]
fn lost_and_damaged_segments_are_made_anew() {
    let (memory, repository, all) = two();
    let names = segments(&memory);
    assert_eq!(names.len(), 2);
    memory.delete(&names[0]).unwrap();
    let mut bytes = memory.get(&names[1], u64::MAX).unwrap();
    bytes[200] ^= 1;
    memory.overwrite(&names[1], bytes);
    // Reading goes on without an index; writing does not.
    all_readable(&repository, &all);
    assert!(repository.begin_writing(SessionKind::Snapshot, None).is_err());
    let report = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    assert_eq!(report.replaced.len(), 2);
    assert!(report.left_out.is_empty() && report.unreadable.is_empty());
    all_readable(&repository, &all);
    let again = snapshot(&repository, &all[1].1);
    all_readable(&repository, &[(again, all[1].1.clone())]);
}

#[test]
fn frames_are_found_where_a_trailer_is_damaged() {
    let (memory, repository, all) = two();
    for name in segments(&memory) {
        memory.delete(&name).unwrap();
    }
    let packs: Vec<String> =
        memory.names().into_iter().filter(|n| n.starts_with("data/")).collect();
    for name in &packs {
        let mut bytes = memory.get(name, u64::MAX).unwrap();
        let end = bytes.len() - 50;
        bytes[end] ^= 1;
        memory.overwrite(name, bytes);
    }
    let report = repository.repair_index(&RepairScope::All, 2, &Cancel::default()).unwrap();
    assert_eq!(report.scanned.len(), packs.len());
    all_readable(&repository, &all);
}

#[test]
fn packs_of_writers_at_work_are_left_out() {
    let (memory, repository, all) = two();
    let writer = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    memory.delete(&segments(&memory)[0]).unwrap();
    let error = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap_err();
    assert!(error.is(tintype_engine::ErrorKind::Locked), "{error}");
    writer.abandon().unwrap();
    repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    all_readable(&repository, &all);
}

fn packs(memory: &MemoryBackend, class: &str) -> Vec<String> {
    memory.names().into_iter().filter(|name| name.starts_with(class)).collect()
}

/// What is lost is stored again by the next writer who has it, and heals what was before.
#[test]
fn lost_packs_leave_the_index_and_the_next_snapshot_heals() {
    for class in ["data/", "meta/"] {
        let (memory, repository, all) = two();
        for name in packs(&memory, class) {
            memory.delete(&name).unwrap();
        }
        let report = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
        assert!(!report.lost.is_empty() && report.record.is_some(), "{report:?}");
        // Gc deletes nothing while living snapshots need what is lost.
        assert!(repository.gc(&GcOptions::default()).is_err());
        for (_, files) in &all {
            snapshot(&repository, files);
        }
        all_readable(&repository, &all);
        repository.gc(&GcOptions::default()).unwrap();
        all_readable(&repository, &all);
        let again = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
        assert_eq!(again.record, None);
    }
}

#[test]
fn damaged_frames_leave_the_index_and_the_next_snapshot_heals() {
    let (memory, repository, all) = two();
    let names = packs(&memory, "data/");
    for name in &names {
        let mut bytes = memory.get(name, u64::MAX).unwrap();
        bytes[3000] ^= 1;
        memory.overwrite(name, bytes);
    }
    let suspects = names.iter().filter_map(|name| PackId::parse(name)).collect();
    let scope = RepairScope::Suspects(suspects);
    repository.repair_index(&scope, 2, &Cancel::default()).unwrap();
    for (_, files) in &all {
        snapshot(&repository, files);
    }
    all_readable(&repository, &all);
}

/// Records of a pack that is gone must not outlive the snapshots that needed it.
#[test]
fn gc_forgets_lost_packs_that_nothing_needs() {
    let (memory, repository, all) = two();
    for name in packs(&memory, "data/") {
        memory.delete(&name).unwrap();
    }
    for (id, _) in &all {
        let listed = repository.snapshots().unwrap().snapshots;
        let found = listed.iter().find(|s| s.id == *id).unwrap();
        let change = Change::Deleted("test".into());
        repository.annotate(*id, &found.manifest, "test", change).unwrap();
    }
    repository.gc(&GcOptions::default()).unwrap();
    let again = snapshot(&repository, &all[1].1);
    all_readable(&repository, &[(again, all[1].1.clone())]);
}

/// A later snapshot refers to what an earlier one stored; its fate is gone, its packs are not.
#[test]
fn packs_of_a_lost_fate_that_others_need_are_named_again() {
    let (memory, repository, all) = two();
    let lost = memory.get(&names::fate(all[0].0), u64::MAX).unwrap();
    memory.delete(&names::fate(all[0].0)).unwrap();
    let later = &all[1..];
    let (found, failed) = read_all(&repository, root(&repository, all[1].0)).unwrap_or_default();
    assert!(!failed.is_empty() || found != all[1].1, "the first snapshot is not needed");
    let report = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    assert!(report.record.is_some() && report.left_out.is_empty(), "{report:?}");
    all_readable(&repository, later);
    // Its fate may come back later.
    memory.put(&names::fate(all[0].0), &lost).unwrap();
    all_readable(&repository, &all);
    repository.gc(&GcOptions::default()).unwrap();
    all_readable(&repository, &all);
}

/// Its segment is all that shows that there was a snapshot: a repair must leave it.
#[test]
fn a_repair_does_not_bury_a_lost_snapshot() {
    for with_record in [true, false] {
        let (memory, repository, all) = two();
        let lost = [names::fate(all[0].0), names::session(all[0].0)];
        let kept = lost.clone().map(|name| memory.get(&name, u64::MAX).unwrap());
        lost.iter().for_each(|name| memory.delete(name).unwrap());
        if !with_record {
            memory.delete(&names::gc(0)).unwrap();
        }
        let names = packs(&memory, "data/");
        let scope = RepairScope::Suspects(names.iter().filter_map(|n| PackId::parse(n)).collect());
        let report = repository.repair_index(&scope, 2, &Cancel::default()).unwrap();
        assert!(report.record.is_some(), "{report:?}");
        all_readable(&repository, &all[1..]);
        let refused = repository.gc(&GcOptions::default()).unwrap_err();
        assert!(refused.to_string().contains(&lost[0]), "{refused}");
        lost.iter().zip(&kept).for_each(|(name, object)| memory.put(name, object).unwrap());
        all_readable(&repository, &all);
        repository.gc(&GcOptions::default()).unwrap();
        all_readable(&repository, &all);
    }
}

/// Their children still name them, and nothing but the list said that they were retired.
#[test]
fn a_lost_retired_list_does_not_make_pruned_parents_missed() {
    for is_gone in [true, false] {
        let (memory, repository, _) = repository(7);
        let files = sample(20);
        let mut all: Vec<SnapshotId> = Vec::new();
        for parent in [None, Some(0), Some(1), Some(0)] {
            let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
            let root = build(&store, &files).unwrap();
            let parent = parent.map(|number: usize| all[number]);
            all.push(store.commit(Manifest { parent, ..manifest(&repository, &root) }).unwrap());
        }
        let listed = repository.snapshots().unwrap().snapshots;
        let found = listed.iter().find(|s| s.id == all[1]).unwrap();
        let change = Change::Deleted("test".into());
        repository.annotate(all[1], &found.manifest, "test", change).unwrap();
        // The second one names the list of the first.
        repository.gc(&GcOptions::default()).unwrap();
        repository.gc(&GcOptions::default()).unwrap();
        for name in packs(&memory, "retired/") {
            match is_gone {
                true => memory.delete(&name).unwrap(),
                false => memory.overwrite(&name, vec![0; 100]),
            }
        }
        let lost = [names::fate(all[0]), names::session(all[0])];
        let kept = lost.clone().map(|name| memory.get(&name, u64::MAX).unwrap());
        lost.iter().for_each(|name| memory.delete(name).unwrap());
        repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
        // Not so one that the newest record saw and that was not retired.
        assert_eq!(repository.snapshots().unwrap().unknown, [&lost[0][..]]);
        lost.iter().zip(&kept).for_each(|(name, object)| memory.put(name, object).unwrap());
        for _ in 0..2 {
            assert_eq!(repository.snapshots().unwrap().unknown, [""; 0]);
            repository.gc(&GcOptions::default()).unwrap();
        }
        all_readable(&repository, &[0, 2, 3].map(|number| (all[number], files.clone())));
    }
}

/// The cache has what was stored, and is authenticated like it.
#[test]
fn fates_and_retired_lists_come_back_from_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, first, all) = two();
    let gone = snapshot(&first, &sample(10));
    let listed = first.snapshots().unwrap().snapshots;
    let found = listed.iter().find(|s| s.id == gone).unwrap();
    first.annotate(gone, &found.manifest, "test", Change::Deleted("test".into())).unwrap();
    for _ in 0..2 {
        first.gc(&GcOptions::default()).unwrap();
    }
    let fate = names::fate(all[0].0);
    let list = packs(&memory, "retired/").remove(0);
    let seed = std::cell::Cell::new(9);
    let open = |left: &MemoryBackend, cache_root| {
        seed.set(seed.get() + 1);
        let (env, _) = manual(seed.get());
        let options = OpenOptions { cache_root, ..options(&env) };
        Repository::open(Arc::new(left.clone()), &secret(), options).unwrap()
    };
    for name in [fate.clone(), list.clone()] {
        for is_gone in [true, false] {
            let left = memory.copy();
            let good = left.get(&name, u64::MAX).unwrap();
            let cached = open(&left, Some(dir.path().into()));
            cached.snapshots().unwrap();
            match is_gone {
                true => left.delete(&name).unwrap(),
                false => left.overwrite(&name, vec![0; 200]),
            }
            let advised = |repository: &Repository| {
                let found = super::remedies::damage(repository);
                assert_eq!(found.len(), 1, "{found:#?}");
                assert_eq!(found[0].object, name);
                found[0].remedies.clone()
            };
            let without = if name == fate { Remedy::GiveUp } else { Remedy::RepairIndex };
            assert_eq!(advised(&open(&left, None)), [without]);
            assert_eq!(advised(&cached), [Remedy::RepairIndex]);
            let repair = |repository: &Repository| {
                repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap()
            };
            let report = repair(&cached);
            assert_eq!((report.restored, report.record), (vec![name.clone()], None));
            assert!(left.get(&name, u64::MAX).unwrap() == good);
            assert!(super::remedies::damage(&open(&left, None)).is_empty());
            assert!(repair(&open(&left, None)).restored.is_empty());
            cached.gc(&GcOptions::default()).unwrap();
            all_readable(&open(&left, None), &all);
        }
    }
}

/// Another machine's gc removed it; this one only reads.
#[test]
fn the_cache_forgets_what_was_retired() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, first, all) = two();
    let (env, _) = manual(9);
    let with_cache = OpenOptions { cache_root: Some(dir.path().into()), ..options(&env) };
    let reader = Repository::open(Arc::new(memory.clone()), &secret(), with_cache).unwrap();
    let kept = || {
        reader.snapshots().unwrap();
        let cache = dir.path().join(first.id().to_string()).join("fate");
        std::fs::read_dir(cache).unwrap().count()
    };
    assert_eq!(kept(), 2);
    let listed = first.snapshots().unwrap().snapshots;
    let found = listed.iter().find(|s| s.id == all[0].0).unwrap();
    first.annotate(all[0].0, &found.manifest, "test", Change::Deleted("test".into())).unwrap();
    first.gc(&GcOptions::default()).unwrap();
    assert_eq!(kept(), 1);
    // Nobody retired this one.
    memory.delete(&names::fate(all[1].0)).unwrap();
    assert_eq!(kept(), 1);
}

/// What else was repaired is told all the same.
#[test]
fn a_session_that_may_not_be_deleted_does_not_hide_the_rest_of_a_repair() {
    let (memory, repository, all) = two();
    let clock = repository.env().clock.clone();
    let faulty = FaultyBackend::new(Arc::new(memory.clone()), clock);
    let (env, _) = manual(8);
    let locked = Repository::open(Arc::new(faulty.clone()), &secret(), options(&env)).unwrap();
    let sessions = [0, 1].map(|number: usize| names::session(all[number].0));
    let mut bytes = memory.get(&sessions[0], u64::MAX).unwrap();
    bytes[100] ^= 1;
    memory.overwrite(&sessions[0], bytes);
    // Of a newer version, say: nothing is wrong with it.
    let newer = || faulty.on(Op::Get, 0, &sessions[1], Effect::Fail(ErrorKind::Unsupported));
    newer();
    memory.delete(names::CONFIG_COPY).unwrap();
    faulty.on(Op::Delete, 0, "session/", Effect::Fail(ErrorKind::Denied));
    let repair = || locked.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    let report = repair();
    assert_eq!(report.configs, [names::CONFIG_COPY]);
    let failed: HashSet<&String> = report.not_mended.iter().map(|(name, _)| name).collect();
    assert_eq!((failed, report.sessions), (sessions.iter().collect(), Vec::new()));
    faulty.heal();
    newer();
    let report = repair();
    assert_eq!(report.sessions, sessions[..1]);
    assert_eq!(report.not_mended.len(), 1, "{report:?}");
    assert!(memory.names().contains(&sessions[1]));
}

/// Nobody can open a repository without its configuration.
#[test]
fn one_of_two_copies_of_the_configuration_is_enough() {
    let damaged = |text: &[u8], at: usize| {
        let mut text = text.to_vec();
        text[at] ^= 1;
        text
    };
    for (bad, good) in [(names::CONFIG, names::CONFIG_COPY), (names::CONFIG_COPY, names::CONFIG)] {
        let (memory, first, _) = repository(7);
        let id = first.id();
        let text = memory.get(good, u64::MAX).unwrap();
        let in_id = text.windows(5).position(|w| w == br#""id":"#).expect("it has one") + 8;
        let open = |seed| {
            let (env, _) = manual(seed);
            Repository::open(Arc::new(memory.clone()), &secret(), options(&env))
        };
        let ways = [Some(damaged(&text, 0)), Some(damaged(&text, in_id)), None];
        for (seed, broken) in (8..).zip(ways) {
            match broken {
                Some(broken) => memory.overwrite(bad, broken),
                None => memory.delete(bad).unwrap(),
            }
            let opened = open(seed).unwrap();
            assert_eq!(opened.id(), id);
            let report = opened.repair_index(&RepairScope::Unnamed, 1, &Cancel::default()).unwrap();
            assert_eq!(report.configs, [bad]);
            assert_eq!(memory.get(bad, u64::MAX).unwrap(), text);
        }
        memory.overwrite(names::CONFIG, damaged(&text, 0));
        memory.overwrite(names::CONFIG_COPY, damaged(&text, 0));
        let error = open(20).err().unwrap();
        assert!(error.is(tintype_engine::ErrorKind::Corrupt), "{error}");
    }
}
