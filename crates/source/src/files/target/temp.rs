//! A file that is being restored: written under a temporary name beside the final one, and
//! renamed when it is whole. Nobody ever sees a partial file under the final name.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, openat, unlinkat};
use rustix::io::Errno;
use tintype_model::entry::{Node, Problem, flags};
use tintype_model::{Error, Result};

use super::beneath::Parent;
use super::leftover::claim;
use super::metadata::{Before, Made, set_flags};
use super::{Put, Target, place};

/// Written with [`TempFile::write_at`] by any number of threads; without
/// [`TempFile::finish`] it goes away.
#[derive(Debug)]
pub struct TempFile<'t> {
    target: &'t Target,
    parent: Arc<Parent>,
    temporary: Temporary,
    path: Vec<u8>,
    file: OwnedFd,
    /// Behind the last byte that was written.
    end: AtomicU64,
}

/// A temporary name that is removed again unless it was renamed.
#[derive(Debug)]
pub(super) struct Temporary {
    pub parent: Arc<Parent>,
    pub name: Vec<u8>,
    pub armed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.armed {
            let _ = unlinkat(&self.parent.fd, &*self.name, AtFlags::empty());
        }
    }
}

impl<'t> TempFile<'t> {
    pub(super) fn create(target: &'t Target, path: &[u8], node: &Node) -> Result<Self> {
        if i64::try_from(node.size).is_err() {
            // No file can be that long; better told before any of it is written.
            return Err(target.root.refused(path, Errno::FBIG));
        }
        let (parent, _) = target.root.parent(path)?;
        let how = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, file) = loop {
            let name = target.temporary_name();
            let file = openat(&parent.fd, &*name, how, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| target.root.refused(path, errno))?;
            if claim(&file) {
                break (name, file);
            }
        };
        let temporary = Temporary { parent: Arc::clone(&parent), name, armed: true };
        let file =
            Self { target, parent, temporary, path: path.to_vec(), file, end: AtomicU64::new(0) };
        if kept_flags(node) & flags::NOCOW != 0 {
            // Only an empty file takes it. If it cannot be set, finishing says so.
            let _ = set_flags(&file.file, flags::NOCOW);
        }
        Ok(file)
    }

    /// Writes all of `data` at a position. What is never written stays a hole.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut written = 0;
        while written < data.len() {
            match rustix::io::pwrite(&self.file, &data[written..], offset + written as u64) {
                Ok(0) => return Err(self.target.root.refused(&self.path, Errno::IO)),
                Ok(length) => written += length,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.target.root.refused(&self.path, errno)),
            }
        }
        self.end.fetch_max(offset + data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the file what `node` says and gives it its name. The problems are those of
    /// metadata that could not be set; the content is whole.
    pub fn finish(mut self, node: &Node, put: Put) -> Result<Vec<Problem>> {
        let end = *self.end.get_mut();
        if end > node.size {
            let path = self.target.root.shown(&self.path);
            return Err(Error::invalid(format!("{path}: {end} bytes written of {}", node.size)));
        }
        if end < node.size {
            ftruncate(&self.file, node.size)
                .map_err(|errno| self.target.root.refused(&self.path, errno))?;
        }
        let before = Before {
            acl: self.parent.has_default_acl,
            existed: false,
            flags: self.parent.has_flags,
        };
        let made = Made::Open(self.file.as_fd());
        let mut problems = self.target.applier.apply(made, node, before);
        place(self.target, &mut self.temporary, &self.path, put)?;
        let wanted = kept_flags(node);
        let freezing = wanted & (flags::IMMUTABLE | flags::APPEND) != 0;
        if freezing && node.links > 1 {
            // Such a file takes no further hard links.
            self.target.defer_flags(&self.path, wanted);
        } else if wanted != 0 || before.flags {
            problems.extend(set_flags(&self.file, wanted));
        }
        Ok(problems)
    }
}

pub(super) fn kept_flags(node: &Node) -> u32 {
    node.extras.as_ref().map_or(0, |extras| extras.flags & flags::KEPT)
}
