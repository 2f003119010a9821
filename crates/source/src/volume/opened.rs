//! Directories that are reached through a descriptor, so that they stay readable wherever their
//! file system is mounted or unmounted meanwhile.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// A path by which this process reaches an open directory. It ends with a dot, because its last
/// name would be a symlink otherwise.
pub(super) fn path_of(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/.", directory.as_raw_fd()))
}

/// Opens a directory below another one; no symlink is followed. An empty path is itself.
pub(super) fn below(directory: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&directory, path, how, Mode::empty(), resolve) {
        // Before Linux 5.6: name by name.
        Err(Errno::NOSYS) => {}
        other => return other,
    }
    let mut at = openat(&directory, ".", how, Mode::empty())?;
    for name in path.split(|byte| *byte == b'/').filter(|name| *name != b".") {
        if name == b".." {
            return Err(Errno::XDEV);
        }
        at = openat(&at, name, how | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

/// Names in a directory, without `.` and `..`, in no order.
pub(super) fn names(directory: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Of its own, because listing moves a position in the open file.
    let fd = openat(directory, ".", how, Mode::empty())?;
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); 64 << 10];
    let mut listing = rustix::fs::RawDir::new(&fd, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
