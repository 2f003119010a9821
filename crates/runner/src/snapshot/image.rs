//! Images: cut at fixed positions, so that what did not change is taken from the parent's list
//! without being read, and workers read parts of the rest side by side.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::store::Worker;
use tintype_engine::tree::list::ListBuilder;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Reference, TreeEntry};
use tintype_model::Result;
use tintype_model::entry::{Kind, Node, Problem, ProblemKind};
use tintype_source::connector::{Changed, ReadImage};

use super::Shared;
use super::job::{Job, Promise, Step};
use super::large::store_chunk;
use super::readers::Watch;
use super::small::bare;
use crate::progress::Progress;

/// Cut here (format.md §10), whatever the image holds.
pub(super) const CELL: u64 = 1 << 20;
/// One job.
const PART: u64 = 64 << 20;

/// An image that is read by several workers.
pub(super) struct Reading {
    image: Arc<dyn ReadImage>,
    item: Option<usize>,
    failed: Mutex<Option<Problem>>,
}

/// What a part consists of.
pub(super) enum Piece {
    Known(Reference),
    Read(Range<u64>),
}

impl Reading {
    fn problem(&self) -> Option<Problem> {
        self.failed.lock().expect("no panic while held").clone()
    }
}

/// Pushes the step and the jobs of one image. `old`: the parent's entry of this path.
pub(super) fn plan(
    shared: &Shared<'_, '_>,
    reader: &ContentReader<'_>,
    path: Vec<u8>,
    node: Node,
    image: Arc<dyn ReadImage>,
    changed: &Changed<Vec<Range<u64>>>,
    item: Option<usize>,
    old: Option<&TreeEntry>,
) -> Result<()> {
    let size = image.size_bytes();
    Progress::add(&shared.progress.total_bytes, size);
    let image = Arc::new(Reading { image, item, failed: Mutex::default() });
    let starts = || (0..size).step_by(PART as usize);
    let parts: Vec<Arc<Promise<Reference>>> = starts().map(|_| Promise::new()).collect();
    let step = Step::Image { path, node, parts: parts.clone(), image: Arc::clone(&image) };
    if !shared.steps.push(step) {
        return Ok(());
    }
    let mut buffer = ReadBuffer::new()?;
    let mut known = Known::new(reader, &mut buffer, size, changed, old);
    for (start, result) in starts().zip(parts) {
        shared.cancel.check()?;
        let pieces = known.part(start..(start + PART).min(size));
        shared.jobs.push(Job::Image { image: Arc::clone(&image), pieces, result });
    }
    Ok(())
}

/// What the parent's list says of the cells of an image, in order.
struct Known<'c, 'r, 'p> {
    references: Option<References<'c, 'r>>,
    /// What is left of a hole of several cells.
    rest: Option<Reference>,
    changed: &'p [Range<u64>],
}

impl<'c, 'r, 'p> Known<'c, 'r, 'p> {
    fn new(
        reader: &'c ContentReader<'r>,
        buffer: &'c mut ReadBuffer,
        size: u64,
        changed: &'p Changed<Vec<Range<u64>>>,
        old: Option<&TreeEntry>,
    ) -> Self {
        let same = |old: &&TreeEntry| {
            old.node.kind == Kind::Image && old.node.size == size && old.node.problem().is_none()
        };
        let (references, changed) = match (old.filter(same), changed) {
            (Some(old), Changed::Only(ranges)) => match &old.content {
                Content::References { depth, list } => {
                    (Some(References::new(reader, buffer, *depth, list.clone())), &ranges[..])
                }
                _ => (None, &[][..]),
            },
            _ => (None, &[][..]),
        };
        Self { references, rest: None, changed }
    }

    fn part(&mut self, range: Range<u64>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for start in range.clone().step_by(CELL as usize) {
            let cell = start..(start + CELL).min(range.end);
            let known = self.next(cell.end - cell.start).filter(|_| !self.has_changed(&cell));
            match (known, pieces.last_mut()) {
                (Some(known), Some(Piece::Known(last)))
                    if known.id.is_none() && last.id.is_none() =>
                {
                    last.length += known.length;
                }
                (Some(known), _) => pieces.push(Piece::Known(known)),
                (None, Some(Piece::Read(last))) => last.end = cell.end,
                (None, _) => pieces.push(Piece::Read(cell)),
            }
        }
        pieces
    }

    fn has_changed(&mut self, cell: &Range<u64>) -> bool {
        while self.changed.first().is_some_and(|range| range.end <= cell.start) {
            self.changed = &self.changed[1..];
        }
        self.changed.first().is_some_and(|range| range.start < cell.end)
    }

    /// The next cell. Of a list that is damaged or cut otherwise nothing is known from there on.
    fn next(&mut self, length: u64) -> Option<Reference> {
        let reference = match self.rest.take() {
            Some(rest) => rest,
            None => match self.references.as_mut()?.next() {
                Some(Ok(reference)) => reference,
                _ => return self.give_up(),
            },
        };
        match (reference.length.cmp(&length), reference.id) {
            (std::cmp::Ordering::Equal, _) => Some(reference),
            (std::cmp::Ordering::Greater, None) => {
                self.rest = Some(Reference { length: reference.length - length, id: None });
                Some(Reference { length, id: None })
            }
            _ => self.give_up(),
        }
    }

    fn give_up(&mut self) -> Option<Reference> {
        self.references = None;
        None
    }
}

/// One part, by a worker. What cannot be read ends it: what comes after is missing.
pub(super) fn store(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    image: &Reading,
    pieces: Vec<Piece>,
) -> Result<Vec<Reference>> {
    let mut list = Vec::new();
    // One for all cells: a single one is read too soon to tell what was waited for.
    let mut watch = shared.watch();
    for piece in pieces {
        let range = match piece {
            Piece::Known(reference) => {
                list.push(reference);
                continue;
            }
            Piece::Read(range) => range,
        };
        for start in range.clone().step_by(CELL as usize) {
            if image.problem().is_some() {
                return Ok(list);
            }
            shared.cancel.check()?;
            let cell = start..(start + CELL).min(range.end);
            match store_cell(shared, worker, buffer, image, &mut watch, cell)? {
                Some(reference) => list.push(reference),
                None => return Ok(list),
            }
        }
    }
    Ok(list)
}

fn store_cell(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    image: &Reading,
    watch: &mut Watch<'_>,
    cell: Range<u64>,
) -> Result<Option<Reference>> {
    let length = cell.end - cell.start;
    buffer.resize(length as usize, 0);
    let read = match image.image.is_zero(cell.clone()) {
        Ok(true) => return Ok(Some(Reference { length, id: None })),
        Ok(false) => image.image.read_at(cell.start, buffer),
        Err(error) => Err(error),
    };
    if let Err(error) = read {
        shared.cancel.check()?;
        let Some(item) = image.item else { return Err(error) };
        shared.fail_item(item, &error);
        let message = format!("cannot be read from byte {} on: {error}", cell.start);
        let problem = Problem { kind: ProblemKind::Unreadable, message };
        image.failed.lock().expect("no panic while held").get_or_insert(problem);
        return Ok(None);
    }
    shared.have_read(watch, 0, length);
    if is_zero(buffer) {
        Progress::add(&shared.progress.moved_bytes, length);
        return Ok(Some(Reference { length, id: None }));
    }
    store_chunk(shared, worker, buffer).map(Some)
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

/// Joins the parts; `None` if the run failed elsewhere.
pub(super) fn entry(
    shared: &Shared<'_, '_>,
    path: Vec<u8>,
    mut node: Node,
    parts: Vec<Arc<Promise<Reference>>>,
    image: &Reading,
) -> Result<Option<TreeEntry>> {
    let mut worker = Worker::new()?;
    let mut list = ListBuilder::new(shared.store, 0);
    for (number, part) in (0..).zip(parts) {
        let Some(references) = part.all(shared) else { return Ok(None) };
        // After a part that is not whole nothing would be where it belongs.
        if list.length_bytes() == number * PART {
            references.into_iter().try_for_each(|reference| list.push(&mut worker, reference))?;
        }
    }
    node.size = list.length_bytes();
    let content = list.finish(&mut worker)?;
    if let Some(problem) = image.problem() {
        Progress::add(&shared.progress.problems, 1);
        node.extras_mut().problem = Some(problem);
    } else if image.image.changed() {
        let message = "changed while it was read".into();
        node.extras_mut().problem = Some(Problem { kind: ProblemKind::Changed, message });
    }
    Ok(Some(TreeEntry { content, ..bare(path, node) }))
}
