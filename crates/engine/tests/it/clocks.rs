//! Clocks that are years wrong: they may end a run, they never cost what is live.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tintype_engine::ErrorKind;
use tintype_engine::backend::{MemoryBackend, SharedBackend};
use tintype_engine::format::records::{Change, SessionKind};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::Repository;

use crate::support::{Files, build, files, find, init, manifest, noise, open, read_back, snapshot};

const TEN_YEARS: Duration = Duration::from_hours(24 * 3653);

/// The same repository through a host whose clock is right and one whose clock is ahead.
fn right_and_ahead() -> (Repository, Repository) {
    let backend: SharedBackend = Arc::new(MemoryBackend::new());
    let right = init(backend.clone(), 41).unwrap();
    let ahead = open(backend, 1, 42).unwrap();
    ahead.env().clock.sleep(TEN_YEARS);
    (right, ahead)
}

fn change(repository: &Repository, id: SnapshotId, change: Change) -> Result<(), ErrorKind> {
    let found = find(repository, id).unwrap().expect("is there");
    repository.annotate(id, &found.manifest, "test", change).map(drop).map_err(|e| e.kind())
}

#[track_caller]
fn assert_whole(repository: &Repository, id: SnapshotId, wanted: &Files) {
    let found = find(repository, id).unwrap().expect("is listed");
    assert_eq!(read_back(repository, &found).unwrap(), *wanted);
}

#[test]
fn snapshots_of_two_times_live_side_by_side() {
    let (right, ahead) = right_and_ahead();
    let future = files(&[("files/f", noise(1, 300_000))]);
    let present = files(&[("files/f", noise(1, 300_000)), ("files/p", noise(2, 300_000))]);
    let of_future = snapshot(&ahead, &future, None).unwrap();
    let of_present = snapshot(&right, &present, Some(of_future)).unwrap();
    let after = snapshot(&ahead, &future, Some(of_present)).unwrap();
    for repository in [&right, &ahead, &right] {
        let ids: Vec<_> = repository.snapshots().unwrap().snapshots.iter().map(|s| s.id).collect();
        assert_eq!(ids.first(), Some(&of_present), "listed by their own times");
        assert_eq!(ids.len(), 3);
        repository.gc(&GcOptions::default()).unwrap();
        assert_whole(repository, of_future, &future);
        assert_whole(repository, of_present, &present);
        assert_whole(repository, after, &future);
    }
}

/// A gc whose clock is years off takes every writer for dead. The writer's commit fails; what
/// is committed stays, and the next run reuses what can be reused.
#[test]
fn a_gc_of_another_time_costs_a_run_and_nothing_else() {
    let (right, ahead) = right_and_ahead();
    let kept = files(&[("files/k", noise(3, 300_000))]);
    let id = snapshot(&right, &kept, None).unwrap();
    for (writer, collector) in [(&right, &ahead), (&ahead, &right)] {
        let wanted = files(&[("files/k", noise(3, 300_000)), ("files/n", noise(4, 300_000))]);
        let store = writer.begin_writing(SessionKind::Snapshot, Some(id)).unwrap();
        let root = build(&store, &wanted).unwrap();
        assert_eq!(collector.gc(&GcOptions::default()).unwrap().fenced, 1);
        let manifest = manifest(writer, root, Some(id));
        assert_eq!(store.commit(manifest).unwrap_err().kind(), ErrorKind::Locked);
        let again = snapshot(writer, &wanted, Some(id)).unwrap();
        assert_whole(writer, again, &wanted);
        assert_whole(collector, id, &kept);
    }
}

#[test]
fn a_lock_of_any_clock_holds_until_its_date() {
    let (right, ahead) = right_and_ahead();
    let wanted = files(&[("files/a", noise(5, 300_000))]);
    let id = snapshot(&right, &wanted, None).unwrap();
    let day = SignedDuration::from_hours(24);
    let (today, in_ten_years) = (right.env().clock.now(), ahead.env().clock.now());
    change(&right, id, Change::Lock(today + day)).unwrap();
    // Somebody whose clock is ahead locks it for a day: it is locked for ten years.
    change(&ahead, id, Change::Lock(in_ten_years + day)).unwrap();
    // Who is right cannot shorten it, delete it, or wait for the first date.
    assert_eq!(change(&right, id, Change::Lock(today + day * 2)), Err(ErrorKind::Locked));
    right.env().clock.sleep(Duration::from_hours(72));
    for repository in [&right, &ahead] {
        let deleted = change(repository, id, Change::Deleted("test".into()));
        assert_eq!(deleted, Err(ErrorKind::Locked));
        repository.gc(&GcOptions::default()).unwrap();
        assert_whole(repository, id, &wanted);
    }
}

/// The tombstone of somebody whose clock says that the lock is over: by the right clock the
/// snapshot is still there, also after the other one's gc.
#[test]
fn a_lock_that_is_over_only_for_a_wrong_clock() {
    let (right, ahead) = right_and_ahead();
    let wanted = files(&[("files/a", noise(6, 300_000))]);
    let id = snapshot(&right, &wanted, None).unwrap();
    let until = right.env().clock.now() + SignedDuration::from_hours(24);
    change(&right, id, Change::Lock(until)).unwrap();
    change(&ahead, id, Change::Deleted("over, it says".into())).unwrap();
    right.gc(&GcOptions::default()).unwrap();
    assert_whole(&right, id, &wanted);
    assert_eq!(find(&right, id).unwrap().map(|s| s.id), Some(id));
}

/// Expiry decides nothing in the engine: only a prune acts on it.
#[test]
fn gc_never_asks_for_the_expiry() {
    let (right, ahead) = right_and_ahead();
    let wanted = files(&[("files/a", noise(7, 300_000))]);
    let id = snapshot(&right, &wanted, None).unwrap();
    let soon = right.env().clock.now() + SignedDuration::from_hours(1);
    change(&right, id, Change::Expiry(Some(soon))).unwrap();
    ahead.gc(&GcOptions::default()).unwrap();
    assert_whole(&right, id, &wanted);
}
