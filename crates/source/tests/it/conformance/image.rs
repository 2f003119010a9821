//! Images as sparse files: what is known to be zeros is neither read nor written.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::SeekFrom;
use tintype_model::{Error, Result};
use tintype_source::connector::{ImageSink, ReadImage};

const PIECE_BYTES: u64 = 1 << 20;
/// No record of changes is finer.
const GRANULE_BYTES: u64 = 64 << 10;

pub(super) fn read(image: &dyn ReadImage, to: &File) {
    let size = image.size_bytes();
    to.set_len(size).unwrap();
    let mut buffer = vec![0; PIECE_BYTES as usize];
    for at in (0..size).step_by(PIECE_BYTES as usize) {
        let end = size.min(at + PIECE_BYTES);
        if image.is_zero(at..end).unwrap() {
            continue;
        }
        let piece = &mut buffer[..(end - at) as usize];
        image.read_at(at, piece).unwrap();
        to.write_all_at(piece, at).unwrap();
    }
    assert!(!image.changed());
}

/// What is not a hole.
pub(super) fn bytes(from: &File) -> u64 {
    granules(from).len() as u64 * GRANULE_BYTES
}

/// Writes it; if it `fails`, only a half.
pub(super) fn write(from: &File, sink: &dyn ImageSink, fails: bool) -> Result<()> {
    let size = from.metadata().unwrap().len();
    let data = granules(from);
    let count = size.div_ceil(GRANULE_BYTES);
    for number in 0..count {
        if fails && number >= count / 2 {
            return Err(Error::unavailable("injected"));
        }
        let at = number * GRANULE_BYTES;
        let length = GRANULE_BYTES.min(size - at);
        if data.contains(&number) {
            sink.write_at(at, &granule(from, at, length))?;
        } else {
            sink.zero(at, length)?;
        }
    }
    Ok(())
}

/// Whether nothing changed outside of what was said to have changed.
pub(super) fn differs_only_in(old: &File, new: &File, said: &[Range<u64>]) -> bool {
    let size = new.metadata().unwrap().len();
    let is_said = |at: u64| {
        let next = said.partition_point(|range| range.end <= at);
        said.get(next).is_some_and(|range| range.start <= at)
    };
    size == old.metadata().unwrap().len()
        && granules(old).union(&granules(new)).map(|number| number * GRANULE_BYTES).all(|at| {
            let length = GRANULE_BYTES.min(size - at);
            is_said(at) || granule(old, at, length) == granule(new, at, length)
        })
}

fn granule(file: &File, at: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

/// Numbers of those in which a file has data.
fn granules(file: &File) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    let mut end = 0;
    // Past the last data there is none.
    while let Ok(start) = rustix::fs::seek(file, SeekFrom::Data(end)) {
        end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap();
        all.extend(start / GRANULE_BYTES..end.div_ceil(GRANULE_BYTES));
    }
    all
}
