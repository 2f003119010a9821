//! D: a sparse disk image, a fifth of it used, of which 1 % changes in place.

use super::rng::Rng;
use crate::interrupt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The image is used in extents of this size, each filled or a hole.
const EXTENT_BYTES: u64 = 4 << 20;
/// One change covers this much, as a guest's file system writes.
const CHANGE_BYTES: u64 = 64 << 10;
const SEED: u64 = 0xD000;
pub(super) const FILE: &str = "disk.img";

pub(super) struct Shape {
    bytes: u64,
    used_bytes: u64,
}

impl Shape {
    pub(super) fn describe(&self) -> String {
        format!("{} bytes, {} used in extents of {EXTENT_BYTES}", self.bytes, self.used_bytes)
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// The same extents each time, spread over the image.
    fn extents(&self) -> Vec<u64> {
        let mut all: Vec<u64> = (0..self.bytes / EXTENT_BYTES).collect();
        let mut rng = Rng::new(SEED);
        let used = (self.used_bytes / EXTENT_BYTES) as usize;
        for position in 0..used {
            let other = position + rng.below((all.len() - position) as u64) as usize;
            all.swap(position, other);
        }
        all.truncate(used);
        all
    }
}

pub(super) fn shape(smoke: bool) -> Shape {
    let unit = if smoke { 8 << 20 } else { 1 << 30 };
    Shape { bytes: 10 * unit, used_bytes: 2 * unit }
}

/// Half of each extent is random, half is text-like, as in a guest's file system.
pub(super) fn make(root: &Path, shape: &Shape) -> anyhow::Result<()> {
    let file = File::create(root.join(FILE))?;
    file.set_len(shape.bytes)?;
    let mut buffer = vec![0; EXTENT_BYTES as usize];
    for extent in shape.extents() {
        interrupt::check()?;
        let mut rng = Rng::new(SEED ^ (extent + 1));
        let (random, text) = buffer.split_at_mut(EXTENT_BYTES as usize / 2);
        rng.fill(random);
        for byte in text {
            *byte = b"etaoin shrdlu\n"[rng.below(14) as usize];
        }
        file.write_all_at(&buffer, extent * EXTENT_BYTES)?;
    }
    Ok(())
}

/// Distinct places for pieces of a size, each in an extent of its own, so that none is met twice.
pub(super) fn places(shape: &Shape, count: u64, piece_bytes: u64) -> Vec<u64> {
    let extents = shape.extents();
    let mut rng = Rng::new(SEED + 1);
    let stride = (extents.len() / count as usize).max(1);
    let place = |number: u64| {
        let extent = extents[(number as usize * stride) % extents.len()];
        extent * EXTENT_BYTES + rng.below(EXTENT_BYTES / piece_bytes) * piece_bytes
    };
    (0..count).map(place).collect()
}

/// Inverts the bytes of seeded places which make up 1 % of the used space.
pub(super) fn toggle_change(root: &Path, shape: &Shape) -> anyhow::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(root.join(FILE))?;
    let mut buffer = vec![0; CHANGE_BYTES as usize];
    let count = (shape.used_bytes / 100 / CHANGE_BYTES).max(1);
    for offset in places(shape, count, CHANGE_BYTES) {
        file.read_exact_at(&mut buffer, offset)?;
        for byte in &mut buffer {
            *byte = !*byte;
        }
        file.write_all_at(&buffer, offset)?;
    }
    Ok(())
}
