//! Extended attributes and inode flags, read.
//!
//! Access is by file descriptor where there is one. What cannot be opened (symlinks, fifos,
//! devices, sockets) is reached as `/proc/self/fd/<directory>/<name>`, which the kernel
//! resolves through the descriptor and not through any path.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{
    fgetxattr, flistxattr, flistxattr_query, ioctl_getflags, lgetxattr, llistxattr,
    llistxattr_query,
};
use rustix::io::Errno;
use tintype_model::entry::{Problem, Xattr, flags};

use super::problems::metadata;

/// The largest value that Linux lets an attribute have (`XATTR_SIZE_MAX`).
const LARGEST_VALUE: usize = 64 * 1024;

/// How attributes are reached.
#[derive(Clone, Copy)]
pub(crate) enum Reach<'a> {
    Fd(BorrowedFd<'a>),
    Path(&'a [u8]),
}

/// The path of `name` below an open directory, for calls that only take paths.
pub(crate) fn proc_path(directory: &impl AsRawFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// All attributes, sorted by name. The common case, none, is one call and no allocation.
pub(crate) fn xattrs(reach: Reach<'_>) -> (Vec<Xattr>, Option<Problem>) {
    let mut small = [0u8; 512];
    let names = match list(reach, &mut small) {
        Ok(0) => return (Vec::new(), None),
        Ok(length) => small[..length].to_vec(),
        Err(Errno::RANGE) => match list_long(reach) {
            Ok(names) => names,
            Err(errno) => return (Vec::new(), Some(metadata("xattrs not read", errno))),
        },
        Err(errno) if unsupported(errno) => return (Vec::new(), None),
        Err(errno) => return (Vec::new(), Some(metadata("xattrs not read", errno))),
    };
    let mut found = Vec::new();
    let mut problem = None;
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match value(reach, name) {
            Ok(value) => found.push(Xattr { name: name.to_vec(), value }),
            Err(Errno::NODATA) => {} // Removed since it was listed.
            Err(errno) => {
                let what = format!("xattr {} not read", String::from_utf8_lossy(name));
                problem = Some(super::problems::merge(problem, metadata(&what, errno)));
            }
        }
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    (found, problem)
}

/// The kept inode flags; none where the file system has no such flags.
pub(crate) fn inode_flags(fd: BorrowedFd<'_>) -> Result<u32, Problem> {
    match ioctl_getflags(fd) {
        Ok(found) => Ok(found.bits() & flags::KEPT),
        Err(errno) if unsupported(errno) => Ok(0),
        Err(errno) => Err(metadata("inode flags not read", errno)),
    }
}

/// The file system or the kernel has no such thing.
pub(crate) fn unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS)
}

fn list(reach: Reach<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    match reach {
        Reach::Fd(fd) => flistxattr(fd, into),
        Reach::Path(path) => llistxattr(path, into),
    }
}

fn list_long(reach: Reach<'_>) -> Result<Vec<u8>, Errno> {
    loop {
        let length = match reach {
            Reach::Fd(fd) => flistxattr_query(fd)?,
            Reach::Path(path) => llistxattr_query(path)?,
        };
        let mut names = vec![0u8; length];
        match list(reach, &mut names) {
            Ok(length) => {
                names.truncate(length);
                return Ok(names);
            }
            Err(Errno::RANGE) => {} // It grew.
            Err(errno) => return Err(errno),
        }
    }
}

fn value(reach: Reach<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let get = |into: &mut [u8]| match reach {
        Reach::Fd(fd) => fgetxattr(fd, name, into),
        Reach::Path(path) => lgetxattr(path, name, into),
    };
    let mut small = [0u8; 1024];
    match get(&mut small) {
        Ok(length) => Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0u8; LARGEST_VALUE];
            let length = get(&mut large)?;
            large.truncate(length);
            large.shrink_to_fit();
            Ok(large)
        }
        Err(errno) => Err(errno),
    }
}
