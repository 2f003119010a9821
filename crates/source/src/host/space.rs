//! Room on a file system.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tintype_model::plan::{Check, Need};
use tintype_model::{Error, Result};

/// `path`, or the nearest directory above it that is there.
fn existing(path: &Path) -> &Path {
    let mut there = path;
    while !there.exists() {
        there = there.parent().unwrap_or(Path::new("/"));
    }
    there
}

/// Bytes that can still be written where `path`, or the nearest directory above it, lies.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let there = existing(path);
    let found =
        rustix::fs::statvfs(there).map_err(|errno| Error::io(errno.into(), there.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses before anything is written.
pub(crate) fn require(name: &str, path: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(path)?;
    if free < needed {
        return Err(Error::no_space(format!(
            "{name}: {} has {} MiB free, {} MiB are needed; make room or choose another directory",
            path.display(),
            free >> 20,
            needed >> 20
        )));
    }
    Ok(())
}

pub(crate) fn check(path: &Path, needed: u64) -> Check {
    check_all(&[Need { path: path.to_owned(), certain: needed, most: needed }])
}

/// The same, where a server has its data. `own`: something there by which it is told that this is on
/// this host.
pub(crate) fn check_of_server(directory: &Path, own: Option<PathBuf>, needed: u64) -> Check {
    if own.is_some_and(|own| own.symlink_metadata().is_ok()) {
        return check(directory, needed);
    }
    let (shown, mib) = (directory.display(), needed >> 20);
    let reason = format!("how much is free in {shown} of the server cannot be seen from here");
    Check::warn("free-space", reason, format!("look whether {mib} MiB are free there"))
}

/// Whether all fits, by file system: blocks where something cannot be written, warns where what is
/// written cannot grow to its full size.
pub fn check_all(needs: &[Need]) -> Check {
    let mut places: BTreeMap<u64, (&Path, u64, u64)> = BTreeMap::new();
    for need in needs {
        let there = existing(&need.path);
        let Ok(found) = std::fs::metadata(there) else { continue };
        let (_, certain, most) = places.entry(found.dev()).or_insert((there, 0, 0));
        *certain = certain.saturating_add(need.certain);
        *most = most.saturating_add(need.most);
    }
    let checks = places.into_values().map(|(at, certain, most)| check_one(at, certain, most));
    let worst = checks.max_by_key(|check| check.outcome);
    worst.unwrap_or_else(|| Check::pass("free-space", "nothing is written")).needing(needs)
}

fn check_one(at: &Path, certain: u64, most: u64) -> Check {
    let (name, shown, cure) =
        ("free-space", at.display(), "make room, or restore to another place");
    let mib = |bytes: u64| bytes >> 20;
    match free_bytes(at) {
        Ok(free) if free < certain => {
            let (free, certain) = (mib(free), mib(certain));
            let reason = format!("{shown} has {free} MiB free, {certain} MiB are needed");
            Check::block(name, reason, cure)
        }
        Ok(free) if free < most => {
            let (free, certain, most) = (mib(free), mib(certain), mib(most));
            let reason = format!(
                "{shown} has {free} MiB free; {certain} MiB are written, which can grow to {most} MiB"
            );
            Check::warn(name, reason, cure)
        }
        Ok(free) => Check::pass(name, format!("{shown} has {} MiB free", mib(free))),
        Err(error) => Check::block(name, error.to_string(), "choose a place that exists"),
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::plan::Verdict;

    use super::*;

    #[test]
    fn needs_of_one_file_system_are_added() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let free = free_bytes(&at("a/b")).unwrap();
        let outcome = |certain: u64, most: u64| {
            let need = |name: &str| Need { path: at(name), certain, most };
            check_all(&[need("a/b"), need("c")]).outcome
        };
        assert_eq!(outcome(0, 0), Verdict::Pass);
        assert_eq!(outcome(free / 4, free), Verdict::Warn, "each alone would fit");
        assert_eq!(outcome(free, free), Verdict::Block);
        assert_eq!(check(&at("c"), u64::MAX).outcome, Verdict::Block);
    }
}
