//! Features that this program does not know fail closed: the operation that they are named for
//! is refused and says why, the others work (format.md §13).

use std::sync::Arc;

use tintype_engine::backend::MemoryBackend;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{Change, Features, SessionKind, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::repair::RepairScope;
use tintype_engine::repo::Repository;
use tintype_engine::store::Store;
use tintype_engine::verify::Depth;
use tintype_engine::{ErrorKind, Result};

use crate::support::{cheap_secret, files, find, init, open, read_back, snapshot};

const UNKNOWN: &str = "teleportation";

/// A repository with a snapshot, whose configuration then names features; and opened again.
fn with(features: Features) -> Result<Repository> {
    let memory = MemoryBackend::new();
    let repository = init(Arc::new(memory.clone()), 31)?;
    snapshot(&repository, &files(&[("files/a", b"kept".to_vec())]), None)?;
    let mut config = repository.config().clone();
    (config.features, config.mac) = (features, None);
    let text = serde_json::to_vec(&config.seal(repository.keys())).expect("plain data");
    memory.overwrite(names::CONFIG, text.clone());
    memory.overwrite(names::CONFIG_COPY, text);
    open(Arc::new(memory), 1, 32)
}

fn named() -> Vec<String> {
    vec![UNKNOWN.to_owned()]
}

#[track_caller]
fn refused<T>(what: Result<T>) {
    let error = what.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let message = error.to_string();
    assert!(message.contains(UNKNOWN) && message.contains("use a newer"), "{message}");
}

/// What each operation gives: read, write, delete, check.
fn read(repository: &Repository) -> Result<()> {
    let snapshot = repository.snapshots()?.snapshots.remove(0);
    let found = read_back(repository, &snapshot)?;
    assert_eq!(found["files/a"], b"kept");
    repository.pin(snapshot.id)?.close()
}

fn write(repository: &Repository) -> Vec<Result<()>> {
    let added = files(&[("files/b", b"new".to_vec())]);
    let slot = repository.slot_of(&cheap_secret(1)).unwrap().unwrap();
    vec![
        repository.begin_writing(SessionKind::Snapshot, None).and_then(Store::abandon),
        snapshot(repository, &added, None).map(|_| ()),
        annotate(repository, Change::Note("new".into())),
        repository.add_key(&cheap_secret(2), "second").map(|_| ()),
        repository.remove_key(slot),
    ]
}

fn annotate(repository: &Repository, change: Change) -> Result<()> {
    let id = repository.snapshots()?.snapshots[0].id;
    let manifest = find(repository, id)?.expect("just listed").manifest;
    repository.annotate(id, &manifest, "test", change).map(|_| ())
}

/// These write as well.
fn maintain(repository: &Repository) -> Vec<Result<()>> {
    vec![
        repository.gc(&GcOptions::default()).map(|_| ()),
        repository.repair_index(&RepairScope::All, 1, &Cancel::default()).map(|_| ()),
    ]
}

fn delete(repository: &Repository) -> Result<()> {
    annotate(repository, Change::Deleted("test".into()))
}

fn check(repository: &Repository) -> Result<()> {
    repository.plan_verify(Depth::All, &std::collections::HashSet::new()).map(|_| ())
}

#[test]
fn an_unknown_feature_of_reading_refuses_everything() {
    refused(with(Features { read: named(), ..Features::default() }));
}

#[test]
fn an_unknown_feature_of_writing_refuses_writers() {
    let repository = with(Features { write: named(), ..Features::default() }).unwrap();
    read(&repository).unwrap();
    check(&repository).unwrap();
    write(&repository).into_iter().for_each(refused);
    maintain(&repository).into_iter().for_each(refused);
    delete(&repository).unwrap();
}

#[test]
fn an_unknown_feature_of_deleting_refuses_deletions_and_gc() {
    let repository = with(Features { delete: named(), ..Features::default() }).unwrap();
    read(&repository).unwrap();
    check(&repository).unwrap();
    refused(delete(&repository));
    maintain(&repository).into_iter().for_each(refused);
    assert!(write(&repository).into_iter().all(|written| written.is_ok()));
}

#[test]
fn an_unknown_feature_of_checking_refuses_verify() {
    let repository = with(Features { check: named(), ..Features::default() }).unwrap();
    read(&repository).unwrap();
    refused(check(&repository));
    assert!(maintain(&repository).into_iter().all(|done| done.is_ok()));
    assert!(write(&repository).into_iter().all(|written| written.is_ok()));
    delete(&repository).unwrap();
}

/// What the configuration names is under its mac.
#[test]
fn a_feature_that_was_struck_out_is_noticed() {
    let memory = MemoryBackend::new();
    let repository = init(Arc::new(memory.clone()), 33).unwrap();
    let mut config = repository.config().clone();
    config.features.write = named();
    for name in [names::CONFIG, names::CONFIG_COPY] {
        memory.overwrite(name, serde_json::to_vec(&config).unwrap());
    }
    let error = open(Arc::new(memory), 1, 34).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
