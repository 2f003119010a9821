//! Removes what interrupted writers left in `tmp/`. Age is judged by the file server alone: the
//! directory is touched, which works on a full store too, and its time is "now".

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use tintype_model::Result;

use super::reserve;
use super::root::Root;
use crate::backend::name::TEMPORARY;

const STALE_SECONDS: i64 = 24 * 60 * 60;

pub(super) fn sweep(root: &Root) -> Result<u64> {
    let fail = |errno| root.fail(errno, TEMPORARY);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = match rustix::fs::openat(&root.directory, TEMPORARY, flags, Mode::empty()) {
        Err(Errno::NOENT) if !root.is_gone() => return Ok(0),
        other => other.map_err(fail)?,
    };
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let touch = Timestamps { last_access: now, last_modification: now };
    rustix::fs::futimens(&open, &touch).map_err(fail)?;
    let now_seconds = rustix::fs::fstat(&open).map_err(fail)?.st_mtime;
    let mut removed = 0;
    for entry in Dir::read_from(&open).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let stat = match rustix::fs::statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other.map_err(fail)?,
        };
        if name.to_bytes() == reserve::FILE.as_bytes() {
            continue;
        }
        let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
        if is_file && now_seconds - stat.st_mtime > STALE_SECONDS {
            match rustix::fs::unlinkat(&open, name, AtFlags::empty()) {
                Ok(()) => removed += 1,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(fail(errno)),
            }
        }
    }
    Ok(removed)
}
