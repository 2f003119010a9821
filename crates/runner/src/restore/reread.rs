//! Reads restored files back and compares them with what the snapshot's ids say. The
//! repository is not asked again: ids and digests are enough.

use std::collections::HashSet;

use tintype_engine::crypto::keys::Keys;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::limits;
use tintype_engine::id::ContentId;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Reference, TreeEntry};
use tintype_model::{Error, Result};
use tintype_source::files::{OpenFile, Target};

use super::{Action, ApplyOptions, Plan, Report};

pub(super) fn verify(
    reader: &ContentReader<'_>,
    plan: &Plan,
    target: &Target,
    report: &mut Report,
    options: &ApplyOptions,
) -> Result<()> {
    let mut check = Check::new(reader);
    let mut buffer = ReadBuffer::new()?;
    let failed: HashSet<Vec<u8>> = report.failed.iter().map(|(path, _)| path.clone()).collect();
    plan.for_each(reader, &mut |step| {
        options.cancel.check()?;
        let restored = matches!(
            step.action,
            Action::Create
                | Action::Replace
                | Action::Same
                | Action::KeepMetadata
                | Action::Metadata
        );
        let place = plan.place(step.path);
        if !restored || !step.entry.node.kind.has_content() || failed.contains(place) {
            return Ok(());
        }
        let compared =
            target.read(place).and_then(|file| check.file(&mut buffer, &file, step.entry));
        match compared {
            Ok(()) => report.verified_bytes += step.entry.node.size,
            Err(error) => report.failed.push((step.path.to_vec(), error.to_string())),
        }
        Ok(())
    })
}

/// Compares files with what the snapshot's ids say.
pub(super) struct Check<'c, 'r> {
    reader: &'c ContentReader<'r>,
    bytes: Vec<u8>,
}

impl<'c, 'r> Check<'c, 'r> {
    pub(super) fn new(reader: &'c ContentReader<'r>) -> Self {
        Self { reader, bytes: Vec::new() }
    }

    pub(super) fn keys(&self) -> &'c Keys {
        self.reader.repository().keys()
    }

    /// An error unless the file holds what the entry does.
    pub(super) fn file(
        &mut self,
        buffer: &mut ReadBuffer,
        file: &OpenFile,
        entry: &TreeEntry,
    ) -> Result<()> {
        // A device may be larger than the image that was put on it.
        let is_larger = file.size_bytes() > entry.node.size;
        if file.size_bytes() != entry.node.size && !(file.is_device() && is_larger) {
            return Err(differs("its size"));
        }
        match &entry.content {
            Content::None => Ok(()),
            Content::Slot(slot) => {
                self.load(file, 0, entry.node.size)?;
                let digest = self.reader.repository().keys().file_digest(&self.bytes);
                if digest == slot.digest { Ok(()) } else { Err(differs("its content")) }
            }
            Content::References { depth, list } => {
                let mut offset = 0;
                let mut references = References::new(self.reader, buffer, *depth, list.clone());
                references.try_for_each(|reference| {
                    let Reference { length, id } = reference?;
                    match id {
                        Some(id) => self.chunk(file, offset, length, &id)?,
                        None => self.zeros(file, offset, length)?,
                    }
                    offset += length;
                    Ok(())
                })
            }
        }
    }

    fn chunk(&mut self, file: &OpenFile, at: u64, length: u64, id: &ContentId) -> Result<()> {
        if length > u64::from(limits::CHUNK_BYTES) {
            return Err(Error::corrupt("names a chunk that is longer than chunks are"));
        }
        self.load(file, at, length)?;
        let keys = self.reader.repository().keys();
        let found = keys.content_id(FrameKind::Chunk, &self.bytes);
        if found == *id { Ok(()) } else { Err(differs("its content")) }
    }

    fn zeros(&mut self, file: &OpenFile, offset: u64, length: u64) -> Result<()> {
        let mut done = 0;
        while done < length {
            let piece = (length - done).min(1 << 20);
            self.load(file, offset + done, piece)?;
            if self.bytes.iter().any(|b| *b != 0) {
                return Err(differs("its content"));
            }
            done += piece;
        }
        Ok(())
    }

    fn load(&mut self, file: &OpenFile, offset: u64, length: u64) -> Result<()> {
        self.bytes.resize(length as usize, 0);
        match file.read_full_at(&mut self.bytes, offset) {
            Ok(read) if read as u64 == length => Ok(()),
            Ok(_) => Err(differs("its size")),
            Err(problem) => Err(Error::unavailable(problem.message)),
        }
    }
}

fn differs(what: &str) -> Error {
    Error::corrupt(format!("was read back, and {what} differs from the snapshot"))
}
