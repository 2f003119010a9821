//! An object being written: a file without a name, or one in `tmp/`.
//!
//! Order: write, fsync the file, give it its name, fsync the directory. A failed fsync is never
//! repeated on the same file, because the kernel forgets the pages it could not write: the
//! object is written again from its start.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::num::NonZeroU64;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use super::root::{PRIVATE_FILE, Root, parent, relative};
use super::way::Way;
use crate::backend::name::TEMPORARY;
use crate::backend::{PutStream, Timestamp};

/// After so many bytes the kernel is asked to begin writing them, so that the fsync at the end
/// finds little left to do.
const WRITEBACK_BYTES: usize = 8 << 20;

/// Unlike every other, without need of a clock: only its being unused matters, and creation is
/// exclusive.
pub(super) fn temporary_name() -> String {
    format!("{TEMPORARY}/{:016x}", RandomState::new().build_hasher().finish())
}

pub(super) struct Unfinished {
    root: Arc<Root>,
    name: String,
    file: File,
    way: Way,
    /// Its name in `tmp/`; empty if it has none.
    temporary: String,
    written_bytes: u64,
    handed_over_bytes: u64,
}

impl Unfinished {
    pub(super) fn create(root: &Arc<Root>, name: &str) -> Result<Self> {
        let way = root.way();
        let directory = if way == Way::Unnamed { parent(name) } else { TEMPORARY };
        root.ensure(directory)?;
        let (file, temporary) = match open_new(root, way, directory) {
            Err(Errno::NOENT) => {
                root.forget(directory);
                root.ensure(directory)?;
                open_new(root, way, directory)
            }
            other => other,
        }
        .map_err(|errno| root.fail(errno, name))?;
        Ok(Self {
            root: root.clone(),
            name: name.to_owned(),
            file,
            way,
            temporary,
            written_bytes: 0,
            handed_over_bytes: 0,
        })
    }

    pub(super) fn append(&mut self, data: &[u8]) -> Result<()> {
        for piece in data.chunks(WRITEBACK_BYTES) {
            self.file.write_all(piece).map_err(|error| self.root.fail(error, &self.name))?;
            self.written_bytes += piece.len() as u64;
            self.begin_writeback();
        }
        Ok(())
    }

    /// `DONTNEED` on dirty pages starts their writing without waiting (mm/fadvise.c), which is
    /// what sync_file_range(2) is for; pages in flight stay cached. It is only advice.
    fn begin_writeback(&mut self) {
        let pending = self.written_bytes - self.handed_over_bytes;
        if pending >= WRITEBACK_BYTES as u64 {
            let (start, length) = (self.handed_over_bytes, NonZeroU64::new(pending));
            let _ = rustix::fs::fadvise(&self.file, start, length, Advice::DontNeed);
            self.handed_over_bytes = self.written_bytes;
        }
    }

    /// When the file system thinks that it was last written to.
    pub(super) fn modified(&self) -> Result<Timestamp> {
        let fail = |error| self.root.fail(error, &self.name);
        self.file.sync_all().map_err(fail)?;
        let mask = StatxFlags::MTIME;
        let fresh = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        let stat = rustix::fs::statx(&self.file, "", fresh, mask)
            .map_err(|errno| self.root.fail(errno, &self.name))?;
        let (seconds, nanoseconds) = (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
        Ok(Timestamp::new(seconds, nanoseconds as i32).unwrap_or(Timestamp::MIN))
    }

    pub(super) fn publish(mut self) -> Result<()> {
        self.file.sync_all().map_err(|error| self.root.fail(error, &self.name))?;
        let directory = parent(&self.name).to_owned();
        if self.way != Way::Unnamed {
            self.root.ensure(&directory)?;
        }
        match self.name_it() {
            Err(Errno::NOENT) if !self.landed() => {
                self.root.forget(&directory);
                self.root.ensure(&directory)?;
                self.name_it()
            }
            other => other,
        }
        .or_else(|errno| if self.landed() { Ok(()) } else { Err(errno) })
        .map_err(|errno| self.root.fail(errno, &self.name))?;
        self.remove_temporary();
        self.root.sync(&directory)
    }

    fn name_it(&self) -> rustix::io::Result<()> {
        self.root.name_it(self.way, self.file.as_raw_fd(), &self.temporary, &self.name)
    }

    /// Whether the name is ours although the call failed: a file server that gets a request
    /// twice answers the second time that the name is taken.
    fn landed(&self) -> bool {
        if self.way == Way::Unnamed {
            return false;
        }
        let mask = StatxFlags::INO | StatxFlags::NLINK | StatxFlags::SIZE;
        let fresh = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
        let ours = rustix::fs::statx(&self.file, "", fresh | AtFlags::EMPTY_PATH, mask);
        let theirs = rustix::fs::statx(&self.root.directory, &*self.name, fresh, mask);
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return false };
        let device = |stat: &rustix::fs::Statx| (stat.stx_dev_major, stat.stx_dev_minor);
        if device(&ours) == device(&theirs) && ours.stx_ino == theirs.stx_ino {
            return true;
        }
        if self.way == Way::Link {
            return ours.stx_nlink >= 2;
        }
        // Inode numbers of such a server may mean nothing: ours was renamed away, and the
        // same bytes are there.
        let temporary = rustix::fs::statx(&self.root.directory, &*self.temporary, fresh, mask);
        matches!(temporary, Err(Errno::NOENT))
            && ours.stx_size == theirs.stx_size
            && self.same_bytes(theirs.stx_size)
    }

    fn same_bytes(&self, size_bytes: u64) -> bool {
        let Ok(theirs) = self.root.open_object(&self.name) else { return false };
        let (mut one, mut two) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut at = 0;
        while at < size_bytes {
            let length = (size_bytes - at).min(1 << 16) as usize;
            let read = self.file.read_exact_at(&mut one[..length], at);
            let same = read.and_then(|()| theirs.read_exact_at(&mut two[..length], at)).is_ok();
            if !same || one[..length] != two[..length] {
                return false;
            }
            at += length as u64;
        }
        true
    }

    fn remove_temporary(&mut self) {
        if !self.temporary.is_empty() {
            // What stays is swept one day.
            let _ = rustix::fs::unlinkat(&self.root.directory, &*self.temporary, AtFlags::empty());
            self.temporary.clear();
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.remove_temporary();
    }
}

impl PutStream for Unfinished {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.append(data)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.publish()
    }
}

fn open_new(root: &Root, way: Way, directory: &str) -> rustix::io::Result<(File, String)> {
    if way == Way::Unnamed {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let path = relative(directory);
        let file = rustix::fs::openat(&root.directory, path, flags, PRIVATE_FILE)?;
        root.give(&file);
        return Ok((file.into(), String::new()));
    }
    loop {
        let temporary = temporary_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&root.directory, &*temporary, flags, PRIVATE_FILE) {
            Err(Errno::EXIST) => {}
            other => {
                let file = other?;
                root.give(&file);
                return Ok((file.into(), temporary));
            }
        }
    }
}

/// The name and size of an open object; `NotFound` if it is a directory or something odd.
pub(super) fn regular_size(file: &File, name: &str, root: &Root) -> Result<u64> {
    let metadata = file.metadata().map_err(|error| root.fail(error, name))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(Error::not_found(format!("object {name} does not exist: not a file")))
    }
}
