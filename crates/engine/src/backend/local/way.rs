//! How a finished file gets its name: the best way that the file system has, found by trying.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::root::{PRIVATE_FILE, Root};
use super::unfinished::temporary_name;
use crate::backend::name::TEMPORARY;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `O_TMPFILE`, then linkat(2) through /proc: nothing is left of a crash. Local file systems.
    Unnamed,
    /// A file in `tmp/`, then link(2), which never replaces. NFS.
    Link,
    /// A file in `tmp/`, then renameat2(2) that does not replace. SMB, FAT.
    RenameNoReplace,
    /// A file in `tmp/`, then a look and a rename(2): not safe against another writer, so
    /// [`crate::backend::Backend::conditional`] is false. Some FUSE file systems.
    Rename,
}

impl Root {
    /// Remembered once it could be tried; a directory that cannot be written to is guessed.
    pub(super) fn way(&self) -> Way {
        if let Some(way) = self.way.get() {
            return *way;
        }
        let Some(way) = self.find_way() else {
            return if self.network { Way::Link } else { Way::Unnamed };
        };
        *self.way.get_or_init(|| way)
    }

    fn find_way(&self) -> Option<Way> {
        if !self.network {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            match rustix::fs::openat(&self.directory, ".", flags, PRIVATE_FILE) {
                Ok(_)
                    if rustix::fs::access("/proc/self/fd", rustix::fs::Access::EXISTS).is_ok() =>
                {
                    return Some(Way::Unnamed);
                }
                Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        self.ensure(TEMPORARY).ok()?;
        let (one, two) = (temporary_name(), temporary_name());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &*one, flags, PRIVATE_FILE).ok()?;
        let root = &self.directory;
        let way = if rustix::fs::linkat(root, &*one, root, &*two, AtFlags::empty()).is_ok() {
            Way::Link
        } else if rustix::fs::renameat_with(root, &*one, root, &*two, RenameFlags::NOREPLACE)
            .is_ok()
        {
            Way::RenameNoReplace
        } else {
            Way::Rename
        };
        for name in [one, two] {
            // One of them may be gone; what stays is swept one day.
            let _ = rustix::fs::unlinkat(root, name, AtFlags::empty());
        }
        Some(way)
    }

    /// Gives `temporary` (or the unnamed file behind `descriptor`) its name.
    pub(super) fn name_it(
        &self,
        way: Way,
        descriptor: std::os::fd::RawFd,
        temporary: &str,
        name: &str,
    ) -> rustix::io::Result<()> {
        let root = &self.directory;
        match way {
            Way::Unnamed => {
                let unnamed = format!("/proc/self/fd/{descriptor}");
                rustix::fs::linkat(CWD, unnamed, root, name, AtFlags::SYMLINK_FOLLOW)
            }
            Way::Link => rustix::fs::linkat(root, temporary, root, name, AtFlags::empty()),
            Way::RenameNoReplace => {
                rustix::fs::renameat_with(root, temporary, root, name, RenameFlags::NOREPLACE)
            }
            Way::Rename => match rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(root, temporary, root, name),
                Err(errno) => Err(errno),
            },
        }
    }

    /// Opens for reading, without following a link and without waiting on a pipe.
    pub(super) fn open_object(&self, name: &str) -> rustix::io::Result<std::fs::File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?.into())
    }
}
