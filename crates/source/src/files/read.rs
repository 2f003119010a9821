//! Reading a file that a walk found.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node, Owner, Problem, ProblemKind};

use super::found::load_by_fd;
use super::problems::{merge, unreadable};
use super::stat::{Stat, stat_fd};

/// An open file and its state at that moment.
#[derive(Debug)]
pub struct OpenFile {
    file: OwnedFd,
    opened: Stat,
}

impl OpenFile {
    pub(crate) fn new(file: OwnedFd, opened: Stat) -> Self {
        Self { file, opened }
    }

    /// Size when it was opened.
    pub fn size_bytes(&self) -> u64 {
        self.opened.size
    }

    /// Whether it is a block device, restored to as an image.
    pub fn is_device(&self) -> bool {
        self.opened.kind == Kind::BlockDevice
    }

    /// Reads on from where the last `read` ended; 0 at the end. Not to be mixed with
    /// [`OpenFile::segments`], which moves the position.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Problem> {
        again(|| rustix::io::read(&self.file, &mut *buffer))
    }

    /// Reads at a position; 0 at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Problem> {
        again(|| rustix::io::pread(&self.file, &mut *buffer, offset))
    }

    /// Fills the buffer from a position as far as the file goes.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Problem> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64)? {
                0 => break,
                length => filled += length,
            }
        }
        Ok(filled)
    }

    /// Whether less is allocated than the size: then [`OpenFile::segments`] may find holes.
    pub fn is_sparse(&self) -> bool {
        self.opened.blocks.saturating_mul(512) < self.opened.size
    }

    /// The file as ranges of data and holes, in order and without gaps. A file that is not
    /// sparse is one range, and no system call is made.
    pub fn segments(&self) -> Segments<'_> {
        let ask = self.is_sparse();
        Segments { file: self.file.as_fd(), size: self.opened.size, position: 0, ask }
    }

    /// Loads extended attributes and inode flags into the node.
    pub fn load_extras(&self, node: &mut Node) {
        if let Some(problem) = load_by_fd(&self.file, node) {
            let extras = node.extras_mut();
            extras.problem = Some(merge(extras.problem.take(), problem));
        }
    }

    /// Brings a node from the walk to the state at opening; true if it differed.
    pub fn refresh(&self, node: &mut Node) -> bool {
        if self.opened.agrees_with(node) {
            return false;
        }
        let (uid, gid) = (self.opened.uid, self.opened.gid);
        let owner = if (node.owner.uid, node.owner.gid) == (uid, gid) {
            Arc::clone(&node.owner)
        } else {
            Arc::new(Owner { uid, gid, ..Owner::default() }) // Names as of the walk are wrong now.
        };
        let extras = node.extras.take();
        *node = Node { extras, ..self.opened.node(owner) };
        true
    }

    /// Whether the file is not (or no longer) what the node says: asks the system again. After
    /// reading, true means that the content may be a mixture.
    pub fn changed(&self, node: &Node) -> bool {
        stat_fd(&self.file).map_or(true, |now| !now.agrees_with(node))
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
    /// Nothing is stored there; it reads as zeros.
    pub hole: bool,
}

/// See [`OpenFile::segments`].
#[derive(Debug)]
pub struct Segments<'a> {
    file: BorrowedFd<'a>,
    size: u64,
    position: u64,
    ask: bool,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(file: BorrowedFd<'a>, size: u64, ask: bool) -> Self {
        Self { file, size, position: 0, ask }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.position >= self.size {
            return None;
        }
        let offset = self.position;
        let data = if self.ask { self.data_after(offset) } else { offset };
        let hole = data > offset;
        let end = match (hole, self.ask) {
            (true, _) => data,
            (false, true) => self.hole_after(offset),
            (false, false) => self.size,
        };
        // A file that is cut meanwhile must not make us stand still.
        let end = if end > offset { end.min(self.size) } else { self.size };
        self.position = end;
        Some(Segment { offset, length: end - offset, hole })
    }
}

impl Segments<'_> {
    fn data_after(&mut self, offset: u64) -> u64 {
        match seek(self.file, SeekFrom::Data(offset)) {
            Ok(data) => data,
            Err(Errno::NXIO) => self.size,
            Err(_) => {
                self.ask = false; // The file system cannot tell.
                offset
            }
        }
    }

    fn hole_after(&mut self, offset: u64) -> u64 {
        seek(self.file, SeekFrom::Hole(offset)).unwrap_or(self.size)
    }
}

/// Repeats an interrupted call; other errors mean that the content cannot be read.
fn again(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Problem> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            // Mandatory locks, and file leases being broken.
            Err(Errno::AGAIN) => {
                let message = "cannot be read now: its owner holds a lock on it".to_owned();
                return Err(Problem { kind: ProblemKind::Unreadable, message });
            }
            Err(errno) => return Err(unreadable("cannot be read", errno)),
            Ok(length) => return Ok(length),
        }
    }
}
