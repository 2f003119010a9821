//! The hidden directory that holds our snapshots: `.tintype-snapshots` at the top of the mount
//! through which a volume is reached, mode 0700. It lies on the same file system, as it must; it
//! lies inside of what is captured only where the volume is what is mounted, and then it is left
//! out (and a snapshot never holds what other snapshots hold).
//!
//! Names in it:
//!
//! - `tintype-<session>-<subvolume>-<resource>`, with `-walked` behind it where it is a copy to be
//!   walked: a session uses it. One of a dead session goes.
//! - `kept-<chain>-<session>-<subvolume>-<resource>`: the parent of the next snapshot, because a
//!   committed mark names it by its uuid. It was renamed when its session committed; renaming
//!   changes neither uuid nor generation.
//!
//! A *chain* is what one series of marks (a resource in one repository) keeps: it has the name of the
//! series ([`Context::series`]), also when a snapshot finds no mark that fits, because the last one
//! failed. Of each chain only the newest counts, since a committed mark replaces the one before. So [`clean`] removes of each chain all
//! but the newest, which it never removes as long as it is among the newest [`MOST_CHAINS`] of its
//! subvolume and resource: a chain whose repository is gone is not told from one that rests, and
//! must not hold space for ever. If one that was still wanted goes, its mark does not fit any more,
//! and the next snapshot reads everything.
//!
//! If the process dies between the commit and the renaming, the snapshot bears the name of a dead
//! session and goes; the committed mark does not fit, with the same consequence.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use super::SHELF;
use crate::connector::{Context, LABEL};
use crate::volume::ioctl::{self, Subvolume};
use crate::volume::times::keeping_times;
use crate::volume::{mounts, opened};

const KEPT: &str = "kept-";

/// Chains of one subvolume and resource whose newest snapshot is kept: as many repositories can
/// hold it without reading everything each time.
const MOST_CHAINS: usize = 4;

/// How often a shelf is made again that somebody else removed because it was empty.
pub(super) const MOST_TRIES: usize = 16;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Shelf {
    pub path: PathBuf,
    pub directory: OwnedFd,
}

impl Shelf {
    pub(super) fn path_at(mount_point: &Path) -> PathBuf {
        mount_point.join(SHELF)
    }

    /// Makes it if it is missing.
    pub(super) fn make(mount_point: &Path) -> Result<Self> {
        let path = Self::path_at(mount_point);
        for _ in 0..MOST_TRIES {
            keeping_times(mount_point, || {
                match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                        Err(Error::io(error, path.display()))
                    }
                    _ => Ok(()),
                }
            })?;
            if let Some(shelf) = Self::open(mount_point)? {
                return Ok(shelf);
            }
        }
        Err(Error::unavailable(format!("{}: vanished", path.display())))
    }

    /// None if there is none. One that is not ours is refused: whoever can rename in it could give
    /// us what to read and to remove.
    pub(super) fn open(mount_point: &Path) -> Result<Option<Self>> {
        let path = Self::path_at(mount_point);
        let failed = |error| Error::io(error, path.display());
        let directory = match crate::volume::place::open(&path) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno.into())),
        };
        let found = std::fs::File::from(directory.try_clone().map_err(failed)?);
        let found = found.metadata().map_err(failed)?;
        let own = rustix::process::geteuid().as_raw();
        if found.uid() != own || found.mode() & 0o022 != 0 {
            return Err(Error::denied(format!(
                "{}: not a directory of our own (owner {}, mode {:o}); remove it",
                path.display(),
                found.uid(),
                found.mode() & 0o7777
            )));
        }
        Ok(Some(Self { path, directory }))
    }

    pub(super) fn snapshot(&self, subvolume: &OwnedFd, name: &str) -> Result<(), Errno> {
        ioctl::snapshot(subvolume, &self.directory, name.as_bytes())
    }

    pub(super) fn open_snapshot(&self, name: &str) -> Result<(OwnedFd, Subvolume), Errno> {
        let top = opened::below(&self.directory, name.as_bytes())?;
        let info = ioctl::subvolume(&top)?;
        Ok((top, info))
    }

    /// What is not there is removed already.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match ioctl::destroy_subvolume(&self.directory, name.as_bytes()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io(errno.into(), self.path.join(name).display())),
        }
    }

    pub(super) fn keep(&self, from: &str, to: &str) -> Result<()> {
        let dir = &self.directory;
        renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE)
            .map_err(|errno| Error::io(errno.into(), self.path.join(from).display()))
    }

    /// All snapshots of ours. Names that are not UTF-8 are not ours.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = opened::names(&self.directory)
            .map_err(|errno| Error::io(errno.into(), self.path.display()))?;
        let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
        let mut names: Vec<_> =
            names.filter(|name| name.starts_with(LABEL) || Kept::parse(name).is_some()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes the directory itself if nothing is in it.
    pub(super) fn tidy(&self) {
        let Some(point) = self.path.parent() else { return };
        // Not empty, somebody else did it, or it is unmounted.
        let _ = keeping_times(point, || {
            if let Ok(above) = crate::volume::place::open(point) {
                let _ = unlinkat(above, SHELF, AtFlags::REMOVEDIR);
            }
            Ok(())
        });
    }
}

pub(super) fn used_name(context: &Context, subvolume: u64, resource: &str) -> String {
    format!("{}-{subvolume}-{resource}", context.label())
}

/// What the name of a kept snapshot says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kept {
    pub chain: String,
    pub session: String,
    pub subvolume: u64,
    pub resource: String,
}

impl Kept {
    pub(super) fn name(&self) -> String {
        let Self { chain, session, subvolume, resource } = self;
        format!("{KEPT}{chain}-{session}-{subvolume}-{resource}")
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut fields = name.strip_prefix(KEPT)?.splitn(4, '-');
        let is_session = |text: &&str| text.len() == 16 && text.bytes().all(is_hex);
        Some(Self {
            chain: fields.next().filter(is_session)?.to_owned(),
            session: fields.next().filter(is_session)?.to_owned(),
            subvolume: fields.next()?.parse().ok()?,
            resource: fields.next()?.to_owned(),
        })
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// What goes of a list of kept snapshots, each with the transaction in which it was made: of each
/// chain all but the newest, and the chains beyond the newest.
pub(super) fn superseded(kept: Vec<(Kept, u64)>) -> Vec<String> {
    type Volume = (u64, String);
    let mut volumes: BTreeMap<Volume, BTreeMap<String, Vec<(u64, Kept)>>> = BTreeMap::new();
    for (kept, made) in kept {
        let chains = volumes.entry((kept.subvolume, kept.resource.clone())).or_default();
        chains.entry(kept.chain.clone()).or_default().push((made, kept));
    }
    let mut goes = Vec::new();
    for chains in volumes.into_values() {
        let mut newest = Vec::new();
        for mut chain in chains.into_values() {
            chain.sort_unstable();
            newest.extend(chain.pop());
            goes.extend(chain);
        }
        newest.sort_unstable_by(|a, b| b.cmp(a));
        goes.extend(newest.into_iter().skip(MOST_CHAINS));
    }
    goes.into_iter().map(|(_, kept)| kept.name()).collect()
}

/// Removes what nobody needs from the shelves of all that is mounted.
pub(super) fn clean(context: &Context, said: &mut Vec<String>) -> Result<()> {
    for mount in mounts::all()?.into_iter().filter(|mount| mount.kind == "btrfs") {
        let Ok(Some(shelf)) = Shelf::open(&mount.point) else { continue };
        let names = shelf.names()?;
        let mut goes: Vec<String> =
            names.iter().filter(|name| context.is_dead(name)).cloned().collect();
        let kept = names.iter().filter_map(|name| {
            let (_, info) = shelf.open_snapshot(name).ok()?;
            Some((Kept::parse(name)?, info.made))
        });
        goes.extend(superseded(kept.collect()));
        for name in goes {
            shelf.remove(&name)?;
            said.push(format!("removed the snapshot {}", shelf.path.join(name).display()));
        }
        shelf.tidy();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(chain: u8, session: u8, resource: &str) -> Kept {
        Kept {
            chain: format!("{chain:016x}"),
            session: format!("{session:016x}"),
            subvolume: 256,
            resource: resource.to_owned(),
        }
    }

    #[test]
    fn names_are_read_back() {
        let one = kept(1, 2, "a-b.c");
        assert_eq!(Kept::parse(&one.name()), Some(one));
        for other in ["kept-1-2-3-a", "kept-", "tintype-0123456789abcdef-256-a", "kept-x"] {
            assert_eq!(Kept::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_newest_of_each_chain_stays_and_chains_are_bounded() {
        let two = vec![(kept(1, 1, "a"), 10), (kept(1, 2, "a"), 12), (kept(2, 3, "a"), 5)];
        assert_eq!(superseded(two), [kept(1, 1, "a").name()]);
        let others = vec![(kept(1, 1, "a"), 10), (kept(1, 2, "b"), 12)];
        assert!(superseded(others).is_empty());
        let many = (1..=6).map(|chain| (kept(chain, chain, "a"), u64::from(chain))).collect();
        assert_eq!(superseded(many), [kept(2, 2, "a").name(), kept(1, 1, "a").name()]);
    }
}
