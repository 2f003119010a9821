//! Partition tables: MBR with its extended partitions, and GPT.

use std::collections::BTreeSet;
use std::ops::Range;

use tintype_model::{Error, Result};

use crate::connector::ReadImage;

const SECTOR: u64 = 512;
/// Logical partitions, and entries of a GPT, that are looked at.
const MOST: u32 = 1024;

/// Where a file system may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As the kernel numbers it; 0: the whole disk, which has no table.
    pub number: u32,
    pub range: Range<u64>,
}

/// Partitions of a disk, by number; the whole disk if it has no table.
pub fn partitions(image: &dyn ReadImage) -> Result<Vec<Partition>> {
    let size = image.size_bytes();
    let whole = vec![Partition { number: 0, range: 0..size }];
    if size < 2 * SECTOR {
        return Ok(whole);
    }
    let first = sector(image, 0)?;
    // A file system on the whole disk may begin with the same mark.
    if first[510..] != [0x55, 0xaa] || super::kind::of_head(&first).is_some() {
        return Ok(whole);
    }
    let entries = mbr_entries(&first);
    let mut found = if entries.iter().any(|entry| entry.kind == 0xee) {
        gpt(image)?
    } else {
        mbr(image, &entries)?
    };
    found.retain(|partition| !partition.range.is_empty() && partition.range.end <= size);
    Ok(if found.is_empty() { whole } else { found })
}

fn sector(image: &dyn ReadImage, number: u64) -> Result<[u8; 512]> {
    let mut bytes = [0; 512];
    let offset = number.checked_mul(SECTOR);
    let offset = offset.filter(|at| at.saturating_add(SECTOR) <= image.size_bytes());
    let offset =
        offset.ok_or_else(|| Error::invalid("the partition table leads out of the disk"))?;
    image.read_at(offset, &mut bytes)?;
    Ok(bytes)
}

struct Entry {
    kind: u8,
    first: u64,
    count: u64,
}

fn mbr_entries(sector: &[u8; 512]) -> Vec<Entry> {
    let entries = sector[446..510].chunks_exact(16);
    let number = |bytes: &[u8]| u64::from(u32_of(bytes));
    let entries = entries.map(|entry| Entry {
        kind: entry[4],
        first: number(&entry[8..12]),
        count: number(&entry[12..16]),
    });
    entries.collect()
}

fn mbr(image: &dyn ReadImage, entries: &[Entry]) -> Result<Vec<Partition>> {
    let is_extended = |entry: &Entry| matches!(entry.kind, 0x05 | 0x0f | 0x85);
    let range = |first: u64, count: u64| first * SECTOR..(first + count) * SECTOR;
    let mut found = Vec::new();
    for (number, entry) in (1..).zip(entries).filter(|(_, entry)| entry.kind != 0) {
        if !is_extended(entry) {
            found.push(Partition { number, range: range(entry.first, entry.count) });
            continue;
        }
        // A chain of tables; each names one partition and the next table.
        let (mut at, mut logical, mut seen) = (entry.first, 5, BTreeSet::new());
        while seen.insert(at) && logical < MOST {
            let table = sector(image, at)?;
            let next = mbr_entries(&table);
            if table[510..] != [0x55, 0xaa] {
                break;
            }
            if next[0].kind != 0 {
                let range = range(at + next[0].first, next[0].count);
                found.push(Partition { number: logical, range });
                logical += 1;
            }
            if !is_extended(&next[1]) {
                break;
            }
            at = entry.first + next[1].first;
        }
    }
    Ok(found)
}

fn gpt(image: &dyn ReadImage) -> Result<Vec<Partition>> {
    let header = sector(image, 1)?;
    if &header[..8] != b"EFI PART" {
        return Err(Error::invalid("the disk says that it has a GPT, and has none at its begin"));
    }
    let (place, count) = (u64_of(&header[72..]), u32_of(&header[80..]).min(MOST));
    let size = u64::from(u32_of(&header[84..]));
    if !(128..=4096).contains(&size) {
        return Err(Error::invalid("the entries of the GPT have a size that cannot be"));
    }
    let mut found = Vec::new();
    for number in 0..count {
        let offset = place.checked_mul(SECTOR);
        let offset = offset.and_then(|place| place.checked_add(u64::from(number) * size));
        let offset = offset.filter(|at| at.saturating_add(128) <= image.size_bytes());
        let offset = offset.ok_or_else(|| Error::invalid("the GPT leads out of the disk"))?;
        let mut entry = [0; 128];
        image.read_at(offset, &mut entry)?;
        let (first, last) = (u64_of(&entry[32..]), u64_of(&entry[40..]));
        let end = last.checked_add(1).and_then(|end| end.checked_mul(SECTOR));
        if let Some(end) = end.filter(|_| entry[..16] != [0; 16] && first <= last) {
            found.push(Partition { number: number + 1, range: first * SECTOR..end });
        }
    }
    Ok(found)
}

fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn u64_of(bytes: &[u8]) -> u64 {
    u64::from(u32_of(bytes)) | u64::from(u32_of(&bytes[4..])) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl ReadImage for Bytes {
        fn size_bytes(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
            let at = offset as usize;
            buffer.copy_from_slice(&self.0[at..at + buffer.len()]);
            Ok(())
        }
    }

    proptest::proptest! {
        #[test]
        fn any_table_is_read_or_refused(
            mut table in proptest::collection::vec(proptest::prelude::any::<u8>(), 4096),
            gpt: bool,
        ) {
            table[510..512].copy_from_slice(&[0x55, 0xaa]);
            if gpt {
                table[450] = 0xee;
                table[512..520].copy_from_slice(b"EFI PART");
            }
            for partition in partitions(&Bytes(table)).into_iter().flatten() {
                assert!(partition.range.end <= 4096, "{partition:?}");
            }
        }
    }

    #[test]
    fn a_chain_of_tables_that_leads_to_itself_ends() {
        let mut disk = vec![0; 8192];
        let entry = |disk: &mut Vec<u8>, at: usize, kind: u8, first: u8, count: u8| {
            disk[at + 4] = kind;
            disk[at + 8] = first;
            disk[at + 12] = count;
        };
        for sector in [0, 2] {
            disk[sector * 512 + 510..][..2].copy_from_slice(&[0x55, 0xaa]);
        }
        entry(&mut disk, 446, 5, 2, 10);
        entry(&mut disk, 1024 + 446, 0x83, 1, 3);
        entry(&mut disk, 1024 + 462, 5, 0, 10);
        let found = partitions(&Bytes(disk)).unwrap();
        assert_eq!(found, [Partition { number: 5, range: 3 * 512..6 * 512 }]);
    }

    proptest::proptest! {
        #[test]
        fn changed_tables_are_read_or_refused(bytes in tintype_testkit::hostile::changed(tables())) {
            let size = bytes.len() as u64;
            for partition in partitions(&Bytes(bytes)).into_iter().flatten() {
                let Partition { number, range } = partition;
                // A disk of no bytes is whole, too.
                assert!(range.end <= size && (number == 0 || !range.is_empty()), "{range:?}");
            }
        }
    }

    /// One of each kind.
    fn tables() -> [Vec<u8>; 2] {
        let mut mbr = vec![0; 8192];
        mbr[510..512].copy_from_slice(&[0x55, 0xaa]);
        mbr[446 + 4] = 0x83;
        mbr[446 + 8] = 4;
        mbr[446 + 12] = 8;
        mbr[462 + 4] = 5;
        mbr[462 + 8] = 2;
        mbr[462 + 12] = 8;
        mbr[1024 + 510..][..2].copy_from_slice(&[0x55, 0xaa]);
        mbr[1024 + 446 + 4..][..9].copy_from_slice(&[0x83, 0, 0, 0, 1, 0, 0, 0, 3]);
        let mut gpt = vec![0; 8192];
        gpt[510..512].copy_from_slice(&[0x55, 0xaa]);
        gpt[450] = 0xee;
        gpt[512..520].copy_from_slice(b"EFI PART");
        let header: [(usize, u64); 2] = [(512 + 72, 2), (512 + 80, 128 << 32 | 4)];
        for (at, number) in header {
            gpt[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        gpt[1024..1040].fill(7);
        gpt[1024 + 32..][..8].copy_from_slice(&6u64.to_le_bytes());
        gpt[1024 + 40..][..8].copy_from_slice(&9u64.to_le_bytes());
        [mbr, gpt]
    }

    #[test]
    fn the_samples_are_tables() {
        for (table, count) in tables().into_iter().zip([2, 1]) {
            assert_eq!(partitions(&Bytes(table)).unwrap().len(), count);
        }
    }
}
