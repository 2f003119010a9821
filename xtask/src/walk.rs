//! Visits a directory tree without following symlinks, in the order of names.

use anyhow::Context;
use std::ffi::OsString;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

/// Calls `visit` with each entry's path relative to `root` (the root itself is the empty path).
/// Loops, never recurses: a deep tree costs memory on the heap only.
pub(crate) fn each(
    root: &Path,
    mut visit: impl FnMut(&Path, &Metadata) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let full = join(root, &relative);
        let metadata = full.symlink_metadata().with_context(|| format!("{}", full.display()))?;
        visit(&relative, &metadata)?;
        if metadata.is_dir() {
            pending.extend(names(&full)?.into_iter().rev().map(|name| relative.join(name)));
        }
    }
    Ok(())
}

/// The sorted names in a folder.
pub(crate) fn names(folder: &Path) -> anyhow::Result<Vec<OsString>> {
    let context = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        names.push(entry.with_context(context)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// `base.join(relative)` without the slash that an empty `relative` would leave behind.
pub(crate) fn join(base: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { base.to_owned() } else { base.join(relative) }
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Totals {
    pub(crate) entries: u64,
    pub(crate) files: u64,
    /// Sum of the lengths of the regular files.
    pub(crate) bytes: u64,
}

pub(crate) fn totals(root: &Path) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    each(root, |_, metadata| {
        totals.entries += 1;
        if metadata.is_file() {
            totals.files += 1;
            totals.bytes += metadata.len();
        }
        Ok(())
    })?;
    Ok(totals)
}
