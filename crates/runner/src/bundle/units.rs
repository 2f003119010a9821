//! What workers do for an export: read content, check it, and deflate it where it goes into a zip.

use std::ops::Range;

use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::id::ContentId;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::{Parcel, TreeEntry};
use tintype_model::{Error, Result};

use super::zip::deflate::{Deflater, Packed};
use crate::content;

/// Content that one worker reads.
pub(super) enum Unit {
    /// Small files of one parcel, which is read once.
    Parcel { parcel: Parcel, files: Vec<Slice> },
    /// All of an entry.
    Whole(TreeEntry),
    /// A piece of a larger one.
    Chunk { id: ContentId, length: u64, path: Vec<u8> },
}

pub(super) struct Slice {
    pub path: Vec<u8>,
    pub offset: u32,
    pub size: u64,
    pub digest: [u8; 16],
}

/// What came of it.
pub(super) struct Made {
    raw: Vec<u8>,
    /// For each file, or for all of it; without packing nothing but where it is.
    files: Vec<(Range<usize>, Option<Packed>)>,
}

impl Made {
    pub(super) fn file(&mut self, number: usize) -> (&[u8], Option<Packed>) {
        let (range, packed) = &mut self.files[number];
        (&self.raw[range.clone()], packed.take())
    }
}

pub(super) struct Worker {
    buffer: ReadBuffer,
    deflater: Deflater,
}

impl Worker {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { buffer: ReadBuffer::new()?, deflater: Deflater::new() })
    }

    pub(super) fn make(
        &mut self,
        reader: &ContentReader<'_>,
        unit: &Unit,
        packs: bool,
    ) -> Result<Made> {
        match unit {
            Unit::Parcel { parcel, files } => self.parcel(reader, parcel, files, packs),
            Unit::Whole(entry) => {
                let name = shown(&entry.path);
                let raw = content::whole(reader, entry, &name)?;
                let packed = packs.then(|| self.deflater.whole(&raw)).transpose()?;
                Ok(Made { files: vec![(0..raw.len(), packed)], raw })
            }
            Unit::Chunk { id, length, path } => {
                let mut raw = Vec::new();
                reader
                    .read(id, FrameKind::Chunk, &mut self.buffer, &mut raw)
                    .map_err(|error| error.context(shown(path)))?;
                if raw.len() as u64 != *length {
                    let what = "a chunk has another length than its reference says";
                    return Err(Error::corrupt(what).context(shown(path)));
                }
                let packed = packs.then(|| self.deflater.piece(&raw)).transpose()?;
                Ok(Made { files: vec![(0..raw.len(), packed)], raw })
            }
        }
    }

    fn parcel(
        &mut self,
        reader: &ContentReader<'_>,
        parcel: &Parcel,
        files: &[Slice],
        packs: bool,
    ) -> Result<Made> {
        let mut raw = Vec::new();
        let first = || files.first().map_or_else(String::new, |file| shown(&file.path));
        reader
            .read(&parcel.id, FrameKind::Parcel, &mut self.buffer, &mut raw)
            .map_err(|error| error.context(first()))?;
        let keys = reader.repository().keys();
        let mut made = Vec::with_capacity(files.len());
        for file in files {
            let start = file.offset as usize;
            let range = start..start.saturating_add(file.size as usize);
            let bytes = raw.get(range.clone());
            let bytes = bytes.filter(|bytes| keys.file_digest(bytes) == file.digest);
            let bytes = bytes.ok_or_else(|| {
                let what = "is not in its parcel, or not what its digest says";
                Error::corrupt(what).context(shown(&file.path))
            })?;
            let packed = packs.then(|| self.deflater.whole(bytes)).transpose()?;
            made.push((range, packed));
        }
        Ok(Made { raw, files: made })
    }
}

fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
