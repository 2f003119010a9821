//! Files that a restore in place replaces and that the snapshot does not know: they were made or
//! changed after it. They go into the undo point, and whoever restores must have read that.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tintype_model::Result;
use tintype_model::cancel::Cancel;
use tintype_model::count::format;
use tintype_model::entry::{Node, Time};
use tintype_model::plan::Check;

use super::carry::LeftOut;
use super::layout::Layout;
use crate::connector::Stored;
use crate::volume::escape::escaped;

/// So many are named.
const NAMED: usize = 5;
/// So many entries are looked at: nobody waits longer for a plan.
const LOOKED_AT: u64 = 1_000_000;
/// So many directories are compared with the snapshot; behind them times alone count.
const COMPARED: usize = 2000;

#[derive(Debug, Default, PartialEq, Eq)]
struct Newer {
    count: u64,
    first: Vec<String>,
    is_all: bool,
}

/// Says how many there are, and names the first. `None`: there is none.
pub(super) fn check(
    layout: &Layout,
    taken: Timestamp,
    stored: &dyn Stored,
    cancel: &Cancel,
) -> Result<Option<Check>> {
    let Newer { count, first, is_all } = find(layout, taken, stored, cancel)?;
    if count == 0 {
        return Ok(None);
    }
    let (at_least, shown) = (if is_all { "" } else { "at least " }, format(count));
    let what = if count == 1 { "file is" } else { "files are" };
    let more = if count > first.len() as u64 { ", …" } else { "" };
    let reason = format!(
        "{at_least}{shown} {what} newer than the snapshot and replaced with all else: {}{more}",
        first.join(", ")
    );
    let cure = "only the undo point holds them then; copy what you need from there, or before";
    Ok(Some(Check::warn("newer", reason, cure)))
}

fn find(layout: &Layout, taken: Timestamp, stored: &dyn Stored, cancel: &Cancel) -> Result<Newer> {
    let (top, left_out) = (layout.volume(), LeftOut::of(layout)?);
    let taken = Time { seconds: taken.as_second(), nanoseconds: 0 };
    let mut newer = Newer { is_all: true, ..Newer::default() };
    let (mut left, mut looked_at, mut compared) = (vec![PathBuf::new()], 0, 0);
    while let Some(path) = left.pop() {
        cancel.check()?;
        let dir = top.join(&path);
        let mut suspects = Vec::new();
        // What vanishes meanwhile is not there to be replaced.
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            looked_at += 1;
            let below = path.join(entry.file_name());
            let Ok(found) = entry.metadata() else { continue };
            if left_out.has(&below, found.is_dir()) {
                continue;
            }
            if found.is_dir() {
                left.push(below);
            } else if changed(&found) > taken {
                suspects.push((below, found));
            }
        }
        let known = match suspects.is_empty() || compared >= COMPARED {
            true => None,
            false => known(&path, stored),
        };
        compared += usize::from(known.is_some());
        for (below, found) in suspects {
            let is_newer = match &known {
                Some(known) => known.get(below.as_os_str().as_bytes()).is_none_or(|node| {
                    node.mtime != modified(&found) || found.is_file() && node.size != found.len()
                }),
                None => modified(&found) > taken,
            };
            if is_newer {
                newer.count += 1;
                if newer.first.len() < NAMED {
                    newer.first.push(escaped(below.as_os_str().as_bytes()));
                }
            }
        }
        if looked_at >= LOOKED_AT {
            newer.is_all = left.is_empty();
            break;
        }
    }
    newer.first.sort_unstable();
    Ok(newer)
}

/// What the snapshot has in a directory; none where that cannot be read.
fn known(path: &Path, stored: &dyn Stored) -> Option<BTreeMap<Vec<u8>, Node>> {
    let entries = stored.list(path.as_os_str().as_bytes()).ok()?;
    Some(entries.into_iter().map(|entry| (entry.at, entry.node)).collect())
}

fn changed(found: &std::fs::Metadata) -> Time {
    Time { seconds: found.ctime(), nanoseconds: found.ctime_nsec() as u32 }
}

fn modified(found: &std::fs::Metadata) -> Time {
    Time { seconds: found.mtime(), nanoseconds: found.mtime_nsec() as u32 }
}
