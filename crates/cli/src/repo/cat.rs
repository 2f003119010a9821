//! `cat`: the bytes of one file of a snapshot.

use serde_json::json;
use tintype_engine::Error;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::list::decode_list;
use tintype_engine::tree::{Content, Reference, Root, Slot, TreeEntry};
use tintype_model::selector::Selector;

use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo cat latest:/files/etc/fstab
  tintype repo cat latest:/files/database.sql | psql")]
pub(crate) struct Args {
    /// A snapshot and a file in it: latest:/files/etc/fstab
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = pick::selector())]
    place: Selector,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        if app.report.is_json() {
            return Err(usage("cat prints bytes, which are no JSON; leave --json away"));
        }
        let path = self.place.path.clone().unwrap_or_default();
        if path.is_empty() {
            return Err(usage("which file? write it like latest:/files/etc/fstab"));
        }
        let repository = app.open()?;
        let snapshot = app.pick(&repository, &self.place)?;
        app.pinned(&repository, snapshot.id, |_| {
            let reader = repository.reader()?;
            let found = Cursor::new(&reader, Root::of(&snapshot.manifest))?.get(&path)?;
            let entry = found.ok_or_else(|| pick::no_such_path(&snapshot, &path))?;
            let bytes = Printer::new(app, &reader)?.print(&entry)?;
            let broken = entry.is_problem() || entry.node.is_lost();
            if let Some(problem) = entry.node.problem() {
                app.report.warn(format!("{}: {}", show::path(&path), problem.message));
            }
            Ok(Done::of(Exit::of_outcome(broken, false), json!({ "bytes": bytes })))
        })
    }
}

struct Printer<'p, 'r> {
    app: &'p App,
    reader: &'p ContentReader<'r>,
    buffer: ReadBuffer,
    raw: Vec<u8>,
    bytes: u64,
}

impl<'p, 'r> Printer<'p, 'r> {
    fn new(app: &'p App, reader: &'p ContentReader<'r>) -> anyhow::Result<Self> {
        Ok(Self { app, reader, buffer: ReadBuffer::new()?, raw: Vec::new(), bytes: 0 })
    }

    fn print(mut self, entry: &TreeEntry) -> anyhow::Result<u64> {
        if !entry.node.kind.has_content() {
            return Err(Error::invalid(format!(
                "{} is a {} and has no bytes",
                show::path(&entry.path),
                show::kind(entry.node.kind)
            ))
            .into());
        }
        match &entry.content {
            Content::None => {}
            Content::Slot(slot) => self.slot(slot, entry.node.size)?,
            Content::References { depth, list } => self.references(*depth, list)?,
        }
        Ok(self.bytes)
    }

    fn load(&mut self, id: &tintype_engine::id::ContentId, kind: FrameKind) -> anyhow::Result<()> {
        self.app.cancel.check()?;
        self.raw.clear();
        Ok(self.reader.read(id, kind, &mut self.buffer, &mut self.raw)?)
    }

    fn slot(&mut self, slot: &Slot, size: u64) -> anyhow::Result<()> {
        self.load(&slot.parcel.id, FrameKind::Parcel)?;
        let start = slot.offset as usize;
        let bytes = start.checked_add(size as usize).and_then(|end| self.raw.get(start..end));
        let bytes = bytes.ok_or_else(|| Error::corrupt("a file lies outside its parcel"))?;
        if self.reader.repository().keys().file_digest(bytes) != slot.digest {
            return Err(Error::corrupt("a file in a parcel is not what its digest says").into());
        }
        crate::report::raw(bytes)?;
        self.bytes += size;
        Ok(())
    }

    fn references(&mut self, depth: u8, list: &[Reference]) -> anyhow::Result<()> {
        for reference in list {
            match (depth, reference.id) {
                (_, None) => self.zeros(reference.length)?,
                (0, Some(id)) => {
                    self.load(&id, FrameKind::Chunk)?;
                    if self.raw.len() as u64 != reference.length {
                        return Err(Error::corrupt(format!("chunk {id} has another length")).into());
                    }
                    crate::report::raw(&self.raw)?;
                    self.bytes += reference.length;
                }
                (_, Some(id)) => {
                    self.load(&id, FrameKind::List)?;
                    let below = decode_list(&self.raw, depth - 1, reference.length)?;
                    self.references(depth - 1, &below)?;
                }
            }
        }
        Ok(())
    }

    fn zeros(&mut self, length: u64) -> anyhow::Result<()> {
        let zeros = vec![0; length.min(1 << 20) as usize];
        let mut left = length;
        while left > 0 {
            self.app.cancel.check()?;
            let piece = left.min(zeros.len() as u64);
            crate::report::raw(&zeros[..piece as usize])?;
            left -= piece;
        }
        self.bytes += length;
        Ok(())
    }
}
