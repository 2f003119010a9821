//! Learning from a snapshot and its copy: both trees hold the same entries, so what one calls
//! a chunk and what the other calls it stand at the same place. No content is read.

use std::sync::Mutex;

use tintype_model::Result;

use super::mapping::{Mapping, Pair};
use crate::cancel::Cancel;
use crate::reader::{ContentReader, ReadBuffer};
use crate::tree::cursor::Cursor;
use crate::tree::pieces::flatten;
use crate::tree::{Content, Root, TreeEntry};

/// One side.
pub(super) struct Half<'h, 'r> {
    pub reader: &'h ContentReader<'r>,
    pub root: Root,
}

/// Walks both trees in lockstep. What does not fit is passed over: a copy with another program
/// version may differ, and a wrong pair must never be learned.
pub(super) fn learn(
    source: &Half<'_, '_>,
    target: &Half<'_, '_>,
    mapping: &Mutex<Mapping>,
    cancel: &Cancel,
) -> Result<()> {
    let mut left = Cursor::new(source.reader, source.root)?;
    let mut right = Cursor::new(target.reader, target.root)?;
    let mut buffer = ReadBuffer::new()?;
    while let (Some(a), Some(b)) = (left.next_entry()?, right.next_entry()?) {
        cancel.check()?;
        if a.path != b.path {
            tracing::debug!(
                path = %String::from_utf8_lossy(&a.path),
                "a copy does not hold what its source holds"
            );
            return Ok(());
        }
        if a.node.size == b.node.size {
            let pairs = pairs(source.reader, target.reader, &mut buffer, a, b)?;
            let mut mapping = mapping.lock().expect("no panic while held");
            pairs.into_iter().for_each(|pair| mapping.learn(pair));
        }
    }
    Ok(())
}

fn pairs(
    source: &ContentReader<'_>,
    target: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    a: TreeEntry,
    b: TreeEntry,
) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (x, y) in a.large_xattrs.iter().zip(&b.large_xattrs) {
        if x.name == y.name && x.length == y.length {
            pairs.push(Pair::Content(x.id, y.id));
        }
    }
    match (a.content, b.content) {
        (Content::Slot(x), Content::Slot(y))
            if x.offset == y.offset && x.parcel.raw_bytes == y.parcel.raw_bytes =>
        {
            pairs.push(Pair::Content(x.parcel.id, y.parcel.id));
            pairs.push(Pair::Digest(x.digest, y.digest));
        }
        (Content::References { depth: m, list: x }, Content::References { depth: n, list: y }) => {
            let (x, y) = (flatten(source, buffer, m, x)?, flatten(target, buffer, n, y)?);
            let same = x.len() == y.len()
                && x.iter()
                    .zip(&y)
                    .all(|(x, y)| x.length == y.length && x.id.is_some() == y.id.is_some());
            if same {
                let both = x.iter().zip(&y).filter_map(|(x, y)| Some((x.id?, y.id?)));
                pairs.extend(both.map(|(x, y)| Pair::Content(x, y)));
            }
        }
        _ => {}
    }
    Ok(pairs)
}
