//! Frame headers: what a sealed piece of an object is (format.md §6).

use tintype_model::{Error, Result};

use super::limits;
use crate::id::ContentId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Chunk = 1,
    Parcel = 2,
    List = 3,
    Page = 4,
    IndexBlock = 5,
    Json = 6,
    Trailer = 7,
    Padding = 8,
}

impl Kind {
    pub fn from_number(number: u8) -> Result<Self> {
        use Kind::{Chunk, IndexBlock, Json, List, Padding, Page, Parcel, Trailer};
        [Chunk, Parcel, List, Page, IndexBlock, Json, Trailer, Padding]
            .into_iter()
            .find(|k| *k as u8 == number)
            .ok_or_else(|| Error::corrupt(format!("frame kind {number} is unknown")))
    }

    /// Whether frames of this kind are found by their id.
    pub fn is_content(self) -> bool {
        matches!(self, Kind::Chunk | Kind::Parcel | Kind::List | Kind::Page)
    }

    /// Whether it belongs into a meta pack.
    pub fn is_metadata(self) -> bool {
        matches!(self, Kind::List | Kind::Page)
    }

    /// The largest raw length.
    pub fn limit_bytes(self) -> u32 {
        match self {
            Kind::Chunk | Kind::Parcel => limits::CHUNK_BYTES,
            Kind::List => limits::LIST_BYTES,
            Kind::Page => limits::PAGE_BYTES,
            Kind::IndexBlock => 1 << 20,
            Kind::Json | Kind::Padding => limits::FRAME_BYTES,
            Kind::Trailer => limits::PACK_FRAMES * TRAILER_RECORD_BYTES as u32,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    None = 0,
    Zstd = 1,
    ZstdPage = 2,
}

impl Codec {
    fn from_number(number: u8) -> Result<Self> {
        match number {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Zstd),
            2 => Ok(Codec::ZstdPage),
            _ => Err(Error::corrupt(format!("codec {number} is unknown"))),
        }
    }
}

pub const FRAME_HEAD_BYTES: usize = 48;
pub const TRAILER_RECORD_BYTES: usize = 48;
pub const ALIGNMENT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    pub kind: Kind,
    pub codec: Codec,
    pub stored_bytes: u32,
    pub raw_bytes: u32,
    pub id: ContentId,
}

impl FrameHead {
    pub fn encode(&self) -> [u8; FRAME_HEAD_BYTES] {
        let mut out = [0; FRAME_HEAD_BYTES];
        out[0] = self.kind as u8;
        out[1] = self.codec as u8;
        out[4..8].copy_from_slice(&self.stored_bytes.to_le_bytes());
        out[8..12].copy_from_slice(&self.raw_bytes.to_le_bytes());
        out[16..].copy_from_slice(&self.id.0);
        out
    }

    pub fn decode(bytes: &[u8; FRAME_HEAD_BYTES]) -> Result<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        if bytes[2..4] != [0; 2] || word(12) != 0 {
            return Err(Error::corrupt("a reserved field of a frame is not zero"));
        }
        let head = Self {
            kind: Kind::from_number(bytes[0])?,
            codec: Codec::from_number(bytes[1])?,
            stored_bytes: word(4),
            raw_bytes: word(8),
            id: ContentId(bytes[16..].try_into().expect("32 bytes")),
        };
        head.check_lengths()?;
        Ok(head)
    }

    pub fn check_lengths(&self) -> Result<()> {
        let (stored, raw) = (self.stored_bytes, self.raw_bytes);
        let fits = raw <= self.kind.limit_bytes()
            && stored <= limits::FRAME_BYTES.max(self.kind.limit_bytes())
            && stored <= raw + limits::FRAME_EXPANSION
            && (self.codec != Codec::None || stored == raw);
        if fits {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "a frame of kind {:?} claims {stored} stored and {raw} raw bytes",
                self.kind
            )))
        }
    }

    /// Length in the object: sealed header, sealed padded body.
    pub fn sealed_bytes(&self) -> usize {
        sealed_bytes(self.stored_bytes)
    }
}

/// Length in an object of a frame that stores `stored_bytes`.
pub fn sealed_bytes(stored_bytes: u32) -> usize {
    FRAME_HEAD_BYTES + 16 + (stored_bytes as usize).next_multiple_of(ALIGNMENT) + 16
}

/// A frame and where it is; one record of a trailer (format.md §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub head: FrameHead,
    pub offset: u64,
}

impl Placed {
    pub fn encode(&self, out: &mut Vec<u8>) {
        let units = (self.offset / ALIGNMENT as u64) as u32;
        out.extend_from_slice(&[self.head.kind as u8, self.head.codec as u8, 0, 0]);
        out.extend_from_slice(&units.to_le_bytes());
        out.extend_from_slice(&self.head.stored_bytes.to_le_bytes());
        out.extend_from_slice(&self.head.raw_bytes.to_le_bytes());
        out.extend_from_slice(&self.head.id.0);
    }

    pub fn decode(bytes: &[u8; TRAILER_RECORD_BYTES]) -> Result<Self> {
        let mut head = [0; FRAME_HEAD_BYTES];
        head[..4].copy_from_slice(&bytes[..4]);
        head[4..12].copy_from_slice(&bytes[8..16]);
        head[16..].copy_from_slice(&bytes[16..]);
        let units = u32::from_le_bytes(bytes[4..8].try_into().expect("4 bytes"));
        Ok(Self { head: FrameHead::decode(&head)?, offset: u64::from(units) * ALIGNMENT as u64 })
    }
}
