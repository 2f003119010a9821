//! Opening what stands in the target, beneath its root like everything else: files to read them
//! back, block devices also to write images onto them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use tintype_model::entry::{Kind, Node, Problem};
use tintype_model::{Error, ErrorKind, Result};

use super::beneath::check;
use super::{Put, Target};
use crate::files::image::{DeviceTarget, measured};
use crate::files::read::OpenFile;
use crate::files::stat::stat_fd;

const COPY_BYTES: usize = 1 << 20;

impl Target {
    /// Opens a file, or a block device, to read it back.
    pub fn read(&self, path: &[u8]) -> Result<OpenFile> {
        check(path)?;
        let how = OFlags::RDONLY | OFlags::NONBLOCK;
        let fd = self.root.open(path, how).map_err(|errno| self.root.refused(path, errno))?;
        let mut stat = stat_fd(&fd).map_err(|errno| self.root.refused(path, errno))?;
        match stat.kind {
            Kind::File => {}
            Kind::BlockDevice => stat.size = measured(&fd, Path::new(OsStr::from_bytes(path)))?.1,
            kind => return Err(self.root.in_the_way(path, kind)),
        }
        Ok(OpenFile::new(fd, stat))
    }

    /// A copy of what was restored at `existing`, with all its metadata.
    pub fn copy(&self, existing: &[u8], path: &[u8], put: Put) -> Result<Vec<Problem>> {
        let node = self.inspect(existing)?;
        let mut node = node.ok_or_else(|| self.root.refused(existing, Errno::NOENT))?;
        node.links = 1;
        match node.kind {
            Kind::File => {}
            Kind::Symlink => return self.symlink(path, &node, put),
            _ => return self.special(path, &node, put),
        }
        let (file, copy) = (self.read(existing)?, self.begin_file(path, &node)?);
        let failed = |problem: Problem| {
            Error::unavailable(format!("{}: {}", self.root.shown(existing), problem.message))
        };
        let mut buffer = vec![0; COPY_BYTES];
        for segment in file.segments().filter(|segment| !segment.hole) {
            let (mut at, end) = (segment.offset, segment.offset + segment.length);
            while at < end {
                let room = (end - at).min(buffer.len() as u64) as usize;
                let length = file.read_full_at(&mut buffer[..room], at).map_err(failed)?;
                copy.write_at(at, &buffer[..length])?;
                if length < room {
                    return Err(Error::unavailable(format!(
                        "{}: shrinks",
                        self.root.shown(existing)
                    )));
                }
                at += length as u64;
            }
        }
        copy.finish(&node, put)
    }

    /// Opens a block device exclusively, to write an image of `image_bytes` onto it: one that
    /// is mounted or otherwise in use is refused (`Locked`), one that is too small (`Invalid`),
    /// and whatever is not the device that was `seen` at this path (`Denied`).
    pub fn open_device(&self, path: &[u8], seen: &Node, image_bytes: u64) -> Result<DeviceTarget> {
        check(path)?;
        let how = OFlags::RDWR | OFlags::EXCL | OFlags::NONBLOCK;
        let fd = self.root.open(path, how).map_err(|errno| match errno {
            Errno::BUSY => Error::new(
                ErrorKind::Locked,
                format!(
                    "{}: in use (mounted, or part of a volume); release it first",
                    self.root.shown(path)
                ),
            ),
            errno => self.root.refused(path, errno),
        })?;
        let stat = stat_fd(&fd).map_err(|errno| self.root.refused(path, errno))?;
        let number = seen.extras.as_ref().and_then(|extras| extras.device_number);
        if stat.kind != Kind::BlockDevice || Some(stat.rdev) != number {
            let path = self.root.shown(path);
            return Err(Error::denied(format!("{path}: not the device that stood there before")));
        }
        DeviceTarget::new(fd, Path::new(OsStr::from_bytes(path)), image_bytes)
    }
}
