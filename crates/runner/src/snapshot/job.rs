//! What passes between planner, workers and tree.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use tintype_engine::store::Worker;
use tintype_engine::tree::{Child, Reference, TreeEntry};
use tintype_model::entry::Node;
use tintype_model::{Error, Result};
use tintype_source::files::Found;

use super::ready::ReadyFile;
use super::{Shared, image, large, small};
use crate::queue::Cost;

/// Work that needs content. Results go to a [`Promise`] that the tree waits for.
pub(super) enum Job {
    /// Small files: one parcel.
    Small {
        files: Vec<SmallFile>,
        result: Arc<Promise<TreeEntry>>,
    },
    /// Small files at hand: one parcel.
    Ready {
        files: Vec<ReadyFile>,
        result: Arc<Promise<TreeEntry>>,
    },
    Large {
        file: Found,
        result: Arc<Promise<TreeEntry>>,
    },
    /// A chunk of a large file, from the worker that cuts it.
    Chunk {
        bytes: Vec<u8>,
        result: Arc<Promise<Reference>>,
    },
    /// A part of an image.
    Image {
        image: Arc<image::Reading>,
        pieces: Vec<image::Piece>,
        result: Arc<Promise<Reference>>,
    },
}

pub(super) struct SmallFile {
    pub found: Found,
    /// It did not change and is only to be stored elsewhere: what counts if it cannot be read.
    pub old: Option<Box<TreeEntry>>,
}

impl SmallFile {
    pub(super) fn new(found: Found) -> Self {
        Self { found, old: None }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.found.memory_bytes() + self.old.as_ref().map_or(0, |old| old.memory_bytes())
    }
}

impl Cost for Job {
    fn cost(&self) -> usize {
        let heap = match self {
            Job::Small { files, .. } => files.iter().map(SmallFile::memory_bytes).sum(),
            Job::Ready { files, .. } => files.iter().map(ReadyFile::memory_bytes).sum(),
            Job::Large { file, .. } => file.memory_bytes(),
            Job::Chunk { bytes, .. } => bytes.capacity(),
            Job::Image { pieces, .. } => pieces.capacity() * size_of::<image::Piece>(),
        };
        size_of::<Self>() + heap
    }
}

/// One step for the tree, in path order.
pub(super) enum Step {
    Entry(Box<TreeEntry>),
    /// A leaf of the parent in which nothing changed.
    Leaf {
        child: Child,
        entries: Vec<TreeEntry>,
    },
    /// The next result of a job, which will take about so many bytes of memory.
    Take(Arc<Promise<TreeEntry>>, usize),
    /// Another name of a file that came before: same device and inode.
    Link(Box<Found>),
    /// The same, of an entry that is at hand: all that is said of it must be as of the first.
    Again(Box<TreeEntry>),
    /// An image: metadata now, references from its parts in order.
    Image {
        path: Vec<u8>,
        node: Node,
        parts: Vec<Arc<Promise<Reference>>>,
        image: Arc<image::Reading>,
    },
}

impl Cost for Step {
    fn cost(&self) -> usize {
        let heap = match self {
            Step::Entry(entry) | Step::Again(entry) => entry.memory_bytes(),
            Step::Link(found) => found.memory_bytes(),
            Step::Leaf { entries, .. } => entries.iter().map(TreeEntry::memory_bytes).sum(),
            Step::Take(_, bytes) => *bytes,
            Step::Image { parts, .. } => parts.len() * size_of::<Promise<Reference>>(),
        };
        size_of::<Self>() + heap
    }
}

/// Results that come later.
pub(super) struct Promise<T> {
    results: Mutex<Option<VecDeque<T>>>,
    ready: Condvar,
}

impl<T> Promise<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { results: Mutex::new(None), ready: Condvar::new() })
    }

    pub(super) fn fulfil(&self, results: Vec<T>) {
        *self.results.lock().expect("no panic while held") = Some(results.into());
        self.ready.notify_all();
    }

    /// The next result; `None` if the run failed.
    pub(super) fn next(&self, shared: &Shared<'_, '_>) -> Option<T> {
        self.wait(shared, VecDeque::pop_front)
    }

    /// Whether [`Promise::all`] would wait.
    pub(super) fn is_ready(&self) -> bool {
        self.results.lock().expect("no panic while held").is_some()
    }

    pub(super) fn all(&self, shared: &Shared<'_, '_>) -> Option<Vec<T>> {
        self.wait(shared, |results| Some(std::mem::take(results).into()))
    }

    fn wait<R>(
        &self,
        shared: &Shared<'_, '_>,
        take: impl FnOnce(&mut VecDeque<T>) -> Option<R>,
    ) -> Option<R> {
        let mut results = self.results.lock().expect("no panic while held");
        loop {
            if let Some(results) = &mut *results {
                return take(results);
            }
            if shared.failure.is_set() {
                return None;
            }
            // A failure elsewhere is noticed at the latest now: it wakes nobody.
            let moment = std::time::Duration::from_millis(100);
            results = self.ready.wait_timeout(results, moment).expect("no panic while held").0;
        }
    }
}

/// A worker's life.
pub(super) fn work(shared: &Shared<'_, '_>) -> Result<()> {
    // Not all workers are needed in every run.
    let mut own = None;
    let mut buffer = Vec::new();
    while let Some(mut taken) = shared.jobs.take() {
        shared.cancel.check()?;
        shared.store.beat()?;
        let worker = match &mut own {
            Some(worker) => worker,
            none => none.insert(Worker::new()?),
        };
        match taken.item() {
            Job::Small { files, result } => {
                result.fulfil(small::store(shared, worker, &mut buffer, files)?);
            }
            Job::Ready { files, result } => {
                result.fulfil(small::store_ready(shared, worker, &mut buffer, files)?);
            }
            Job::Large { file, result } => {
                result.fulfil(vec![large::store(shared, worker, &mut buffer, file)?]);
            }
            Job::Chunk { bytes, result } => {
                result.fulfil(vec![large::store_chunk(shared, worker, &bytes)?]);
                shared.give_spare(bytes);
            }
            Job::Image { image, pieces, result } => {
                result.fulfil(image::store(shared, worker, &mut buffer, &image, pieces)?);
            }
        }
        if shared.failure.is_set() {
            return Err(Error::canceled("another worker failed"));
        }
    }
    Ok(())
}
