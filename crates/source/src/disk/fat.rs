//! FAT12, FAT16 and FAT32: what firmware boots from. Its times are those of a wall clock whose
//! zone is not told; they are taken as UTC. It has no owners and no permissions.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fatfs::{Dir, FileSystem, FsOptions};
use tintype_model::entry::{Kind, Node, Time, file_name};
use tintype_model::{Error, Result};

use super::{DiskEntry, DiskFiles, Each, MOST_ENTRIES, Window, too_many};
use crate::connector::ReadImage as _;

const PIECE_BYTES: usize = 1 << 20;

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
        let disk = self.disk.lock().map_err(|_| Error::invalid("its reader could not go on"))?;
        self.budget.store(FIND_BYTES, Ordering::Relaxed);
        work(disk.root_dir())
    }
}

fn failed(error: io::Error, path: &str) -> Error {
    Error::io(error, format!("FAT, /{path}"))
}

fn node(found: &fatfs::DirEntry<'_, Cursor>) -> Node {
    let (kind, mode) = if found.is_dir() { (Kind::Directory, 0o755) } else { (Kind::File, 0o644) };
    let size = if found.is_dir() { 0 } else { found.len() };
    Node { mode, size, mtime: time(found.modified()).unwrap_or_default(), ..Node::new(kind) }
}

/// None: it never had one, or it is none of a calendar.
fn time(at: fatfs::DateTime) -> Option<Time> {
    let narrow = |number: u16| i8::try_from(number).ok();
    let fatfs::DateTime { date, time } = at;
    let (year, month, day) =
        (i16::try_from(date.year).ok()?, narrow(date.month)?, narrow(date.day)?);
    let (hour, minute, second) = (narrow(time.hour)?, narrow(time.min)?, narrow(time.sec)?);
    let nanosecond = i32::from(time.millis) * 1_000_000;
    let at = jiff::civil::DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Time { seconds: at.as_second(), nanoseconds: at.subsec_nanosecond() as u32 })
}

impl DiskFiles for FatFiles {
    fn kind(&self) -> &'static str {
        "fat"
    }

    fn has_owners(&self) -> bool {
        false
    }

    fn stat(&self, path: &[u8]) -> Result<DiskEntry> {
        let text = text(path)?;
        if text.is_empty() {
            let node = Node { mode: 0o755, ..Node::new(Kind::Directory) };
            return Ok(DiskEntry { name: Vec::new(), node });
        }
        let (above, name) = text.rsplit_once('/').unwrap_or(("", text));
        let found = self.list(above.as_bytes())?.into_iter().find(|entry| {
            // As it finds names itself: without regard to case.
            String::from_utf8_lossy(&entry.name).to_uppercase() == name.to_uppercase()
        });
        let name = file_name(path).to_vec();
        let missing = || Error::not_found(format!("FAT, /{text}: there is no such file"));
        found.map(|entry| DiskEntry { name, ..entry }).ok_or_else(missing)
    }

    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>> {
        let path = text(path)?;
        self.with(|root| {
            let directory = if path.is_empty() { Ok(root) } else { root.open_dir(path) };
            let mut entries = Vec::new();
            for found in directory.map_err(|error| failed(error, path))?.iter() {
                let found = found.map_err(|error| failed(error, path))?;
                let name = found.file_name();
                if name == "." || name == ".." {
                    continue;
                }
                if entries.len() == MOST_ENTRIES {
                    return Err(too_many());
                }
                entries.push(DiskEntry { name: name.into_bytes(), node: node(&found) });
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
    }

    fn read(&self, path: &[u8], each: &mut Each<'_>) -> Result<u64> {
        let path = text(path)?;
        self.with(|root| {
            let mut file = root.open_file(path).map_err(|error| failed(error, path))?;
            self.budget.store(FILE_BYTES, Ordering::Relaxed);
            let (mut buffer, mut length) = (vec![0; PIECE_BYTES], 0);
            loop {
                let read = file.read(&mut buffer).map_err(|error| failed(error, path))?;
                if read == 0 {
                    return Ok(length);
                }
                each(&buffer[..read])?;
                length += read as u64;
            }
        })
    }
}

fn text(path: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(path);
    let text = text.map_err(|_| Error::not_found("a name of FAT is text; this is no UTF-8"))?;
    Ok(text.trim_matches('/'))
}
