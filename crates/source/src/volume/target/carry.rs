//! What is on the volume and in no snapshot, because it was left out: patterns of the user, our own
//! snapshots, read-only snapshots of others, what another restore holds. A restore must not take it away, so it moves from what
//! is replaced to what takes its place.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tintype_model::{Error, Result};

use super::journal::identity;
use super::layout::Layout;
use super::metadata::copy_metadata;
use super::switch::{make, rename_if_there};
use crate::connector::session_of;
use crate::files::{Excludes, ExcludesBuilder};
use crate::volume::escape::escaped;
use crate::volume::times::keeping_times;
use crate::volume::{btrfs, ioctl, place};

/// More are refused: a pattern that matches single files everywhere would make one rename each.
const MOST: usize = 1_000_000;

/// Names at the top that are not touched: what is exchanged one by one leaves them where they are.
pub(super) fn staying(layout: &Layout) -> BTreeSet<Vec<u8>> {
    let mut builder = ExcludesBuilder::default();
    for line in &layout.excludes {
        builder.pattern(line, "excludes");
    }
    let (None, Ok(excludes)) = (&layout.only, builder.build()) else { return BTreeSet::new() };
    let names = std::fs::read_dir(&layout.live).into_iter().flatten().flatten();
    let left_out = names.filter(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        excludes.matches(entry.file_name().as_bytes(), is_directory)
    });
    left_out.map(|entry| entry.file_name().as_bytes().to_vec()).collect()
}

/// What is left out of a volume, and stays on it.
pub(super) struct LeftOut {
    excludes: Excludes,
    top: PathBuf,
    container: PathBuf,
}

impl LeftOut {
    pub(super) fn of(layout: &Layout) -> Result<Self> {
        let mut builder = ExcludesBuilder::default();
        for line in &layout.excludes {
            builder.pattern(line, "excludes");
        }
        let container = layout.container.clone();
        Ok(Self { excludes: builder.build()?, top: layout.volume(), container })
    }

    /// Of a path below the top.
    pub(super) fn has(&self, path: &Path, is_directory: bool) -> bool {
        self.top.join(path) == self.container
            || is_left_out(&self.excludes, path, is_directory, &self.top)
    }
}

/// Paths below the volume's top, escaped: the highest of each tree that is left out.
pub(super) fn find(layout: &Layout) -> Result<Vec<String>> {
    let LeftOut { excludes, top, .. } = LeftOut::of(layout)?;
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        let dir = top.join(&path);
        let failed = |error| Error::io(error, dir.display());
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let path = path.join(entry.file_name());
            let is_directory = entry.file_type().map_err(failed)?.is_dir();
            if top.join(&path) == layout.container {
                continue;
            }
            if is_left_out(&excludes, &path, is_directory, &top) {
                if identity(&layout.restored().join(&path))?.is_none() {
                    found.push(escaped(path.as_os_str().as_bytes()));
                }
            } else if is_directory {
                left.push(path);
            }
            if found.len() > MOST {
                return Err(Error::unsupported(format!(
                    "{}: more than {MOST} files that the excludes leave out would have to be \
                     carried over; restore as new, and move what you want",
                    top.display()
                )));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_left_out(excludes: &Excludes, path: &Path, is_directory: bool, top: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    if bytes == btrfs::SHELF.as_bytes()
        || is_container(bytes)
        || excludes.matches(bytes, is_directory)
    {
        return true;
    }
    let path = top.join(path);
    let is_top = || path.symlink_metadata().is_ok_and(|found| found.ino() == btrfs::TOP_INODE);
    is_directory
        && is_top()
        && place::open(&path).is_ok_and(|directory| {
            btrfs::is_btrfs(&directory)
                && ioctl::subvolume(&directory)
                    .is_ok_and(|found| found.is_read_only && found.parent_uuid != [0; 16])
        })
}

/// What another restore made at the top of this volume: it may hold all that is left of what that
/// one replaced.
fn is_container(name: &[u8]) -> bool {
    let name = std::str::from_utf8(name).ok();
    name.is_some_and(|name| session_of(name).is_some() && name.contains("-restore"))
}

/// Moves a path from one tree to the same path in another one, unless it is there already.
/// Directories that are missing on the way are made like those of the first.
pub(super) fn over(from: &Path, to: &Path, path: &Path) -> Result<()> {
    let (source, target) = (from.join(path), to.join(path));
    if identity(&source)?.is_none() || identity(&target)?.is_some() {
        return Ok(());
    }
    let mut way = PathBuf::new();
    for name in path.parent().into_iter().flat_map(Path::iter) {
        way.push(OsStr::from_bytes(name.as_bytes()));
        if identity(&to.join(&way))?.is_none() {
            make(&to.join(&way))?;
            copy_metadata(&from.join(&way), &to.join(&way))?;
        }
    }
    let parent = |path: &Path| path.parent().unwrap_or(path).to_owned();
    keeping_times(&parent(&source), || {
        keeping_times(&parent(&target), || rename_if_there(&source, &target))
    })
}
