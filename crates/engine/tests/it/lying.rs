//! Stores whose listings and answers contradict each other: everything ends, with what to do.

use std::sync::Arc;

use tintype_engine::ErrorKind;
use tintype_engine::backend::{Listed, MemoryBackend};
use tintype_engine::format::records::{Change, SessionKind, names};
use tintype_engine::id::RandomId;
use tintype_engine::repo::Repository;

use crate::support::{Meddled, files, find, init, open, snapshot};

fn repository() -> (MemoryBackend, Repository) {
    let memory = MemoryBackend::new();
    let repository = init(Arc::new(memory.clone()), 51).unwrap();
    (memory, repository)
}

#[test]
fn a_retired_list_that_is_listed_and_never_there() {
    let (memory, _) = repository();
    let lying = Meddled::listing(&memory, |prefix, all| {
        if prefix == "retired/" {
            let name = names::retired(RandomId([5; 16]));
            all.push(Listed { name, size_bytes: 100 });
        }
    });
    let repository = open(lying, 1, 52).unwrap();
    let failed = [
        repository.snapshots().err().unwrap(),
        repository.begin_writing(SessionKind::Snapshot, None).err().unwrap(),
    ];
    for error in failed {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

#[test]
fn a_change_that_is_there_and_never_listed() {
    let (memory, repository) = repository();
    let id = snapshot(&repository, &files(&[("files/a", b"a".to_vec())]), None).unwrap();
    let manifest = find(&repository, id).unwrap().unwrap().manifest;
    repository.annotate(id, &manifest, "test", Change::Hold("law".into())).unwrap();
    let lying = Meddled::listing(&memory, |_, all| {
        all.retain(|listed| !listed.name.starts_with("annotation/"));
    });
    let other = open(lying, 1, 53).unwrap();
    let error = other.annotate(id, &manifest, "test", Change::Note("n".into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(&names::annotation(id, 1)), "{error}");
}
