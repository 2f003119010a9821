//! The index comes back from the packs.

use tintype_engine::backend::Backend as _;
use tintype_engine::cancel::Cancel;
use tintype_engine::repair::RepairScope;

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
    let report = repository.repair_index(RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
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
    let report = repository.repair_index(RepairScope::All, 2, &Cancel::default()).unwrap();
    assert_eq!(report.scanned.len(), packs.len());
    all_readable(&repository, &all);
}

#[test]
fn packs_of_writers_at_work_are_left_out() {
    let (memory, repository, all) = two();
    let writer = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    memory.delete(&segments(&memory)[0]).unwrap();
    let error = repository.repair_index(RepairScope::Unnamed, 2, &Cancel::default()).unwrap_err();
    assert!(error.is(tintype_engine::ErrorKind::Locked), "{error}");
    writer.abandon().unwrap();
    repository.repair_index(RepairScope::Unnamed, 2, &Cancel::default()).unwrap();
    all_readable(&repository, &all);
}
