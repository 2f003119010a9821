//! A scripted life of a repository is cut at every changing call of the backend, in every way
//! that a crash can leave things. Whatever was committed stays readable, and going on works.

use std::collections::BTreeMap;
use std::sync::Arc;

use tintype_engine::Result;
use tintype_engine::backend::{CrashBackend, CrashMode, MemoryBackend};
use tintype_engine::format::records::Change;
use tintype_engine::gc::GcOptions;
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::Repository;

use crate::support::{Files, cheap_secret, files, find, init, noise, open, read_back, snapshot};

/// What the workload was told before it was cut.
#[derive(Default)]
struct Told {
    initialized: bool,
    committed: BTreeMap<SnapshotId, Files>,
    /// A deletion was begun: it may or may not be there.
    deleting: Option<SnapshotId>,
    tagged: Option<SnapshotId>,
}

fn versions() -> [Files; 3] {
    let big = noise(1, 700_000);
    let first = files(&[
        ("files/a/big", big.clone()),
        ("files/a/one", b"one".to_vec()),
        ("files/b/two", noise(2, 3000)),
        ("files/empty", Vec::new()),
    ]);
    let mut second = first.clone();
    second.insert("files/b/two".into(), noise(3, 2500));
    second.insert("files/c/new".into(), noise(4, 400_000));
    let mut third = second.clone();
    third.remove("files/a/big");
    third.insert("files/a/one".into(), b"another".to_vec());
    [first, second, third]
}

/// Repacks whatever is not completely live.
fn gc_options() -> GcOptions {
    GcOptions { keep_above_percent: 100, ..GcOptions::default() }
}

fn delete(repository: &Repository, id: SnapshotId) -> Result<()> {
    let Some(found) = find(repository, id)? else { return Ok(()) };
    let change = Change::Deleted("test".into());
    repository.annotate(id, &found.manifest, "test", change).map(|_| ())
}

/// init, three snapshots, tag, delete, gc with repack, key change.
fn workload(backend: &CrashBackend, told: &mut Told) -> Result<()> {
    let repository = init(Arc::new(backend.clone()), 1)?;
    told.initialized = true;
    let mut parent = None;
    for version in versions() {
        let id = snapshot(&repository, &version, parent)?;
        told.committed.insert(id, version);
        parent = Some(id);
    }
    let newest = parent.expect("three snapshots");
    let manifest = find(&repository, newest)?.expect("just made").manifest;
    let tag = Change::Tag { add: vec!["kept".into()], remove: Vec::new() };
    repository.annotate(newest, &manifest, "test", tag)?;
    told.tagged = Some(newest);
    let oldest = oldest(&repository)?;
    told.deleting = Some(oldest);
    delete(&repository, oldest)?;
    repository.gc(&gc_options())?;
    let first_key = repository.slot_of(&cheap_secret(1))?.expect("made by init");
    repository.add_key(&cheap_secret(2), "second")?;
    repository.remove_key(first_key)
}

fn oldest(repository: &Repository) -> Result<SnapshotId> {
    Ok(repository.snapshots()?.snapshots[0].id)
}

/// After the crash: all that was told is true, and life goes on.
fn survives(left: &MemoryBackend, told: &Told, cut: &str) {
    let backend = Arc::new(left.clone());
    if !told.initialized && open(backend.clone(), 1, 2).is_err() {
        init(backend.clone(), 3).unwrap_or_else(|e| panic!("{cut}: init again: {e}"));
    }
    let repository = open(backend.clone(), 1, 4)
        .or_else(|_| open(backend.clone(), 2, 4))
        .unwrap_or_else(|e| panic!("{cut}: no key opens it: {e}"));
    holds(&repository, told, cut);
    let extra = files(&[("files/after", noise(9, 300_000)), ("files/small", b"x".to_vec())]);
    let again = snapshot(&repository, &extra, None)
        .unwrap_or_else(|e| panic!("{cut}: a snapshot afterwards: {e}"));
    let mut told_more = Told { initialized: true, ..Told::default() };
    told_more.committed.clone_from(&told.committed);
    told_more.committed.insert(again, extra);
    told_more.deleting = told.deleting;
    told_more.tagged = told.tagged;
    // The writers and gcs of the dead machine gave no sign of life for long.
    let patient = GcOptions { fence_after: std::time::Duration::ZERO, ..gc_options() };
    for round in 0..2 {
        repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: gc {round} afterwards: {e}"));
        holds(&repository, &told_more, cut);
    }
    for (id, _) in told_more.committed.clone() {
        delete(&repository, id).unwrap_or_else(|e| panic!("{cut}: delete: {e}"));
    }
    for snapshot in repository.snapshots().expect("listing").snapshots {
        delete(&repository, snapshot.id).unwrap_or_else(|e| panic!("{cut}: delete: {e}"));
    }
    repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: last gc: {e}"));
    repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: very last gc: {e}"));
    let rests: Vec<String> = tintype_engine::backend::list_all(left, "")
        .expect("listing")
        .into_iter()
        .map(|l| l.name)
        .filter(|n| n.starts_with("data/") || n.starts_with("meta/"))
        .collect();
    assert!(rests.is_empty(), "{cut}: packs of nobody remain: {rests:?}");
}

fn holds(repository: &Repository, told: &Told, cut: &str) {
    let listing = repository.snapshots().unwrap_or_else(|e| panic!("{cut}: list: {e}"));
    assert!(listing.damaged.is_empty(), "{cut}: {:?}", listing.damaged);
    for (id, wanted) in &told.committed {
        let Some(found) = listing.snapshots.iter().find(|s| s.id == *id) else {
            assert_eq!(told.deleting, Some(*id), "{cut}: snapshot {id} is gone");
            continue;
        };
        let files = read_back(repository, found)
            .unwrap_or_else(|e| panic!("{cut}: snapshot {id} cannot be read: {e}"));
        assert_eq!(&files, wanted, "{cut}: snapshot {id} differs");
        if told.tagged == Some(*id) {
            assert!(found.standing.tags.contains("kept"), "{cut}: the tag is lost");
        }
    }
}

#[test]
fn every_cut_of_a_scripted_life_is_survived() {
    let whole = CrashBackend::new(MemoryBackend::new(), None);
    let mut told = Told::default();
    workload(&whole, &mut told).expect("nothing is cut");
    assert_eq!(told.committed.len(), 3);
    survives(&whole.survivors(), &told, "uncut");
    let calls = whole.calls();
    assert!(calls > 60, "the workload is cut at {calls} calls");
    for mode in CrashMode::ALL {
        for call in 1..=calls {
            let backend = CrashBackend::new(MemoryBackend::new(), Some((call, mode)));
            let mut told = Told::default();
            let outcome = workload(&backend, &mut told);
            assert!(outcome.is_err() || call == calls, "call {call} was not cut");
            survives(&backend.survivors(), &told, &format!("{mode:?} at call {call} of {calls}"));
        }
    }
}

/// The test above can fail: a store that shows torn objects is noticed.
#[test]
fn a_store_that_tears_objects_is_noticed() {
    let whole = CrashBackend::new(MemoryBackend::new(), None);
    workload(&whole, &mut Told::default()).expect("nothing is cut");
    let mut noticed = 0;
    for call in 1..=whole.calls() {
        let backend = CrashBackend::new(MemoryBackend::new(), Some((call, CrashMode::TornVisible)));
        let mut told = Told::default();
        let _ = workload(&backend, &mut told);
        if !told.initialized {
            continue;
        }
        let left: Arc<MemoryBackend> = Arc::new(backend.survivors());
        let listing =
            open(left.clone(), 1, 5).or_else(|_| open(left, 2, 5)).and_then(|repository| {
                // What was committed before is never returned wrong.
                for (id, wanted) in &told.committed {
                    if let Some(found) = find(&repository, *id)? {
                        assert_eq!(&read_back(&repository, &found)?, wanted);
                    }
                }
                repository.snapshots()
            });
        noticed += usize::from(!listing.is_ok_and(|l| l.damaged.is_empty()));
    }
    assert!(noticed > 0);
}
