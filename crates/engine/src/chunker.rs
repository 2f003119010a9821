//! Content-defined chunking with a keyed gear hash (format.md §10). Cut points are part of
//! the format: golden vectors in `tests/golden` hold them.
//!
//! Gear hashing: Xia et al., "FastCDC" (2016), with its normalisation by two masks. The table
//! is keyed per repository, so that chunk sizes do not tell what is stored
//! (eprint 2025/532, 2025/558).

pub const MIN_BYTES: usize = 256 << 10;
pub const AVERAGE_BYTES: usize = 1 << 20;
pub const MAX_BYTES: usize = 4 << 20;

const WINDOW: usize = 64;
const EARLY_MASK: u64 = !0 << (64 - 22);
const LATE_MASK: u64 = !0 << (64 - 18);
/// Positions that each of the four lanes tests before the earliest hit is looked for.
const LANE: usize = 4096;

pub struct Chunker {
    table: Box<[u64; 256]>,
}

impl Chunker {
    pub fn new(table: Box<[u64; 256]>) -> Self {
        Self { table }
    }

    /// Length of the first chunk of `data`; `None` if more data is needed to tell. `is_last`:
    /// nothing follows, so that the rest is a chunk.
    pub fn cut(&self, data: &[u8], is_last: bool) -> Option<usize> {
        let end = data.len().min(MAX_BYTES);
        let rest = (is_last || end == MAX_BYTES).then_some(end);
        if end <= MIN_BYTES {
            return rest;
        }
        let middle = end.min(AVERAGE_BYTES - 1);
        self.search(data, MIN_BYTES - 1, middle, EARLY_MASK)
            .or_else(|| self.search(data, middle.max(MIN_BYTES - 1), end, LATE_MASK))
            .map(|index| index + 1)
            .or(rest)
    }

    /// First index in `from..to` whose byte, taken last, makes the hash match `mask`. The hash
    /// depends on the last 64 bytes only, so any position can be tested on its own: four lanes
    /// run side by side, which hides the latency of the table.
    fn search(&self, data: &[u8], from: usize, to: usize, mask: u64) -> Option<usize> {
        let mut at = from;
        while at + 4 * LANE <= to {
            if let Some(index) = self.four_lanes(&data[..at + 4 * LANE], at, mask) {
                return Some(index);
            }
            at += 4 * LANE;
        }
        let mut hash = self.warm(data, at);
        (at..to).find(|index| {
            hash = self.step(hash, data[*index]);
            hash & mask == 0
        })
    }

    fn four_lanes(&self, data: &[u8], at: usize, mask: u64) -> Option<usize> {
        let lane = |n: usize| &data[at + n * LANE..at + (n + 1) * LANE];
        let (a, b, c, d) = (lane(0), lane(1), lane(2), lane(3));
        let mut hashes = [0, 1, 2, 3].map(|n| self.warm(data, at + n * LANE));
        let mut first = [usize::MAX; 4];
        for index in 0..LANE {
            let bytes = [a[index], b[index], c[index], d[index]];
            for (hash, byte) in hashes.iter_mut().zip(bytes) {
                *hash = self.step(*hash, byte);
            }
            if hashes.iter().any(|hash| hash & mask == 0) {
                for (n, hash) in hashes.iter().enumerate() {
                    if hash & mask == 0 && first[n] == usize::MAX {
                        first[n] = at + n * LANE + index;
                    }
                }
            }
        }
        first.into_iter().find(|index| *index != usize::MAX)
    }

    /// The hash before byte `at` is taken: of the bytes before it, at most 64.
    fn warm(&self, data: &[u8], at: usize) -> u64 {
        data[at - (WINDOW - 1)..at].iter().fold(0, |hash, byte| self.step(hash, *byte))
    }

    #[inline]
    fn step(&self, hash: u64, byte: u8) -> u64 {
        (hash << 1).wrapping_add(self.table[byte as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::keys::{Keys, MasterKey};

    fn chunker() -> Chunker {
        let master = MasterKey(std::array::from_fn(|i| i as u8));
        Chunker::new(Keys::new(master).gear_table())
    }

    /// format.md §10 word by word.
    fn reference(chunker: &Chunker, data: &[u8]) -> usize {
        let mut hash = 0u64;
        for (index, byte) in data.iter().enumerate().skip(MIN_BYTES - WINDOW) {
            hash = (hash << 1).wrapping_add(chunker.table[*byte as usize]);
            let length = index + 1;
            if length >= MIN_BYTES {
                let mask = if length < AVERAGE_BYTES { EARLY_MASK } else { LATE_MASK };
                if hash & mask == 0 || length == MAX_BYTES {
                    return length;
                }
            }
        }
        data.len()
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
        out
    }

    #[test]
    fn lanes_agree_with_the_reference() {
        let chunker = chunker();
        for seed in 0..12 {
            let data = noise(seed, MAX_BYTES + 5);
            assert_eq!(chunker.cut(&data, false), Some(reference(&chunker, &data)), "seed {seed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn short_data_agrees(seed: u64, length in 0usize..2_000_000) {
            let (chunker, data) = (chunker(), noise(seed, length));
            let want = reference(&chunker, &data);
            prop_assert_eq!(chunker.cut(&data, true), Some(want));
            let early = chunker.cut(&data, false);
            prop_assert!(early.is_none_or(|length| length == want) && (early.is_some() || want == length));
        }
    }
}
