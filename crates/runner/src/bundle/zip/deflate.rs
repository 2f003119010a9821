//! Deflating in pieces that know nothing of each other, so that several workers make them: each ends
//! at a byte (a sync flush), and joined they are one stream, as pigz does it.

use crc32fast::Hasher as Crc;
use flate2::{Compress, Compression, FlushCompress};
use tintype_model::{Error, Result};

const LEVEL: u32 = 4;
/// Looked at to tell whether all of it is worth the time.
const SAMPLE: usize = 16 << 10;
/// What a stored block of a stream holds at most.
const MOST_STORED: usize = 65_535;

/// The last block of a stream in pieces: empty, by the fixed code.
pub(crate) const LAST: [u8; 2] = [3, 0];

/// Content as it goes into a zip.
pub(crate) struct Packed {
    pub crc: Crc,
    /// `None`: as it is.
    pub deflated: Option<Vec<u8>>,
}

pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(Compress::new(Compression::new(LEVEL), false))
    }

    /// A member of its own, deflated where that makes it smaller.
    pub(crate) fn whole(&mut self, raw: &[u8]) -> Result<Packed> {
        let mut out = Vec::new();
        if self.is_worth_it(raw)? {
            self.run(raw, FlushCompress::Finish, &mut out)?;
        }
        let is_smaller = !out.is_empty() && out.len() < raw.len();
        Ok(Packed { crc: crc(raw), deflated: is_smaller.then_some(out) })
    }

    /// A piece of a stream.
    pub(crate) fn piece(&mut self, raw: &[u8]) -> Result<Packed> {
        let mut out = Vec::new();
        if self.is_worth_it(raw)? {
            self.run(raw, FlushCompress::Sync, &mut out)?;
        } else {
            stored(raw, &mut out);
        }
        Ok(Packed { crc: crc(raw), deflated: Some(out) })
    }

    fn is_worth_it(&mut self, raw: &[u8]) -> Result<bool> {
        if raw.len() < 2 * SAMPLE {
            return Ok(true);
        }
        let start = (raw.len() - SAMPLE) / 2;
        let mut out = Vec::new();
        self.run(&raw[start..start + SAMPLE], FlushCompress::Finish, &mut out)?;
        Ok(out.len() < SAMPLE / 100 * 97)
    }

    fn run(&mut self, raw: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> Result<()> {
        self.0.reset();
        out.reserve(raw.len() / 2 + 64);
        loop {
            let taken = self.0.total_in() as usize;
            self.0
                .compress_vec(&raw[taken..], out, flush)
                .map_err(|error| Error::internal(format!("deflate: {error}")))?;
            // Whatever is left unsaid needed more room.
            if self.0.total_in() as usize == raw.len() && out.len() < out.capacity() {
                return Ok(());
            }
            out.reserve(out.capacity() / 2 + 64);
        }
    }
}

fn crc(raw: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(raw);
    crc
}

/// Blocks that hold the bytes as they are.
fn stored(raw: &[u8], out: &mut Vec<u8>) {
    out.reserve(raw.len() + raw.len() / MOST_STORED * 5 + 5);
    for block in raw.chunks(MOST_STORED) {
        let length = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Holes: the same piece of zeros again and again.
pub(crate) struct Zeros {
    deflater: Deflater,
    full: Packed,
}

const ZEROS: usize = 1 << 20;

impl Zeros {
    pub(crate) fn new() -> Result<Self> {
        let mut deflater = Deflater::new();
        let full = deflater.piece(&vec![0; ZEROS])?;
        Ok(Self { deflater, full })
    }

    /// Gives pieces that together are so many zeros, with the length of each.
    pub(crate) fn each(
        &mut self,
        length: u64,
        give: &mut dyn FnMut(u64, &Packed) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..length / ZEROS as u64 {
            give(ZEROS as u64, &self.full)?;
        }
        let rest = (length % ZEROS as u64) as usize;
        if rest == 0 {
            return Ok(());
        }
        let packed = self.deflater.piece(&vec![0; rest])?;
        give(rest as u64, &packed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inflated(deflated: &[u8], length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 1);
        let mut inflate = flate2::Decompress::new(false);
        let status =
            inflate.decompress_vec(deflated, &mut out, flate2::FlushDecompress::Finish).unwrap();
        assert_eq!(status, flate2::Status::StreamEnd);
        assert_eq!(inflate.total_in(), deflated.len() as u64);
        out
    }

    #[test]
    fn zeros_are_zeros() {
        let mut zeros = Zeros::new().unwrap();
        let length = 3 * ZEROS + 5;
        let (mut joined, mut crc) = (Vec::new(), Crc::new());
        zeros
            .each(length as u64, &mut |_, packed| {
                joined.extend_from_slice(packed.deflated.as_ref().unwrap());
                crc.combine(&packed.crc);
                Ok(())
            })
            .unwrap();
        joined.extend_from_slice(&LAST);
        assert!(inflated(&joined, length) == vec![0; length]);
        assert_eq!(crc.finalize(), crc32fast::hash(&vec![0; length]));
    }

    proptest! {
        #[test]
        fn pieces_join(pieces in prop::collection::vec((any::<u64>(), 0usize..200_000, any::<bool>()), 0..4)) {
            let mut deflater = Deflater::new();
            let (mut raw, mut joined, mut crc) = (Vec::new(), Vec::new(), Crc::new());
            for (seed, length, is_noise) in pieces {
                let mut bytes = vec![seed as u8; length];
                if is_noise {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update(&seed.to_le_bytes());
                    hasher.finalize_xof().fill(&mut bytes);
                }
                let packed = deflater.piece(&bytes).unwrap();
                joined.extend_from_slice(&packed.deflated.unwrap());
                crc.combine(&packed.crc);
                let whole = deflater.whole(&bytes).unwrap();
                if let Some(deflated) = &whole.deflated {
                    prop_assert!(deflated.len() < bytes.len());
                    prop_assert!(inflated(deflated, bytes.len()) == bytes);
                }
                raw.extend_from_slice(&bytes);
            }
            joined.extend_from_slice(&LAST);
            prop_assert!(inflated(&joined, raw.len()) == raw);
            prop_assert_eq!(crc.finalize(), crc32fast::hash(&raw));
        }
    }
}
