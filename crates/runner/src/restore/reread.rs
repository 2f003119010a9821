//! Reads restored files back and compares them with what the snapshot's ids say. The
//! repository is not asked again: ids and digests are enough.

use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::list::decode_list;
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
    let mut check = Check { reader, buffer: ReadBuffer::new()?, bytes: Vec::new() };
    plan.for_each(reader, &mut |step| {
        options.cancel.check()?;
        let restored = matches!(step.action, Action::Create | Action::Replace | Action::Same);
        if !restored || !step.entry.node.kind.has_content() {
            return Ok(());
        }
        let compared = target.read(step.path).and_then(|file| check.file(&file, step.entry));
        match compared {
            Ok(()) => report.verified_bytes += step.entry.node.size,
            Err(error) => {
                let known = report.failed.iter().any(|(path, _)| path == step.path);
                if !known {
                    report.failed.push((step.path.to_vec(), error.to_string()));
                }
            }
        }
        Ok(())
    })
}

struct Check<'c, 'r> {
    reader: &'c ContentReader<'r>,
    buffer: ReadBuffer,
    bytes: Vec<u8>,
}

impl Check<'_, '_> {
    fn file(&mut self, file: &OpenFile, entry: &TreeEntry) -> Result<()> {
        if file.size_bytes() != entry.node.size {
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
                self.references(file, *depth, list, &mut offset)
            }
        }
    }

    fn references(
        &mut self,
        file: &OpenFile,
        depth: u8,
        list: &[Reference],
        offset: &mut u64,
    ) -> Result<()> {
        for reference in list {
            match (depth, reference.id) {
                (0, Some(id)) => {
                    self.load(file, *offset, reference.length)?;
                    let keys = self.reader.repository().keys();
                    if keys.content_id(FrameKind::Chunk, &self.bytes) != id {
                        return Err(differs("its content"));
                    }
                }
                (_, None) => self.zeros(file, *offset, reference.length)?,
                (_, Some(id)) => {
                    let mut raw = Vec::new();
                    self.reader.read(&id, FrameKind::List, &mut self.buffer, &mut raw)?;
                    let below = decode_list(&raw, depth - 1, reference.length)?;
                    self.references(file, depth - 1, &below, offset)?;
                    continue;
                }
            }
            *offset += reference.length;
        }
        Ok(())
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
