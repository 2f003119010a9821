//! Files of at least 256 KiB and streams: cut into chunks.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::store::Worker;
use tintype_engine::tree::list::ListBuilder;
use tintype_engine::tree::{Content, Reference, TreeEntry};
use tintype_model::entry::{Node, Problem, ProblemKind};
use tintype_model::{Error, Result};
use tintype_source::files::{Found, OpenFile};

use super::Shared;
use super::job::{Job, Promise};
use super::small::{bare, failed};
use crate::progress::Progress;

/// Read at once; what is left of it when no cut is found is moved to the front.
const BUFFER_BYTES: usize = 6 << 20;

/// Fills a buffer as far as it goes; fewer bytes than asked for: the end.
type Fill<'f> = dyn FnMut(&mut [u8]) -> Result<usize, Failed> + 'f;

/// Whose fault it is that content cannot be had.
pub(super) enum Failed {
    /// The file's: the run goes on.
    Source(Problem),
    /// The run's.
    Run(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Run(error)
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Failed::Source(problem)
    }
}

pub(super) fn store(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    file: Found,
) -> Result<TreeEntry> {
    let mut node = file.node.clone();
    shared.progress.at(&file.path);
    let open = match file.open() {
        Ok(open) => open,
        Err(problem) => {
            failed(shared, &mut node, problem);
            return Ok(bare(file.path, node));
        }
    };
    open.refresh(&mut node);
    open.load_extras(&mut node);
    let mut chunks = Chunks::new(shared);
    let stored = store_segments(&mut chunks, worker, buffer, &open);
    let (content, length) = chunks.finish(worker)?;
    match stored {
        Ok(()) => {
            if (open.changed(&node) || length != node.size) && node.problem().is_none() {
                node.extras_mut().problem = Some(Problem {
                    kind: ProblemKind::Changed,
                    message: "changed while it was read".into(),
                });
            }
            node.size = length;
        }
        Err(Failed::Source(problem)) => {
            // What was read is kept, and what it is worth is said.
            failed(shared, &mut node, problem);
            node.size = length;
        }
        Err(Failed::Run(error)) => return Err(error),
    }
    Ok(TreeEntry { content, ..bare(file.path, node) })
}

fn store_segments(
    chunks: &mut Chunks<'_, '_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    open: &OpenFile,
) -> Result<(), Failed> {
    let shared = chunks.shared;
    for segment in open.segments() {
        if segment.hole {
            chunks.add(worker, Reference { length: segment.length, id: None })?;
            continue;
        }
        let mut offset = segment.offset;
        // The last segment goes as far as the file does: it may have grown.
        let end = segment.offset + segment.length;
        let end = if end == open.size_bytes() { u64::MAX } else { end };
        let mut fill = |out: &mut [u8]| {
            let room = (end - offset).min(out.len() as u64) as usize;
            let mut watch = shared.watch();
            let length = open.read_full_at(&mut out[..room], offset)?;
            shared.have_read(&mut watch, 0, length as u64);
            offset += length as u64;
            Ok(length)
        };
        cut(chunks, worker, buffer, &mut fill)?;
    }
    Ok(())
}

/// Cuts what `fill` gives into chunks and stores them.
pub(super) fn cut(
    chunks: &mut Chunks<'_, '_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    fill: &mut Fill<'_>,
) -> Result<(), Failed> {
    buffer.resize(BUFFER_BYTES, 0);
    let (mut start, mut end, mut is_last) = (0, 0, false);
    let shared = chunks.shared;
    let chunker = shared.store.repository().chunker();
    loop {
        if start < end
            && let Some(length) = chunker.cut(&buffer[start..end], is_last)
        {
            chunks.put(worker, &buffer[start..start + length])?;
            start += length;
            continue;
        }
        if is_last {
            return Ok(());
        }
        shared.cancel.check()?;
        shared.store.beat()?;
        buffer.copy_within(start..end, 0);
        end -= start;
        start = 0;
        let length = fill(&mut buffer[end..])?;
        end += length;
        is_last = end < BUFFER_BYTES;
    }
}

/// The chunks of one file in order, some of them with other workers.
pub(super) struct Chunks<'s, 'a, 'r> {
    shared: &'s Shared<'a, 'r>,
    list: ListBuilder<'a, 'r>,
    /// What follows the first chunk that another worker still has.
    waiting: VecDeque<Waiting>,
}

enum Waiting {
    Here(Reference),
    Elsewhere(Arc<Promise<Reference>>),
}

impl<'s, 'a, 'r> Chunks<'s, 'a, 'r> {
    pub(super) fn new(shared: &'s Shared<'a, 'r>) -> Self {
        Self { shared, list: ListBuilder::new(shared.store, 0), waiting: VecDeque::new() }
    }

    /// Stores a chunk, or lets a worker do it that has nothing else to do.
    pub(super) fn put(&mut self, worker: &mut Worker, bytes: &[u8]) -> Result<()> {
        if self.shared.jobs.has_idle() {
            let mut copy = self.shared.take_spare();
            copy.extend_from_slice(bytes);
            let result = Promise::new();
            let job = Job::Chunk { bytes: copy, result: Arc::clone(&result) };
            match self.shared.jobs.offer(job) {
                Ok(()) => {
                    self.waiting.push_back(Waiting::Elsewhere(result));
                    return Ok(());
                }
                Err(Job::Chunk { bytes, .. }) => self.shared.give_spare(bytes),
                Err(_) => {}
            }
        }
        let reference = store_chunk(self.shared, worker, bytes)?;
        self.add(worker, reference)
    }

    pub(super) fn add(&mut self, worker: &mut Worker, reference: Reference) -> Result<()> {
        self.waiting.push_back(Waiting::Here(reference));
        while let Some(next) = self.waiting.pop_front() {
            match next {
                Waiting::Elsewhere(result) if !result.is_ready() => {
                    self.waiting.push_front(Waiting::Elsewhere(result));
                    return Ok(());
                }
                next => self.list_next(worker, next)?,
            }
        }
        Ok(())
    }

    fn list_next(&mut self, worker: &mut Worker, next: Waiting) -> Result<()> {
        let reference = match next {
            Waiting::Here(reference) => reference,
            Waiting::Elsewhere(result) => result
                .next(self.shared)
                .ok_or_else(|| Error::canceled("the run failed elsewhere"))?,
        };
        self.list.push(worker, reference)
    }

    /// What the entry says of its content, and the content's length in bytes.
    pub(super) fn finish(mut self, worker: &mut Worker) -> Result<(Content, u64)> {
        while let Some(next) = self.waiting.pop_front() {
            self.list_next(worker, next)?;
        }
        let length = self.list.length_bytes();
        Ok((self.list.finish(worker)?, length))
    }
}

pub(super) fn store_chunk(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    bytes: &[u8],
) -> Result<Reference> {
    let stored = shared.store.put(worker, FrameKind::Chunk, bytes)?;
    Progress::add(&shared.progress.moved_bytes, bytes.len() as u64);
    Ok(Reference { length: bytes.len() as u64, id: Some(stored.id) })
}

/// A stream: everything up to its end. `Source` if it breaks off: the entry then holds what came.
pub(super) fn store_stream(
    shared: &Shared<'_, '_>,
    path: Vec<u8>,
    mut node: Node,
    read: &mut dyn Read,
) -> Result<(TreeEntry, Option<Error>)> {
    let mut worker = Worker::new()?;
    let (mut buffer, mut chunks) = (Vec::new(), Chunks::new(shared));
    let mut broken = None;
    let mut fill = |out: &mut [u8]| {
        let mut filled = 0;
        while filled < out.len() && broken.is_none() {
            match read.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => broken = Some(Error::io(error, "the stream")),
            }
        }
        Ok(filled)
    };
    match cut(&mut chunks, &mut worker, &mut buffer, &mut fill) {
        Ok(()) => {}
        Err(Failed::Run(error)) => return Err(error),
        Err(Failed::Source(problem)) => return Err(Error::unavailable(problem.message)),
    }
    let (content, length) = chunks.finish(&mut worker)?;
    node.size = length;
    Ok((TreeEntry { content, ..bare(path, node) }, broken))
}

/// Bytes that are at hand.
pub(super) fn store_bytes(
    shared: &Shared<'_, '_>,
    path: Vec<u8>,
    node: Node,
    mut bytes: &[u8],
) -> Result<TreeEntry> {
    let (entry, broken) = store_stream(shared, path, node, &mut bytes)?;
    broken.map_or(Ok(entry), Err)
}
