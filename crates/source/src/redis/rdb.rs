//! Whether a dump is whole: its head, its end, and the checksum over all
//! (<https://github.com/redis/redis/blob/7.0/src/rdb.c>, `crc64.c`).

use std::io::Read;

use tintype_model::{Error, Result};

const MAGIC: &[u8] = b"REDIS";
const HEAD_BYTES: usize = 9;
/// `EOF` and the checksum.
const TAIL_BYTES: usize = 9;
const END: u8 = 0xff;
/// Of Jones, reflected.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// Looks at the bytes as they pass.
pub(super) struct Check {
    table: [u64; 256],
    sum: u64,
    head: Vec<u8>,
    /// The last bytes, which the sum does not have yet.
    tail: Vec<u8>,
}

impl Check {
    pub(super) fn new() -> Self {
        let mut table = [0; 256];
        for (byte, entry) in table.iter_mut().enumerate() {
            let shift = |sum: u64, _| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            *entry = (0..8).fold(byte as u64, shift);
        }
        Self { table, sum: 0, head: Vec::new(), tail: Vec::new() }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(&bytes[..missing]);
        self.tail.extend(bytes);
        // The end marker belongs to the sum, the sum itself does not.
        let settled = self.tail.len().saturating_sub(TAIL_BYTES);
        for byte in self.tail.drain(..settled) {
            self.sum = self.table[usize::from(self.sum as u8 ^ byte)] ^ self.sum >> 8;
        }
    }

    pub(super) fn finish(mut self, name: &str) -> Result<()> {
        let bad = |what: &str| Err(Error::corrupt(format!("{name}: the dump of Redis {what}")));
        let head = (self.head.len() == HEAD_BYTES).then_some(&self.head[..]);
        let version = head.and_then(|head| std::str::from_utf8(head.strip_prefix(MAGIC)?).ok());
        let Some(version) = version.and_then(|version| version.parse::<u32>().ok()) else {
            return bad("does not begin as one");
        };
        let sum = match self.tail.split_first() {
            // Before version 5 there was no checksum.
            _ if version < 5 => return Ok(()),
            Some((&END, sum)) if sum.len() == 8 => {
                u64::from_le_bytes(sum.try_into().expect("eight bytes"))
            }
            _ => return bad("has no end"),
        };
        self.sum = self.table[usize::from(self.sum as u8 ^ END)] ^ self.sum >> 8;
        // A server can be told to leave it out.
        if sum != 0 && sum != self.sum { bad("has a wrong checksum") } else { Ok(()) }
    }
}

/// Reads through, looking at all that passes.
pub(super) struct Checked<'a> {
    pub(super) read: &'a mut dyn Read,
    pub(super) check: Check,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.read.read(buffer)?;
        self.check.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of this polynomial, as Redis' own test has it.
    #[test]
    fn the_sum_is_that_of_redis() {
        let mut check = Check::new();
        check.update(b"123456789");
        check.update(&[0; TAIL_BYTES]);
        assert_eq!(check.sum, 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn what_is_cut_or_changed_is_found() {
        let mut whole = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xff".to_vec();
        let mut check = Check::new();
        check.update(&whole);
        check.update(&[0; 8]);
        let mut sum = check;
        sum.sum = sum.table[usize::from(sum.sum as u8 ^ END)] ^ sum.sum >> 8;
        whole.extend(sum.sum.to_le_bytes());
        let verdict = |bytes: &[u8]| {
            let mut check = Check::new();
            bytes.chunks(4).for_each(|piece| check.update(piece));
            check.finish("cache")
        };
        verdict(&whole).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(verdict(&changed).is_err(), "changed at {at}");
            assert!(verdict(&whole[..at]).is_err(), "cut at {at}");
        }
    }
}
