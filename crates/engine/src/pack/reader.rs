//! Reading packs: one frame, its trailer, or, where it is damaged, whatever can be found.

use tintype_model::{Error, Result};

use crate::backend::Backend;
use crate::compress::Decompressor;
use crate::crypto::keys::Keys;
use crate::format::frame::{
    ALIGNMENT, Codec, FrameHead, Kind, Placed, TRAILER_RECORD_BYTES, sealed_bytes,
};
use crate::format::limits;
use crate::format::object::{
    FOOTER_BYTES, HEADER_BYTES, ObjectType, Opener, Place, SEALED_HEAD_BYTES,
};
use crate::id::{ContentId, RandomId};
use crate::index::{Location, PackClass, PackId};
use crate::pack::window::Window;

/// Opens frames of one pack.
pub struct PackReader {
    pub pack: PackId,
    name: String,
    opener: Opener,
}

impl PackReader {
    pub fn from_header(
        keys: &Keys,
        repository: RandomId,
        pack: PackId,
        header: &[u8],
    ) -> Result<Self> {
        let name = pack.object_name();
        let object_type = match pack.class {
            PackClass::Data => ObjectType::DataPack,
            PackClass::Meta => ObjectType::MetaPack,
        };
        let place = Place { keys, repository, object_type, name: &name };
        let opener = Opener::new(&place, header)?;
        Ok(Self { pack, name, opener })
    }

    pub fn open(
        backend: &dyn Backend,
        keys: &Keys,
        repository: RandomId,
        pack: PackId,
    ) -> Result<Self> {
        let mut header = [0; HEADER_BYTES];
        backend.read_into(&pack.object_name(), 0, &mut header)?;
        Self::from_header(keys, repository, pack, &header)
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corrupt(format!("{}: frame at byte {offset}: {what}", self.name))
    }

    /// Opens the frame whose sealed bytes are `sealed`, gives its raw bytes (in place, or in
    /// `scratch` if they were compressed), and checks that they are what `id` names.
    pub fn open_frame<'b>(
        &self,
        keys: &Keys,
        id: &ContentId,
        location: &Location,
        sealed: &'b mut [u8],
        decompressor: &mut Decompressor,
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8]> {
        let offset = location.offset;
        let fail = |what: &str| self.damaged(offset, what);
        let head = sealed
            .first_chunk()
            .and_then(|head| self.opener.head(offset, head))
            .ok_or_else(|| fail("its header is damaged"))?;
        if head.id != *id || head.raw_bytes != location.raw_bytes || !head.kind.is_content() {
            return Err(fail("is not the frame that the index names"));
        }
        let body = sealed
            .get_mut(SEALED_HEAD_BYTES..head.sealed_bytes())
            .ok_or_else(|| fail("is longer than the index says"))?;
        let stored =
            self.opener.body(offset, &head, body).ok_or_else(|| fail("its body is damaged"))?;
        let raw = if head.codec == Codec::None {
            stored
        } else {
            scratch.clear();
            decompressor.append(&head, stored, scratch).map_err(|e| e.context(&self.name))?;
            scratch
        };
        if keys.content_id(head.kind, raw) != *id {
            return Err(fail("its content is not what its id names"));
        }
        Ok(raw)
    }

    /// The pack's own list of frames, by its trailer.
    pub fn trailer(&self, backend: &dyn Backend, size_bytes: u64) -> Result<Vec<Placed>> {
        let fail = |what: &str| Error::corrupt(format!("{}: {what}", self.name));
        let end = size_bytes.checked_sub(FOOTER_BYTES as u64).filter(|e| *e >= HEADER_BYTES as u64);
        let end = end.ok_or_else(|| fail("is too short"))?;
        let mut footer = [0; FOOTER_BYTES];
        backend.read_into(&self.name, end, &mut footer)?;
        let offset = self
            .opener
            .footer(size_bytes, &footer)
            .and_then(|f| f.trailer_offset)
            .filter(|offset| *offset < end && end - offset <= (64 << 20))
            .ok_or_else(|| fail("is truncated or its end is damaged"))?;
        let mut sealed = vec![0; (end - offset) as usize];
        backend.read_into(&self.name, offset, &mut sealed)?;
        let (head, raw) =
            self.plain_frame(offset, &mut sealed).ok_or_else(|| fail("its trailer is damaged"))?;
        let fits = head.kind == Kind::Trailer && raw.len().is_multiple_of(TRAILER_RECORD_BYTES);
        if !fits || raw.len() > limits::PACK_FRAMES as usize * TRAILER_RECORD_BYTES {
            return Err(fail("its trailer is damaged"));
        }
        raw.chunks_exact(TRAILER_RECORD_BYTES)
            .map(|record| Placed::decode(record.try_into().expect("48 bytes")))
            .collect::<Result<_>>()
            .map_err(|e| e.context(&self.name))
    }

    /// Whether this footer ends a pack of this name and length: tells packs apart that somebody
    /// swapped, whose headers open under any name.
    pub fn ends_with(&self, size_bytes: u64, footer: &[u8; FOOTER_BYTES]) -> bool {
        self.opener.footer(size_bytes, footer).is_some()
    }

    fn plain_frame<'d>(&self, offset: u64, sealed: &'d mut [u8]) -> Option<(FrameHead, &'d [u8])> {
        let head = self.opener.head(offset, sealed.first_chunk()?)?;
        let body = sealed.get_mut(SEALED_HEAD_BYTES..head.sealed_bytes())?;
        let stored = self.opener.body(offset, &head, body)?;
        Some((head, stored))
    }

    /// Goes through a pack of `size_bytes` from byte `offset` on, where a frame begins (of a whole
    /// pack, behind its header), frame by frame and in bounded memory; after
    /// damage it looks for the next header at every possible position. Calls `found` for each
    /// content frame whose header opens, with its sealed bytes, and `damage` for each region
    /// that nothing opens.
    pub fn scan(
        &self,
        backend: &dyn Backend,
        mut offset: u64,
        size_bytes: u64,
        found: &mut dyn FnMut(Placed, &mut [u8]) -> Result<()>,
        damage: &mut dyn FnMut(u64, &str),
    ) -> Result<()> {
        let mut pack = Window::new(backend, &self.name, offset, size_bytes);
        let mut lost = None;
        while let Some(sealed) = pack.at(offset, SEALED_HEAD_BYTES)? {
            let sealed = sealed.first_chunk().expect("as long as was asked for");
            let Some(head) = self.opener.head(offset, sealed) else {
                lost = lost.or(Some(offset));
                offset += ALIGNMENT as u64;
                continue;
            };
            if let Some(from) = lost.take() {
                damage(from, "nothing opens here");
            }
            let length = sealed_bytes(head.stored_bytes);
            let Some(bytes) = pack.at(offset, length)? else {
                damage(offset, "is cut off");
                break;
            };
            if head.kind.is_content() {
                found(Placed { head, offset }, bytes)?;
            } else {
                let body = &mut bytes[SEALED_HEAD_BYTES..];
                if self.opener.body(offset, &head, body).is_none() {
                    damage(offset, "its padding or trailer is damaged");
                }
            }
            offset += length as u64;
        }
        if let Some(from) = lost {
            damage(from, "nothing opens here");
        }
        self.scan_end(&mut pack, damage)
    }

    fn scan_end(&self, pack: &mut Window<'_>, damage: &mut dyn FnMut(u64, &str)) -> Result<()> {
        let size = pack.size();
        let footer = match size.checked_sub(FOOTER_BYTES as u64) {
            Some(at) => pack.at(at, FOOTER_BYTES)?,
            None => None,
        };
        if footer.and_then(|f| self.opener.footer(size, f.first_chunk()?)).is_none() {
            damage(size, "its end is missing or damaged");
        }
        Ok(())
    }
}
