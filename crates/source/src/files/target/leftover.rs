//! Temporary files that a killed restore left behind.
//!
//! Whoever writes a temporary file holds a lock on it (flock(2)), which the system releases
//! when its process ends, however it ends. So a temporary file without a lock belongs to
//! nobody, and the next restore into its directory removes it. Symlinks, special files and
//! further names bear a temporary name only for an instant and cannot be locked: they stay.
//! Snapshots leave out all of them ([`is_temporary`]).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, unlinkat};
use tintype_model::entry::Kind;

use super::Target;
use crate::files::stat::stat_fd;

/// What every temporary name begins with.
const TEMPORARY: &[u8] = b".tintype-";

/// A name that no other restore uses, if its nonce is random.
pub(super) fn temporary_name(nonce: u64, count: u64) -> Vec<u8> {
    [TEMPORARY, &hex(nonce), b"-", &hex(count)].concat()
}

fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|index| b"0123456789abcdef"[(number >> (60 - 4 * index)) as usize & 15])
}

/// Whether a name is one that an interrupted restore may have left behind.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    name.strip_prefix(TEMPORARY).is_some_and(|rest| {
        rest.len() == 33 && is_hex(&rest[..16]) && rest[16] == b'-' && is_hex(&rest[17..])
    })
}

/// Shows others that somebody writes this file. False: somebody else took it for a leftover.
/// Where the file system knows no locks nobody removes anything either.
pub(super) fn claim(file: impl AsFd) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive) != Err(rustix::io::Errno::WOULDBLOCK)
}

impl Target {
    /// What killed restores left in a directory: names, sorted. An empty path is the target
    /// itself. None are given of one that cannot be looked into.
    pub fn leftovers(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut names = self.list_dir(path).unwrap_or_default();
        names.retain(|name| is_temporary(name));
        if names.is_empty() {
            return names;
        }
        let Ok(dir) = self.root.open_dir(path) else { return Vec::new() };
        names.retain(|name| left(&dir, name).is_some());
        names
    }

    /// Removes one of them, unless somebody writes it now. What cannot be removed stays: it
    /// harms nothing.
    pub fn remove_leftover(&self, path: &[u8]) {
        if let Ok((parent, name)) = self.root.parent(path)
            && let Some(_locked) = left(&parent.fd, name)
        {
            let _ = unlinkat(&parent.fd, name, AtFlags::empty());
        }
    }
}

/// Opens and locks a temporary file that belongs to nobody.
fn left(dir: impl AsFd, name: &[u8]) -> Option<OwnedFd> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, how, Mode::empty()).ok()?;
    let is_plain = stat_fd(&file).is_ok_and(|stat| stat.kind == Kind::File && stat.links == 1);
    let is_free = is_plain && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    is_free.then_some(file)
}
