//! The first stage: goes through walk and parent side by side, in path order, and decides
//! what must be read.

use std::io::Read;
use std::sync::Arc;

use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::{Ahead, Cursor};
use tintype_engine::tree::{Root, TreeEntry};
use tintype_model::entry::{Kind, Node, Problem, ProblemKind, Time, is_within, path_order};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::connector::{Changed, EndOfStream};
use tintype_source::files::Found;

use super::gather::Sparse;
use super::job::{Job, Promise, SmallFile, Step};
use super::names::Names;
use super::section::{Incoming, New, Section, Walks, What};
use super::small::{bare, failed};
use super::{Shared, image, large};
use crate::progress::Progress;

/// Parcels (format.md §10).
pub(super) const PARCEL_LEAST: u64 = 256 << 10;
pub(super) const PARCEL_MOST: u64 = 1 << 20;
pub(super) const PARCEL_FILES: usize = 8192;
/// A parcel is closed after steps of this many bytes even if it is small: the tree must not wait
/// for it longer than its queue is.
pub(super) const PARCEL_STEPS_BYTES: usize = super::STEPS_BYTES / 3;

struct Planner<'p, 'a, 'r> {
    shared: &'p Shared<'a, 'r>,
    reader: &'p ContentReader<'r>,
    /// Files of the open parcel.
    small: Vec<SmallFile>,
    small_bytes: u64,
    small_step_bytes: usize,
    result: Arc<Promise<TreeEntry>>,
    linked: Names<()>,
    trusted_before: Option<Time>,
    sparse: Sparse,
    /// Nothing that the parent has below this is taken over.
    gone: Option<Vec<u8>>,
}

/// Feeds the run with sections.
pub(super) fn plan<'r>(
    shared: &Shared<'_, 'r>,
    sections: Vec<Section>,
    walks: &Walks,
    reader: &ContentReader<'r>,
    parent: Option<&Snapshot>,
    trusted_before: Option<Time>,
) -> Result<()> {
    let mut planner = Planner {
        shared,
        reader,
        small: Vec::new(),
        small_bytes: 0,
        small_step_bytes: 0,
        result: Promise::new(),
        linked: Names::new(),
        trusted_before,
        sparse: Sparse::default(),
        gone: None,
    };
    if let Some(parent) = parent {
        planner.sparse = Sparse::of_parent(shared, reader, parent)?;
    }
    // What is to be stored again must be looked at.
    let knows_rest = parent.is_some() && planner.sparse.is_empty();
    let is_partial =
        |section: &Section| matches!(&section.what, What::Walk { changed: Changed::Only(_), .. });
    let relies_on_parent = knows_rest && sections.iter().any(is_partial);
    let mut incoming = Incoming::new(sections, walks, knows_rest)?;
    if let Some(parent) = parent {
        let mut cursor = Cursor::new(reader, Root::of(&parent.manifest))?;
        // A parent that is damaged costs time, not the snapshot; unless parts of it are taken over
        // without a look at what they stand for.
        if !relies_on_parent {
            cursor = cursor.tolerant();
        }
        while planner
            .next_leaf(&mut cursor, &mut incoming)
            .map_err(|error| relying(parent, error))?
        {}
    }
    while let Some(new) = incoming.next() {
        planner.take(new, None, &mut incoming)?;
    }
    planner.close_parcel();
    Ok(())
}

/// What did not change is taken from the parent, which is damaged.
fn relying(parent: &Snapshot, error: Error) -> Error {
    if !error.is(ErrorKind::Corrupt) {
        return error;
    }
    error.context(format!(
        "the parent {} is damaged, and what did not change would be taken from it; --read-all looks \
         at everything again",
        parent.id.short()
    ))
}

impl Planner<'_, '_, '_> {
    /// Compares the next leaf of the parent with what comes in. One that has nothing to do with it
    /// is not read: the parent may hold much more.
    fn next_leaf(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        incoming: &mut Incoming<'_>,
    ) -> Result<bool> {
        let is_passed = match cursor.ahead()? {
            Some(Ahead { child, below }) => !incoming.reaches(&child.first, below),
            None => false,
        };
        if is_passed {
            cursor.pass_leaf();
            return Ok(true);
        }
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
            while incoming.peek().is_some_and(|new| path_order(new.path(), &old.path).is_lt()) {
                whole &= same.is_empty();
                self.flush(&mut same)?;
                self.take(incoming.next().expect("peeked"), None, incoming)?;
            }
            let now = incoming.peek().filter(|new| new.path() == old.path);
            if now.is_some_and(|now| self.is_unchanged(now, &old)) && !self.sparse.holds(&old) {
                incoming.next();
                same.push(old);
                continue;
            }
            let known = now.is_some();
            if !known && self.stands_for_itself(&old, incoming) {
                same.push(old);
                continue;
            }
            whole = false;
            self.flush(&mut same)?;
            if known {
                let new = incoming.next().expect("peeked");
                self.take(new, Some(Box::new(old)), incoming)?;
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
            self.linked.meet(&entry.path, &entry.node, || ());
        }
    }

    fn flush(&mut self, same: &mut Vec<TreeEntry>) -> Result<()> {
        self.see_links(same);
        same.drain(..).try_for_each(|entry| self.step(Step::Entry(Box::new(entry))))
    }

    /// Size, times, inode and owner as before, and old enough to be believed.
    fn is_unchanged(&self, now: &New, old: &TreeEntry) -> bool {
        let (found, is_view) = match now {
            New::Found { found, is_view } => (&found.node, *is_view),
            // Directories above sections say nothing of their own.
            New::Entry(entry) => return **entry == *old,
            New::Section(_) | New::Gone(_) => return false,
        };
        let quiet = |time: Time| self.trusted_before.is_some_and(|limit| time < limit);
        found.problem().is_none()
            && old.node.problem().is_none()
            && found.same_stat(&old.node)
            && (is_view || found.device == old.node.device)
            && quiet(old.node.ctime)
            && quiet(old.node.mtime)
    }

    /// The next entry, with what the parent has at its path.
    fn take(
        &mut self,
        new: New,
        old: Option<Box<TreeEntry>>,
        incoming: &mut Incoming<'_>,
    ) -> Result<()> {
        self.replaces(&new, old.as_deref(), incoming);
        match new {
            New::Gone(_) => Ok(()),
            New::Entry(entry) => self.step(Step::Entry(entry)),
            New::Section(section) => self.take_section(*section, old.as_deref()),
            New::Found { found, is_view } => {
                let new = New::Found { found, is_view };
                // What did not change is here because it is to be stored again.
                let old = old.filter(|old| self.is_unchanged(&new, old));
                let New::Found { found, .. } = new else { return Ok(()) };
                self.take_found(found, old)
            }
        }
    }

    /// Where only what may have changed comes in, what does not come is as it was; but for what was
    /// in a directory that is not there any more.
    fn stands_for_itself(&self, old: &TreeEntry, incoming: &Incoming<'_>) -> bool {
        let is_gone = self.gone.as_ref().is_some_and(|gone| is_within(&old.path, gone));
        !is_gone && incoming.keeps(&old.path)
    }

    /// Notes what stands in the place of a directory that is gone, and has a new one walked.
    fn replaces(&mut self, new: &New, old: Option<&TreeEntry>, incoming: &mut Incoming<'_>) {
        let is_covered = self.gone.as_ref().is_some_and(|gone| is_within(new.path(), gone));
        if is_covered || !incoming.keeps(new.path()) {
            return;
        }
        let New::Found { found, .. } = new else {
            self.gone = Some(new.path().to_vec());
            return;
        };
        let is_directory = found.node.kind == Kind::Directory;
        let is_same = |old: &TreeEntry| {
            old.node.kind == Kind::Directory && old.node.inode == found.node.inode
        };
        if is_directory && old.is_some_and(is_same) {
            return;
        }
        self.gone = Some(found.path.clone());
        if is_directory {
            incoming.enter(&found.path);
        }
    }

    fn take_section(&mut self, section: Section, old: Option<&TreeEntry>) -> Result<()> {
        let Section { path, what, item } = section;
        match what {
            What::Image { node, image, changed } => {
                image::plan(self.shared, self.reader, path, node, image, &changed, item, old)
            }
            What::Stream { node, mut read, end } => {
                let entry = stream(self.shared, path, node, &mut *read, end, item)?;
                self.step(Step::Entry(Box::new(entry)))
            }
            What::Object { node, bytes } => {
                let entry = large::store_bytes(self.shared, path, node, &bytes)?;
                self.step(Step::Entry(Box::new(entry)))
            }
            What::Walk { .. } | What::Entry(_) => {
                Err(Error::internal("a section that is walked is no single entry"))
            }
        }
    }

    fn take_found(&mut self, mut found: Found, old: Option<Box<TreeEntry>>) -> Result<()> {
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
        if !self.linked.meet(&found.path, node, || ()) {
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

/// Reads a stream to its end; no helper can read it at the same time. One that breaks off fails its
/// item, and what came of it is marked; without an item it fails the run.
pub(super) fn stream(
    shared: &Shared<'_, '_>,
    path: Vec<u8>,
    node: Node,
    read: &mut dyn Read,
    end: EndOfStream,
    item: Option<usize>,
) -> Result<TreeEntry> {
    shared.progress.at(&path);
    let (mut entry, broken) = large::store_stream(shared, path, node, read)?;
    let Some(error) = broken.map_or_else(|| end().err(), Some) else { return Ok(entry) };
    shared.cancel.check()?;
    let Some(item) = item else { return Err(error) };
    shared.fail_item(item, &error);
    Progress::add(&shared.progress.problems, 1);
    let message = format!("broke off: {error}");
    entry.node.extras_mut().problem = Some(Problem { kind: ProblemKind::Unreadable, message });
    Ok(entry)
}
