//! Content that is too long for an entry's own references: its lists are made anew while its
//! chunks are carried over, so that memory does not grow with it.

use tintype_model::{Error, Result};

use super::batch::{Batch, Line};
use crate::reader::ReadBuffer;
use crate::store::Worker;
use crate::tree::list::ListBuilder;
use crate::tree::pieces::References;
use crate::tree::{Content, Reference, TreeEntry};

/// References that are carried over together.
const PART: usize = 4096;

/// Carries an entry that has lists over; gives it under its new names.
pub(super) fn carry(
    line: &Line<'_>,
    buffer: &mut ReadBuffer,
    depth: u8,
    list: Vec<Reference>,
    entry: TreeEntry,
) -> Result<TreeEntry> {
    let bare = TreeEntry { content: Content::None, ..entry };
    let mut worker = Worker::new()?;
    let mut lists = ListBuilder::new(line.store, 0);
    let mut references = References::new(line.reader, buffer, depth, list);
    loop {
        let list = references.by_ref().take(PART).collect::<Result<Vec<_>>>()?;
        if list.is_empty() {
            break;
        }
        line.options.cancel.check()?;
        let content = Content::References { depth: 0, list };
        let part = TreeEntry { content, large_xattrs: Vec::new(), ..bare.clone() };
        if let Content::References { list, .. } = alone(line, part)?.content {
            list.into_iter().try_for_each(|reference| lists.push(&mut worker, reference))?;
        }
    }
    let content = lists.finish(&mut worker)?;
    Ok(TreeEntry { content, ..alone(line, bare)? })
}

/// What one entry refers to, carried over.
fn alone(line: &Line<'_>, entry: TreeEntry) -> Result<TreeEntry> {
    let mut batch = Batch::default();
    batch.add(line, entry)?;
    batch.carry(line)?.pop().ok_or_else(|| Error::internal("an entry was lost on its way"))
}
