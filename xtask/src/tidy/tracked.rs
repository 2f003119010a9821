//! The files of the repository as git sees them: tracked, or new and not ignored.

use crate::paths;
use crate::sh::Sh;
use anyhow::Context;

/// A file of the repository.
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// The content, unless it is binary.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    pub(super) fn has_extension(&self, extension: &str) -> bool {
        std::path::Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

pub(super) fn files() -> anyhow::Result<Vec<File>> {
    let list = Sh::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .read()
        .context("the house rules need a git checkout")?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        let full = paths::root().join(path);
        // Deleted but not yet committed, or a link whose target is checked under its own name.
        if !full.symlink_metadata().is_ok_and(|found| found.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        files.push(File { path: path.to_owned(), bytes });
    }
    Ok(files)
}
