//! What the ends of a pack tell about it beside what the index says: its header, trailer and
//! footer, without what lies between.
//!
//! A pack whose trailer names other frames than the index has been looked into before: a repair
//! left out what did not open, or a merge took the copy of another pack. So its trailer is not to
//! be believed before its frames were opened.

use std::collections::BTreeMap;

use tintype_model::{Error, ErrorKind, Result};

use super::reader::PackReader;
use crate::cancel::Cancel;
use crate::format::frame::Placed;
use crate::format::object::HEADER_BYTES;
use crate::index::segment::Record;
use crate::index::{Index, PackId};
use crate::parallel;
use crate::repo::Repository;

const BATCH: usize = 256;
const WORKERS: usize = 8;

/// Frames of a pack, summed so that two lists are compared without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    frames: u64,
    sum: u128,
}

impl Tally {
    pub(crate) fn of(placed: &[Placed]) -> Self {
        let mut tally = Self::default();
        for Placed { head, offset } in placed {
            let (stored, raw) = (head.stored_bytes, head.raw_bytes);
            tally.add(&head.id.0, *offset, stored, raw, head.kind as u8);
        }
        tally
    }

    /// What the index names, by pack.
    pub(crate) fn of_index(index: &Index) -> Result<BTreeMap<PackId, Self>> {
        let mut tallies: BTreeMap<PackId, Self> = BTreeMap::new();
        for segment in &index.segments {
            let rows = segment.pack_rows()?;
            let mut local = vec![Self::default(); rows.len()];
            segment.for_each(&mut |_, record| {
                local[record.pack as usize].record(&record);
                Ok(())
            })?;
            for (row, tally) in rows.iter().zip(local) {
                tallies.entry(row.pack).or_default().join(tally);
            }
        }
        Ok(tallies)
    }

    /// All that is summed was authenticated: this need not resist anybody.
    fn add(&mut self, id: &[u8; 32], offset: u64, stored: u32, raw: u32, kind: u8) {
        let id = u128::from_le_bytes(id[..16].try_into().expect("16 of 32 bytes"));
        let place = u128::from(offset) << 72
            | u128::from(stored) << 40
            | u128::from(raw) << 8
            | u128::from(kind);
        let mixed =
            (id ^ place.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.join(Self { frames: 1, sum: mixed ^ mixed >> 61 });
    }

    pub(crate) fn record(&mut self, record: &Record) {
        let Record { id, offset, stored_bytes, raw_bytes, kind, .. } = record;
        self.add(&id.0, *offset, *stored_bytes, *raw_bytes, *kind as u8);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.frames += other.frames;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// What a pack says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The same as the index; its last frame ends at this byte.
    Agree(u64),
    /// Other frames than the index.
    Differ,
    Damaged,
    Gone,
}

impl Ends {
    /// Of the packs that are stored and that the index names.
    pub(crate) fn of_all(
        repository: &Repository,
        index: &Index,
        stored: &BTreeMap<PackId, u64>,
        cancel: &Cancel,
    ) -> Result<BTreeMap<PackId, Self>> {
        let named: Vec<(PackId, u64, Tally)> = Tally::of_index(index)?
            .into_iter()
            .filter_map(|(pack, tally)| stored.get(&pack).map(|size| (pack, *size, tally)))
            .collect();
        let mut all = BTreeMap::new();
        for batch in named.chunks(BATCH) {
            cancel.check()?;
            let work = |(): &mut (), (pack, size, tally): &(PackId, u64, Tally)| {
                Self::of(repository, *pack, *size, *tally)
            };
            let ends = parallel::map(repository.env(), WORKERS, batch, || Ok(()), work)?;
            for ((pack, ..), ends) in batch.iter().zip(ends) {
                all.insert(*pack, ends?);
            }
        }
        Ok(all)
    }

    fn of(repository: &Repository, pack: PackId, size_bytes: u64, named: Tally) -> Result<Self> {
        let backend = &*repository.backend;
        let trailer = PackReader::open(backend, &repository.keys, repository.config.id, pack)
            .and_then(|reader| reader.trailer(backend, size_bytes));
        match trailer {
            Ok(placed) if Tally::of(&placed) == named => {
                let end = |last: &Placed| last.offset + last.head.sealed_bytes() as u64;
                Ok(Self::Agree(placed.last().map_or(HEADER_BYTES as u64, end)))
            }
            Ok(_) => Ok(Self::Differ),
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: Error) -> Result<Self> {
        match error.kind() {
            ErrorKind::Corrupt => Ok(Self::Damaged),
            ErrorKind::NotFound => Ok(Self::Gone),
            _ => Err(error),
        }
    }
}
