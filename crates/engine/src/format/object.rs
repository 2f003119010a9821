//! Sealed objects: header, frames, footer (format.md §6).

use tintype_model::{Error, Result};

use super::frame::{ALIGNMENT, FRAME_HEAD_BYTES, FrameHead, Kind};
use super::limits;
use crate::compress::Decompressor;
use crate::crypto::aead::{AeadKey, TAG_BYTES};
use crate::crypto::keys::Keys;
use crate::env::Env;
use crate::id::RandomId;

pub const HEADER_BYTES: usize = 80;
pub const SEALED_HEAD_BYTES: usize = FRAME_HEAD_BYTES + TAG_BYTES;
pub const FOOTER_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"TINTYPE1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectType {
    DataPack = 1,
    MetaPack = 2,
    IndexSegment = 3,
    Session = 4,
    Fate = 5,
    Annotation = 6,
    Condemned = 7,
    GcRecord = 8,
    Retired = 9,
}

/// What binds an object to its place: repository, type and name.
pub struct Place<'a> {
    pub keys: &'a Keys,
    pub repository: RandomId,
    pub object_type: ObjectType,
    pub name: &'a str,
}

impl Place<'_> {
    /// Additional data up to the offset, which is patched in for each frame.
    fn binding(&self) -> Vec<u8> {
        let name = self.name.as_bytes();
        let mut out = Vec::with_capacity(27 + name.len() + FRAME_HEAD_BYTES);
        out.extend_from_slice(&self.repository.0);
        out.push(self.object_type as u8);
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(name);
        out
    }
}

/// Additional data of one frame on the stack: names are at most 200 bytes.
fn additional(binding: &[u8], offset: u64, head: Option<&[u8]>) -> ([u8; 320], usize) {
    let mut out = [0; 320];
    let mut end = binding.len();
    out[..end].copy_from_slice(binding);
    out[end..end + 8].copy_from_slice(&offset.to_le_bytes());
    end += 8;
    if let Some(head) = head {
        out[end..end + head.len()].copy_from_slice(head);
        end += head.len();
    }
    (out, end)
}

/// Writes one object, piece by piece, each position once.
pub struct Sealer {
    key: AeadKey,
    binding: Vec<u8>,
    offset: u64,
    frames: u32,
}

impl Sealer {
    /// Appends the header to `out`.
    pub fn begin(place: &Place<'_>, env: &Env, out: &mut Vec<u8>) -> Self {
        let epoch = 0u32;
        let salt: [u8; 32] = env.bytes();
        let (key, commitment) = place.keys.object_key(epoch, &salt);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[place.object_type as u8, 1, 0, 0]);
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&salt);
        out.extend_from_slice(&commitment);
        Self { key, binding: place.binding(), offset: HEADER_BYTES as u64, frames: 0 }
    }

    /// Where the next frame goes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Appends a frame to `out` and gives its offset.
    pub fn frame(&mut self, head: &FrameHead, stored: &[u8], out: &mut Vec<u8>) -> u64 {
        debug_assert!(stored.len() == head.stored_bytes as usize && head.check_lengths().is_ok());
        let offset = self.offset;
        let counter = offset / 8;
        let mut sealed_head = head.encode();
        let (data, end) = additional(&self.binding, offset, Some(&sealed_head));
        let short = end - FRAME_HEAD_BYTES;
        let tag = self.key.seal(counter, &data[..short], &mut sealed_head);
        out.extend_from_slice(&sealed_head);
        out.extend_from_slice(&tag);
        let start = out.len();
        out.extend_from_slice(stored);
        out.resize(start + stored.len().next_multiple_of(ALIGNMENT), 0);
        let tag = self.key.seal(counter + 1, &data[..end], &mut out[start..]);
        out.extend_from_slice(&tag);
        self.offset += head.sealed_bytes() as u64;
        self.frames += 1;
        offset
    }

    /// Appends the footer to `out`; the object is complete and `length()` bytes long.
    pub fn finish(self, trailer_offset: Option<u64>, out: &mut Vec<u8>) -> u64 {
        let total = self.offset + FOOTER_BYTES as u64;
        let units = trailer_offset.map_or(0, |o| (o / ALIGNMENT as u64) as u32);
        let mut plain = [0u8; 16];
        plain[..8].copy_from_slice(&total.to_le_bytes());
        plain[8..12].copy_from_slice(&self.frames.to_le_bytes());
        plain[12..].copy_from_slice(&units.to_le_bytes());
        let (data, end) = additional(&self.binding, self.offset, None);
        let tag = self.key.seal(u64::MAX, &data[..end], &mut plain);
        out.extend_from_slice(&plain);
        out.extend_from_slice(&tag);
        total
    }
}

/// What the footer says.
#[derive(Clone, Copy, Debug)]
pub struct Footer {
    pub frames: u32,
    pub trailer_offset: Option<u64>,
}

/// Reads one object.
pub struct Opener {
    key: AeadKey,
    binding: Vec<u8>,
}

impl Opener {
    pub fn new(place: &Place<'_>, header: &[u8]) -> Result<Self> {
        let bad = |what: &str| Err(Error::corrupt(format!("{}: {what}", place.name)));
        let Some(header) = header.first_chunk::<HEADER_BYTES>() else {
            return bad("shorter than a header");
        };
        if &header[..8] != MAGIC {
            return bad("is not a Tintype object (wrong magic)");
        }
        if header[9] != 1 {
            // A newer format says so in the configuration, which was read before.
            return bad("has a version that there is not");
        }
        if header[8] != place.object_type as u8 || header[10..12] != [0, 0] {
            return bad("has the header of another type of object");
        }
        let epoch = u32::from_le_bytes(header[12..16].try_into().expect("4 bytes"));
        let salt = header[16..48].try_into().expect("32 bytes");
        let (key, commitment) = place.keys.object_key(epoch, salt);
        if header[48..] != commitment {
            return bad("was not written with this repository's key, or its header is damaged");
        }
        Ok(Self { key, binding: place.binding() })
    }

    /// Opens the sealed header of the frame at `offset`; `None` if there is none.
    pub fn head(&self, offset: u64, sealed: &[u8; SEALED_HEAD_BYTES]) -> Option<FrameHead> {
        let mut sealed = *sealed;
        let (data, end) = additional(&self.binding, offset, None);
        let plain = self.key.open(offset / 8, &data[..end], &mut sealed)?;
        FrameHead::decode(plain.try_into().ok()?).ok()
    }

    /// Opens a sealed body in place and gives the stored bytes.
    pub fn body<'d>(
        &self,
        offset: u64,
        head: &FrameHead,
        sealed: &'d mut [u8],
    ) -> Option<&'d [u8]> {
        let (data, end) = additional(&self.binding, offset, Some(&head.encode()));
        let plain = self.key.open(offset / 8 + 1, &data[..end], sealed)?;
        let (stored, zeros) = plain.split_at_checked(head.stored_bytes as usize)?;
        zeros.iter().all(|b| *b == 0).then_some(stored)
    }

    /// Opens the footer of an object of `total` bytes; `None` if that is not its length.
    pub fn footer(&self, total: u64, sealed: &[u8; FOOTER_BYTES]) -> Option<Footer> {
        let mut sealed = *sealed;
        let (data, end) = additional(&self.binding, total.checked_sub(FOOTER_BYTES as u64)?, None);
        let plain = self.key.open(u64::MAX, &data[..end], &mut sealed)?;
        let word = |at: usize| u32::from_le_bytes(plain[at..at + 4].try_into().expect("4 bytes"));
        let length = u64::from_le_bytes(plain[..8].try_into().expect("8 bytes"));
        let trailer = u64::from(word(12)) * ALIGNMENT as u64;
        (length == total)
            .then(|| Footer { frames: word(8), trailer_offset: (trailer != 0).then_some(trailer) })
    }
}

/// Seals `raw` as an object of frames of at most 1 MiB, without compression unless it helps.
pub fn seal_bytes(place: &Place<'_>, kind: Kind, raw: &[u8], env: &Env) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 1000 + 512);
    let mut sealer = Sealer::begin(place, env, &mut out);
    let mut compressor = crate::compress::Compressor::new()?;
    for piece in raw.chunks(1 << 20) {
        let (codec, stored) = compressor.compress(piece, 3)?;
        let head = FrameHead {
            kind,
            codec,
            stored_bytes: stored.len() as u32,
            raw_bytes: piece.len() as u32,
            id: crate::id::ContentId::default(),
        };
        sealer.frame(&head, stored, &mut out);
    }
    sealer.finish(None, &mut out);
    Ok(out)
}

/// Opens an object made by [`seal_bytes`]: every byte of it is authenticated.
pub fn open_bytes(place: &Place<'_>, kind: Kind, mut object: Vec<u8>) -> Result<Vec<u8>> {
    let name = place.name;
    let damaged = |what: &str| Error::corrupt(format!("{name}: {what}"));
    let total = object.len();
    let opener = Opener::new(place, &object)?;
    let end = total.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("is truncated"))?;
    let footer = object[end..].first_chunk().and_then(|sealed| opener.footer(total as u64, sealed));
    let footer = footer.ok_or_else(|| damaged("is truncated or its end is damaged"))?;
    let mut decompressor = Decompressor::new()?;
    let mut raw = Vec::new();
    let mut offset = HEADER_BYTES;
    for number in 0..footer.frames {
        let at = || damaged(&format!("frame {number} at byte {offset} is damaged"));
        let sealed = object.get(offset..end).and_then(|o| o.first_chunk()).ok_or_else(at)?;
        let head = opener.head(offset as u64, sealed).ok_or_else(at)?;
        if head.kind != kind || raw.len() as u64 + u64::from(head.raw_bytes) > limits::JSON_BYTES {
            return Err(at());
        }
        let next = offset + head.sealed_bytes();
        let body = object.get_mut(offset + SEALED_HEAD_BYTES..next).ok_or_else(at)?;
        let stored = opener.body(offset as u64, &head, body).ok_or_else(at)?;
        decompressor.append(&head, stored, &mut raw).map_err(|e| e.context(name))?;
        offset = next;
    }
    if offset != end {
        return Err(damaged("has bytes that belong to no frame"));
    }
    Ok(raw)
}
