//! The bytes of one entry of a tree, in order.

use std::io::{self, Read};

use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::{Error, Result};

/// Reads content as it was stored; every chunk is checked. An error of [`Read`] holds the
/// repository's: see [`error_of`].
pub struct ContentStream<'c, 'r> {
    reader: &'c ContentReader<'r>,
    cancel: &'c Cancel,
    references: Option<References<'c, 'r>>,
    buffer: ReadBuffer,
    raw: Vec<u8>,
    at: usize,
    zeros: u64,
}

impl<'c, 'r> ContentStream<'c, 'r> {
    /// `lists`: for what leads to the chunks.
    pub fn new(
        reader: &'c ContentReader<'r>,
        entry: &TreeEntry,
        lists: &'c mut ReadBuffer,
        cancel: &'c Cancel,
    ) -> Result<Self> {
        let buffer = ReadBuffer::new()?;
        let (raw, at) = (Vec::new(), 0);
        let mut stream = Self { reader, cancel, references: None, buffer, raw, at, zeros: 0 };
        match &entry.content {
            Content::None => {}
            Content::Slot(slot) => {
                let (id, raw) = (&slot.parcel.id, &mut stream.raw);
                reader.read(id, FrameKind::Parcel, &mut stream.buffer, raw)?;
                let start = slot.offset as usize;
                let end = start.checked_add(entry.node.size as usize);
                let bytes = end.and_then(|end| raw.get(start..end));
                let bytes =
                    bytes.ok_or_else(|| Error::corrupt("a file lies outside its parcel"))?;
                if reader.repository().keys().file_digest(bytes) != slot.digest {
                    let text = "a file in a parcel is not what its digest says";
                    return Err(Error::corrupt(text));
                }
                raw.truncate(start + entry.node.size as usize);
                stream.at = start;
            }
            Content::References { depth, list } => {
                stream.references = Some(References::new(reader, lists, *depth, list.clone()));
            }
        }
        Ok(stream)
    }

    /// False at the end.
    fn load(&mut self) -> Result<bool> {
        self.cancel.check()?;
        let Some(reference) = self.references.as_mut().and_then(Iterator::next).transpose()? else {
            return Ok(false);
        };
        let Some(id) = reference.id else {
            self.zeros = reference.length;
            return Ok(true);
        };
        self.raw.clear();
        self.at = 0;
        self.reader.read(&id, FrameKind::Chunk, &mut self.buffer, &mut self.raw)?;
        if self.raw.len() as u64 == reference.length {
            Ok(true)
        } else {
            Err(Error::corrupt(format!("chunk {id} has another length")))
        }
    }
}

impl Read for ContentStream<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.zeros > 0 {
                let length = out.len().min(usize::try_from(self.zeros).unwrap_or(usize::MAX));
                out[..length].fill(0);
                self.zeros -= length as u64;
                return Ok(length);
            }
            let rest = &self.raw[self.at..];
            if !rest.is_empty() {
                let length = rest.len().min(out.len());
                out[..length].copy_from_slice(&rest[..length]);
                self.at += length;
                return Ok(length);
            }
            match self.load() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// The repository's own error, if that is what a reader of content gave.
pub fn error_of(error: io::Error, what: &str) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error.context(what),
        Err(error) => Error::io(error, what),
    }
}

/// All bytes of a small entry; none if there is no such path.
pub fn small(
    reader: &ContentReader<'_>,
    root: Root,
    path: &[u8],
    most_bytes: u64,
) -> Result<Option<Vec<u8>>> {
    let Some(entry) = Cursor::new(reader, root)?.get(path)? else { return Ok(None) };
    let name = String::from_utf8_lossy(path);
    if entry.node.size > most_bytes {
        let size = entry.node.size;
        return Err(Error::invalid(format!("/{name}: has {size} bytes, more than {most_bytes}")));
    }
    whole(reader, &entry, &format!("/{name}")).map(Some)
}

/// All bytes of an entry whose size was looked at.
pub(crate) fn whole(reader: &ContentReader<'_>, entry: &TreeEntry, name: &str) -> Result<Vec<u8>> {
    let (mut lists, cancel) = (ReadBuffer::new()?, Cancel::default());
    let mut bytes = Vec::new();
    let stream = ContentStream::new(reader, entry, &mut lists, &cancel)?;
    let read = stream.take(entry.node.size).read_to_end(&mut bytes);
    read.map_err(|error| error_of(error, name))?;
    if bytes.len() as u64 == entry.node.size {
        Ok(bytes)
    } else {
        Err(Error::corrupt(format!("{name}: its content has another length")))
    }
}
