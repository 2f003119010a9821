//! Copying into a repository with another key: whole, resumable, and without reading again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tintype_engine::backend::{Counters, CountingBackend, MemoryBackend};
use tintype_engine::cancel::Cancel;
use tintype_engine::copy::{CopyEvent, CopyOptions, CopyReport, KNOWN_LIMIT};
use tintype_engine::env::testing::manual;
use tintype_engine::format::records::Change;

use super::*;

struct Pair {
    source: Repository,
    counters: Arc<Counters>,
    files: Vec<Files>,
    target: Repository,
    _cache: tempfile::TempDir,
}

fn pair() -> Pair {
    let (env, clock) = manual(5);
    let counters = Arc::new(Counters::default());
    let memory = Arc::new(MemoryBackend::new());
    let source = init(Arc::new(CountingBackend::new(memory, counters.clone())), &env);
    let mut files = vec![sample(300)];
    let mut next = files[0].clone();
    next.insert(b"files/second".to_vec(), File::of(noise(501, 50 * CHUNK)));
    let moved = next.remove(&b"files/sparse"[..]).unwrap();
    next.insert(b"files/d00/moved".to_vec(), moved);
    files.push(next);
    for files in &files {
        clock.advance(Duration::from_mins(1));
        snapshot(&source, files);
    }
    let (env, _) = manual(6);
    let cache = tempfile::tempdir().unwrap();
    let options = OpenOptions { cache_root: Some(cache.path().to_owned()), ..super::options(&env) };
    let backend = Arc::new(MemoryBackend::new());
    let target = Repository::init(backend, &[(&secret(), "target")], false, options).unwrap().0;
    Pair { source, counters, files, target, _cache: cache }
}

/// Copies, counting bytes of content read.
fn copy(pair: &Pair, ids: &[SnapshotId], cancel: &Cancel, stop_after: u64) -> (CopyReport, u64) {
    let read = AtomicU64::new(0);
    let chunks = AtomicU64::new(0);
    let options = CopyOptions {
        workers: 2,
        known_limit: KNOWN_LIMIT,
        cancel,
        on_event: &|event| {
            if let CopyEvent::Read { bytes } = event {
                read.fetch_add(bytes, Ordering::Relaxed);
                if chunks.fetch_add(1, Ordering::Relaxed) + 1 == stop_after {
                    cancel.cancel();
                }
            }
        },
    };
    let plan = pair.source.plan_copy(&pair.target, ids).unwrap();
    let report = pair.source.copy_to(&pair.target, &plan, &options).unwrap();
    (report, read.into_inner())
}

fn ids(pair: &Pair) -> Vec<SnapshotId> {
    roots(&pair.source).into_iter().map(|(id, _)| id).collect()
}

fn same_files(pair: &Pair, copied: SnapshotId, files: &Files) {
    let (found, failed) = read_all(&pair.target, root(&pair.target, copied)).unwrap();
    assert!(failed.is_empty());
    assert!(found == *files, "the copy holds what the source holds");
}

#[test]
fn a_second_copy_reads_only_what_is_new() {
    let pair = pair();
    let ids = ids(&pair);
    let (report, read) = copy(&pair, &ids[..1], &Cancel::default(), 0);
    assert_eq!(report.copied.len(), 1);
    assert!(read > 100 * CHUNK as u64);
    same_files(&pair, report.copied[0].1, &pair.files[0]);
    let before = pair.counters.now().down_bytes;
    let (report, read) = copy(&pair, &ids, &Cancel::default(), 0);
    assert_eq!((report.skipped.len(), report.copied.len()), (1, 1));
    same_files(&pair, report.copied[0].1, &pair.files[1]);
    // The new file and the parcels that were cut anew beside the file that moved.
    let new = 50 * CHUNK as u64;
    assert!((new..new + new / 2).contains(&read), "{read} bytes read, {new} are new");
    let down = pair.counters.now().down_bytes - before;
    assert!(down < new * 3, "{down} bytes of all kinds were downloaded");
    let (report, read) = copy(&pair, &ids, &Cancel::default(), 0);
    assert_eq!((report.skipped.len(), report.copied.len(), read), (2, 0, 0));
}

#[test]
fn an_interrupted_copy_goes_on() {
    let pair = pair();
    let ids = ids(&pair);
    let (_, whole) = {
        let other = self::pair();
        let ids = self::ids(&other);
        copy(&other, &ids[..1], &Cancel::default(), 0)
    };
    let (report, first) = copy(&pair, &ids[..1], &Cancel::default(), 60);
    assert!(!report.complete && report.copied.is_empty());
    assert!(first >= 59 * CHUNK as u64 / 2);
    let (report, second) = copy(&pair, &ids[..1], &Cancel::default(), 0);
    assert!(report.complete);
    assert_eq!(first + second, whole, "nothing was read twice");
    same_files(&pair, report.copied[0].1, &pair.files[0]);
}

#[test]
fn what_was_said_about_a_snapshot_goes_along() {
    let pair = pair();
    let id = ids(&pair)[0];
    let manifest = pair.source.snapshots().unwrap().snapshots[0].manifest.clone();
    let until = pair.source.env().clock.now() + jiff::SignedDuration::from_hours(100_000);
    let tag = Change::Tag { add: vec!["second".into()], remove: vec!["first".into()] };
    let changes = [
        tag,
        Change::Note("better".into()),
        Change::Expiry(Some(until)),
        Change::Hold("law".into()),
        Change::Lock(until),
    ];
    for change in changes {
        pair.source.annotate(id, &manifest, "me", change).unwrap();
    }
    copy(&pair, &[id], &Cancel::default(), 0);
    let copied = pair.target.snapshots().unwrap().snapshots.remove(0);
    let original = pair.source.snapshots().unwrap().snapshots.remove(0);
    let origin = copied.manifest.origin.clone().unwrap();
    assert_eq!((origin.repository, origin.snapshot), (pair.source.id(), id));
    assert_eq!(copied.manifest.time, original.manifest.time);
    assert_eq!(copied.standing.tags, original.standing.tags);
    assert_eq!(copied.standing.note, "better");
    assert_eq!(copied.standing.holds, original.standing.holds);
    assert_eq!(copied.standing.locked_until, Some(until));
    assert_eq!(copied.standing.expiry, Some(until));
    // Changes that somebody makes to the copy stay.
    let other = &pair.target;
    other.annotate(copied.id, &copied.manifest, "me", Change::Note("mine".into())).unwrap();
    copy(&pair, &[id], &Cancel::default(), 0);
    assert_eq!(pair.target.snapshots().unwrap().snapshots[0].standing.note, "mine");
    assert!(pair.source.plan_copy(&pair.source, &[id]).is_err());
}
