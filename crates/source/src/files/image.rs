//! Block devices and disk images as a whole: their bytes, not what they mean.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, SeekFrom, fallocate, fsync, openat, seek};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, Result};

use super::owners::Accounts;
use super::read::Segments;
use super::stat::{Stat, stat_fd};
use crate::connector::ReadImage;

/// A block device or a file, read as an image.
#[derive(Debug)]
pub struct Image {
    fd: OwnedFd,
    path: PathBuf,
    stat: Stat,
    size: u64,
}

impl Image {
    /// Symlinks are followed (`/dev/disk/by-id/…` is one): the user named it.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = open(path, OFlags::RDONLY)?;
        let (stat, size) = measured(&fd, path)?;
        Ok(Self { fd, path: path.to_path_buf(), stat, size })
    }

    /// Metadata of the entry.
    pub fn node(&self, accounts: &Accounts) -> Node {
        let mut node = self.stat.node(Arc::new(accounts.owner(self.stat.uid, self.stat.gid)));
        node.kind = Kind::Image;
        node.size = self.size;
        node.links = 1;
        node
    }

    /// Fills the buffer from a position as far as the image goes.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        read_full_at(&self.fd, buffer, offset).map_err(|errno| failed(&self.path, errno))
    }

    /// Data and holes; a device is one range of data, since only its zeros can tell.
    pub fn segments(&self) -> Segments<'_> {
        let ask = self.stat.kind == Kind::File && self.stat.blocks * 512 < self.size;
        Segments::new(self.fd.as_fd(), self.size, ask)
    }
}

impl ReadImage for Image {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.read_full_at(buffer, offset)?;
        if read == buffer.len() {
            return Ok(());
        }
        let (path, end) = (self.path.display(), offset + read as u64);
        Err(Error::unavailable(format!("{path}: the image ended at byte {end}")))
    }

    /// Whether it was written to since it was opened. A device cannot tell: freeze it first.
    fn changed(&self) -> bool {
        self.stat.kind == Kind::File
            && stat_fd(&self.fd).map_or(true, |now| {
                now.size != self.stat.size
                    || now.mtime != self.stat.mtime
                    || now.ctime != self.stat.ctime
            })
    }
}

/// A block device that an image is restored to. (An image that becomes a file is a file:
/// [`Target::begin_file`](super::Target::begin_file).) Opened by
/// [`Target::open_device`](super::Target::open_device).
#[derive(Debug)]
pub struct DeviceTarget {
    fd: OwnedFd,
    path: PathBuf,
    size: u64,
}

impl DeviceTarget {
    /// Of an open block device; one that is smaller than the image is refused.
    pub(crate) fn new(fd: OwnedFd, path: &Path, image_bytes: u64) -> Result<Self> {
        let (_, size) = measured(&fd, path)?;
        if size < image_bytes {
            let path = path.display();
            return Err(Error::invalid(format!(
                "{path}: has {size} bytes, the image needs {image_bytes}"
            )));
        }
        Ok(Self { fd, path: path.to_path_buf(), size })
    }

    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut written = 0;
        while written < data.len() {
            match rustix::io::pwrite(&self.fd, &data[written..], offset + written as u64) {
                Ok(0) => return Err(failed(&self.path, Errno::NOSPC)),
                Ok(length) => written += length,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(&self.path, errno)),
            }
        }
        Ok(())
    }

    /// Makes a range read as zeros: by the device itself where it can, else by writing them.
    pub fn zero(&self, offset: u64, length: u64) -> Result<()> {
        let how = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        if fallocate(&self.fd, how, offset, length).is_ok() {
            return Ok(());
        }
        let zeros = vec![0u8; 1 << 20];
        let end = offset + length;
        let mut at = offset;
        while at < end {
            let piece = (end - at).min(zeros.len() as u64);
            self.write_at(at, &zeros[..piece as usize])?;
            at += piece;
        }
        Ok(())
    }

    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        read_full_at(&self.fd, buffer, offset).map_err(|errno| failed(&self.path, errno))
    }

    /// Waits until the device has it all.
    pub fn finish(self) -> Result<()> {
        fsync(&self.fd).map_err(|errno| failed(&self.path, errno))
    }
}

fn read_full_at(fd: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

fn open(path: &Path, how: OFlags) -> Result<OwnedFd> {
    let how = how | OFlags::CLOEXEC | OFlags::NONBLOCK;
    openat(CWD, path.as_os_str().as_bytes(), how, Mode::empty())
        .map_err(|errno| failed(path, errno))
}

/// What it is and its size, which for a device is where its end is.
pub(crate) fn measured(fd: &OwnedFd, path: &Path) -> Result<(Stat, u64)> {
    let stat = stat_fd(fd).map_err(|errno| failed(path, errno))?;
    let size = match stat.kind {
        Kind::File => stat.size,
        Kind::BlockDevice => seek(fd, SeekFrom::End(0)).map_err(|errno| failed(path, errno))?,
        _ => {
            let path = path.display();
            return Err(Error::invalid(format!("{path}: neither a block device nor a file")));
        }
    };
    Ok((stat, size))
}

fn failed(path: &Path, errno: Errno) -> Error {
    Error::io(errno.into(), path.display())
}
