//! What a snapshot holds of one item, for targets.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use tintype_engine::cancel::Cancel;
use tintype_engine::env::Task;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Reference, Root, TreeEntry};
use tintype_model::entry::{Kind, ProblemKind};
use tintype_model::{Error, Result};
use tintype_source::connector::{FilesDone, ImageSink, Stored, StoredEntry};
use tintype_source::files::{Excludes, Owners, Target, TargetOptions};

use crate::content::{self, ContentStream};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::restore::{self, ApplyOptions, Destination, Overwrite, Request};

/// Reads parts below `place`.
pub(super) struct StoredItem<'s, 'r> {
    pub reader: &'s ContentReader<'r>,
    pub snapshot: &'s Snapshot,
    pub place: &'s str,
    pub workers: usize,
    pub cancel: &'s Cancel,
    pub progress: &'s Progress,
}

impl StoredItem<'_, '_> {
    fn path(&self, at: &[u8]) -> Vec<u8> {
        match at.is_empty() {
            true => self.place.as_bytes().to_vec(),
            false => [self.place.as_bytes(), b"/", at].concat(),
        }
    }

    fn root(&self) -> Root {
        Root::of(&self.snapshot.manifest)
    }

    /// What is not whole is no content: a truncated database must not look like one.
    fn entry(&self, at: &[u8]) -> Result<TreeEntry> {
        let path = self.path(at);
        let name = String::from_utf8_lossy(&path).into_owned();
        let found = Cursor::new(self.reader, self.root())?.get(&path)?;
        let entry = found.ok_or_else(|| Error::not_found(format!("/{name} is not in it")))?;
        match entry.node.problem() {
            Some(problem) if problem.kind != ProblemKind::Metadata => {
                Err(Error::corrupt(format!("/{name} was not captured whole: {}", problem.message)))
            }
            _ => Ok(entry),
        }
    }
}

impl Stored for StoredItem<'_, '_> {
    fn list(&self, at: &[u8]) -> Result<Vec<StoredEntry>> {
        let (path, mut found) = (self.path(at), Vec::new());
        let depth = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
        let most = depth(&path) + 1;
        let skip = self.place.len();
        Cursor::new(self.reader, self.root())?.for_each_within(&path, &mut |entry| {
            if depth(&entry.path) <= most {
                let below = entry.path.get(skip + 1..).unwrap_or_default();
                found.push(StoredEntry { at: below.to_vec(), node: entry.node });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn object(&self, at: &[u8], most_bytes: u64) -> Result<Vec<u8>> {
        self.entry(at)?;
        let found = content::small(self.reader, self.root(), &self.path(at), most_bytes)?;
        found.ok_or_else(|| Error::internal("an entry that was there is gone"))
    }

    fn read(&self, at: &[u8], consume: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<()> {
        let entry = self.entry(at)?;
        self.progress.at(&entry.path);
        let mut lists = ReadBuffer::new()?;
        let stream = ContentStream::new(self.reader, &entry, &mut lists, self.cancel)?;
        consume(&mut Counted { stream, progress: self.progress })
    }

    fn image(&self, at: &[u8], sink: &dyn ImageSink) -> Result<()> {
        let entry = self.entry(at)?;
        let size = entry.node.size;
        self.progress.at(&entry.path);
        let (depth, list) = of_image(entry)?;
        let mut lists = ReadBuffer::new()?;
        let references = References::new(self.reader, &mut lists, depth, list);
        let next = Mutex::new((references, 0u64));
        let failure = Failure::default();
        let work = || {
            if let Err(error) = self.write_pieces(&next, &failure, sink) {
                failure.set(error);
            }
        };
        let tasks = (0..self.workers.max(1)).map(|_| Box::new(work) as Task<'_>).collect();
        self.reader.repository().env().tasks.run(tasks);
        failure.into_result()?;
        let written = next.into_inner().expect("no panic while held").1;
        if written == size {
            Ok(())
        } else {
            Err(Error::corrupt(format!("the image has {written} of {size} bytes")))
        }
    }

    fn image_bytes(&self, at: &[u8]) -> Result<u64> {
        let (depth, list) = of_image(self.entry(at)?)?;
        let mut lists = ReadBuffer::new()?;
        let mut bytes = 0u64;
        for reference in References::new(self.reader, &mut lists, depth, list) {
            self.cancel.check()?;
            let Reference { length, id } = reference?;
            bytes = bytes.saturating_add(id.map_or(0, |_| length));
        }
        Ok(bytes)
    }

    fn files(&self, at: &[u8], to: &Path) -> Result<FilesDone> {
        let request = Request {
            path: self.path(at),
            also: Vec::new(),
            destination: Destination::Directory(to.to_path_buf()),
            include: None,
            exclude: Excludes::default(),
            overwrite: Overwrite::Always,
            delete_extra: false,
            owners: Owners::default(),
            claim: true,
            untouchable: Vec::new(),
        };
        let plan = restore::plan(self.reader, self.snapshot, &request, self.cancel)?;
        let options = ApplyOptions {
            workers: self.workers,
            cancel: self.cancel.clone(),
            verify: false,
            sync: true,
        };
        let report = restore::apply(self.reader, &plan, &options, self.progress)?;
        let missing = plan.missing.iter().chain(&plan.refused).cloned();
        let mut failed: Vec<_> = missing.chain(report.failed).chain(report.imperfect).collect();
        // The top itself is the target's to a restore of files; here it is what was captured.
        let top = self.entry(at)?.node;
        if top.kind == Kind::Directory {
            let problems = Target::open(to, TargetOptions::default())?.finish_dir(b"", &top)?;
            failed.extend(problems.into_iter().map(|problem| (Vec::new(), problem.message)));
        }
        Ok(FilesDone { entries: report.entries, bytes: report.bytes, failed })
    }
}

impl StoredItem<'_, '_> {
    /// Takes references one by one until there are no more.
    fn write_pieces(
        &self,
        next: &Mutex<(References<'_, '_>, u64)>,
        failure: &Failure,
        sink: &dyn ImageSink,
    ) -> Result<()> {
        let (mut buffer, mut raw) = (ReadBuffer::new()?, Vec::new());
        loop {
            self.cancel.check()?;
            if failure.is_set() {
                return Ok(());
            }
            let (offset, reference) = {
                let mut next = next.lock().expect("no panic while held");
                let Some(reference) = next.0.next().transpose()? else { return Ok(()) };
                let offset = next.1;
                next.1 = offset
                    .checked_add(reference.length)
                    .ok_or_else(|| Error::corrupt("an image is longer than 2^64 bytes"))?;
                (offset, reference)
            };
            let Reference { length, id } = reference;
            let Some(id) = id else {
                sink.zero(offset, length)?;
                continue;
            };
            raw.clear();
            self.reader.read(&id, FrameKind::Chunk, &mut buffer, &mut raw)?;
            if raw.len() as u64 != length {
                return Err(Error::corrupt(format!("chunk {id} has another length")));
            }
            sink.write_at(offset, &raw)?;
            Progress::add(&self.progress.moved_bytes, length);
        }
    }
}

/// Depth and top of its list of pieces.
fn of_image(entry: TreeEntry) -> Result<(u8, Vec<Reference>)> {
    match (entry.node.kind, entry.content) {
        (Kind::Image, Content::References { depth, list }) => Ok((depth, list)),
        (Kind::Image, Content::None) => Ok((0, Vec::new())),
        _ => Err(Error::invalid("it is no image")),
    }
}

struct Counted<'s, 'c, 'r> {
    stream: ContentStream<'c, 'r>,
    progress: &'s Progress,
}

impl Read for Counted<'_, '_, '_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(out)?;
        Progress::add(&self.progress.moved_bytes, length as u64);
        Ok(length)
    }
}
