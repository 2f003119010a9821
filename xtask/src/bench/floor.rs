//! What the machine needs at least: a bare parallel walk with `statx`, and a bare loop that
//! creates the same files. The engine's goals are given as multiples of these.
#![expect(clippy::disallowed_methods, reason = "bare threads are what is measured here")]

use crate::clock::Stopwatch;
use crate::{interrupt, walk};
use anyhow::Context;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

const THREADS: usize = 2;

/// Seconds to list every folder and `statx` every entry, on two threads.
pub(super) fn walk(root: &Path) -> anyhow::Result<f64> {
    let watch = Stopwatch::start();
    let queue =
        Queue { folders: Mutex::new(vec![root.to_owned()]), added: Condvar::new(), open: 1.into() };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| queue.work())).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a walker does not panic"))
    })?;
    Ok(watch.seconds())
}

struct Queue {
    folders: Mutex<Vec<PathBuf>>,
    added: Condvar,
    /// Folders that are queued or being read; at 0 all is done.
    open: AtomicUsize,
}

impl Queue {
    fn work(&self) -> anyhow::Result<()> {
        while let Some(folder) = self.take() {
            let result = self.visit(&folder);
            if self.open.fetch_sub(1, Ordering::SeqCst) == 1 || result.is_err() {
                self.open.store(0, Ordering::SeqCst);
                drop(self.folders.lock());
                self.added.notify_all();
            }
            result.with_context(|| format!("cannot walk {}", folder.display()))?;
        }
        Ok(())
    }

    fn take(&self) -> Option<PathBuf> {
        let mut folders = self.folders.lock().expect("no walker panics");
        loop {
            if self.open.load(Ordering::SeqCst) == 0 {
                return None;
            }
            if let Some(folder) = folders.pop() {
                return Some(folder);
            }
            folders = self.added.wait(folders).expect("no walker panics");
        }
    }

    fn visit(&self, folder: &Path) -> std::io::Result<()> {
        let handle = std::fs::File::open(folder)?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::statx(&handle, entry.file_name(), flags, StatxFlags::BASIC_STATS)?;
            if entry.file_type()?.is_dir() {
                self.open.fetch_add(1, Ordering::SeqCst);
                self.folders.lock().expect("no walker panics").push(entry.path());
                self.added.notify_one();
            }
        }
        Ok(())
    }
}

/// Seconds to create the entries of `source` below `target`, with content, owner, mode and times.
pub(super) fn create(source: &Path, target: &Path) -> anyhow::Result<f64> {
    let plan = plan(source)?;
    let watch = Stopwatch::start();
    for (path, content) in plan {
        let path = walk::join(target, &path);
        match content {
            None => std::fs::create_dir_all(&path)?,
            Some(content) => {
                std::fs::write(&path, content)?;
                let (owner, group) = (rustix::process::getuid(), rustix::process::getgid());
                rustix::fs::chownat(
                    CWD,
                    &path,
                    Some(owner),
                    Some(group),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?;
                rustix::fs::chmod(&path, rustix::fs::Mode::from(0o644))?;
                rustix::fs::utimensat(CWD, &path, &EPOCH, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
    }
    Ok(watch.seconds())
}

const EPOCH: rustix::fs::Timestamps = rustix::fs::Timestamps {
    last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 },
    last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 },
};

/// Folders and files with their content, read beforehand so that only creating is measured.
fn plan(source: &Path) -> anyhow::Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
    let mut plan = Vec::new();
    walk::each(source, |relative, metadata| {
        interrupt::check()?;
        if metadata.is_dir() {
            plan.push((relative.to_owned(), None));
        } else if metadata.is_file() {
            plan.push((relative.to_owned(), Some(std::fs::read(source.join(relative))?)));
        }
        Ok(())
    })?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_come_to_an_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(walk(source).expect("walked") > 0.0);
        let target = folder.path().join("target");
        create(&source.join("src"), &target).expect("created");
        assert!(target.join("main.rs").exists());
    }
}
