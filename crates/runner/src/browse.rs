//! Going through a snapshot's tree as people do: a directory at a time.

use tintype_engine::tree::TreeEntry;
use tintype_engine::tree::cursor::Cursor;
use tintype_model::entry::is_within;
use tintype_model::{Error, Result};

/// After so many entries of a subtree that is skipped, its end is looked up instead.
const SKIPPED: usize = 2000;

/// What is directly inside `path`, without reading more of its subdirectories than need be. With
/// `after`, the path of a child, only those that come after it. `each` says whether to go on.
pub fn children<E: From<Error>>(
    cursor: &mut Cursor<'_, '_>,
    path: &[u8],
    after: Option<&[u8]>,
    each: &mut dyn FnMut(TreeEntry) -> Result<bool, E>,
) -> Result<(), E> {
    match after {
        None => cursor.seek(path)?,
        Some(child) => cursor.seek(&behind(child))?,
    }
    while let Some(entry) = cursor.next_entry()? {
        if entry.path == path {
            continue;
        }
        if !is_within(&entry.path, path) {
            break;
        }
        let child = entry.path.clone();
        if !each(entry)? {
            break;
        }
        skip(cursor, &child)?;
    }
    Ok(())
}

/// In tree order nothing lies between the last thing below `path` and this.
fn behind(path: &[u8]) -> Vec<u8> {
    [path, &[0]].concat()
}

/// Goes behind everything below `path`.
fn skip(cursor: &mut Cursor<'_, '_>, path: &[u8]) -> Result<()> {
    for _ in 0..SKIPPED {
        match cursor.peek()? {
            Some(next) if is_within(&next.path, path) => {}
            _ => return Ok(()),
        }
        cursor.next_entry()?;
    }
    cursor.seek(&behind(path))
}
