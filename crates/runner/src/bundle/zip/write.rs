//! Writes a zip in one go.

use std::io::Write;
use std::ops::Range;

use crc32fast::Hasher as Crc;
use tintype_engine::tree::TreeEntry;
use tintype_model::entry::Kind;
use tintype_model::{Error, Result};

use super::super::archive::Archive;
use super::super::names;
use super::super::spool::Spool;
use super::deflate::{Deflater, LAST, Packed, Zeros};
use super::layout::{self, DEFLATED, Meta, STORED, Sizes, WIDE, Way};

pub(crate) struct ZipWriter<'w> {
    out: &'w mut (dyn Write + Send),
    /// Records of the directory, for the end.
    directory: Spool<'w>,
    at: u64,
    count: u64,
    open: Option<Open>,
    /// Made with the first hole.
    zeros: Option<Zeros>,
    deflater: Deflater,
}

/// A member whose content comes in pieces.
struct Open {
    meta: Meta,
    way: Way,
    offset: u64,
    crc: Crc,
    packed: u64,
    raw: u64,
}

impl<'w> ZipWriter<'w> {
    pub(crate) fn new(out: &'w mut (dyn Write + Send), directory: Spool<'w>) -> Self {
        let deflater = Deflater::new();
        Self { out, directory, at: 0, count: 0, open: None, zeros: None, deflater }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::io(error, "writing the bundle"))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn list(&mut self, meta: &Meta, way: Way, sizes: Sizes, offset: u64) -> Result<()> {
        self.count += 1;
        self.directory.push(&layout::central(meta, way, sizes, offset))
    }

    fn member(&mut self, meta: &Meta, raw: &[u8], packed: Packed) -> Result<()> {
        let bytes = packed.deflated.as_deref();
        let method = if bytes.is_some() { DEFLATED } else { STORED };
        let way = Way { method, is_streamed: false, is_wide: false };
        let bytes = bytes.unwrap_or(raw);
        let sizes =
            Sizes { crc: packed.crc.finalize(), packed: bytes.len() as u64, raw: raw.len() as u64 };
        let offset = self.at;
        self.put(&layout::local(meta, way, sizes))?;
        self.put(bytes)?;
        self.list(meta, way, sizes, offset)
    }

    /// Begins a member whose sizes follow it.
    pub(crate) fn begin_streamed(&mut self, meta: Meta, method: u16, is_wide: bool) -> Result<()> {
        let way = Way { method, is_streamed: true, is_wide };
        let offset = self.at;
        self.put(&layout::local(&meta, way, Sizes::default()))?;
        self.open = Some(Open { meta, way, offset, crc: Crc::new(), packed: 0, raw: 0 });
        Ok(())
    }

    fn add(&mut self, crc: &Crc, raw: u64, packed: &[u8]) -> Result<()> {
        self.put(packed)?;
        let open = self.open.as_mut().ok_or_else(|| Error::internal("no member is open"))?;
        open.crc.combine(crc);
        open.packed += packed.len() as u64;
        open.raw += raw;
        Ok(())
    }

    /// Of a member that is stored.
    pub(crate) fn add_stored(&mut self, bytes: &[u8]) -> Result<()> {
        let mut crc = Crc::new();
        crc.update(bytes);
        self.add(&crc, bytes.len() as u64, bytes)
    }
}

impl Archive for ZipWriter<'_> {
    fn is_zip(&self) -> bool {
        true
    }

    fn own(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let packed = self.deflater.whole(bytes)?;
        self.member(&Meta::own(name), bytes, packed)
    }

    fn begin_own(&mut self, name: &str, _: u64) -> Result<()> {
        self.begin_streamed(Meta::own(name), DEFLATED, true)
    }

    fn bare(&mut self, entry: &TreeEntry) -> Result<bool> {
        let content = match entry.node.kind {
            Kind::Directory => &[][..],
            Kind::Symlink if !entry.node.is_lost() => {
                entry.node.extras.as_ref().map_or(&[][..], |extras| &extras.target)
            }
            _ => return Ok(false),
        };
        let mut crc = Crc::new();
        crc.update(content);
        let meta = Meta::of(names::in_zip(&entry.path, &entry.node)?, &entry.node);
        self.member(&meta, content, Packed { crc, deflated: None })?;
        Ok(true)
    }

    fn link(&mut self, _: &TreeEntry, _: &[u8]) -> Result<()> {
        Err(Error::internal("a zip knows no links"))
    }

    fn whole(&mut self, entry: &TreeEntry, raw: &[u8], packed: Option<Packed>) -> Result<()> {
        let meta = Meta::of(names::in_zip(&entry.path, &entry.node)?, &entry.node);
        let packed = packed.ok_or_else(|| Error::internal("content for a zip is packed"))?;
        self.member(&meta, raw, packed)
    }

    fn begin(&mut self, entry: &TreeEntry, _: Option<&[Range<u64>]>) -> Result<()> {
        let meta = Meta::of(names::in_zip(&entry.path, &entry.node)?, &entry.node);
        self.begin_streamed(meta, DEFLATED, entry.node.size >= WIDE)
    }

    fn piece(&mut self, raw: &[u8], packed: Option<Packed>) -> Result<()> {
        let packed = match packed {
            Some(packed) => packed,
            None => self.deflater.piece(raw)?,
        };
        let deflated = packed.deflated.unwrap_or_default();
        self.add(&packed.crc, raw.len() as u64, &deflated)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        let mut zeros = match self.zeros.take() {
            Some(zeros) => zeros,
            None => Zeros::new()?,
        };
        zeros.each(length, &mut |raw, packed| {
            self.add(&packed.crc, raw, packed.deflated.as_deref().unwrap_or_default())
        })?;
        self.zeros = Some(zeros);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.way.method == DEFLATED) {
            self.add(&Crc::new(), 0, &LAST)?;
        }
        let open = self.open.take().ok_or_else(|| Error::internal("no member is open"))?;
        let sizes = Sizes { crc: open.crc.finalize(), packed: open.packed, raw: open.raw };
        self.put(&layout::descriptor(open.way, sizes))?;
        self.list(&open.meta, open.way, sizes, open.offset)
    }

    fn finish(&mut self) -> Result<()> {
        let (offset, size) = (self.at, self.directory.size_bytes());
        let records = self.directory.take();
        records.drain(&mut |bytes| self.put(bytes))?;
        self.put(&layout::end(self.count, size, offset))
    }
}
