//! The new index: segments that lose records or are small are merged, the others stay.

use std::collections::HashSet;

use tintype_model::Result;

use super::mark::Live;
use crate::format::frame::Kind;
use crate::format::object::{ObjectType, seal_bytes};
use crate::format::records::{SessionKind, names};
use crate::id::RandomId;
use crate::index::segment::{Record, Segment};
use crate::index::{Index, PackId};
use crate::repo::Repository;

/// Records of a merged segment: what is sorted in memory at once.
const MERGED_RECORDS: u64 = 1 << 20;
/// Segments from this size on stay as they are if all their packs do.
const LARGE_RECORDS: u32 = 512 << 10;

/// Puts the merged segments and gives the names of all that make up the new base, without
/// those of copies, which are there already. `segment_names`: those of `index.segments`. Of copies
/// in one segment only the first stays: one in a `doubtful` pack is the last.
pub(super) fn merge(
    repository: &Repository,
    index: &Index,
    segment_names: &[String],
    base: &[String],
    gone: &HashSet<PackId>,
    doubtful: &HashSet<PackId>,
    session: RandomId,
    first_number: u32,
) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let mut rewritten = Vec::new();
    for (segment, name) in index.segments.iter().zip(segment_names) {
        let loses = segment.pack_rows()?.iter().any(|row| gone.contains(&row.pack));
        if !loses && segment.records() >= LARGE_RECORDS && base.contains(name) {
            made.push(name.clone());
        } else {
            rewritten.push(segment);
        }
    }
    let total: u64 = rewritten.iter().map(|s| u64::from(s.records())).sum();
    let parts = total.div_ceil(MERGED_RECORDS).next_power_of_two().max(1);
    let width = (1u64 << 32) / parts;
    let mut number = first_number;
    for part in 0..parts {
        let range = (part * width) as u32..=(((part + 1) * width) - 1) as u32;
        let mut merged = Merged::default();
        for segment in &rewritten {
            let rows = segment.pack_rows()?;
            segment.for_each_in(range.clone(), &mut |_, record| {
                let row = rows[record.pack as usize];
                if !gone.contains(&row.pack) {
                    merged.add(record, row, doubtful.contains(&row.pack));
                }
                Ok(())
            })?;
        }
        if merged.rows.is_empty() {
            continue;
        }
        let name = names::segment(session, SessionKind::Gc, number);
        number += 1;
        merged.records.append(&mut merged.doubtful);
        let segment = Segment::new(merged.rows, merged.records);
        let place = repository.place(ObjectType::IndexSegment, &name);
        let sealed = seal_bytes(&place, Kind::IndexBlock, &segment.encode(), &repository.env)?;
        repository.backend.put(&name, &sealed)?;
        made.push(name);
    }
    Ok(made)
}

#[derive(Default)]
struct Merged {
    rows: Vec<crate::index::segment::PackRow>,
    numbers: std::collections::HashMap<PackId, u32>,
    records: Vec<Record>,
    doubtful: Vec<Record>,
}

impl Merged {
    fn add(&mut self, mut record: Record, row: crate::index::segment::PackRow, is_doubtful: bool) {
        let rows = &mut self.rows;
        record.pack = *self.numbers.entry(row.pack).or_insert_with(|| {
            rows.push(row);
            rows.len() as u32 - 1
        });
        match is_doubtful {
            true => self.doubtful.push(record),
            false => self.records.push(record),
        }
    }
}

impl Live<'_> {
    /// Live chunks that must be copied before `packs` may go. What only `doubtful` packs have
    /// beside them is no copy.
    pub(super) fn to_copy(
        &self,
        packs: &HashSet<PackId>,
        doubtful: &HashSet<PackId>,
    ) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        self.for_each_lost_with(packs, doubtful, &mut |record| {
            records.push(*record);
            Ok(())
        })?;
        records.sort_by_key(|r| r.id);
        records.dedup_by_key(|r| r.id);
        Ok(records)
    }
}
