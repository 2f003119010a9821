//! Counts that a run keeps and others read while it works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Progress {
    /// Entries that are done.
    pub entries: AtomicU64,
    pub files: AtomicU64,
    /// Content bytes that are done, read or taken over.
    pub bytes: AtomicU64,
    /// Content bytes that were really read (snapshot) or written (restore).
    pub moved_bytes: AtomicU64,
    pub problems: AtomicU64,
    /// Expected totals, 0 while unknown.
    pub total_entries: AtomicU64,
    pub total_bytes: AtomicU64,
    current: Mutex<Vec<u8>>,
}

impl Progress {
    pub fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    /// What is being worked on; cheap to skip, so it is not waited for.
    pub fn at(&self, path: &[u8]) {
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(path);
        }
    }

    pub fn current(&self) -> Vec<u8> {
        self.current.lock().expect("no panic while held").clone()
    }
}
