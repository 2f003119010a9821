//! Entries that somebody else made: they come in path order with their content, and go through the
//! same workers and the same tree as those that are found on a file system.

use std::sync::Arc;

use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::store::Worker;
use tintype_engine::tree::{Reference, TreeEntry};
use tintype_model::entry::{Kind, Node, file_name};
use tintype_model::{Error, Result};

use super::image::CELL;
use super::job::{Job, Promise, Step};
use super::planner::{PARCEL_FILES, PARCEL_LEAST, PARCEL_MOST, PARCEL_STEPS_BYTES};
use super::small::bare;
use super::{Shared, large};
use crate::progress::Progress;
use crate::queue::Cost as _;

/// Gives all entries of a snapshot.
pub(crate) type Give<'i> = Box<dyn FnOnce(&mut Shelf<'_, '_, '_>) -> Result<()> + Send + 'i>;

/// A small file.
pub(crate) struct ReadyFile {
    pub path: Vec<u8>,
    pub node: Node,
    pub bytes: Vec<u8>,
}

impl ReadyFile {
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.node.extras_bytes() + self.bytes.capacity()
    }
}

/// A run of content.
pub(crate) enum Run {
    Data(u64),
    Hole(u64),
}

/// Where content comes from: runs one after the other, and the bytes of those that are data.
pub(crate) trait Content {
    fn next_run(&mut self) -> Result<Option<Run>>;

    /// Fills all of `out` with data of this run.
    fn fill(&mut self, out: &mut [u8]) -> Result<()>;
}

/// Where entries are put.
pub(crate) struct Shelf<'s, 'a, 'r> {
    shared: &'s Shared<'a, 'r>,
    /// Files of the open parcel.
    small: Vec<ReadyFile>,
    small_bytes: u64,
    step_bytes: usize,
    result: Arc<Promise<TreeEntry>>,
    worker: Worker,
    buffer: Vec<u8>,
}

pub(super) fn feed(shared: &Shared<'_, '_>, give: Give<'_>) -> Result<()> {
    let mut shelf = Shelf {
        shared,
        small: Vec::new(),
        small_bytes: 0,
        step_bytes: 0,
        result: Promise::new(),
        worker: Worker::new()?,
        buffer: Vec::new(),
    };
    give(&mut shelf)?;
    shelf.close_parcel();
    Ok(())
}

impl Shelf<'_, '_, '_> {
    /// The session lives, and nobody asked to stop.
    pub(crate) fn beat(&self) -> Result<()> {
        self.shared.cancel.check()?;
        self.shared.store.beat()
    }

    /// An entry without content.
    pub(crate) fn bare(&mut self, path: Vec<u8>, node: Node) -> Result<()> {
        self.count(&node);
        self.step(Step::Entry(Box::new(bare(path, node))))
    }

    /// Another name of a file that came before: same device and inode.
    pub(crate) fn link(&mut self, path: Vec<u8>, node: Node) -> Result<()> {
        self.count(&node);
        self.step(Step::Again(Box::new(bare(path, node))))
    }

    /// A file for a parcel; parcels are cut as of files that are found.
    pub(crate) fn small(&mut self, file: ReadyFile) -> Result<()> {
        self.count(&file.node);
        self.shared.progress.at(&file.path);
        let (size, memory) = (file.bytes.len() as u64, file.memory_bytes());
        if self.small_bytes + size > PARCEL_MOST {
            self.close_parcel();
        }
        let keys = self.shared.store.repository().keys();
        let cut = self.small_bytes + size >= PARCEL_LEAST
            && keys.cut_hash(&[file_name(&file.path), &size.to_le_bytes()]).is_multiple_of(64);
        self.small.push(file);
        self.small_bytes += size;
        let result = Arc::clone(&self.result);
        if cut || self.small.len() >= PARCEL_FILES {
            self.close_parcel();
        }
        self.step(Step::Take(result, memory))
    }

    /// Anything larger, or that is to be stored in chunks.
    pub(crate) fn large(
        &mut self,
        path: Vec<u8>,
        node: Node,
        content: &mut dyn Content,
    ) -> Result<()> {
        self.count(&node);
        self.shared.progress.at(&path);
        let cell = (node.kind == Kind::Image).then_some(CELL);
        let size = node.size;
        let mut chunks = large::Chunks::new(self.shared);
        while let Some(run) = content.next_run()? {
            self.beat()?;
            match run {
                Run::Hole(length) => {
                    chunks.add(&mut self.worker, Reference { length, id: None })?;
                }
                Run::Data(length) => {
                    let (worker, buffer) = (&mut self.worker, &mut self.buffer);
                    match cell {
                        Some(cell) => {
                            let beat = || {
                                self.shared.cancel.check()?;
                                self.shared.store.beat()
                            };
                            cells(&mut chunks, worker, buffer, content, (length, cell), &beat)?;
                        }
                        None => cut(&mut chunks, worker, buffer, content, length)?,
                    }
                }
            }
        }
        let (content, length) = chunks.finish(&mut self.worker)?;
        if length != size {
            return Err(Error::internal("content of another length was put on the shelf"));
        }
        self.step(Step::Entry(Box::new(TreeEntry { content, ..bare(path, node) })))
    }

    fn count(&self, node: &Node) {
        let is_problem = node.problem().is_some_and(|p| p.kind.makes_incomplete());
        Progress::add(&self.shared.progress.problems, u64::from(is_problem));
    }

    fn close_parcel(&mut self) {
        self.small_bytes = 0;
        self.step_bytes = 0;
        if self.small.is_empty() {
            return;
        }
        let result = std::mem::replace(&mut self.result, Promise::new());
        let files = std::mem::take(&mut self.small);
        self.shared.jobs.push(Job::Ready { files, result });
    }

    fn step(&mut self, step: Step) -> Result<()> {
        self.step_bytes += step.cost();
        // The tree must not wait for a parcel longer than its queue is.
        if self.step_bytes >= PARCEL_STEPS_BYTES {
            self.close_parcel();
        }
        self.shared.cancel.check()?;
        if self.shared.steps.push(step) {
            Ok(())
        } else {
            Err(Error::canceled("the run failed elsewhere"))
        }
    }
}

fn cells(
    chunks: &mut large::Chunks<'_, '_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    content: &mut dyn Content,
    (length, cell): (u64, u64),
    beat: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut left = length;
    while left > 0 {
        beat()?;
        buffer.resize(left.min(cell) as usize, 0);
        content.fill(buffer)?;
        chunks.put(worker, buffer)?;
        left -= buffer.len() as u64;
    }
    Ok(())
}

fn cut(
    chunks: &mut large::Chunks<'_, '_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    content: &mut dyn Content,
    length: u64,
) -> Result<()> {
    let mut left = length;
    let mut fill = |out: &mut [u8]| {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        content.fill(&mut out[..room])?;
        left -= room as u64;
        Ok(room)
    };
    match large::cut(chunks, worker, buffer, &mut fill) {
        Ok(()) => Ok(()),
        Err(large::Failed::Run(error)) => Err(error),
        Err(large::Failed::Source(problem)) => Err(Error::internal(problem.message)),
    }
}

/// Whether a file of this size is one for a parcel.
pub(crate) fn is_small(size: u64) -> bool {
    size < MIN_BYTES as u64
}
