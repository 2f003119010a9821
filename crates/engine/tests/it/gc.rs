//! Gc beside writers and readers, with everything under the test's control.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tintype_engine::ErrorKind;
use tintype_engine::backend::count::Op;
use tintype_engine::backend::faults::Effect;
use tintype_engine::backend::{
    FaultyBackend, LocalBackend, MemoryBackend, SharedBackend, list_all,
};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::testing::manual;
use tintype_engine::format::frame::Kind;
use tintype_engine::format::records::{Change, SessionKind, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::{RandomId, SnapshotId};
use tintype_engine::repair::RepairScope;
use tintype_engine::repo::Repository;
use tintype_engine::store::{Store, Worker};

use crate::support::{
    build, cheap_secret, files, find, init, manifest, noise, open, read_back, snapshot,
};

fn repository() -> (SharedBackend, Repository) {
    let backend: SharedBackend = Arc::new(MemoryBackend::new());
    let repository = init(backend.clone(), 11).unwrap();
    (backend, repository)
}

fn change(repository: &Repository, id: SnapshotId, change: Change) -> Result<(), ErrorKind> {
    let found = find(repository, id).unwrap().expect("is there");
    repository.annotate(id, &found.manifest, "test", change).map(|_| ()).map_err(|e| e.kind())
}

fn delete(repository: &Repository, id: SnapshotId) -> Result<(), ErrorKind> {
    change(repository, id, Change::Deleted("test".into()))
}

/// Takes every silent writer for dead at once.
fn fenced() -> GcOptions {
    GcOptions { fence_after: Duration::ZERO, ..GcOptions::default() }
}

fn packs(backend: &SharedBackend) -> usize {
    ["data/", "meta/"].iter().map(|p| list_all(&**backend, p).unwrap().len()).sum()
}

#[test]
fn a_deleted_snapshot_frees_its_packs_and_no_others() {
    let (backend, repository) = repository();
    let kept_files = files(&[("files/k", noise(1, 500_000))]);
    let kept = snapshot(&repository, &kept_files, None).unwrap();
    let gone = snapshot(&repository, &files(&[("files/g", noise(2, 500_000))]), None).unwrap();
    assert_eq!(packs(&backend), 4);
    delete(&repository, gone).unwrap();
    let plan = repository.plan_gc(&GcOptions::default()).unwrap();
    assert_eq!(plan.candidates.len(), 2);
    let report = repository.gc(&GcOptions::default()).unwrap();
    assert_eq!((report.deleted_packs, packs(&backend)), (2, 2));
    let found = find(&repository, kept).unwrap().unwrap();
    assert_eq!(read_back(&repository, &found).unwrap(), kept_files);
    assert!(find(&repository, gone).unwrap().is_none());
}

#[test]
fn locks_and_holds_protect() {
    let (_, repository) = repository();
    let id = snapshot(&repository, &files(&[("files/a", b"a".to_vec())]), None).unwrap();
    let later = repository.env().clock.now() + SignedDuration::from_hours(24);
    change(&repository, id, Change::Lock(later)).unwrap();
    assert_eq!(delete(&repository, id), Err(ErrorKind::Locked));
    let earlier = later - SignedDuration::from_hours(1);
    assert_eq!(change(&repository, id, Change::Lock(earlier)), Err(ErrorKind::Locked));
    repository.env().clock.sleep(Duration::from_hours(25));
    change(&repository, id, Change::Hold("court".into())).unwrap();
    assert_eq!(delete(&repository, id), Err(ErrorKind::Locked));
    change(&repository, id, Change::Release("court".into())).unwrap();
    delete(&repository, id).unwrap();
    assert_eq!(
        repository.gc(&GcOptions::default()).unwrap().deleted_packs,
        2,
        "nothing protects it any more"
    );
}

/// A clock that was years ahead when a tombstone was put does not make gc delete what is
/// locked by the right one.
#[test]
fn gc_asks_the_lock_again() {
    let (backend, repository) = repository();
    let wanted = files(&[("files/a", noise(3, 300_000))]);
    let id = snapshot(&repository, &wanted, None).unwrap();
    let until = repository.env().clock.now() + SignedDuration::from_hours(24);
    change(&repository, id, Change::Lock(until)).unwrap();
    let ahead = open(backend, 1, 12).unwrap();
    ahead.env().clock.sleep(Duration::from_hours(24 * 400));
    delete(&ahead, id).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    let found = find(&repository, id).unwrap().expect("still locked here");
    assert_eq!(read_back(&repository, &found).unwrap(), wanted);
}

#[test]
fn a_reader_keeps_what_it_pinned() {
    let (_, repository) = repository();
    let wanted = files(&[("files/a", noise(4, 300_000))]);
    let id = snapshot(&repository, &wanted, None).unwrap();
    let found = find(&repository, id).unwrap().unwrap();
    let pin = repository.pin(id).unwrap();
    delete(&repository, id).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    assert_eq!(read_back(&repository, &found).unwrap(), wanted);
    pin.close().unwrap();
    assert_eq!(repository.pin(id).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
    repository.gc(&GcOptions::default()).unwrap();
    assert!(read_back(&repository, &found).is_err());
}

#[test]
fn gc_waits_for_a_writer_and_fences_a_stalled_one() {
    let (_, repository) = repository();
    let old = snapshot(&repository, &files(&[("files/o", noise(5, 300_000))]), None).unwrap();
    delete(&repository, old).unwrap();
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let root = build(&store, &files(&[("files/n", noise(5, 300_000))])).unwrap();
    let busy = repository.gc(&GcOptions::default()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Locked, "{busy}");
    repository.env().clock.sleep(Duration::from_hours(24));
    let report = repository.gc(&GcOptions::default()).unwrap();
    assert_eq!(report.fenced, 1);
    // The writer reused a chunk that is gone now: its commit must fail.
    let manifest = manifest(&repository, root, None);
    assert_eq!(store.commit(manifest).unwrap_err().kind(), ErrorKind::Locked);
    let again = files(&[("files/n", noise(5, 300_000))]);
    let id = snapshot(&repository, &again, None).unwrap();
    let found = find(&repository, id).unwrap().unwrap();
    assert_eq!(read_back(&repository, &found).unwrap(), again);
}

#[test]
fn what_an_interrupted_writer_uploaded_is_reused() {
    let (backend, repository) = repository();
    let wanted = files(&[("files/a", noise(6, 600_000))]);
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    build(&store, &wanted).unwrap();
    store.abandon().unwrap();
    let before = packs(&backend);
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let root = build(&store, &wanted).unwrap();
    assert_eq!(store.stats.new_bytes.load(std::sync::atomic::Ordering::Relaxed), 0);
    let manifest = manifest(&repository, root, None);
    store.commit(manifest).unwrap();
    assert_eq!(packs(&backend), before);
}

#[test]
fn many_small_packs_become_few() {
    let (backend, repository) = repository();
    let mut kept = Vec::new();
    for number in 0..9 {
        let wanted = files(&[(&format!("files/f{number}")[..], noise(number, 20_000))]);
        kept.push((snapshot(&repository, &wanted, None).unwrap(), wanted));
    }
    assert_eq!(packs(&backend), 18);
    let report = repository.gc(&GcOptions::default()).unwrap();
    assert!(report.copied_bytes > 0);
    assert_eq!(packs(&backend), 2);
    assert_eq!(list_all(&*backend, "index/").unwrap().len(), 1, "that of the copies");
    for (id, wanted) in kept {
        let found = find(&repository, id).unwrap().unwrap();
        assert_eq!(read_back(&repository, &found).unwrap(), wanted);
    }
}

/// Whether every gc session that is there has a fate.
fn gcs_are_ended(repository: &Repository) -> bool {
    let open = repository.undecided_sessions().unwrap();
    open.iter().all(|session| session.kind() != Some(SessionKind::Gc))
}

#[test]
fn a_gc_that_fails_ends_its_session() {
    let (backend, repository) = repository();
    let wanted = files(&[("files/a", noise(7, 300_000))]);
    let id = snapshot(&repository, &wanted, None).unwrap();
    let gone = snapshot(&repository, &files(&[("files/g", noise(8, 300_000))]), None).unwrap();
    delete(&repository, gone).unwrap();
    let writer = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let busy = repository.gc(&GcOptions::default()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Locked, "{busy}");
    assert!(gcs_are_ended(&repository));
    writer.abandon().unwrap();
    assert_eq!(repository.gc(&GcOptions::default()).unwrap().deleted_packs, 2);
    assert!(gcs_are_ended(&repository));
    // One that was killed is ended by the next process of its host.
    repository.begin_session(SessionKind::Gc, Vec::new()).unwrap();
    assert!(!gcs_are_ended(&repository));
    let (mut options, _) = crate::support::options(13);
    options.identity.is_gone = |_, _| true;
    let next = Repository::open(backend.clone(), &cheap_secret(1), options).unwrap();
    assert_eq!(next.close_abandoned().unwrap(), 1);
    assert!(gcs_are_ended(&repository));
    repository.gc(&GcOptions::default()).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    let sessions = list_all(&*backend, "session/").unwrap();
    assert_eq!(sessions.len(), 1, "that of the snapshot");
    let found = find(&repository, id).unwrap().unwrap();
    assert_eq!(read_back(&repository, &found).unwrap(), wanted);
}

/// It waited for hours for something else, and is not taken for dead as soon as it goes on.
#[test]
fn a_sign_of_life_makes_up_for_a_long_silence() {
    let (backend, repository) = repository();
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    repository.env().clock.sleep(Duration::from_hours(3));
    store.beat().unwrap();
    repository.env().clock.sleep(Duration::from_secs(61));
    store.beat().unwrap();
    let beats = list_all(&*backend, "beat/").unwrap();
    let numbers: Vec<&str> =
        beats.iter().map(|beat| beat.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(numbers, ["00000180", "00000181"]);
    let options = GcOptions { fence_after: Duration::from_mins(5), ..GcOptions::default() };
    repository.gc(&options).unwrap_err();
    store.beat().unwrap();
}

/// A writer that is killed loses little: what it finished half a minute ago is in a segment.
#[test]
fn what_a_killed_writer_finished_is_reused() {
    let (backend, repository) = repository();
    let clock = &repository.env().clock;
    let published = || list_all(&*backend, "index/").unwrap().len();
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let mut worker = Worker::new().unwrap();
    // Lists fill a pack of 16 MiB each.
    let mut put = |store: &Store<'_>, seeds: std::ops::Range<u64>| {
        let new = seeds.map(|seed| store.put(&mut worker, Kind::List, &noise(seed, 1 << 20)));
        new.filter(|stored| stored.as_ref().unwrap().is_new).count()
    };
    assert_eq!(put(&store, 0..17), 17);
    store.beat().unwrap();
    clock.sleep(Duration::from_secs(29));
    store.beat().unwrap();
    assert_eq!(published(), 0, "not yet");
    clock.sleep(Duration::from_secs(1));
    store.beat().unwrap();
    assert_eq!(published(), 1);
    put(&store, 17..34);
    assert_eq!(published(), 1, "a second one at once would be much");
    clock.sleep(Duration::from_secs(30));
    put(&store, 34..50);
    assert_eq!(published(), 2, "as soon as the next pack is finished");
    let (mut options, _) = crate::support::options(14);
    options.identity.is_gone = |_, _| true;
    let next = Repository::open(backend.clone(), &cheap_secret(1), options).unwrap();
    assert_eq!(next.close_abandoned().unwrap(), 1);
    let again = next.begin_writing(SessionKind::Snapshot, None).unwrap();
    let lost = put(&again, 0..50);
    assert!(lost <= 16, "{lost} of 50: only what was in no finished pack");
    again.abandon().unwrap();
}

/// Its session looks like that of a writer who died; what else is there shows that it was not.
#[test]
fn a_lost_fate_is_not_buried() {
    for absorbed in [false, true] {
        let (backend, repository) = repository();
        let content = files(&[("files/k", noise(1, 500_000))]);
        let id = snapshot(&repository, &content, None).unwrap();
        if absorbed {
            repository.gc(&fenced()).unwrap();
        } else {
            change(&repository, id, Change::Hold("law".into())).unwrap();
        }
        let name = names::fate(id);
        let fate = backend.get(&name, u64::MAX).unwrap();
        backend.delete(&name).unwrap();
        repository.close_abandoned().unwrap();
        for refused in [repository.plan_gc(&fenced()).err(), repository.gc(&fenced()).err()]
            .map(Option::unwrap)
        {
            assert!(refused.is(ErrorKind::Corrupt), "{refused}");
            let (said, way_out) = (refused.to_string(), format!("gc --give-up {id}"));
            assert!(said.contains(&name) && said.contains(&way_out), "{said}");
        }
        backend.put(&name, &fate).unwrap();
        repository.gc(&fenced()).unwrap();
        let found = find(&repository, id).unwrap().unwrap();
        assert_eq!(read_back(&repository, &found).unwrap(), content);
    }
}

/// Before any gc has seen a snapshot, its segments and its children speak for it.
#[test]
fn a_snapshot_that_only_its_segments_or_children_know_is_missed() {
    let (backend, repository) = repository();
    let content = files(&[("files/k", noise(1, 500_000))]);
    let parent = snapshot(&repository, &content, None).unwrap();
    snapshot(&repository, &content, Some(parent)).unwrap();
    let alone = snapshot(&repository, &files(&[("files/o", noise(2, 500_000))]), None).unwrap();
    let gone = |names: &[String]| -> Vec<(String, Vec<u8>)> {
        names
            .iter()
            .map(|name| {
                let object = backend.get(name, u64::MAX).unwrap();
                backend.delete(name).unwrap();
                (name.clone(), object)
            })
            .collect()
    };
    for (id, lost) in [
        (parent, vec![names::fate(parent)]),
        (parent, vec![names::fate(parent), names::session(parent)]),
        (alone, vec![names::fate(alone), names::session(alone)]),
    ] {
        let kept = gone(&lost);
        repository.close_abandoned().unwrap();
        let refused = repository.gc(&fenced()).unwrap_err();
        assert!(refused.is(ErrorKind::Corrupt), "{refused}");
        assert!(refused.to_string().contains(&names::fate(id)), "{refused}");
        let listing = repository.snapshots().unwrap();
        assert_eq!(listing.unknown, [names::fate(id)]);
        kept.into_iter().for_each(|(name, object)| backend.put(&name, &object).unwrap());
    }
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 3);
    let _ = gone(&[names::fate(alone), names::session(alone)]);
    let give_up = GcOptions { give_up: [alone].into(), ..GcOptions::default() };
    assert!(repository.gc(&give_up).unwrap().deleted_packs > 0);
    repository.gc(&fenced()).unwrap();
    let segment = format!("index/{alone}-");
    assert!(list_all(&*backend, "index/").unwrap().iter().all(|l| !l.name.starts_with(&segment)));
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 2);
}

/// A gc that was paused before it put its segments is no lost snapshot.
#[test]
fn late_segments_of_gcs_and_of_fenced_writers_are_no_loss() {
    let (backend, repository) = repository();
    let dead = snapshot(&repository, &files(&[("files/a", noise(1, 500_000))]), None).unwrap();
    let late = backend.get(&names::segment(dead, SessionKind::Snapshot, 0), u64::MAX).unwrap();
    delete(&repository, dead).unwrap();
    repository.gc(&fenced()).unwrap();
    repository.gc(&fenced()).unwrap();
    assert!(backend.stat(&names::session(dead)).is_err());
    backend.put(&names::segment(dead, SessionKind::Snapshot, 0), &late).unwrap();
    let other = RandomId([7; 16]);
    backend.put(&names::segment(other, SessionKind::Gc, 0), &late).unwrap();
    repository.gc(&fenced()).unwrap();
    assert!(repository.snapshots().unwrap().unknown.is_empty());
    assert!(list_all(&*backend, "index/").unwrap().is_empty(), "and they go");
}

#[test]
fn what_has_no_fate_any_more_can_be_given_up_unless_it_is_locked() {
    let (backend, repository) = repository();
    let content = files(&[("files/k", noise(1, 500_000))]);
    let kept = snapshot(&repository, &content, None).unwrap();
    let other = files(&[("files/o", noise(2, 500_000))]);
    let [lost, locked] = [(); 2].map(|()| snapshot(&repository, &other, None).unwrap());
    let give_up = |id| GcOptions { give_up: [id].into(), ..GcOptions::default() };
    let refused = repository.gc(&give_up(kept)).unwrap_err();
    assert!(refused.is(ErrorKind::Invalid), "{refused}");
    change(&repository, lost, Change::Note("proof".into())).unwrap();
    let until = repository.env().clock.now() + SignedDuration::from_hours(24);
    change(&repository, locked, Change::Lock(until)).unwrap();
    let fate = backend.get(&names::fate(locked), u64::MAX).unwrap();
    backend.delete(&names::fate(locked)).unwrap();
    let refused = repository.gc(&give_up(locked)).unwrap_err();
    assert!(refused.to_string().contains("locked until"), "{refused}");
    backend.put(&names::fate(locked), &fate).unwrap();
    change(&repository, lost, Change::Hold("law".into())).unwrap();
    backend.delete(&names::fate(lost)).unwrap();
    let refused = repository.gc(&give_up(lost)).unwrap_err();
    assert!(refused.to_string().contains("held (law)"), "{refused}");
    // What is locked refers to what the lost one stored.
    repository.repair_index(&RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    repository.gc(&GcOptions { despite_holds: true, ..give_up(lost) }).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    assert!(list_all(&*backend, &format!("annotation/{lost}/")).unwrap().is_empty());
    for (id, content) in [(kept, content), (locked, other)] {
        let found = find(&repository, id).unwrap().unwrap();
        assert_eq!(read_back(&repository, &found).unwrap(), content);
    }
}

/// A read that goes wrong once is no damage: what is deleted for good may be a lock.
#[test]
fn a_change_that_is_read_wrong_once_is_not_lost() {
    let (backend, repository) = repository();
    let id = snapshot(&repository, &files(&[("files/a", b"a".to_vec())]), None).unwrap();
    let until = repository.env().clock.now() + SignedDuration::from_hours(24);
    change(&repository, id, Change::Lock(until)).unwrap();
    let faulty = FaultyBackend::new(backend, repository.env().clock.clone());
    let other = open(Arc::new(faulty.clone()), 1, 15).unwrap();
    faulty.on(Op::Get, 1, "annotation/", Effect::FlipBit(1000));
    assert!(other.accept_lost_changes(id, "test").unwrap().is_empty());
    let standing = find(&repository, id).unwrap().unwrap().standing;
    assert_eq!((standing.locked_until, standing.holds.len()), (Some(until), 0));
    // Damage is the same each time.
    let always = FaultyBackend::new(other.backend().clone(), repository.env().clock.clone());
    always.on(Op::Get, 0, "annotation/", Effect::FlipBit(1000));
    let other = open(Arc::new(always), 1, 16).unwrap();
    let lost = other.accept_lost_changes(id, "test").unwrap();
    assert_eq!(lost.damaged, [names::annotation(id, 1)]);
}

/// Deleting needs a few small objects: the room for them is kept while there is plenty.
#[test]
fn a_full_store_can_be_freed_with_what_it_keeps_for_that() {
    let directory = tempfile::tempdir().unwrap();
    let reserve = directory.path().join("tmp/reserve");
    let local: SharedBackend = Arc::new(LocalBackend::create(directory.path()).unwrap());
    let faulty = FaultyBackend::new(local, manual(1).0.clock);
    let repository = init(Arc::new(faulty.clone()), 11).unwrap();
    let kept_files = files(&[("files/k", noise(1, 500_000))]);
    let kept = snapshot(&repository, &kept_files, None).unwrap();
    let gone = snapshot(&repository, &files(&[("files/g", noise(2, 500_000))]), None).unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 4 << 20);
    faulty.on(Op::Put, 1, "annotation/", Effect::Fail(ErrorKind::NoSpace));
    delete(&repository, gone).unwrap();
    assert!(!reserve.exists());
    faulty.on(Op::Put, 1, "condemned/", Effect::Fail(ErrorKind::NoSpace));
    let report = repository.gc(&GcOptions::default()).unwrap();
    assert_eq!(report.deleted_packs, 2);
    assert!(reserve.exists() && repository.backend().sweep().unwrap() == 0);
    let found = find(&repository, kept).unwrap().unwrap();
    assert_eq!(read_back(&repository, &found).unwrap(), kept_files);
    // Only what frees room may use it.
    faulty.on(Op::Put, 0, "annotation/", Effect::Fail(ErrorKind::NoSpace));
    assert_eq!(change(&repository, kept, Change::Note("n".into())), Err(ErrorKind::NoSpace));
    assert!(reserve.exists());
}

#[test]
fn an_index_segment_without_rights_is_named_with_what_to_do() {
    let (backend, repository) = repository();
    snapshot(&repository, &files(&[("files/k", noise(1, 5000))]), None).unwrap();
    let clock = repository.env().clock.clone();
    let faulty = FaultyBackend::new(backend, clock);
    faulty.on(Op::Get, 0, "index/", Effect::Fail(ErrorKind::Denied));
    let other = open(Arc::new(faulty), 1, 12).unwrap();
    let error = other.reader().err().unwrap();
    assert!(error.is(ErrorKind::Denied), "{error}");
    let said = error.to_string();
    assert!(said.contains("index segment index/") && said.contains("the rights"), "{said}");
}
