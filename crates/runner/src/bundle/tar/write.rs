//! Writes a tar in one go.

use std::io::Write;
use std::ops::Range;

use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::TreeEntry;
use tintype_model::entry::Kind;
use tintype_model::{Error, Result};

use super::super::archive::Archive;
use super::super::lines::{large_xattr, named};
use super::super::names;
use super::super::zip::deflate::Packed;
use super::layout::{BLOCK, FILE, LINK, MOST_PIECES, Member, RECORD, headers, sparse_map, type_of};

pub(crate) struct TarWriter<'w, 'r> {
    out: &'w mut (dyn Write + Send),
    reader: &'w ContentReader<'r>,
    buffer: ReadBuffer,
    at: u64,
}

impl<'w, 'r> TarWriter<'w, 'r> {
    pub(crate) fn new(
        out: &'w mut (dyn Write + Send),
        reader: &'w ContentReader<'r>,
    ) -> Result<Self> {
        Ok(Self { out, reader, buffer: ReadBuffer::new()?, at: 0 })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::io(error, "writing the bundle"))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn pad_to(&mut self, unit: u64) -> Result<()> {
        let rest = self.at.next_multiple_of(unit) - self.at;
        self.put(&vec![0; rest as usize])
    }

    fn xattrs(&mut self, entry: &TreeEntry) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let small = entry.node.extras.iter().flat_map(|extras| &extras.xattrs);
        let mut all: Vec<_> = small.map(|x| (x.name.clone(), x.value.clone())).collect();
        for xattr in &entry.large_xattrs {
            let value = large_xattr(self.reader, &mut self.buffer, entry, &xattr.name)
                .map_err(|error| named(entry, error))?;
            all.push((xattr.name.clone(), value));
        }
        all.sort_unstable();
        Ok(all)
    }

    fn header(
        &mut self,
        entry: &TreeEntry,
        kind: u8,
        link: &[u8],
        size: u64,
        real_size: Option<u64>,
    ) -> Result<()> {
        let name = names::in_tar(&entry.path, &entry.node);
        let xattrs = if kind == LINK { Vec::new() } else { self.xattrs(entry)? };
        let node = Some(&entry.node);
        let bytes = headers(&Member { name: &name, kind, node, link, size, real_size, xattrs });
        self.put(&bytes)
    }
}

impl Archive for TarWriter<'_, '_> {
    fn is_zip(&self) -> bool {
        false
    }

    fn own(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.begin_own(name, bytes.len() as u64)?;
        self.put(bytes)?;
        self.end()
    }

    fn begin_own(&mut self, name: &str, size_bytes: u64) -> Result<()> {
        let bytes = headers(&Member {
            name: name.as_bytes(),
            kind: FILE,
            node: None,
            link: &[],
            size: size_bytes,
            real_size: None,
            xattrs: Vec::new(),
        });
        self.put(&bytes)
    }

    fn bare(&mut self, entry: &TreeEntry) -> Result<bool> {
        let Some(kind) = type_of(entry.node.kind).filter(|kind| *kind != FILE) else {
            return Ok(false);
        };
        if entry.node.is_lost() {
            return Ok(false);
        }
        let target = entry.node.extras.as_ref().filter(|_| entry.node.kind == Kind::Symlink);
        let target = target.map_or(&[][..], |extras| &extras.target);
        self.header(entry, kind, target, 0, None)?;
        Ok(true)
    }

    fn link(&mut self, entry: &TreeEntry, first: &[u8]) -> Result<()> {
        self.header(entry, LINK, first, 0, None)
    }

    fn whole(&mut self, entry: &TreeEntry, raw: &[u8], _: Option<Packed>) -> Result<()> {
        self.header(entry, FILE, &[], raw.len() as u64, None)?;
        self.put(raw)?;
        self.end()
    }

    fn begin(&mut self, entry: &TreeEntry, data: Option<&[Range<u64>]>) -> Result<()> {
        let data = data.ok_or_else(|| Error::internal("a tar must know where holes are"))?;
        let size = entry.node.size;
        if let [only] = data
            && *only == (0..size)
        {
            return self.header(entry, FILE, &[], size, None);
        }
        if data.len() > MOST_PIECES {
            let what = "it has too many holes for a tar; a zip can hold it";
            return Err(named(entry, Error::unsupported(what)));
        }
        let mut data = data.to_vec();
        // As GNU tar: a hole at the end shows by an empty piece there.
        if data.last().is_none_or(|last| last.end < size) {
            data.push(size..size);
        }
        let map = sparse_map(&data);
        let content: u64 = data.iter().map(|piece| piece.end - piece.start).sum();
        self.header(entry, FILE, &[], map.len() as u64 + content, Some(size))?;
        self.put(&map)
    }

    fn piece(&mut self, raw: &[u8], _: Option<Packed>) -> Result<()> {
        self.put(raw)
    }

    fn hole(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.pad_to(BLOCK)
    }

    fn finish(&mut self) -> Result<()> {
        self.put(&[0; 2 * BLOCK as usize])?;
        self.pad_to(RECORD)
    }
}
