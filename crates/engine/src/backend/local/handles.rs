//! A few open files, so that reading many ranges of one pack opens it once.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard};

const MOST: usize = 32;

/// Least recently used first.
#[derive(Default)]
pub(super) struct Handles(Mutex<Vec<(String, Arc<File>)>>);

impl Handles {
    fn open(&self) -> MutexGuard<'_, Vec<(String, Arc<File>)>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<File>> {
        let mut open = self.open();
        let place = open.iter().position(|(known, _)| known == name)?;
        let entry = open.remove(place);
        let file = entry.1.clone();
        open.push(entry);
        Some(file)
    }

    pub(super) fn keep(&self, name: &str, file: Arc<File>) {
        let mut open = self.open();
        open.retain(|(known, _)| known != name);
        if open.len() >= MOST {
            open.remove(0);
        }
        open.push((name.to_owned(), file));
    }

    pub(super) fn forget(&self, name: &str) {
        self.open().retain(|(known, _)| known != name);
    }
}
