//! What differs between a snapshot and the parent's, asked of btrfs.
//!
//! The stream of changes names what was touched. Not in it is what follows from that, and is added
//! here: the other names of a file whose metadata changed, and what lies in a directory that moved
//! to a place where another one was.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::overlay::{Limits, changes};
use crate::volume::ioctl::Subvolume;
use crate::volume::{ioctl, opened};

/// Beyond this a walk costs as little.
const MOST_NAMES: usize = 1_000_000;

/// Names below the top that may differ, in both views. An error means that it is not known.
/// `scratch`: where the stream is kept meanwhile.
pub(super) fn between(
    old: (&OwnedFd, &Subvolume),
    new: &OwnedFd,
    scratch: &Path,
) -> io::Result<BTreeSet<Vec<u8>>> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let stream = openat(CWD, scratch, flags, Mode::RUSR | Mode::WUSR)?;
    // Not through a pipe: this call does not return before all is written.
    ioctl::send(new, old.1.id, stream.as_fd())?;
    let mut stream = File::from(stream);
    stream.rewind()?;
    let found = changes(BufReader::new(stream), Limits::default())?;
    let mut names = Names { all: found.names };
    for (from, to) in &found.moved {
        for place in [from, to] {
            names.differ_below(old.0, new, place)?;
        }
    }
    names.add_further_names(new)?;
    Ok(names.all)
}

struct Names {
    all: BTreeSet<Vec<u8>>,
}

impl Names {
    fn add(&mut self, name: Vec<u8>) -> io::Result<()> {
        self.all.insert(name);
        if self.all.len() > MOST_NAMES {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many changed names"));
        }
        Ok(())
    }

    /// Adds all names below a place at which both views have a directory, but not the same one.
    /// What is a directory in one of them only is told by its own name.
    fn differ_below(&mut self, old: &OwnedFd, new: &OwnedFd, place: &[u8]) -> io::Result<()> {
        let mut left = vec![place.to_vec()];
        while let Some(place) = left.pop() {
            let both = (directory(old, &place)?, directory(new, &place)?);
            let (Some(old), Some(new)) = both else { continue };
            let mut names: BTreeSet<Vec<u8>> = opened::names(&old)?.into_iter().collect();
            names.extend(opened::names(&new)?);
            for name in names {
                let path = super::join(&place, &name);
                let is_directory = |in_view: &OwnedFd| {
                    statat(in_view, &*name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| {
                        FileType::from_raw_mode(found.st_mode) == FileType::Directory
                    })
                };
                if is_directory(&old) && is_directory(&new) {
                    left.push(path.clone());
                }
                self.add(path)?;
            }
        }
        Ok(())
    }

    /// A file whose metadata changed is told by one of its names.
    fn add_further_names(&mut self, new: &OwnedFd) -> io::Result<()> {
        let mut seen = BTreeSet::new();
        for name in self.all.clone() {
            let Ok(found) = stat_below(new, &name) else { continue };
            let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_directory || found.st_nlink < 2 || !seen.insert(found.st_ino) {
                continue;
            }
            for path in ioctl::paths_of(new, found.st_ino)? {
                self.add(path)?;
            }
        }
        Ok(())
    }
}

/// None if there is no directory at the path.
fn directory(top: &OwnedFd, path: &[u8]) -> io::Result<Option<OwnedFd>> {
    match opened::below(top, path) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether there is a directory at a path; none if there is nothing.
pub(super) fn is_directory(top: &OwnedFd, path: &[u8]) -> Option<bool> {
    if path.is_empty() {
        return Some(true);
    }
    let found = stat_below(top, path).ok()?;
    Some(FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

fn stat_below(top: &OwnedFd, path: &[u8]) -> Result<rustix::fs::Stat, Errno> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (above, name) = at.map_or((&path[..0], path), |at| (&path[..at], &path[at + 1..]));
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
    statat(opened::below(top, above)?, name, AtFlags::SYMLINK_NOFOLLOW)
}
