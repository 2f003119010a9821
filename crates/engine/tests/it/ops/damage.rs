//! The damage matrix: every kind of object × flipped bit, truncated, removed, swapped,
//! duplicated. Verify finds and names all of it, tells exactly which paths it touches, and
//! what it does not touch stays readable.
//!
//! What format version 1 cannot show is listed by [`World::is_blind`], and nothing else is let
//! off.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tintype_engine::ErrorKind;
use tintype_engine::backend::Backend as _;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::object::{ObjectType, Place, open_bytes, seal_bytes};
use tintype_engine::format::records::{Change, Condemned, GcRecord, SessionKind, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::RandomId;
use tintype_engine::index::PackId;
use tintype_engine::repair::{RepairReport, RepairScope};
use tintype_engine::verify::{Depth, Finding, Severity, VerifyEvent, VerifyOptions, VerifyReport};
use tintype_model::entry::path_order;

use super::*;

pub(super) struct World {
    pub(super) memory: MemoryBackend,
    repository: Repository,
    /// Visible snapshots and what they hold.
    pub(super) all: Vec<(SnapshotId, Files)>,
    tagged: SnapshotId,
}

fn place<'p>(repository: &'p Repository, object_type: ObjectType, name: &'p str) -> Place<'p> {
    Place { keys: repository.keys(), repository: repository.id(), object_type, name }
}

fn condemned(repository: &Repository, seq: u32, id: u8) -> (String, Vec<u8>) {
    let name = names::condemned(seq, RandomId([id; 16]));
    let place = place(repository, ObjectType::Condemned, &name);
    let text = serde_json::to_vec(&Condemned::default()).unwrap();
    let sealed = seal_bytes(&place, FrameKind::Json, &text, repository.env()).unwrap();
    (name, sealed)
}

/// As most tests want it: trees of several pages.
fn world() -> World {
    world_of(600)
}

/// Two gcs, three visible snapshots, one deleted and collected, one deleted since; tags, holds;
/// every kind of object at least twice where that is possible.
pub(super) fn world_of(empty_files: usize) -> World {
    let (memory, repository, clock) = repository(8);
    let mut files = sample(60);
    for number in 0..empty_files {
        let path = format!("files/e/{}{number:04}", "e".repeat(240)).into_bytes();
        files.insert(path, File::of(""));
    }
    let mut all = Vec::new();
    let mut take = |seed: u64| {
        clock.advance(Duration::from_mins(1));
        files.insert(b"files/own".to_vec(), File::of(noise(seed, 3 * CHUNK)));
        let id = snapshot(&repository, &files);
        all.push((id, files.clone()));
        id
    };
    let manifest_of = |id: SnapshotId| {
        let listed = repository.snapshots().unwrap().snapshots;
        listed.into_iter().find(|s| s.id == id).unwrap().manifest
    };
    let annotate = |id, change| {
        repository.annotate(id, &manifest_of(id), "test", change).unwrap();
    };
    let tagged = take(1);
    let gone = [take(2), take(3)];
    annotate(tagged, Change::Note("from the beginning".into()));
    for id in gone {
        annotate(id, Change::Deleted("test".into()));
        repository.gc(&GcOptions::default()).unwrap();
    }
    take(4);
    let deleted = take(5);
    take(6);
    annotate(deleted, Change::Deleted("test".into()));
    let tag = Change::Tag { add: vec!["kept".into()], remove: Vec::new() };
    annotate(tagged, tag);
    annotate(tagged, Change::Hold("law".into()));
    repository.pin(tagged).unwrap().close().unwrap();
    for id in [1, 2] {
        let (name, sealed) = condemned(&repository, 2, id);
        memory.put(&name, &sealed).unwrap();
        memory.put(&names::beat(tagged, u32::from(id)), &[]).unwrap();
    }
    all.retain(|(id, _)| *id != deleted && !gone.contains(id));
    World { memory, repository, all, tagged }
}

impl World {
    fn verify(&self, depth: Depth) -> VerifyReport {
        let (verified, cancel) = (HashSet::new(), Cancel::default());
        let options = VerifyOptions::quiet(depth, &verified, &cancel);
        let plan = self.repository.plan_verify(depth, &verified).unwrap();
        self.repository.verify(&plan, &options).unwrap()
    }

    /// Names of objects by the first part of the name.
    pub(super) fn kinds(&self) -> BTreeMap<String, Vec<String>> {
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in self.memory.names() {
            kinds.entry(name.split('/').next().unwrap().to_owned()).or_default().push(name);
        }
        kinds
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.memory.get(name, u64::MAX).unwrap()
    }

    /// Removals that nothing in the repository contradicts; all listed in the report's blind
    /// spots.
    fn is_blind(&self, name: &str) -> bool {
        match name.split('/').next().unwrap() {
            "keys" | "beat" | "condemned" => true,
            "annotation" => {
                let id = names::parse_id(name, "annotation/").unwrap();
                let known = self.newest_gc().annotations.get(&id).copied().unwrap_or(0);
                let all = self.kinds().remove("annotation").unwrap();
                let of_snapshot = all.iter().filter(|other| other[..43] == name[..43]);
                of_snapshot.max().unwrap() == name && names::parse_number(name) > Some(known)
            }
            _ => false,
        }
    }

    fn newest_gc(&self) -> GcRecord {
        let name = self.kinds().remove("gc").unwrap().remove(0);
        let place = place(&self.repository, ObjectType::GcRecord, &name);
        let text = open_bytes(&place, FrameKind::Json, self.bytes(&name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

fn names_it<'r>(report: &'r VerifyReport, object: &str) -> Option<&'r Finding> {
    report.findings.iter().find(|finding| finding.object == object)
}

/// Paths that the report says are touched, per snapshot.
fn touched(world: &World, report: &VerifyReport) -> BTreeSet<(SnapshotId, Vec<u8>)> {
    let mut touched = BTreeSet::new();
    for affected in report.findings.iter().flat_map(|finding| &finding.affected) {
        let from = &affected.path[..];
        for (id, files) in &world.all {
            if !affected.snapshots.contains(id) {
                continue;
            }
            let inside = files.keys().filter(|path| match &affected.until {
                None => path.as_slice() == from,
                Some(until) => {
                    path_order(path, from).is_ge()
                        && (until.is_empty() || path_order(path, until).is_lt())
                }
            });
            touched.extend(inside.map(|path| (*id, path.clone())));
        }
    }
    touched
}

/// What really cannot be read, of the snapshots that are still listed.
fn unreadable(world: &World) -> BTreeSet<(SnapshotId, Vec<u8>)> {
    let listed = world.repository.snapshots().unwrap().snapshots;
    let mut lost = BTreeSet::new();
    for (id, files) in &world.all {
        let Some(snapshot) = listed.iter().find(|s| s.id == *id) else { continue };
        let (found, _) = read_all(&world.repository, Root::of(&snapshot.manifest)).unwrap();
        for (path, file) in &found {
            assert!(files.get(path) == Some(file), "what is read is what was stored");
        }
        lost.extend(files.keys().filter(|p| !found.contains_key(*p)).map(|p| (*id, p.clone())));
    }
    lost
}

/// The report touches exactly what cannot be read; snapshots that are not listed any more are
/// named by their fate.
fn is_precise(world: &World, report: &VerifyReport, case: &str) {
    let listed: HashSet<SnapshotId> =
        world.repository.snapshots().unwrap().snapshots.iter().map(|s| s.id).collect();
    for (id, _) in world.all.iter().filter(|(id, _)| !listed.contains(id)) {
        assert!(names_it(report, &names::fate(*id)).is_some(), "{case}: {id} is not listed");
    }
    let mut told = touched(world, report);
    told.retain(|(id, _)| listed.contains(id));
    let lost = unreadable(world);
    assert!(told == lost, "{case}: told {} paths, lost {}", told.len(), lost.len());
}

fn flip(world: &World, name: &str, offsets: impl Iterator<Item = usize>, depth: Depth) {
    let good = world.bytes(name);
    for (count, at) in offsets.enumerate() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        world.memory.overwrite(name, bytes);
        let report = world.verify(depth);
        let finding = names_it(&report, name);
        let case = format!("{name}: byte {at}");
        let finding = finding.unwrap_or_else(|| panic!("{case}: {:#?}", report.findings));
        // A slot of an unknown kind may be one of a later version.
        let least = if name.starts_with("keys/") { Severity::Warning } else { Severity::Damage };
        assert!(finding.severity >= least, "{case}");
        if count % 16 == 0 {
            is_precise(world, &report, &case);
        }
    }
    world.memory.overwrite(name, good);
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let world = world();
    let kinds = world.kinds();
    for kind in [
        "annotation",
        "beat",
        "condemned",
        "config",
        "config-copy",
        "data",
        "fate",
        "gc",
        "index",
        "keys",
        "meta",
        "retired",
        "session",
    ] {
        let least = if kind.starts_with("config") || kind == "gc" { 1 } else { 2 };
        assert!(kinds[kind].len() >= least, "{kind}");
    }
    let report = world.verify(Depth::All);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(report.complete && !report.gc_meanwhile);
    assert_eq!((report.snapshots, report.packs_read), (3, report.packs));
    assert_eq!(report.packs as usize, kinds["data"].len() + kinds["meta"].len());
    assert!(report.pages > 4);
    assert!(unreadable(&world).is_empty());
}

#[test]
fn every_flipped_bit_of_small_objects_is_found() {
    let world = world_of(0);
    for (kind, names) in world.kinds() {
        if ["data", "meta", "index", "beat"].contains(&&kind[..]) {
            continue;
        }
        for name in names {
            let length = world.bytes(&name).len();
            flip(&world, &name, 0..length, Depth::Metadata);
        }
    }
    assert!(world.verify(Depth::All).findings.is_empty());
}

#[test]
fn flipped_bits_of_segments_are_found() {
    let world = world();
    for name in &world.kinds()["index"] {
        let length = world.bytes(name).len();
        let offsets = (0..length).filter(|at| *at < 200 || at + 100 > length || at % 13 == 0);
        flip(&world, name, offsets, Depth::Metadata);
    }
}

#[test]
fn flipped_bits_of_packs_are_found() {
    let world = world();
    for kind in ["data", "meta"] {
        for name in &world.kinds()[kind] {
            let length = world.bytes(name).len();
            let offsets = (0..length).filter(|at| *at < 150 || at + 100 > length || at % 499 == 0);
            flip(&world, name, offsets, Depth::All);
        }
    }
}

#[test]
fn truncated_objects_are_found() {
    let world = world();
    for name in world.memory.names() {
        let good = world.bytes(&name);
        if good.is_empty() {
            world.memory.overwrite(&name, b"x".to_vec());
            assert!(names_it(&world.verify(Depth::All), &name).is_some());
            world.memory.overwrite(&name, good);
            continue;
        }
        let lengths = [0, 1, 79, 80, good.len() / 3, good.len() / 2, good.len() - 33];
        for length in lengths.into_iter().chain([good.len() - 1]).filter(|l| *l < good.len()) {
            world.memory.overwrite(&name, &good[..length]);
            let report = world.verify(Depth::Metadata);
            let case = format!("{name}: {length} of {} bytes", good.len());
            let finding = names_it(&report, &name);
            let damage = finding.is_some_and(|f| f.severity == Severity::Damage);
            assert!(damage, "{case}: {:#?}", report.findings);
            is_precise(&world, &report, &case);
        }
        let mut longer = good.clone();
        longer.push(b' ');
        world.memory.overwrite(&name, longer);
        assert!(names_it(&world.verify(Depth::All), &name).is_some(), "{name}: one byte longer");
        world.memory.overwrite(&name, good);
    }
}

#[test]
fn removed_objects_are_found() {
    let world = world();
    for name in world.memory.names() {
        let good = world.bytes(&name);
        let is_blind = world.is_blind(&name);
        world.memory.delete(&name).unwrap();
        let report = world.verify(Depth::All);
        // What is gone without a trace leaves no trace in the report, and touches no data.
        let wanted = if name.starts_with("gc/") { "gc/…" } else { &name };
        assert_eq!(names_it(&report, wanted).is_some(), !is_blind, "{name}: {report:#?}");
        if name.starts_with("fate/") || !is_blind {
            is_precise(&world, &report, &name);
        }
        world.memory.overwrite(&name, good);
    }
    assert!(world.verify(Depth::All).findings.is_empty());
    assert_eq!(world.repository.snapshots().unwrap().snapshots.len(), 3);
    let _ = world.tagged;
}

#[test]
fn swapped_objects_are_found() {
    let world = world();
    for (kind, names) in world.kinds() {
        // One gc record, one config; beats are empty.
        if ["beat", "config", "config-copy", "gc"].contains(&&kind[..]) {
            continue;
        }
        for pair in names.windows(2) {
            let (a, b) = (world.bytes(&pair[0]), world.bytes(&pair[1]));
            world.memory.overwrite(&pair[0], b.clone());
            world.memory.overwrite(&pair[1], a.clone());
            let report = world.verify(Depth::All);
            for (name, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let finding = names_it(&report, name);
                let finding = finding.unwrap_or_else(|| panic!("{name}: {report:#?}"));
                assert!(finding.found.contains(&other[..]), "{name}: {finding:#?}");
            }
            is_precise(&world, &report, &pair[0]);
            world.memory.overwrite(&pair[0], a);
            world.memory.overwrite(&pair[1], b);
        }
    }
}

#[test]
fn duplicates_under_other_names_are_found() {
    let world = world();
    let other = RandomId([0xab; 16]);
    for name in world.memory.names() {
        let bytes = world.bytes(&name);
        let copy = match name.split('/').next().unwrap() {
            "config" | "config-copy" => format!("{name}-2"),
            "annotation" => format!("{}/00000009", name.rsplit_once('/').unwrap().0),
            "gc" => names::gc(7),
            "index" => names::segment(other, SessionKind::Snapshot, 0),
            "data" | "meta" => format!("{}/ab/{other}", &name[..4]),
            "condemned" => names::condemned(2, other),
            "beat" => continue,
            kind => format!("{kind}/{other}"),
        };
        world.memory.put(&copy, &bytes).unwrap();
        let report = world.verify(Depth::All);
        assert!(names_it(&report, &copy).is_some(), "{copy}: {report:#?}");
        is_precise(&world, &report, &copy);
        world.memory.delete(&copy).unwrap();
    }
}

/// What was there before the newest gc record cannot be withheld, nor can a lock or a hold be
/// hidden so that its snapshot is deleted.
#[test]
fn withheld_annotations_and_lists_are_noticed() {
    let world = world_of(0);
    let repository = &world.repository;
    repository.gc(&GcOptions::default()).unwrap();
    assert!(world.verify(Depth::All).findings.is_empty());
    let manifest = || {
        let listed = repository.snapshots().unwrap().snapshots;
        listed.into_iter().find(|s| s.id == world.tagged).unwrap().manifest
    };
    let hold = names::annotation(world.tagged, 3);
    assert_eq!(world.newest_gc().annotations, BTreeMap::from([(world.tagged, 3)]));
    let lists = world.kinds().remove("retired").unwrap();
    assert_eq!(lists.len(), 3, "one of them is that of the newest record itself");
    for name in lists.iter().filter(|name| world.newest_gc().retired.contains(name)).chain([&hold])
    {
        let good = world.bytes(name);
        world.memory.delete(name).unwrap();
        let report = world.verify(Depth::Metadata);
        assert_eq!(names_it(&report, name).unwrap().severity, Severity::Damage, "{report:#?}");
        let listing = repository.snapshots().unwrap();
        assert_eq!((listing.damaged.len(), listing.snapshots.len()), (1, 3), "{name}");
        assert!(listing.damaged[0].to_string().contains(&name[..]), "{}", listing.damaged[0]);
        let error = repository.gc(&GcOptions::default()).unwrap_err();
        assert!(error.is(ErrorKind::Corrupt), "{error}");
        let delete = Change::Deleted("test".into());
        let refused = repository.annotate(world.tagged, &manifest(), "test", delete).unwrap_err();
        let wanted = if *name == hold { ErrorKind::Corrupt } else { ErrorKind::Locked };
        assert_eq!(refused.kind(), wanted, "{refused}");
        world.memory.overwrite(name, good);
    }
    repository.annotate(world.tagged, &manifest(), "test", Change::Release("law".into())).unwrap();
    repository.annotate(world.tagged, &manifest(), "test", Change::Deleted("test".into())).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    assert_eq!(world.newest_gc().annotations, BTreeMap::new());
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 2);
}

/// Whoever can write to the store can use any name.
#[test]
fn a_change_of_a_huge_number_does_not_fill_the_memory() {
    let world = world_of(0);
    let name = names::annotation(world.tagged, 99_999_999);
    world.memory.put(&name, b"no object of ours").unwrap();
    let listing = world.repository.snapshots().unwrap();
    assert!((2..100).contains(&listing.damaged.len()), "{}", listing.damaged.len());
    let error = world.repository.accept_lost_changes(world.tagged, "test").unwrap_err();
    assert!(error.is(ErrorKind::Corrupt) && error.message().contains(&name), "{error}");
    world.memory.delete(&name).unwrap();
    assert!(world.repository.lost_changes(world.tagged).unwrap().is_empty());
}

/// Two writers at once store equal chunks twice: either copy will do.
#[test]
fn a_chunk_is_read_from_the_copy_that_is_whole() {
    let (memory, repository, _) = repository(21);
    let files = sample(120);
    let stores = [(); 2].map(|()| repository.begin_writing(SessionKind::Snapshot, None).unwrap());
    let mut all = Vec::new();
    for store in stores {
        let root = build(&store, &files).unwrap();
        all.push((store.commit(manifest(&repository, &root)).unwrap(), files.clone()));
    }
    let tagged = all[0].0;
    let world = World { memory, repository, all, tagged };
    for kind in ["data", "meta"] {
        let packs = world.kinds().remove(kind).unwrap();
        assert_eq!(packs.len(), 2, "each writer has one");
        let good: Vec<_> = packs.iter().map(|name| world.bytes(name)).collect();
        let spoil = |number: usize| {
            let mut bytes = good[number].clone();
            bytes.iter_mut().skip(80).step_by(64).for_each(|byte| *byte ^= 1);
            world.memory.overwrite(&packs[number], bytes);
        };
        for number in 0..2 {
            spoil(number);
            let report = world.verify(Depth::All);
            let finding = names_it(&report, &packs[number]).unwrap();
            assert_eq!((finding.severity, finding.affected_count), (Severity::Damage, 0));
            assert!(unreadable(&world).is_empty(), "{kind} {number}");
            world.memory.delete(&packs[number]).unwrap();
            assert!(unreadable(&world).is_empty(), "{kind} {number}: removed");
            world.memory.overwrite(&packs[number], &good[number][..]);
        }
        (0..2).for_each(spoil);
        let report = world.verify(Depth::All);
        assert!(!touched(&world, &report).is_empty());
        is_precise(&world, &report, kind);
        (0..2).for_each(|number| world.memory.overwrite(&packs[number], &good[number][..]));
    }
}

/// Everything that counts hangs on the newest gc record: it comes back from packs and fates.
#[test]
fn a_damaged_or_removed_gc_record_is_made_anew() {
    for is_removed in [false, true] {
        let world = world();
        let name = world.kinds().remove("gc").unwrap().remove(0);
        if is_removed {
            world.memory.delete(&name).unwrap();
        } else {
            let mut bytes = world.bytes(&name);
            bytes[150] ^= 1;
            world.memory.overwrite(&name, bytes);
        }
        record_is_made_anew(&world);
    }
}

/// The gc that made the lost record may have been interrupted, and come back: what it condemned
/// is used only where there is no other copy.
#[test]
fn packs_that_a_lost_gc_condemned_are_named_only_if_needed() {
    let world = world();
    let name = names::condemned(9, RandomId([3; 16]));
    let packs = world.memory.names().into_iter().filter(|name| PackId::parse(name).is_some());
    let text = serde_json::to_vec(&Condemned { packs: packs.collect() }).unwrap();
    let place = place(&world.repository, ObjectType::Condemned, &name);
    let sealed = seal_bytes(&place, FrameKind::Json, &text, world.repository.env()).unwrap();
    world.memory.put(&name, &sealed).unwrap();
    world.memory.delete(&world.kinds()["gc"][0]).unwrap();
    let report = record_is_made_anew(&world);
    assert_eq!(report.record.as_deref(), Some("gc/01000011"), "above what that gc could commit");
    assert!(!report.left_out.is_empty(), "the pack of the deleted snapshot");
}

/// As long as a list that the record names cannot be read, nobody writes: a record that does not
/// name it is put in the other's place.
#[test]
fn damaged_and_lost_retired_lists_are_left_behind() {
    for is_removed in [false, true] {
        let world = world();
        let lists = world.newest_gc().retired;
        assert_eq!(lists.len(), 1);
        if is_removed {
            world.memory.delete(&lists[0]).unwrap();
        } else {
            let mut bytes = world.bytes(&lists[0]);
            bytes[150] ^= 1;
            world.memory.overwrite(&lists[0], bytes);
        }
        let report = record_is_made_anew(&world);
        assert_eq!(report.record.as_deref(), Some("gc/00000004"));
        assert_eq!(report.replaced.contains(&lists[0]), !is_removed);
    }
}

fn record_is_made_anew(world: &World) -> RepairReport {
    let repository = &world.repository;
    assert!(world.verify(Depth::Metadata).damaged() > 0);
    assert!(unreadable(world).is_empty(), "reading needs no record");
    let error = repository.begin_writing(SessionKind::Snapshot, None).err().unwrap();
    assert!(error.is(ErrorKind::Corrupt), "{error}");
    assert!(error.to_string().contains("--repair-index"), "{error}");
    let report = repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    assert!(report.unreadable.is_empty());
    let found = world.verify(Depth::All).findings;
    assert!(found.iter().all(|f| f.severity == Severity::Info), "{found:#?}");
    assert!(unreadable(world).is_empty());
    let listing = repository.snapshots().unwrap();
    assert!(listing.damaged.is_empty());
    assert_eq!(listing.snapshots.len(), 3, "neither lost nor back from the dead");
    let tagged = listing.snapshots.iter().find(|s| s.id == world.tagged).unwrap();
    assert_eq!((tagged.standing.holds.len(), tagged.standing.last), (1, 3));
    // Life goes on.
    let again = snapshot(repository, &world.all[0].1);
    repository.gc(&GcOptions { keep_above_percent: 100, ..GcOptions::default() }).unwrap();
    assert!(unreadable(world).is_empty());
    assert_eq!(read_all(repository, root(repository, again)).unwrap().0, world.all[0].1);
    assert!(world.verify(Depth::All).findings.is_empty());
    report
}

#[test]
fn a_slot_with_changed_words_opens_and_is_named() {
    let world = world_of(0);
    let name = world.kinds().remove("keys").unwrap().remove(0);
    let text = String::from_utf8(world.bytes(&name)).unwrap();
    let changed = text.replace("\"label\":\"test\"", "\"label\":\"mine\"");
    let changed = changed.replace("recovery key of init", "recovery key of mine");
    assert_ne!(text, changed);
    world.memory.overwrite(&name, changed);
    assert_eq!(names_it(&world.verify(Depth::Metadata), &name).unwrap().severity, Severity::Damage);
    let backend = Arc::new(world.memory.clone());
    let opened = Repository::open(backend, &secret(), options(world.repository.env())).unwrap();
    assert_eq!(opened.snapshots().unwrap().snapshots.len(), 3);
}

#[test]
fn swapped_slots_are_seen_by_their_secret() {
    let world = world();
    let verify = |world: &World| {
        let (verified, cancel, secret) = (HashSet::new(), Cancel::default(), secret());
        let options = VerifyOptions {
            secret: Some(&secret),
            ..VerifyOptions::quiet(Depth::Metadata, &verified, &cancel)
        };
        let plan = world.repository.plan_verify(Depth::Metadata, &verified).unwrap();
        world.repository.verify(&plan, &options).unwrap()
    };
    assert!(verify(&world).findings.is_empty());
    let slots = world.kinds().remove("keys").unwrap();
    let (a, b) = (world.bytes(&slots[0]), world.bytes(&slots[1]));
    world.memory.overwrite(&slots[0], b);
    world.memory.overwrite(&slots[1], a);
    assert!(names_it(&verify(&world), "keys/…").is_some());
}

#[test]
fn a_verification_is_resumed_and_sampled() {
    let world = world();
    let cancel = Cancel::default();
    let done = std::sync::Mutex::new(HashSet::new());
    let none = HashSet::new();
    let plan = world.repository.plan_verify(Depth::All, &none).unwrap();
    let options = VerifyOptions {
        workers: 1,
        memory_bytes: 1,
        on_event: &|event| {
            if let VerifyEvent::PackVerified(pack) = event {
                let mut done = done.lock().unwrap();
                done.insert(pack);
                if done.len() == 2 {
                    cancel.cancel();
                }
            }
        },
        ..VerifyOptions::quiet(Depth::All, &none, &cancel)
    };
    let report = world.repository.verify(&plan, &options).unwrap();
    assert!(!report.complete);
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), 2);
    let cancel = Cancel::default();
    let plan = world.repository.plan_verify(Depth::All, &done).unwrap();
    let options = VerifyOptions::quiet(Depth::All, &done, &cancel);
    let report = world.repository.verify(&plan, &options).unwrap();
    assert_eq!((report.packs_skipped, report.packs_read), (2, report.packs - 2));
    assert!(report.complete && report.findings.is_empty());
    let sample = |percent, seed| {
        let depth = Depth::Sample { percent, seed };
        let plan = world.repository.plan_verify(depth, &none).unwrap();
        (plan.whole_packs, serde_json::to_string(&world.verify(depth).packs_read).unwrap())
    };
    assert_eq!(sample(50.0, 1), sample(50.0, 1));
    assert_eq!(sample(50.0, 1).0, report.packs.div_ceil(2));
    assert_eq!(sample(0.0, 1).0, 0);
    assert_eq!(sample(100.0, 1).0, report.packs);
}
