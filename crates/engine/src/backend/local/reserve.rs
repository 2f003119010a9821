//! Room that is kept for the day on which the store is full: deleting needs a few small objects
//! before it frees anything. A file in `tmp/` whose bytes nobody needs.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{AtFlags, FallocateFlags, OFlags};
use rustix::io::Errno;
use tintype_model::Result;

use super::root::{PRIVATE_FILE, Root};
use crate::backend::name::TEMPORARY;

pub(super) const FILE: &str = "reserve";
const NAME: &str = "tmp/reserve";
/// Tombstones, a gc's session, lists and record, and the index of about 80,000 chunks.
const BYTES: u64 = 4 << 20;
/// Kept only where so many times as much is free.
const PLENTY: u64 = 4;

/// Makes it if there is none; without it everything works but the last step out of a full store.
pub(super) fn keep(root: &Root) {
    if let Err(error) = try_keep(root) {
        tracing::debug!(%error, "no room is kept for a full store");
        let _ = rustix::fs::unlinkat(&root.directory, NAME, AtFlags::empty());
    }
}

fn try_keep(root: &Root) -> Result<()> {
    let fail = |errno| root.fail(errno, NAME);
    let size = rustix::fs::statat(&root.directory, NAME, AtFlags::SYMLINK_NOFOLLOW);
    if size.is_ok_and(|stat| stat.st_size as u64 == BYTES) {
        return Ok(());
    }
    let free = rustix::fs::fstatvfs(&root.directory).map_err(fail)?;
    if free.f_bavail.saturating_mul(free.f_frsize) < PLENTY * BYTES {
        return Ok(());
    }
    root.ensure(TEMPORARY)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&root.directory, NAME, flags, PRIVATE_FILE).map_err(fail)?;
    root.give(&file);
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
        Err(Errno::NOTSUP | Errno::NOSYS) => {
            let written = File::from(file).write_all(&vec![0; BYTES as usize]);
            written.map_err(|error| root.fail(error, NAME))
        }
        other => other.map_err(fail),
    }
}

/// Gives it up; false if there was none.
pub(super) fn give_up(root: &Root) -> Result<bool> {
    match rustix::fs::unlinkat(&root.directory, NAME, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) if !root.is_gone() => Ok(false),
        Err(errno) => Err(root.fail(errno, NAME)),
    }
}
