//! A pack read to its end in pieces: a few MiB are in memory at once, however
//! long the pack is.

use tintype_model::Result;

use crate::backend::Backend;

/// One request reads as much: worth its latency, and it stays in a processor's cache.
const PIECE_BYTES: u64 = 4 << 20;
/// What a window holds unless a frame is longer: a piece, and the frame that it cut.
pub(crate) const WINDOW_BYTES: u64 = 2 * PIECE_BYTES;

pub(crate) struct Window<'w> {
    backend: &'w dyn Backend,
    name: &'w str,
    /// Of the whole pack.
    size: u64,
    /// Where in the pack `bytes` begin.
    start: u64,
    bytes: Vec<u8>,
}

impl<'w> Window<'w> {
    /// From byte `start` on.
    pub(crate) fn new(backend: &'w dyn Backend, name: &'w str, start: u64, size: u64) -> Self {
        Self { backend, name, size, start, bytes: Vec::new() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// `length` bytes of the pack from `offset` on, which never goes back. `None`: it ends
    /// before, or the window begins later. What the caller writes there is seen by nobody else.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> Result<Option<&mut [u8]>> {
        let end = offset + length as u64;
        if end > self.size || offset < self.start {
            return Ok(None);
        }
        let held = self.start + self.bytes.len() as u64;
        if end > held {
            self.bytes.drain(..((offset.min(held) - self.start) as usize));
            let keep = self.bytes.len();
            self.start = offset.min(held);
            let until = end.max(held + PIECE_BYTES).min(self.size);
            self.bytes.resize((until - self.start) as usize, 0);
            let from = self.start + keep as u64;
            self.backend.read_into(self.name, from, &mut self.bytes[keep..])?;
        }
        let at = (offset - self.start) as usize;
        Ok(Some(&mut self.bytes[at..at + length]))
    }
}
