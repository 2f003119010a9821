//! The first stage: goes through walk and parent side by side, in path order, and decides
//! what must be read.

use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Root, TreeEntry};
use tintype_model::entry::{Kind, Node, Time, path_order};
use tintype_model::{Error, Result};
use tintype_source::files::image::Image;
use tintype_source::files::{Accounts, Found, Walk};

use super::gather::Sparse;
use super::job::{Job, Promise, SmallFile, Step};
use super::names::Names;
use super::small::{bare, failed};
use super::{EndOfStream, Shared, large};
use crate::progress::Progress;

/// Parcels (format.md §10).
const PARCEL_LEAST: u64 = 256 << 10;
const PARCEL_MOST: u64 = 1 << 20;
const PARCEL_FILES: usize = 8192;
/// A parcel is closed after steps of this many bytes even if it is small: the tree must not wait
/// for it longer than its queue is.
const PARCEL_STEPS_BYTES: usize = super::STEPS_BYTES / 3;
/// One job of an image.
const IMAGE_PART: u64 = 64 << 20;
const BATCH: usize = 512;

struct Planner<'p, 'a, 'r> {
    shared: &'p Shared<'a, 'r>,
    /// Files of the open parcel.
    small: Vec<SmallFile>,
    small_bytes: u64,
    small_step_bytes: usize,
    result: Arc<Promise<TreeEntry>>,
    linked: Names<()>,
    trusted_before: Option<Time>,
    sparse: Sparse,
}

/// Feeds the run from a walk.
pub(super) fn plan(
    shared: &Shared<'_, '_>,
    walk: &Walk,
    reader: &ContentReader<'_>,
    parent: Option<&Snapshot>,
    trusted_before: Option<Time>,
) -> Result<()> {
    let mut planner = Planner {
        shared,
        small: Vec::new(),
        small_bytes: 0,
        small_step_bytes: 0,
        result: Promise::new(),
        linked: Names::new(),
        trusted_before,
        sparse: Sparse::default(),
    };
    let mut found = Stream { walk, batch: Vec::new().into_iter(), done: false };
    if let Some(parent) = parent {
        planner.sparse = Sparse::of_parent(shared, reader, parent)?;
        // A parent that is damaged costs time, not the snapshot.
        let mut cursor = Cursor::new(reader, Root::of(&parent.manifest))?.tolerant();
        while planner.next_leaf(&mut cursor, &mut found)? {}
    }
    while let Some(new) = found.next() {
        planner.take(new, None)?;
    }
    planner.close_parcel();
    Ok(())
}

/// The walk with a look ahead.
struct Stream<'w> {
    walk: &'w Walk,
    batch: std::vec::IntoIter<Found>,
    done: bool,
}

impl Stream<'_> {
    fn fill(&mut self) {
        if self.batch.as_slice().is_empty() && !self.done {
            let mut batch = Vec::with_capacity(BATCH);
            self.done = !self.walk.next_batch(&mut batch, BATCH);
            self.batch = batch.into_iter();
        }
    }

    fn peek(&mut self) -> Option<&Found> {
        self.fill();
        self.batch.as_slice().first()
    }

    fn next(&mut self) -> Option<Found> {
        self.fill();
        self.batch.next()
    }
}

impl Planner<'_, '_, '_> {
    /// Compares the next leaf of the parent with the walk.
    fn next_leaf(&mut self, cursor: &mut Cursor<'_, '_>, found: &mut Stream<'_>) -> Result<bool> {
        if !cursor.next_leaf()? {
            return Ok(false);
        }
        let child = cursor.leaf().expect("there is a leaf").clone();
        let count = cursor.rest_of_leaf().len();
        let mut same = Vec::with_capacity(count);
        let mut whole = true;
        for _ in 0..count {
            let Some(old) = cursor.next_entry()? else { break };
            // What is new stands before the old entry.
            while found.peek().is_some_and(|f| path_order(&f.path, &old.path).is_lt()) {
                whole &= same.is_empty();
                self.flush(&mut same)?;
                self.take(found.next().expect("peeked"), None)?;
            }
            let now = found.peek().filter(|f| f.path == old.path);
            let known = now.is_some();
            let unchanged = now.is_some_and(|f| self.is_unchanged(&f.node, &old));
            if unchanged && !self.sparse.holds(&old) {
                found.next();
                same.push(old);
            } else {
                whole = false;
                self.flush(&mut same)?;
                if known {
                    let old = unchanged.then(|| Box::new(old));
                    self.take(found.next().expect("peeked"), old)?;
                }
            }
        }
        if whole && !same.is_empty() {
            self.see_links(&same);
            return self.step(Step::Leaf { child, entries: same }).map(|()| true);
        }
        self.flush(&mut same).map(|()| true)
    }

    fn see_links(&mut self, entries: &[TreeEntry]) {
        for entry in entries.iter().filter(|e| e.node.kind == Kind::File) {
            self.linked.meet(&entry.node, || ());
        }
    }

    fn flush(&mut self, same: &mut Vec<TreeEntry>) -> Result<()> {
        self.see_links(same);
        same.drain(..).try_for_each(|entry| self.step(Step::Entry(Box::new(entry))))
    }

    /// Size, times, inode and owner as before, and old enough to be believed.
    fn is_unchanged(&self, now: &Node, old: &TreeEntry) -> bool {
        let quiet = |time: Time| self.trusted_before.is_some_and(|limit| time < limit);
        now.problem().is_none()
            && old.node.problem().is_none()
            && now.same_stat(&old.node)
            && now.device == old.node.device
            && quiet(old.node.ctime)
            && quiet(old.node.mtime)
    }

    /// A new or changed entry; or, with what it was, an unchanged one that is to be stored again.
    fn take(&mut self, mut found: Found, old: Option<Box<TreeEntry>>) -> Result<()> {
        let node = &found.node;
        if node.kind != Kind::File || found.node.problem().is_some() {
            if found.node.problem().is_none() {
                found.load_extras();
            }
            let mut entry = bare(std::mem::take(&mut found.path), found.node);
            if let Some(problem) = entry.node.problem().cloned() {
                let size = entry.node.size;
                failed(self.shared, &mut entry.node, problem);
                entry.node.size = if entry.node.kind.has_content() { 0 } else { size };
            }
            return self.step(Step::Entry(Box::new(entry)));
        }
        if !self.linked.meet(node, || ()) {
            return self.step(Step::Link(Box::new(found)));
        }
        match node.size < MIN_BYTES as u64 {
            true => self.take_small(SmallFile { found, old }),
            false => self.take_large(found),
        }
    }

    fn take_small(&mut self, file: SmallFile) -> Result<()> {
        let (size, memory) = (file.found.node.size, file.memory_bytes());
        if self.small_bytes + size > PARCEL_MOST {
            self.close_parcel();
        }
        let cut = {
            let keys = self.shared.store.repository().keys();
            self.small_bytes + size >= PARCEL_LEAST
                && keys.cut_hash(&[file.found.name(), &size.to_le_bytes()]).is_multiple_of(64)
        };
        self.small.push(file);
        self.small_bytes += size;
        let result = Arc::clone(&self.result);
        if cut || self.small.len() >= PARCEL_FILES {
            self.close_parcel();
        }
        self.step(Step::Take(result, memory))
    }

    fn take_large(&mut self, found: Found) -> Result<()> {
        let (result, memory) = (Promise::new(), found.memory_bytes());
        self.shared.jobs.push(Job::Large { file: found, result: Arc::clone(&result) });
        self.step(Step::Take(result, memory))
    }

    fn close_parcel(&mut self) {
        self.small_bytes = 0;
        self.small_step_bytes = 0;
        if self.small.is_empty() {
            return;
        }
        let result = std::mem::replace(&mut self.result, Promise::new());
        self.shared.jobs.push(Job::Small { files: std::mem::take(&mut self.small), result });
    }

    fn step(&mut self, step: Step) -> Result<()> {
        self.small_step_bytes += crate::queue::Cost::cost(&step);
        if self.small_step_bytes >= PARCEL_STEPS_BYTES {
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

/// Feeds the run with images, each in parts that workers read side by side.
pub(super) fn plan_images(shared: &Shared<'_, '_>, paths: &[PathBuf]) -> Result<()> {
    let accounts = Accounts::of_host();
    let mut images = paths
        .iter()
        .map(|path| {
            let image = Image::open(path)?;
            let path = path.as_os_str().as_bytes();
            let relative = path.strip_prefix(b"/").unwrap_or(path);
            Ok(([b"files/", relative].concat(), Arc::new(image)))
        })
        .collect::<Result<Vec<_>>>()?;
    images.sort_by(|a, b| path_order(&a.0, &b.0));
    let directories = directories_above(images.iter().map(|(path, _)| &path[..]), &accounts);
    let mut directories = directories.into_iter().peekable();
    for (path, image) in images {
        while let Some(entry) = directories.next_if(|d| path_order(&d.path, &path).is_lt()) {
            shared.steps.push(Step::Entry(Box::new(entry)));
        }
        let size = image.size_bytes();
        Progress::add(&shared.progress.total_bytes, size);
        let mut parts = Vec::new();
        let mut jobs = Vec::new();
        for start in (0..size).step_by(IMAGE_PART as usize) {
            let result = Promise::new();
            parts.push(Arc::clone(&result));
            let range = start..(start + IMAGE_PART).min(size);
            jobs.push(Job::Image { image: Arc::clone(&image), range, result });
        }
        let node = image.node(&accounts);
        shared.steps.push(Step::Image { path, node, parts, image });
        for job in jobs {
            shared.cancel.check()?;
            shared.jobs.push(job);
        }
    }
    Ok(())
}

/// `files` and what is between it and each path, with the host's metadata where there is such
/// a directory.
fn directories_above<'p>(
    paths: impl Iterator<Item = &'p [u8]>,
    accounts: &Accounts,
) -> Vec<TreeEntry> {
    let mut above: Vec<&[u8]> = paths
        .flat_map(|path| {
            path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| &path[..at])
        })
        .collect();
    above.sort_by(|a, b| path_order(a, b));
    above.dedup();
    let node_of = |path: &[u8]| {
        let on_host = path.strip_prefix(b"files").filter(|rest| !rest.is_empty());
        let on_host = on_host.unwrap_or(b"/");
        tintype_source::files::directory_node(
            std::ffi::OsStr::from_bytes(on_host).as_ref(),
            accounts,
        )
    };
    above.into_iter().map(|path| bare(path.to_vec(), node_of(path))).collect()
}

/// Feeds the run with one stream; no helper can read it at the same time.
pub(super) fn plan_stream(
    shared: &Shared<'_, '_>,
    path: Vec<u8>,
    node: Node,
    read: Box<dyn Read + Send>,
    end: EndOfStream,
) -> Result<()> {
    for entry in directories_above(std::iter::once(&path[..]), &Accounts::of_host()) {
        shared.steps.push(Step::Entry(Box::new(entry)));
    }
    let entry = large::store_stream(shared, path, node, read)?;
    end()?;
    shared.steps.push(Step::Entry(Box::new(entry)));
    Ok(())
}
