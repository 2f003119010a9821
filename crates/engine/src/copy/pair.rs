//! Learning from a snapshot and its copy: both trees hold the same entries, so what one calls
//! a chunk and what the other calls it stand at the same place. No content is read.

use std::sync::Mutex;

use tintype_model::Result;

use super::mapping::{Mapping, Pair};
use crate::cancel::Cancel;
use crate::reader::{ContentReader, ReadBuffer};
use crate::tree::cursor::Cursor;
use crate::tree::pieces::References;
use crate::tree::{Content, Reference, Root, TreeEntry};

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
    let mut buffers = [ReadBuffer::new()?, ReadBuffer::new()?];
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
            let [left, right] = &mut buffers;
            pairs((source.reader, left, a), (target.reader, right, b), &mut |pair| {
                mapping.lock().expect("no panic while held").learn(pair);
                cancel.check()
            })?;
        }
    }
    Ok(())
}

type Side<'s, 'r> = (&'s ContentReader<'r>, &'s mut ReadBuffer, TreeEntry);

fn pairs(
    (source, left, a): Side<'_, '_>,
    (target, right, b): Side<'_, '_>,
    learn: &mut dyn FnMut(Pair) -> Result<()>,
) -> Result<()> {
    for (x, y) in a.large_xattrs.iter().zip(&b.large_xattrs) {
        if x.name == y.name && x.length == y.length {
            learn(Pair::Content(x.id, y.id))?;
        }
    }
    match (a.content, b.content) {
        (Content::Slot(x), Content::Slot(y))
            if x.offset == y.offset && x.parcel.raw_bytes == y.parcel.raw_bytes =>
        {
            learn(Pair::Content(x.parcel.id, y.parcel.id))?;
            learn(Pair::Digest(x.digest, y.digest))
        }
        (Content::References { depth: m, list: x }, Content::References { depth: n, list: y }) => {
            let y = References::new(target, right, n, y);
            for (x, y) in References::new(source, left, m, x).zip(y) {
                match (x?, y?) {
                    (x, y) if x.length != y.length => return Ok(()),
                    (Reference { id: Some(x), .. }, Reference { id: Some(y), .. }) => {
                        learn(Pair::Content(x, y))?;
                    }
                    (Reference { id: None, .. }, Reference { id: None, .. }) => {}
                    _ => return Ok(()),
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
