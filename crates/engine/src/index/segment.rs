//! Index segments as stored in the repository (format.md §8).

use tintype_model::{Error, Result};

use super::{Location, PackClass, PackId};
use crate::format::bytes::Reader;
use crate::format::frame::{ALIGNMENT, Kind};
use crate::format::limits;
use crate::id::{ContentId, RandomId};

pub const RECORD_BYTES: usize = 48;
const PACK_BYTES: usize = 32;

/// A pack named by a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRow {
    pub pack: PackId,
    pub size_bytes: u64,
}

/// One record; `pack` is a row number of the segment's packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: ContentId,
    pub pack: u32,
    pub offset: u64,
    pub stored_bytes: u32,
    pub raw_bytes: u32,
    pub kind: Kind,
}

impl Record {
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut out = [0; RECORD_BYTES];
        out[..32].copy_from_slice(&self.id.0);
        out[32..36].copy_from_slice(&self.pack.to_le_bytes());
        out[36..40].copy_from_slice(&((self.offset / ALIGNMENT as u64) as u32).to_le_bytes());
        out[40..44].copy_from_slice(&self.stored_bytes.to_le_bytes());
        let last = self.raw_bytes | u32::from(self.kind as u8) << 24;
        out[44..].copy_from_slice(&last.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Result<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let kind = Kind::from_number((word(44) >> 24) as u8)?;
        let record = Self {
            id: ContentId(bytes[..32].try_into().expect("32 bytes")),
            pack: word(32),
            offset: u64::from(word(36)) * ALIGNMENT as u64,
            stored_bytes: word(40),
            raw_bytes: word(44) & 0x00ff_ffff,
            kind,
        };
        if !kind.is_content()
            || record.raw_bytes > kind.limit_bytes()
            || record.stored_bytes > record.raw_bytes + limits::FRAME_EXPANSION
        {
            return Err(Error::corrupt("an index record claims impossible lengths"));
        }
        Ok(record)
    }

    pub fn locate(&self, packs: &[PackRow]) -> Location {
        Location {
            pack: packs[self.pack as usize].pack,
            offset: self.offset,
            stored_bytes: self.stored_bytes,
            raw_bytes: self.raw_bytes,
            kind: self.kind,
        }
    }
}

/// A segment in memory: at most [`limits::SEGMENT_RECORDS`] records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub packs: Vec<PackRow>,
    /// Sorted by id, no id twice.
    pub records: Vec<Record>,
}

impl Segment {
    /// Sorts, and drops all but the first of records with one id.
    pub fn new(packs: Vec<PackRow>, mut records: Vec<Record>) -> Self {
        records.sort_by_key(|r| r.id);
        records.dedup_by_key(|r| r.id);
        Self { packs, records }
    }

    pub fn encode(&self) -> Vec<u8> {
        let length = 8 + self.packs.len() * PACK_BYTES + self.records.len() * RECORD_BYTES;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&(self.packs.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.records.len() as u32).to_le_bytes());
        for row in &self.packs {
            out.extend_from_slice(&row.pack.id.0);
            out.extend_from_slice(&[row.pack.class as u8, 0, 0, 0, 0, 0, 0, 0]);
            out.extend_from_slice(&row.size_bytes.to_le_bytes());
        }
        for record in &self.records {
            out.extend_from_slice(&record.encode());
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let (packs, records) = (reader.u32()? as usize, reader.u32()? as usize);
        if packs > limits::SEGMENT_PACKS as usize
            || records > limits::SEGMENT_RECORDS as usize
            || reader.remaining() != packs * PACK_BYTES + records * RECORD_BYTES
        {
            return Err(Error::corrupt("an index segment claims lengths that do not fit"));
        }
        let packs = (0..packs).map(|_| decode_pack(&mut reader)).collect::<Result<Vec<_>>>()?;
        let records = (0..records)
            .map(|_| Record::decode(&reader.array()?))
            .collect::<Result<Vec<Record>>>()?;
        if records.windows(2).any(|w| w[0].id >= w[1].id) {
            return Err(Error::corrupt("the records of an index segment are not sorted"));
        }
        if records.iter().any(|r| r.pack as usize >= packs.len()) {
            return Err(Error::corrupt("an index record names a pack that is not listed"));
        }
        reader.finish("index segment")?;
        Ok(Self { packs, records })
    }
}

fn decode_pack(reader: &mut Reader<'_>) -> Result<PackRow> {
    let id = RandomId(reader.array()?);
    let class = match reader.array::<8>()? {
        [1, 0, 0, 0, 0, 0, 0, 0] => PackClass::Data,
        [2, 0, 0, 0, 0, 0, 0, 0] => PackClass::Meta,
        _ => return Err(Error::corrupt("an index segment names a pack of an unknown class")),
    };
    Ok(PackRow { pack: PackId { class, id }, size_bytes: reader.u64()? })
}

/// Collects records of packs as they are finished.
#[derive(Default)]
pub struct SegmentBuilder {
    packs: Vec<PackRow>,
    records: Vec<Record>,
}

impl SegmentBuilder {
    pub fn add(&mut self, row: PackRow, placed: &[crate::format::frame::Placed]) {
        let pack = self.packs.len() as u32;
        self.packs.push(row);
        self.records.extend(placed.iter().map(|p| Record {
            id: p.head.id,
            pack,
            offset: p.offset,
            stored_bytes: p.head.stored_bytes,
            raw_bytes: p.head.raw_bytes,
            kind: p.head.kind,
        }));
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    pub fn take(&mut self) -> Segment {
        Segment::new(std::mem::take(&mut self.packs), std::mem::take(&mut self.records))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(count: u32) -> Segment {
        let pack = PackId { class: PackClass::Data, id: RandomId([7; 16]) };
        let records = (0..count)
            .map(|n| Record {
                id: ContentId(*blake3::hash(&n.to_le_bytes()).as_bytes()),
                pack: 0,
                offset: u64::from(n) * 160,
                stored_bytes: n,
                raw_bytes: n,
                kind: Kind::Chunk,
            })
            .collect();
        Segment::new(vec![PackRow { pack, size_bytes: 1 << 20 }], records)
    }

    #[test]
    fn comes_back() {
        let segment = sample(100);
        assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(mut at in 0usize..4000, value: u8, cut in 0usize..4000) {
            let mut bytes = sample(80).encode();
            at %= bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let _ = Segment::decode(&bytes);
        }
    }
}
