//! FAT12, FAT16 and FAT32: what firmware boots from.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fatfs::{Dir, FileSystem, FsOptions};
use tintype_model::entry::Kind;
use tintype_model::{Error, Result};

use super::{DiskEntry, DiskFiles, MOST_ENTRIES, Window, path_text};

/// A partition as a file that is read only.
struct Cursor {
    window: Window,
    at: u64,
    /// Bytes that may yet be read: a chain of clusters that leads to itself has no end.
    budget: Arc<AtomicU64>,
}

/// To find something: no directory or table that is whole needs as much.
const FIND_BYTES: u64 = 256 << 20;
/// To read a file, which is shorter than 4 GiB, with its part of the table.
const FILE_BYTES: u64 = 5 << 30;

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.window.size_bytes().saturating_sub(self.at);
        let length = (into.len() as u64).min(left) as usize;
        let rest =
            self.budget.load(Ordering::Relaxed).checked_sub(length as u64).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "its table of clusters leads in circles")
            })?;
        self.budget.store(rest, Ordering::Relaxed);
        self.window.read_at(self.at, &mut into[..length]).map_err(io::Error::other)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Write for Cursor {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.window.size_bytes(), by),
            SeekFrom::Current(by) => (self.at, by),
        };
        self.at = base.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

pub(super) struct FatFiles {
    disk: Mutex<FileSystem<Cursor>>,
    budget: Arc<AtomicU64>,
}

impl FatFiles {
    pub(super) fn open(window: Window) -> Result<Self> {
        let budget = Arc::new(AtomicU64::new(FIND_BYTES));
        let cursor = Cursor { window, at: 0, budget: budget.clone() };
        let disk = FileSystem::new(cursor, FsOptions::new()).map_err(|error| failed(error, ""))?;
        Ok(Self { disk: Mutex::new(disk), budget })
    }

    fn with<T>(&self, work: impl FnOnce(Dir<'_, Cursor>) -> Result<T>) -> Result<T> {
        let disk = self.disk.lock().map_err(|_| Error::internal("a reader of FAT panicked"))?;
        self.budget.store(FIND_BYTES, Ordering::Relaxed);
        work(disk.root_dir())
    }
}

fn failed(error: io::Error, path: &str) -> Error {
    Error::io(error, format!("FAT, /{path}"))
}

impl DiskFiles for FatFiles {
    fn kind(&self) -> &'static str {
        "fat"
    }

    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>> {
        let path = path_text(path)?.trim_matches('/');
        self.with(|root| {
            let directory = if path.is_empty() { Ok(root) } else { root.open_dir(path) };
            let mut entries = Vec::new();
            for found in directory.map_err(|error| failed(error, path))?.iter().take(MOST_ENTRIES) {
                let found = found.map_err(|error| failed(error, path))?;
                let name = found.file_name();
                if name == "." || name == ".." {
                    continue;
                }
                entries.push(DiskEntry {
                    name: name.into_bytes(),
                    kind: if found.is_dir() { Kind::Directory } else { Kind::File },
                    size_bytes: found.len(),
                    mode: None,
                    owner: None,
                    mtime: None,
                });
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
    }

    fn read(&self, path: &[u8], to: &mut dyn Write) -> Result<u64> {
        let path = path_text(path)?.trim_matches('/');
        self.with(|root| {
            let mut file = root.open_file(path).map_err(|error| failed(error, path))?;
            self.budget.store(FILE_BYTES, Ordering::Relaxed);
            io::copy(&mut file, to).map_err(|error| failed(error, path))
        })
    }
}
