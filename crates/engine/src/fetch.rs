//! Reading many chunks: sorted by place, neighbours by one request (format.md §7 places what
//! was written together side by side). What cannot be read is reported for each chunk alone.

use std::collections::BTreeMap;

use tintype_model::{Error, ErrorKind, Result};

use crate::format::frame::{Kind, sealed_bytes};
use crate::id::ContentId;
use crate::index::{Location, PackId};
use crate::reader::{ContentReader, ReadBuffer};

/// Bytes between two wanted frames that are read rather than skipped by a second request.
const GAP_BYTES: u64 = 128 << 10;
/// One request reads at most this much: little enough to stay in a processor's cache until it
/// is written, enough to make requests to a remote store worth their latency.
const RUN_BYTES: u64 = 2 << 20;

/// A chunk that is wanted; `tag` is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub id: ContentId,
    pub kind: Kind,
    pub tag: usize,
}

/// What is called for each wanted chunk, in any order: its tag and its bytes.
pub type Each<'e> = dyn FnMut(usize, Result<&[u8]>) -> Result<()> + 'e;

impl ContentReader<'_> {
    /// Reads all of `wanted`. Fails only if `each` does.
    pub fn fetch(
        &self,
        wanted: &[Wanted],
        buffer: &mut ReadBuffer,
        each: &mut Each<'_>,
    ) -> Result<()> {
        if let [one] = wanted {
            return each(one.tag, self.read_slice(&one.id, one.kind, buffer));
        }
        let mut by_pack: BTreeMap<PackId, Vec<(Location, Wanted)>> = BTreeMap::new();
        for chunk in wanted {
            match self.locate(&chunk.id) {
                Ok(found) => by_pack.entry(found.pack).or_default().push((found, *chunk)),
                Err(error) => each(chunk.tag, Err(error))?,
            }
        }
        let mut sealed = std::mem::take(&mut buffer.run);
        for (pack, mut frames) in by_pack {
            frames.sort_unstable_by_key(|(location, _)| location.offset);
            for run in runs(&frames) {
                self.fetch_run(pack, run, &mut sealed, buffer, each)?;
            }
        }
        buffer.run = sealed;
        Ok(())
    }

    fn fetch_run(
        &self,
        pack: PackId,
        run: &[(Location, Wanted)],
        sealed: &mut Vec<u8>,
        buffer: &mut ReadBuffer,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let start = run[0].0.offset;
        let end = run.iter().map(|(location, _)| end_of(location)).max().unwrap_or(start);
        sealed.resize((end - start) as usize, 0);
        let backend = &*self.repository().backend;
        let read = match run {
            [_] => Err(Error::unavailable("alone")),
            _ => backend.read_into(&pack.object_name(), start, sealed),
        };
        // A frame is opened in place, so once for all who want it.
        for same in run.chunk_by(|(a, _), (b, _)| a.offset == b.offset) {
            let (location, chunk) = &same[0];
            if read.is_ok() {
                let at = (location.offset - start) as usize;
                let frame = &mut sealed[at..at + sealed_bytes(location.stored_bytes)];
                if let Ok(raw) = self.open_sealed(&chunk.id, location, frame, buffer) {
                    same.iter().try_for_each(|(_, chunk)| each(chunk.tag, Ok(raw)))?;
                    continue;
                }
            }
            // One by one: what moved is found, and of what is damaged another copy.
            for (_, chunk) in same {
                match self.read_slice(&chunk.id, chunk.kind, buffer) {
                    Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
                    opened => each(chunk.tag, opened)?,
                }
            }
        }
        Ok(())
    }
}

fn end_of(location: &Location) -> u64 {
    location.offset + sealed_bytes(location.stored_bytes) as u64
}

/// Splits frames of one pack, sorted by offset, into ranges worth one request each.
fn runs(frames: &[(Location, Wanted)]) -> impl Iterator<Item = &[(Location, Wanted)]> {
    let mut rest = frames;
    std::iter::from_fn(move || {
        let first = rest.first()?.0.offset;
        let mut end = first;
        let length = rest
            .iter()
            .take_while(|(location, _)| {
                let fits = location.offset <= end + GAP_BYTES
                    && end_of(location) - first
                        <= RUN_BYTES.max(end_of(location) - location.offset);
                end = end.max(end_of(location));
                fits || location.offset == first
            })
            .count();
        let (run, later) = rest.split_at(length);
        rest = later;
        Some(run)
    })
}
