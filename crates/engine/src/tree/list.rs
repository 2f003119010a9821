//! References to content, and lists of them (format.md §9.3).

use tintype_model::{Error, Result};

use super::Reference;
use crate::format::bytes::{Reader, put_varint};
use crate::format::limits;
use crate::id::ContentId;

pub(super) const MOST_INLINE: usize = 64;
const LEAST: usize = 128;
const MOST: usize = 2048;
const CUT_MASK: u64 = 511;

pub(super) fn put_references(out: &mut Vec<u8>, depth: u8, list: &[Reference]) {
    put_varint(out, u64::from(depth));
    put_varint(out, list.len() as u64);
    for reference in list {
        put_varint(out, reference.length << 1 | u64::from(reference.id.is_none()));
        if let Some(id) = &reference.id {
            out.extend_from_slice(&id.0);
        }
    }
}

pub(super) fn take_references(reader: &mut Reader<'_>) -> Result<(u8, Vec<Reference>)> {
    let depth = reader.bounded(limits::REFERENCE_DEPTH as usize, "reference depth")? as u8;
    let count = reader.bounded(limits::REFERENCES, "number of references")?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let word = reader.varint()?;
        let id = if word & 1 == 0 { Some(ContentId(reader.array()?)) } else { None };
        list.push(Reference { length: word >> 1, id });
    }
    Ok((depth, list))
}

/// Raw bytes of a list frame.
pub fn encode_list(depth: u8, list: &[Reference]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + list.len() * 36);
    out.extend_from_slice(b"R\x01");
    put_references(&mut out, depth, list);
    out
}

/// Opens a list frame that must have `depth` and cover `length` bytes.
pub fn decode_list(raw: &[u8], depth: u8, length: u64) -> Result<Vec<Reference>> {
    let mut reader = Reader::new(raw);
    if reader.take(2)? != b"R\x01" {
        return Err(Error::corrupt("a list has an unknown version"));
    }
    let (found, list) = take_references(&mut reader)?;
    reader.finish("list")?;
    if found != depth || total(&list)? != length {
        return Err(Error::corrupt("a list does not cover what its reference says"));
    }
    Ok(list)
}

/// Sum of lengths; overflow is corruption.
pub fn total(list: &[Reference]) -> Result<u64> {
    list.iter()
        .try_fold(0u64, |sum, r| sum.checked_add(r.length))
        .ok_or_else(|| Error::corrupt("lengths of references add up to more than 64 bits"))
}

/// How many of the first references go into one list frame.
pub(super) fn cut(list: &[Reference], hash: impl Fn(&ContentId) -> u64) -> usize {
    let most = list.len().min(MOST);
    (LEAST..most)
        .find(|end| list[end - 1].id.is_some_and(|id| hash(&id) & CUT_MASK == 0))
        .unwrap_or(most)
}
