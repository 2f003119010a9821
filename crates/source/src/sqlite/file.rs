//! What can be told of a database file without SQLite.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::host::held;
use crate::host::processes::Process;

pub(super) const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Of the read version in the header: 1 is a rollback journal, 2 a write-ahead log.
const NEWEST_FORMAT: u8 = 2;

/// <https://www.sqlite.org/fileformat.html#the_database_header>
pub(super) struct Header {
    read_version: u8,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        header.starts_with(MAGIC).then(|| Self { read_version: header[19] })
    }

    pub(super) fn is_known(&self) -> bool {
        (1..=NEWEST_FORMAT).contains(&self.read_version)
    }
}

/// What SQLite puts beside a database.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Databases that a process has open. Looked at by name and type first, so that no device or
/// pipe is ever read; temporary ones that were deleted are left out.
pub(super) fn open_in(process: &Process) -> Vec<PathBuf> {
    let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
        return Vec::new();
    };
    let paths = open.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
    paths.filter(|path| path.is_absolute() && is_database(path)).collect()
}

fn is_database(path: &Path) -> bool {
    let regular = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.size() > 0);
    let mut header = [0; HEADER_BYTES];
    let mut is_read = |mut file: File| {
        let read = file.read_exact(&mut header);
        // Another part of this process may be capturing it.
        held::close(file);
        read.is_ok()
    };
    regular && File::open(path).is_ok_and(&mut is_read) && Header::parse(&header).is_some()
}

/// Whether this process holds a POSIX lock on a file, as SQLite takes them. All are lost when any
/// part of the process closes the file, such as one that walks the directory (and does not close it by
/// [`held::close`]); what was read
/// without the lock is worth nothing.
pub(super) fn is_locked_by_us(path: &Path) -> bool {
    let Ok(meta) = path.metadata() else { return false };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return false };
    let (pid, inode) = (std::process::id().to_string(), meta.ino().to_string());
    locks.lines().any(|line| {
        // `1: POSIX  ADVISORY  READ 4242 fd:01:131 1073741826 1073742335`. The device is not
        // compared: on btrfs it is another one than that of the file.
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&"POSIX")
            && fields.get(4) == Some(&&pid[..])
            && fields.get(5).and_then(|file| file.rsplit(':').next()) == Some(&inode)
    })
}
