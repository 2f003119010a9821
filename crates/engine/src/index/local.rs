//! A segment in the form that is searched: sorted blocks behind a fan-out table, and a
//! binary fuse filter (about 9 bits a key; Graf and Lemire 2022) that says "not here" without
//! touching a block. Filter and tables are mapped, blocks are read: memory stays small however
//! many chunks there are.
//!
//! ```text
//! header 4096: magic, counts, positions, filter descriptor, checksum of the header
//! fanout       (2^bits + 1) × u32: number of records below each prefix
//! packs        48 bytes each: id 16, size 8, class 1, zeros 15, checksum 8
//! filter       fingerprints
//! blocks       4096 bytes each: 85 records of 48 bytes, zeros 8, checksum 8
//! ```

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use memmap2::Mmap;
use tintype_model::{Error, Result};
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter as _, FilterRef as _};

use super::segment::{PackRow, RECORD_BYTES, Record, Segment};
use super::{Location, PackClass, PackId};
use crate::id::{ContentId, RandomId};

const MAGIC: &[u8; 8] = b"TTINDEX1";
const HEADER: usize = 4096;
const BLOCK: usize = 4096;
const BLOCK_RECORDS: usize = 85;
const PACK_ROW: usize = 48;
/// Segments up to this many records are kept on the heap instead of in a file.
const SMALL: usize = 8192;

enum Bytes {
    Heap(Vec<u8>),
    File { file: File, map: Mmap },
}

pub struct LocalSegment {
    bytes: Bytes,
    records: u32,
    packs: u32,
    fanout_bits: u32,
    packs_at: usize,
    filter_at: usize,
    filter_bytes: usize,
    blocks_at: usize,
    descriptor: [u8; BinaryFuse8::DESCRIPTOR_LEN],
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    blake3::hash(bytes).as_bytes()[..8].try_into().expect("8 of 32 bytes")
}

fn damaged() -> Error {
    Error::corrupt("the local index cache is damaged; it will be made anew")
}

fn filter_key(id: &ContentId) -> u64 {
    u64::from_le_bytes(id.0[8..16].try_into().expect("8 bytes"))
}

fn prefix(id: &ContentId, bits: u32) -> usize {
    let high = u32::from_be_bytes(id.0[..4].try_into().expect("4 bytes"));
    if bits == 0 { 0 } else { (high >> (32 - bits)) as usize }
}

impl LocalSegment {
    /// Encodes a segment; small ones stay in memory, others are written to `path` and mapped.
    pub fn build(segment: &Segment, path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) if segment.records.len() > SMALL => {
                let failed = |e| Error::io(e, path.display());
                let temporary = path.with_extension("new");
                let _ = std::fs::remove_file(&temporary);
                let mut options = std::fs::OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600).open(&temporary);
                let mut out = BufWriter::with_capacity(1 << 20, file.map_err(failed)?);
                encode(segment, &mut out).and_then(|()| out.flush()).map_err(failed)?;
                std::fs::rename(&temporary, path).map_err(failed)?;
                Self::open(path)
            }
            _ => {
                let mut out = Vec::new();
                encode(segment, &mut out).map_err(|e| Error::io(e, "index"))?;
                Self::parse(Bytes::Heap(out))
            }
        }
    }

    /// Maps a file written by [`Self::build`]: reads its header only.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(e, path.display()))?;
        let map = super::map::map(&file, &path.display().to_string())?;
        Self::parse(Bytes::File { file, map })
    }

    fn parse(bytes: Bytes) -> Result<Self> {
        let all = bytes.mapped();
        let header = all.first_chunk::<HEADER>().ok_or_else(damaged)?;
        if &header[..8] != MAGIC || header[HEADER - 8..] != checksum(&header[..HEADER - 8]) {
            return Err(damaged());
        }
        let word = |n: usize| {
            u64::from_le_bytes(header[8 + 8 * n..16 + 8 * n].try_into().expect("8 bytes")) as usize
        };
        let mut descriptor = [0; BinaryFuse8::DESCRIPTOR_LEN];
        descriptor.copy_from_slice(&header[128..128 + BinaryFuse8::DESCRIPTOR_LEN]);
        let segment = Self {
            records: word(0) as u32,
            packs: word(1) as u32,
            fanout_bits: word(2) as u32,
            packs_at: word(3),
            filter_at: word(4),
            filter_bytes: word(5),
            blocks_at: word(6),
            descriptor,
            bytes,
        };
        let blocks = (segment.records as usize).div_ceil(BLOCK_RECORDS);
        if segment.bytes.length()? != (segment.blocks_at + blocks * BLOCK) as u64 {
            return Err(damaged());
        }
        Ok(segment)
    }

    pub fn records(&self) -> u32 {
        self.records
    }

    /// False: certainly not here.
    pub fn may_contain(&self, id: &ContentId) -> bool {
        let all = self.bytes.mapped();
        let fingerprints = &all[self.filter_at..self.filter_at + self.filter_bytes];
        self.records > 0
            && BinaryFuse8Ref::from_dma(&self.descriptor, fingerprints).contains(&filter_key(id))
    }

    /// Where `id` is, by a checked record.
    pub fn find(&self, id: &ContentId) -> Result<Option<Location>> {
        self.find_record(id)?.map(|(_, record)| self.locate(&record)).transpose()
    }

    /// The record of `id`, checked, and its number.
    pub fn find_record(&self, id: &ContentId) -> Result<Option<(u32, Record)>> {
        let bucket = prefix(id, self.fanout_bits);
        let (mut low, high) = (self.fanout(bucket), self.fanout(bucket + 1));
        if low > high || high > self.records as usize {
            return Err(damaged());
        }
        // At most a few blocks: the fan-out leaves about 64 records to look at.
        while low < high {
            let block = low / BLOCK_RECORDS;
            let end = ((block + 1) * BLOCK_RECORDS).min(high);
            let bytes = self.block(block)?;
            let rows = bytes[(low % BLOCK_RECORDS) * RECORD_BYTES..]
                .chunks_exact(RECORD_BYTES)
                .take(end - low);
            for (number, row) in rows.enumerate() {
                if row[..32] == id.0 {
                    let record = Record::decode(row.try_into().expect("48 bytes"))?;
                    return Ok(Some(((low + number) as u32, record)));
                }
            }
            low = end;
        }
        Ok(None)
    }

    fn fanout(&self, index: usize) -> usize {
        let at = HEADER + 4 * index;
        let bytes = &self.bytes.mapped()[at..at + 4];
        u32::from_le_bytes(bytes.try_into().expect("4 bytes")) as usize
    }

    fn block(&self, number: usize) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.bytes.read((self.blocks_at + number * BLOCK) as u64, &mut block)?;
        if block[BLOCK - 8..] != checksum(&block[..BLOCK - 8]) {
            return Err(damaged());
        }
        Ok(block)
    }

    pub fn pack(&self, number: u32) -> Result<PackRow> {
        if number >= self.packs {
            return Err(damaged());
        }
        let at = self.packs_at + number as usize * PACK_ROW;
        let row = &self.bytes.mapped()[at..at + PACK_ROW];
        if row[PACK_ROW - 8..] != checksum(&row[..PACK_ROW - 8]) {
            return Err(damaged());
        }
        let class = if row[24] == 1 { PackClass::Data } else { PackClass::Meta };
        Ok(PackRow {
            pack: PackId { class, id: RandomId(row[..16].try_into().expect("16 bytes")) },
            size_bytes: u64::from_le_bytes(row[16..24].try_into().expect("8 bytes")),
        })
    }

    fn locate(&self, record: &Record) -> Result<Location> {
        Ok(Location {
            pack: self.pack(record.pack)?.pack,
            offset: record.offset,
            stored_bytes: record.stored_bytes,
            raw_bytes: record.raw_bytes,
            kind: record.kind,
        })
    }

    pub fn pack_rows(&self) -> Result<Vec<PackRow>> {
        (0..self.packs).map(|n| self.pack(n)).collect()
    }

    /// Calls `each` with the number of every record and the record, in the order of ids.
    pub fn for_each(&self, each: &mut dyn FnMut(u32, Record) -> Result<()>) -> Result<()> {
        self.for_each_from(0, &mut |number, record| each(number, record).map(|()| true))
    }

    /// The same from a number on, as long as `each` says so.
    fn for_each_from(
        &self,
        first: usize,
        each: &mut dyn FnMut(u32, Record) -> Result<bool>,
    ) -> Result<()> {
        let mut number = first;
        while number < self.records as usize {
            let bytes = self.block(number / BLOCK_RECORDS)?;
            let end =
                (number / BLOCK_RECORDS * BLOCK_RECORDS + BLOCK_RECORDS).min(self.records as usize);
            let from = number % BLOCK_RECORDS * RECORD_BYTES;
            for row in bytes[from..].chunks_exact(RECORD_BYTES).take(end - number) {
                if !each(number as u32, Record::decode(row.try_into().expect("48 bytes"))?)? {
                    return Ok(());
                }
                number += 1;
            }
        }
        Ok(())
    }

    /// Records whose id begins with a number (big endian, four bytes) in `range`.
    pub fn for_each_in(
        &self,
        range: std::ops::RangeInclusive<u32>,
        each: &mut dyn FnMut(u32, Record) -> Result<()>,
    ) -> Result<()> {
        let mut first = [0; 32];
        first[..4].copy_from_slice(&range.start().to_be_bytes());
        let first = self.fanout(prefix(&ContentId(first), self.fanout_bits));
        self.for_each_from(first, &mut |number, record| {
            let start = u32::from_be_bytes(record.id.0[..4].try_into().expect("4 bytes"));
            if range.contains(&start) {
                each(number, record)?;
            }
            Ok(start <= *range.end())
        })
    }
}

impl Bytes {
    /// What is searched without reading: everything on the heap, the mapping of a file.
    fn mapped(&self) -> &[u8] {
        match self {
            Bytes::Heap(bytes) => bytes,
            Bytes::File { map, .. } => map,
        }
    }

    fn length(&self) -> Result<u64> {
        match self {
            Bytes::Heap(bytes) => Ok(bytes.len() as u64),
            Bytes::File { file, .. } => {
                file.metadata().map(|m| m.len()).map_err(|e| Error::io(e, "local index"))
            }
        }
    }

    /// Blocks of files are read, not mapped, so that they do not stay in memory.
    fn read(&self, at: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Bytes::Heap(bytes) => {
                let at = at as usize;
                out.copy_from_slice(bytes.get(at..at + out.len()).ok_or_else(damaged)?);
                Ok(())
            }
            Bytes::File { file, .. } => file.read_exact_at(out, at).map_err(|_| damaged()),
        }
    }
}

fn encode(segment: &Segment, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let records = &segment.records;
    let bits = (records.len() / 64).max(1).ilog2().min(20);
    let keys: Vec<u64> = records.iter().map(|r| filter_key(&r.id)).collect();
    let filter = BinaryFuse8::try_from_iterator(keys.iter().copied())
        .map_err(|e| std::io::Error::other(format!("cannot build a filter: {e}")))?;
    drop(keys);
    let fanout_bytes = 4 * ((1usize << bits) + 1);
    let packs_at = HEADER + fanout_bytes;
    let filter_at = packs_at + segment.packs.len() * PACK_ROW;
    let filter_bytes = filter.dma_fingerprints().len();
    let blocks_at = (filter_at + filter_bytes).next_multiple_of(BLOCK);
    let mut header = vec![0u8; HEADER];
    header[..8].copy_from_slice(MAGIC);
    let words = [
        records.len(),
        segment.packs.len(),
        bits as usize,
        packs_at,
        filter_at,
        filter_bytes,
        blocks_at,
    ];
    for (n, word) in words.into_iter().enumerate() {
        header[8 + 8 * n..16 + 8 * n].copy_from_slice(&(word as u64).to_le_bytes());
    }
    filter.dma_copy_descriptor_to(&mut header[128..128 + BinaryFuse8::DESCRIPTOR_LEN]);
    let sum = checksum(&header[..HEADER - 8]);
    header[HEADER - 8..].copy_from_slice(&sum);
    out.write_all(&header)?;
    let mut below = 0;
    for bucket in 0..=1usize << bits {
        below += records[below..].iter().take_while(|r| prefix(&r.id, bits) < bucket).count();
        out.write_all(&(below as u32).to_le_bytes())?;
    }
    for row in &segment.packs {
        out.write_all(&encode_pack(row))?;
    }
    out.write_all(filter.dma_fingerprints())?;
    out.write_all(&vec![0; blocks_at - filter_at - filter_bytes])?;
    for rows in records.chunks(BLOCK_RECORDS) {
        let mut block = Vec::with_capacity(BLOCK);
        for row in rows {
            block.extend_from_slice(&row.encode());
        }
        block.resize(BLOCK - 8, 0);
        block.extend_from_slice(&checksum(&block));
        out.write_all(&block)?;
    }
    Ok(())
}

fn encode_pack(row: &PackRow) -> [u8; PACK_ROW] {
    let mut out = [0; PACK_ROW];
    out[..16].copy_from_slice(&row.pack.id.0);
    out[16..24].copy_from_slice(&row.size_bytes.to_le_bytes());
    out[24] = row.pack.class as u8;
    let sum = checksum(&out[..PACK_ROW - 8]);
    out[PACK_ROW - 8..].copy_from_slice(&sum);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::frame::Kind;

    fn segment(count: u32) -> Segment {
        let pack = PackId { class: PackClass::Data, id: RandomId([7; 16]) };
        let records = (0..count).map(|n| Record {
            id: id(n),
            pack: 0,
            offset: u64::from(n) * 160,
            stored_bytes: n % 1000,
            raw_bytes: n % 1000,
            kind: Kind::Chunk,
        });
        Segment::new(vec![PackRow { pack, size_bytes: 1 << 20 }], records.collect())
    }

    fn id(n: u32) -> ContentId {
        ContentId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn finds_all(local: &LocalSegment, count: u32) {
        for n in 0..count {
            assert!(local.may_contain(&id(n)));
            assert_eq!(local.find(&id(n)).unwrap().unwrap().offset, u64::from(n) * 160);
        }
        let wrong = (count..2 * count + 1000).filter(|n| local.may_contain(&id(*n))).count();
        assert!(wrong < 50 + count as usize / 100, "{wrong} false positives");
        assert!((count..count + 1000).all(|n| local.find(&id(n)).unwrap().is_none()));
    }

    #[test]
    fn finds_what_it_holds() {
        for count in [0, 1, 84, 85, 86, 5000] {
            finds_all(&LocalSegment::build(&segment(count), None).unwrap(), count);
        }
    }

    #[test]
    fn a_file_is_searched_and_its_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let count = 20_000;
        finds_all(&LocalSegment::build(&segment(count), Some(&path)).unwrap(), count);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 3000;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let local = LocalSegment::open(&path).unwrap();
        assert!((0..count).any(|n| local.find(&id(n)).is_err()));
        bytes.truncate(last);
        std::fs::write(&path, &bytes).unwrap();
        assert!(LocalSegment::open(&path).is_err());
    }
}
