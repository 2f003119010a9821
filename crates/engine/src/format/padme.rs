//! Padmé lengths (format.md §7; Nikitin et al., "Reducing metadata leakage from encrypted
//! files and communication with PURBs", 2019): leak O(log log L) bits, cost below 12 %.

/// The smallest Padmé length that is at least `length`.
pub fn round_up(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let bits = exponent.ilog2() + 1;
    let granule = 1u64 << (exponent - bits.min(exponent));
    length.next_multiple_of(granule)
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn known_lengths() {
        for (length, want) in
            [(1, 1), (9, 10), (1000, 1024), (64 << 20, 64 << 20), (1_000_001, 1_015_808)]
        {
            assert_eq!(round_up(length), want, "{length}");
        }
    }

    #[test]
    fn is_idempotent_and_cheap() {
        for length in 16..100_000u64 {
            let padded = round_up(length);
            assert!(padded >= length && padded <= length + length / 8 + 1);
            assert_eq!(round_up(padded), padded);
        }
    }
}
