//! The double itself: what it keeps and what it loses.

use tintype_engine::Result;
use tintype_engine::backend::{Backend, CrashBackend, CrashMode, MemoryBackend};

/// Seven changing calls: put, begin, piece, piece, end, put, delete.
fn workload(store: &dyn Backend) -> Result<()> {
    store.put("one", b"1111")?;
    let mut stream = store.put_stream("two")?;
    stream.write(b"2222")?;
    assert!(store.stat("two").is_err());
    stream.write(b"2222")?;
    stream.finish()?;
    store.put("three", b"3333")?;
    store.delete("one")
}

#[test]
fn calls_are_counted_without_a_cut() {
    let store = CrashBackend::new(MemoryBackend::new(), None);
    workload(&store).unwrap();
    assert_eq!(store.calls(), 7);
    assert_eq!(store.survivors().names(), ["three", "two"]);
}

#[test]
fn every_cut_leaves_whole_objects_in_order() {
    // After the calls 0..=7 returned.
    let kept: [&[&str]; 8] = [
        &[],
        &["one"],
        &["one"],
        &["one"],
        &["one"],
        &["one", "two"],
        &["one", "three", "two"],
        &["three", "two"],
    ];
    for mode in CrashMode::ALL {
        for at in 1..=7 {
            let store = CrashBackend::new(MemoryBackend::new(), Some((at, mode)));
            workload(&store).unwrap_err();
            assert!(store.is_dead() && store.get("one", 9).is_err());
            let left = store.survivors();
            let done = if mode == CrashMode::After { at } else { at - 1 };
            assert_eq!(left.names(), kept[done as usize], "{mode:?} at {at}");
            for name in left.names() {
                let size_bytes = if name == "two" { 8 } else { 4 };
                assert_eq!(left.stat(&name).unwrap(), size_bytes);
            }
        }
    }
}

#[test]
fn deletes_that_were_not_synced_may_come_back() {
    for (mode, left) in
        [(CrashMode::LostCache, &["a", "b", "c"][..]), (CrashMode::HalfLostCache, &["a", "c"])]
    {
        let memory = MemoryBackend::new();
        for name in ["a", "b", "c"] {
            memory.put(name, b"x").unwrap();
        }
        let store = CrashBackend::new(memory, Some((4, mode)));
        for name in ["a", "b", "c"] {
            store.delete(name).unwrap();
        }
        store.put("d", b"x").unwrap_err();
        assert_eq!(store.survivors().names(), left);
    }
}

#[test]
fn torn_writes_are_swept_and_a_broken_store_shows_them() {
    let store = CrashBackend::new(MemoryBackend::new(), Some((5, CrashMode::Torn)));
    workload(&store).unwrap_err();
    assert_eq!(store.survivors().sweep().unwrap(), 1);
    let store = CrashBackend::new(MemoryBackend::new(), Some((5, CrashMode::TornVisible)));
    workload(&store).unwrap_err();
    assert_eq!(store.survivors().stat("two").unwrap(), 4);
}
