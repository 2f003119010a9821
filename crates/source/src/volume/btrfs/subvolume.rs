//! The subvolume that a directory lies in, and those inside of it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{fstat, fstatfs};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use super::{SHELF, TOP_INODE};
use crate::files::Excludes;
use crate::volume::ioctl::{self, Subvolume};
use crate::volume::mounts::{self, Mount};
use crate::volume::opened;
use crate::volume::place::{At, Place};

/// `statfs` of btrfs.
const MAGIC: u32 = 0x9123_683e;
/// Deeper or more subvolumes are refused.
const MOST_NESTED: usize = 10_000;
/// Why a subvolume is left out.
const COPY: &str = "a read-only snapshot";

/// Where a volume lies.
#[derive(Debug)]
pub(super) struct Located {
    /// The top of the subvolume that holds it.
    pub top: OwnedFd,
    pub info: Subvolume,
    /// The volume's path below the top; empty if it is the subvolume itself.
    pub inside: Vec<u8>,
    /// Inode of the volume's directory.
    pub inode: u64,
    pub mount: Mount,
    /// The volume's path on this host.
    pub path: PathBuf,
}

pub(in crate::volume) fn is_btrfs(directory: impl AsFd) -> bool {
    fstatfs(directory).is_ok_and(|found| found.f_type as u32 == MAGIC)
}

pub(super) fn locate(name: &str, place: Place) -> Result<Located> {
    let Place { path, directory } = place;
    let shown = path.display();
    let mount = mounts::of(&directory, &path)?;
    if !is_btrfs(&directory) {
        return Err(Error::unsupported(format!(
            "volume {name}: {shown} lies on {}, not on btrfs; use the connector files, or reflink \
             where the file system lies on an image",
            mount.kind
        )));
    }
    let failed = |errno: Errno| refused(name, &path, errno);
    let inode = fstat(&directory).map_err(failed)?.st_ino;
    let top_path = top_of(&path).map_err(|error| Error::io(error, path.display()))?;
    let inside = path.strip_prefix(&top_path).map_err(|_| Error::internal("no ancestor"))?;
    let inside = inside.as_os_str().as_bytes().to_vec();
    let top = crate::volume::place::open(&top_path).map_err(failed)?;
    if fstat(&top).map_err(failed)?.st_ino != TOP_INODE {
        return Err(Error::unsupported(format!(
            "volume {name}: {shown}: only a part of its subvolume is mounted, and only whole ones \
             can be snapshotted; name it by a path of the whole, or use the connector files"
        )));
    }
    let info = ioctl::subvolume(&top).map_err(failed)?;
    Ok(Located { top, info, inside, inode, mount, path })
}

/// The nearest directory at or above a path that is the top of a subvolume, or the highest that can
/// be reached where only a part of it is mounted.
fn top_of(path: &Path) -> std::io::Result<PathBuf> {
    let device = path.symlink_metadata()?.dev();
    let mut top = path.to_owned();
    for above in path.ancestors() {
        let found = above.symlink_metadata()?;
        if found.dev() != device {
            break;
        }
        above.clone_into(&mut top);
        if found.ino() == TOP_INODE {
            break;
        }
    }
    Ok(top)
}

/// A subvolume inside of another one.
#[derive(Debug)]
pub(super) struct Nested {
    /// Path below the top of the outermost.
    pub at: Vec<u8>,
    pub top: OwnedFd,
    pub info: Subvolume,
}

/// What lies inside of a subvolume, at every depth.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Sorted by path.
    pub nested: Vec<Nested>,
    /// Paths of what is left out, each with the reason. Sorted.
    pub left_out: Vec<(Vec<u8>, &'static str)>,
}

/// The subvolumes below the volume. Read-only snapshots are left out: they are copies of their own,
/// perhaps hundreds.
pub(super) fn inside(name: &str, located: &Located, excludes: &Excludes) -> Result<Inside> {
    let mut found = Inside::default();
    let mut left: Vec<(Vec<u8>, OwnedFd)> = Vec::new();
    let top = opened::below(&located.top, b"").map_err(|e| refused(name, &located.path, e))?;
    left.push((Vec::new(), top));
    let mut seen = 0;
    while let Some((above, top)) = left.pop() {
        let children = ioctl::children(&top).map_err(|e| refused(name, &located.path, e))?;
        for (id, directory) in children {
            seen += 1;
            if seen > MOST_NESTED {
                return Err(Error::unsupported(format!(
                    "volume {name}: more than {MOST_NESTED} subvolumes inside of it"
                )));
            }
            // It may be deleted at this moment.
            let Ok(path) = ioctl::child_path(&top, id, directory) else { continue };
            let at = super::join(&above, &path);
            let Some(below) = below(&located.inside, &at) else { continue };
            let is_ours = at.split(|byte| *byte == b'/').any(|name| name == SHELF.as_bytes());
            if is_ours || excludes.matches(below, true) {
                continue;
            }
            match look(&top, &path, id) {
                Ok((info, _)) if info.is_read_only && info.parent_uuid != [0; 16] => {
                    found.left_out.push((at, COPY));
                }
                Ok((info, nested)) => {
                    let further = opened::below(&nested, b"");
                    left.push((at.clone(), further.map_err(|e| refused(name, &located.path, e))?));
                    found.nested.push(Nested { at, top: nested, info });
                }
                Err(why) => found.left_out.push((at, why)),
            }
        }
    }
    found.nested.sort_by(|a, b| a.at.cmp(&b.at));
    found.left_out.sort_unstable();
    Ok(found)
}

fn look(above: &OwnedFd, path: &[u8], id: u64) -> Result<(Subvolume, OwnedFd), &'static str> {
    let top = opened::below(above, path).map_err(|_| "cannot be opened")?;
    match ioctl::subvolume(&top) {
        Ok(info) if info.id == id => Ok((info, top)),
        _ => Err("something else is mounted on it"),
    }
}

/// Read-only snapshots inside of a volume: they cannot be moved. None where it cannot be told.
pub(in crate::volume) fn copies_inside(path: &Path) -> Vec<Vec<u8>> {
    let place = At::plain(path).open("");
    let Ok(located) = place.and_then(|place| locate("", place)) else { return Vec::new() };
    let inside = inside("", &located, &Excludes::default()).unwrap_or_default();
    let copies = inside.left_out.iter().filter(|(_, why)| *why == COPY);
    copies.filter_map(|(at, _)| below(&located.inside, at)).map(<[u8]>::to_vec).collect()
}

/// The path below a directory; None if it does not lie there or is the directory itself.
pub(super) fn below<'p>(directory: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    if directory.is_empty() {
        return Some(path).filter(|path| !path.is_empty());
    }
    path.strip_prefix(directory)?.strip_prefix(b"/").filter(|path| !path.is_empty())
}

pub(super) fn refused(name: &str, path: &Path, errno: Errno) -> Error {
    let shown = path.display();
    match errno {
        Errno::PERM | Errno::ACCESS => Error::denied(format!(
            "volume {name}: {shown}: btrfs snapshots need root ({errno}); run as root, or use the \
             connector files"
        )),
        Errno::ROFS => Error::unsupported(format!(
            "volume {name}: {shown} is mounted read-only, so that no snapshot can be made; use the \
             connector files"
        )),
        errno => Error::io(errno.into(), format_args!("volume {name}: {shown}")),
    }
}
