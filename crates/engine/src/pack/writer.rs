//! One open pack: frames are sealed at their final position and written through at once, so
//! that memory does not grow with the pack.

use tintype_model::Result;

use crate::backend::{Backend, PutStream};
use crate::crypto::keys::Keys;
use crate::env::Env;
use crate::format::frame::{Codec, FrameHead, Kind, Placed, TRAILER_RECORD_BYTES, sealed_bytes};
use crate::format::object::{FOOTER_BYTES, HEADER_BYTES, ObjectType, Place, Sealer};
use crate::format::{limits, padme};
use crate::id::{ContentId, RandomId};
use crate::index::segment::PackRow;
use crate::index::{PackClass, PackId};

/// Sealed bytes that are collected before the stream is written.
const WRITE_BYTES: usize = 1 << 20;

pub struct PackWriter {
    pack: PackId,
    sealer: Sealer,
    stream: Box<dyn PutStream>,
    buffer: Vec<u8>,
    placed: Vec<Placed>,
    target_bytes: u64,
}

/// A pack that is stored for good.
pub struct FinishedPack {
    pub row: PackRow,
    pub placed: Vec<Placed>,
}

fn overhead(frames: usize) -> u64 {
    (sealed_bytes((frames * TRAILER_RECORD_BYTES) as u32) + FOOTER_BYTES) as u64
}

impl PackWriter {
    pub fn begin(
        backend: &dyn Backend,
        keys: &Keys,
        repository: RandomId,
        class: PackClass,
        target_bytes: u64,
        env: &Env,
    ) -> Result<Self> {
        let pack = PackId { class, id: RandomId(env.bytes()) };
        let name = pack.object_name();
        let object_type = match class {
            PackClass::Data => ObjectType::DataPack,
            PackClass::Meta => ObjectType::MetaPack,
        };
        let mut buffer = Vec::with_capacity(WRITE_BYTES + (64 << 10));
        let place = Place { keys, repository, object_type, name: &name };
        let sealer = Sealer::begin(&place, env, &mut buffer);
        let stream = backend.put_stream(&name)?;
        Ok(Self { pack, sealer, stream, buffer, placed: Vec::new(), target_bytes })
    }

    /// Whether a frame of this stored length still fits below the target length.
    pub fn has_room(&self, stored_bytes: usize) -> bool {
        let end = self.sealer.offset() + sealed_bytes(stored_bytes as u32) as u64;
        let frames = self.placed.len() + 1;
        self.placed.is_empty()
            || (end + overhead(frames) <= self.target_bytes
                && frames < limits::PACK_FRAMES as usize)
    }

    pub fn add(&mut self, head: FrameHead, stored: &[u8]) -> Result<()> {
        let offset = self.sealer.frame(&head, stored, &mut self.buffer);
        self.placed.push(Placed { head, offset });
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    pub fn length(&self) -> u64 {
        self.sealer.offset()
    }

    /// Pads, writes trailer and footer, makes it durable.
    pub fn finish(mut self) -> Result<FinishedPack> {
        self.pad()?;
        let mut trailer = Vec::with_capacity(self.placed.len() * TRAILER_RECORD_BYTES);
        self.placed.iter().for_each(|p| p.encode(&mut trailer));
        let head = plain_head(Kind::Trailer, trailer.len());
        let offset = self.sealer.frame(&head, &trailer, &mut self.buffer);
        let size_bytes = self.sealer.finish(Some(offset), &mut self.buffer);
        self.stream.write(&self.buffer)?;
        self.stream.finish()?;
        Ok(FinishedPack { row: PackRow { pack: self.pack, size_bytes }, placed: self.placed })
    }

    /// Fills up to the next Padmé length that leaves room for a padding frame.
    fn pad(&mut self) -> Result<()> {
        let least = sealed_bytes(0) as u64;
        let bare = self.sealer.offset() + overhead(self.placed.len());
        let mut length = padme::round_up(bare);
        while length != bare && length - bare < least {
            length = padme::round_up(length + 1);
        }
        let mut missing = (length - bare) / 16 * 16;
        let zeros = vec![0; (missing as usize).min(WRITE_BYTES)];
        while missing >= least {
            // What is left after this frame must be nothing or hold another one.
            let mut sealed = missing.min(WRITE_BYTES as u64);
            if missing != sealed && missing - sealed < least {
                sealed -= least;
            }
            let stored = &zeros[..(sealed - least) as usize];
            let head = plain_head(Kind::Padding, stored.len());
            self.sealer.frame(&head, stored, &mut self.buffer);
            self.flush()?;
            missing -= sealed;
        }
        Ok(())
    }
}

fn plain_head(kind: Kind, length: usize) -> FrameHead {
    FrameHead {
        kind,
        codec: Codec::None,
        stored_bytes: length as u32,
        raw_bytes: length as u32,
        id: ContentId::default(),
    }
}

const _: () = assert!(HEADER_BYTES.is_multiple_of(16));
