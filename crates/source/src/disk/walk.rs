//! Going through a directory of a disk and all below it.

use tintype_model::entry::Kind;
use tintype_model::{Error, ErrorKind, Result};

use super::{DiskEntry, DiskFiles};

/// What is met, with its path from the root of the file system on.
#[derive(Debug)]
pub enum Visit<'v> {
    /// Anything but a directory.
    Entry(&'v [u8], &'v DiskEntry),
    /// A directory, before what it holds; false leaves that out.
    Enter(&'v [u8], &'v DiskEntry),
    /// After all that it held.
    Leave(&'v [u8], &'v DiskEntry),
    /// What could not be listed.
    Failed(&'v [u8], &'v Error),
}

enum Step {
    Look(Vec<u8>, DiskEntry),
    Leave(Vec<u8>, DiskEntry),
}

/// Visits what is below the directory `from`, in the order of names. `size_bytes` is that of the
/// partition: each directory takes some of it, so one that has more leads into itself, and the
/// walk ends. What stops it is returned; what cannot be listed is handed on.
pub fn walk(
    files: &dyn DiskFiles,
    from: &[u8],
    size_bytes: u64,
    each: &mut dyn FnMut(Visit<'_>) -> Result<bool>,
) -> Result<()> {
    /// No directory takes less: an inode that holds its entries itself has at least as much.
    const LEAST_BYTES: u64 = 256;
    let mut left = size_bytes / LEAST_BYTES;
    let mut steps = Vec::new();
    enter(files, from, &mut steps, each)?;
    while let Some(step) = steps.pop() {
        match step {
            Step::Leave(path, entry) => {
                each(Visit::Leave(&path, &entry))?;
            }
            Step::Look(path, entry) if entry.node.kind == Kind::Directory => {
                left = left.checked_sub(1).ok_or_else(|| {
                    Error::invalid(
                        "the file system is damaged: it has more directories than it has room for",
                    )
                })?;
                if each(Visit::Enter(&path, &entry))? {
                    steps.push(Step::Leave(path.clone(), entry));
                    enter(files, &path, &mut steps, each)?;
                }
            }
            Step::Look(path, entry) => {
                each(Visit::Entry(&path, &entry))?;
            }
        }
    }
    Ok(())
}

fn enter(
    files: &dyn DiskFiles,
    path: &[u8],
    steps: &mut Vec<Step>,
    each: &mut dyn FnMut(Visit<'_>) -> Result<bool>,
) -> Result<()> {
    let listed = match files.list(path) {
        Ok(listed) => listed,
        Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
        Err(error) => return each(Visit::Failed(path, &error)).map(|_| ()),
    };
    // Taken from the end.
    for entry in listed.into_iter().rev() {
        let below = match path.is_empty() {
            true => entry.name.clone(),
            false => [path, b"/", &entry.name].concat(),
        };
        steps.push(Step::Look(below, entry));
    }
    Ok(())
}
