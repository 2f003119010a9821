//! The new index: segments that lose records or are small are merged, the others stay.

use std::collections::{HashMap, HashSet};

use tintype_model::Result;

use super::mark::Live;
use crate::cancel::Cancel;
use crate::format::frame::Kind;
use crate::format::object::{ObjectType, seal_bytes};
use crate::format::records::{SessionKind, names};
use crate::id::RandomId;
use crate::index::PackId;
use crate::index::segment::{PackRow, Record, Segment};
use crate::reader::{ContentReader, ReadBuffer};

/// Records of a merged segment: what is sorted in memory at once.
const MERGED_RECORDS: u64 = 1 << 20;
/// Segments from this size on stay as they are if all their packs do.
const LARGE_RECORDS: u32 = 512 << 10;

/// Puts the merged segments and gives the names of all that make up the new base, without
/// those of copies, which are there already. `segment_names`: those of `live.index.segments`. Of
/// copies in one segment only one stays: a living one that opens, and of what lies in a `doubtful`
/// pack the last.
pub(super) fn merge(
    reader: &ContentReader<'_>,
    live: &Live<'_>,
    segment_names: &[String],
    base: &[String],
    (gone, doubtful): (&HashSet<PackId>, &HashSet<PackId>),
    session: RandomId,
    first_number: u32,
    cancel: &Cancel,
) -> Result<Vec<String>> {
    let repository = reader.repository();
    let mut made = Vec::new();
    let mut rewritten = Vec::new();
    for (at, (segment, name)) in live.index.segments.iter().zip(segment_names).enumerate() {
        let loses = segment.pack_rows()?.iter().any(|row| gone.contains(&row.pack));
        if !loses && segment.records() >= LARGE_RECORDS && base.contains(name) {
            made.push(name.clone());
        } else {
            rewritten.push((at, segment));
        }
    }
    let total: u64 = rewritten.iter().map(|(_, s)| u64::from(s.records())).sum();
    let parts = total.div_ceil(MERGED_RECORDS).next_power_of_two().max(1);
    let width = (1u64 << 32) / parts;
    let mut number = first_number;
    for part in 0..parts {
        let range = (part * width) as u32..=(((part + 1) * width) - 1) as u32;
        let mut merged = Merged::default();
        for (at, segment) in &rewritten {
            let rows = segment.pack_rows()?;
            segment.for_each_in(range.clone(), &mut |record_number, record| {
                let row = rows[record.pack as usize];
                if !gone.contains(&row.pack) {
                    let is_live = live.is_live(*at, record_number);
                    merged.add(record, row, is_live, doubtful.contains(&row.pack));
                }
                Ok(())
            })?;
        }
        if merged.rows.is_empty() {
            continue;
        }
        let name = names::segment(session, SessionKind::Gc, number);
        number += 1;
        let segment = merged.into_segment(reader, cancel)?;
        let place = repository.place(ObjectType::IndexSegment, &name);
        let sealed = seal_bytes(&place, Kind::IndexBlock, &segment.encode(), &repository.env)?;
        repository.backend.put(&name, &sealed)?;
        made.push(name);
    }
    Ok(made)
}

#[derive(Default)]
struct Merged {
    rows: Vec<PackRow>,
    numbers: HashMap<PackId, u32>,
    /// With whether something refers to it.
    records: Vec<(Record, bool)>,
    doubtful: Vec<(Record, bool)>,
}

impl Merged {
    fn add(&mut self, mut record: Record, row: PackRow, is_live: bool, is_doubtful: bool) {
        let rows = &mut self.rows;
        record.pack = *self.numbers.entry(row.pack).or_insert_with(|| {
            rows.push(row);
            rows.len() as u32 - 1
        });
        let records = if is_doubtful { &mut self.doubtful } else { &mut self.records };
        records.push((record, is_live));
    }

    /// Where two writers stored the same at once, one of the copies may have rotted unseen since:
    /// the one that stays is opened before the other is forgotten.
    fn into_segment(mut self, reader: &ContentReader<'_>, cancel: &Cancel) -> Result<Segment> {
        self.records.append(&mut self.doubtful);
        self.records.sort_by_key(|(record, _)| record.id);
        let mut buffer = ReadBuffer::new()?;
        let mut records = Vec::with_capacity(self.records.len());
        for copies in self.records.chunk_by(|(a, _), (b, _)| a.id == b.id) {
            let mut stays = copies[0].0;
            if copies.len() > 1 && copies[0].1 {
                cancel.check()?;
                for (copy, _) in copies {
                    if reader.opens_at(&copy.id, &copy.locate(&self.rows), &mut buffer)? {
                        stays = *copy;
                        break;
                    }
                }
            }
            records.push(stays);
        }
        Ok(Segment { packs: self.rows, records })
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
