//! Reproducible bytes: the same seed gives the same data on every machine and in every version.

/// xorshift64* (Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators").
/// Good enough to be incompressible, and never used for anything secret.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        // splitmix64's step, so that neighbouring seeds give unrelated streams.
        let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((state ^ (state >> 31)).max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`; the bias is below 2^-32 for the small bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored peer figures belong to exactly these bytes.
    #[test]
    fn the_stream_never_changes() {
        let mut rng = Rng::new(1);
        let found = [rng.next(), rng.next(), rng.below(1000)];
        assert_eq!(found, [5_424_204_624_148_110_235, 15_555_979_849_632_202_484, 371]);
    }
}
