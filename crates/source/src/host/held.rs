//! Files on which this process holds POSIX locks, as SQLite takes them. A process that closes any
//! handle of a file loses all of its locks on it (fcntl(2)), whichever part of it took them. So who
//! looks into files that may be such closes them here: while they are held, they stay open.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Device and inode.
type Key = (u64, u64);

#[derive(Default)]
struct Kept {
    holders: usize,
    /// Closed when nobody holds it any more.
    files: Vec<File>,
}

static HELD: Mutex<BTreeMap<Key, Kept>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<Key, Kept>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, [`close`] closes none of its files. Taken before they are locked, and dropped
/// after.
#[derive(Default)]
pub(crate) struct Hold(Vec<Key>);

impl Hold {
    /// Those that are there.
    pub(crate) fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let metas = paths.into_iter().filter_map(|path| path.metadata().ok());
        let keys: Vec<Key> = metas.map(|meta| (meta.dev(), meta.ino())).collect();
        let mut held = held();
        keys.iter().for_each(|key| held.entry(*key).or_default().holders += 1);
        Self(keys)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = held();
        for key in &self.0 {
            let Some(kept) = held.get_mut(key) else { continue };
            kept.holders -= 1;
            if kept.holders == 0 {
                held.remove(key);
            }
        }
    }
}

/// Now, or when nobody holds it any more.
pub(crate) fn close(file: File) {
    // Nobody begins to hold it while it is being closed.
    let mut held = held();
    let kept = file.metadata().ok().and_then(|meta| held.get_mut(&(meta.dev(), meta.ino())));
    match kept {
        Some(kept) => kept.files.push(file),
        None => drop(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_open_as_long_as_somebody_holds_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let number = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let paths = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
            paths.filter(|path| path == file.path()).count()
        };
        let look = || close(File::open(file.path()).unwrap());
        let before = number();
        look();
        assert_eq!(number(), before);
        let (first, second) = (Hold::of([file.path()]), Hold::of([file.path()]));
        look();
        drop(first);
        look();
        assert_eq!(number(), before + 2);
        drop(second);
        assert_eq!(number(), before);
        look();
        assert_eq!(number(), before);
    }
}
