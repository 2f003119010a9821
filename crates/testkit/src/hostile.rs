//! What a hostile or broken other side may send: samples that are right, with some of their bytes
//! changed, so that a parser's inner parts are reached, which random bytes do not.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::{Index, select};

/// Most changes of one sample.
const MOST_EDITS: usize = 12;
/// What is taken out or said twice is no longer.
const MOST_BYTES: usize = 64;

/// One of the samples, changed or whole.
pub fn changed<S: AsRef<[u8]>>(
    samples: impl IntoIterator<Item = S>,
) -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> = samples.into_iter().map(|one| one.as_ref().to_vec()).collect();
    let edit = (0u8..7, any::<Index>(), any::<Index>(), any::<u64>());
    (select(samples), vec(edit, 0..MOST_EDITS)).prop_map(|(mut bytes, edits)| {
        for (kind, at, other, value) in edits {
            apply(&mut bytes, kind, at, other, value);
        }
        bytes
    })
}

/// The same for texts; what is no UTF-8 then is replaced.
pub fn changed_text(samples: &[&str]) -> impl Strategy<Value = String> {
    changed(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn apply(bytes: &mut Vec<u8>, kind: u8, at: Index, other: Index, value: u64) {
    if bytes.is_empty() {
        return bytes.push(value as u8);
    }
    let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
    let end = (at + 1 + value as usize % MOST_BYTES).min(bytes.len());
    match kind {
        0 => bytes[at] = value as u8,
        1 => bytes.insert(at, value as u8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(other..other, piece));
        }
        4 => bytes.truncate(at),
        5 => bytes[at] = bytes[other],
        _ => number(&mut bytes[at..], value),
    }
}

/// A number at which sums and products overflow.
fn number(place: &mut [u8], value: u64) {
    const NUMBERS: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, u32::MAX as u64, 1 << 63, u64::MAX];
    let number = NUMBERS[value as usize % NUMBERS.len()];
    let width = [1, 2, 4, 8][(value >> 8) as usize % 4].min(place.len());
    let bytes = if value & 1 << 16 == 0 {
        number.to_le_bytes()
    } else {
        (number << (64 - 8 * width)).to_be_bytes()
    };
    place[..width].copy_from_slice(&bytes[..width]);
}
