//! The last stage: steps in path order become the tree.

use std::sync::Arc;

use tintype_engine::store::Worker;
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::list::ListBuilder;
use tintype_engine::tree::{Child, Content, LargeXattr, Reference, Root, TreeEntry};
use tintype_model::Result;
use tintype_model::entry::{Kind, Node, Problem, ProblemKind};
use tintype_source::files::Found;

use super::gather::{Parcels, Totals};
use super::job::{Promise, SmallFile, Step};
use super::names::Names;
use super::small::{self, bare};
use super::{Noticed, Shared};
use crate::progress::Progress;

/// What a file with several names is, by its first name.
type First = (Node, Content, Vec<LargeXattr>);

struct Stage<'t, 'a, 'r> {
    shared: &'t Shared<'a, 'r>,
    builder: TreeBuilder<'a, 'r>,
    names: Names<First>,
    noticed: Noticed,
    parcels: Parcels,
}

/// What was built.
pub(super) struct Built {
    pub root: Root,
    pub noticed: Noticed,
    pub parcels: Totals,
}

/// Builds until the planner is done; `None` if the run failed elsewhere.
pub(super) fn build(shared: &Shared<'_, '_>) -> Result<Option<Built>> {
    let builder = TreeBuilder::new(shared.store)?;
    let mut stage = Stage {
        shared,
        builder,
        names: Names::new(),
        noticed: Noticed::default(),
        parcels: Parcels::default(),
    };
    while let Some(step) = shared.steps.pop() {
        match step {
            Step::Entry(entry) => stage.first(*entry)?,
            Step::Leaf { child, entries } => stage.leaf(child, entries)?,
            Step::Take(promise, _) => match promise.next(shared) {
                Some(entry) => stage.first(entry)?,
                None => return Ok(None),
            },
            Step::Link(found) => stage.link(*found)?,
            Step::Image { path, node, parts, image } => {
                let Some(content) = image_content(shared, parts)? else { return Ok(None) };
                let mut entry = TreeEntry { content, ..bare(path, node) };
                if image.changed() {
                    let message = "changed while it was read".into();
                    let problem = Problem { kind: ProblemKind::Changed, message };
                    entry.node.extras_mut().problem = Some(problem);
                }
                stage.add(entry)?;
            }
        }
    }
    if shared.failure.is_set() {
        return Ok(None);
    }
    let Stage { builder, noticed, parcels, .. } = stage;
    Ok(Some(Built { root: builder.finish()?, noticed, parcels: parcels.totals() }))
}

impl Stage<'_, '_, '_> {
    fn add(&mut self, entry: TreeEntry) -> Result<()> {
        let progress = self.shared.progress;
        Progress::add(&progress.entries, 1);
        Progress::add(&progress.files, u64::from(entry.node.kind.has_content()));
        Progress::add(&progress.bytes, entry.node.size);
        self.noticed.see(&entry);
        self.parcels.see(&entry);
        self.builder.push(entry)
    }

    /// An entry that was looked at under this name.
    fn first(&mut self, entry: TreeEntry) -> Result<()> {
        self.meet(&entry);
        self.add(entry)
    }

    /// What vanished under one name may still be there under the next.
    fn meet(&mut self, entry: &TreeEntry) {
        let node = &entry.node;
        let is_gone = node.problem().is_some_and(|p| p.kind == ProblemKind::Vanished);
        if node.kind == Kind::File && !is_gone {
            let first = || (node.clone(), entry.content.clone(), entry.large_xattrs.clone());
            self.names.meet(node, first);
        }
    }

    /// Another name; if nothing is known by the first, the file is read under this one.
    fn link(&mut self, found: Found) -> Result<()> {
        if let Some((node, content, large_xattrs)) = self.names.follow(&found.node) {
            return self.add(TreeEntry { path: found.path, node, content, large_xattrs });
        }
        let (mut worker, mut buffer) = (Worker::new()?, Vec::new());
        let read =
            small::store(self.shared, &mut worker, &mut buffer, vec![SmallFile::new(found)])?;
        read.into_iter().try_for_each(|entry| self.first(entry))
    }

    /// A leaf of the parent in which nothing changed.
    fn leaf(&mut self, child: Child, entries: Vec<TreeEntry>) -> Result<()> {
        let Some(last) = entries.last().map(|e| e.path.clone()) else { return Ok(()) };
        if !self.builder.is_aligned() {
            return entries.into_iter().try_for_each(|entry| self.first(entry));
        }
        for entry in &entries {
            self.meet(entry);
            self.parcels.see(entry);
        }
        count_leaf(self.shared, &entries);
        self.builder.push_leaf(child, &last)
    }
}

/// Joins the parts of an image; `None` if the run failed elsewhere.
fn image_content(
    shared: &Shared<'_, '_>,
    parts: Vec<Arc<Promise<Reference>>>,
) -> Result<Option<Content>> {
    let mut worker = Worker::new()?;
    let mut list = ListBuilder::new(shared.store, 0);
    for part in parts {
        let Some(references) = part.all(shared) else { return Ok(None) };
        references.into_iter().try_for_each(|reference| list.push(&mut worker, reference))?;
    }
    list.finish(&mut worker).map(Some)
}

fn count_leaf(shared: &Shared<'_, '_>, entries: &[TreeEntry]) {
    let progress = shared.progress;
    let files = entries.iter().filter(|e| e.node.kind.has_content()).count();
    Progress::add(&progress.entries, entries.len() as u64);
    Progress::add(&progress.files, files as u64);
    Progress::add(&progress.bytes, entries.iter().map(|e| e.node.size).sum());
}
