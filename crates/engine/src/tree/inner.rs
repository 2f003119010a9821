//! Inner pages (format.md §9.2).

use tintype_model::entry::{is_valid_path, path_order};
use tintype_model::{Error, Result};

use super::Child;
use super::leaf::{put_column, put_key};
use crate::format::bytes::{Reader, put_varint};
use crate::format::limits;
use crate::id::ContentId;

pub const LEAST_CHILDREN: usize = 64;
pub const MOST_CHILDREN: usize = 1024;
/// Of all keys together: a page of keys that share nothing must not be longer than a page may be.
pub const MOST_KEY_BYTES: usize = 2 << 20;

pub fn encode(level: u8, children: &[Child]) -> Vec<u8> {
    let (mut shared, mut rest_lengths, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ids, mut entries, mut bytes, mut problems) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut previous: &[u8] = b"";
    for child in children {
        put_key(&child.first, previous, &mut shared, &mut rest_lengths, &mut rest);
        previous = &child.first;
        ids.extend_from_slice(&child.id.0);
        put_varint(&mut entries, child.entries);
        put_varint(&mut bytes, child.bytes);
        put_varint(&mut problems, child.problems);
    }
    let mut out = Vec::with_capacity(ids.len() + rest.len() + 16 * children.len());
    out.extend_from_slice(b"N\x01");
    put_varint(&mut out, u64::from(level));
    put_varint(&mut out, children.len() as u64);
    for column in [shared, rest_lengths, rest, ids, entries, bytes, problems] {
        put_column(&mut out, &column);
    }
    out
}

/// Gives the level and the children, in strictly ascending order of their first paths.
pub fn decode(raw: &[u8]) -> Result<(u8, Vec<Child>)> {
    let mut reader = Reader::new(raw);
    if reader.take(2)? != b"N\x01" {
        return Err(Error::corrupt("an inner page has an unknown version"));
    }
    let level = reader.bounded(limits::TREE_LEVEL as usize, "level")? as u8;
    let count = reader.bounded(limits::INNER_CHILDREN, "number of children")?;
    if level == 0 || count == 0 {
        return Err(Error::corrupt("an inner page has no level or no children"));
    }
    let mut keys = super::leaf::Keys::new(&mut reader)?;
    let (mut ids, mut entries, mut bytes, mut problems) =
        (reader.part()?, reader.part()?, reader.part()?, reader.part()?);
    reader.finish("inner page")?;
    let mut children: Vec<Child> = Vec::with_capacity(count);
    for _ in 0..count {
        let first = keys.next()?;
        let ascending = children.last().is_none_or(|last| path_order(&last.first, &first).is_lt());
        if !is_valid_path(&first, limits::PATH_BYTES) || !ascending {
            return Err(Error::corrupt("the keys of an inner page are not in order"));
        }
        children.push(Child {
            first,
            id: ContentId(ids.array()?),
            entries: entries.varint()?,
            bytes: bytes.varint()?,
            problems: problems.varint()?,
        });
    }
    keys.finish()?;
    [ids, entries, bytes, problems].into_iter().try_for_each(|c| c.finish("inner page column"))?;
    Ok((level, children))
}
