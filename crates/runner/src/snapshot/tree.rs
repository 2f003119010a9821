//! The last stage: steps in path order become the tree.

use std::sync::Mutex;

use tintype_engine::store::Worker;
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::{Child, Content, LargeXattr, Root, TreeEntry};
use tintype_model::entry::{Kind, Node, ProblemKind};
use tintype_model::{Error, Result};
use tintype_source::files::Found;

use super::gather::{Parcels, Totals};
use super::job::{SmallFile, Step};
use super::names::Names;
use super::small;
use super::tally::Tallies;
use super::{Described, Last, Noticed, Shared, image, large};
use crate::progress::Progress;

/// What a file with several names is, by its first name.
type First = (Node, Content, Vec<LargeXattr>);

struct Stage<'t, 'a, 'r> {
    shared: &'t Shared<'a, 'r>,
    builder: TreeBuilder<'a, 'r>,
    names: Names<First>,
    noticed: Noticed,
    parcels: Parcels,
    tallies: Tallies,
}

/// What was built.
pub(super) struct Built {
    pub root: Root,
    pub noticed: Noticed,
    pub parcels: Totals,
    pub is_complete: bool,
    /// Of resources: how many of them were captured.
    pub captured: Option<u64>,
}

/// Builds until the planner is done; `None` if the run failed elsewhere.
pub(super) fn build(shared: &Shared<'_, '_>, last: &Mutex<Last<'_>>) -> Result<Option<Built>> {
    let builder = TreeBuilder::new(shared.store)?;
    let mut stage = Stage {
        shared,
        builder,
        names: Names::new(),
        noticed: Noticed::default(),
        parcels: Parcels::default(),
        tallies: Tallies::default(),
    };
    while let Some(step) = shared.steps.pop() {
        // The first step comes after the places are known.
        if let Some(places) = Last::take_places(last) {
            stage.tallies = Tallies::of(places);
        }
        match step {
            Step::Entry(entry) => stage.first(*entry)?,
            Step::Leaf { child, entries } => stage.leaf(child, entries)?,
            Step::Take(promise, _) => match promise.next(shared) {
                Some(entry) => stage.first(entry)?,
                None => return Ok(None),
            },
            Step::Link(found) => stage.link(*found)?,
            Step::Again(entry) => stage.again(*entry)?,
            Step::Image { path, node, parts, image } => {
                match image::entry(shared, path, node, parts, &image)? {
                    Some(entry) => stage.add(entry)?,
                    None => return Ok(None),
                }
            }
        }
    }
    if shared.failure.is_set() {
        return Ok(None);
    }
    let (mut is_complete, mut items) = (true, None);
    if let Some(describe) = Last::take_describe(last) {
        let tallies = std::mem::take(&mut stage.tallies).into_places();
        let Described { path, node, bytes, is_complete: all, captured } =
            describe(tallies, &shared.items)?;
        (is_complete, items) = (all, Some(captured));
        let entry = large::store_bytes(shared, path, node, &bytes)?;
        stage.add(entry)?;
    }
    let Stage { builder, noticed, parcels, .. } = stage;
    let (root, parcels) = (builder.finish()?, parcels.totals());
    Ok(Some(Built { root, noticed, parcels, is_complete, captured: items }))
}

impl Stage<'_, '_, '_> {
    fn add(&mut self, entry: TreeEntry) -> Result<()> {
        let progress = self.shared.progress;
        Progress::add(&progress.entries, 1);
        Progress::add(&progress.files, u64::from(entry.node.kind.has_content()));
        Progress::add(&progress.bytes, entry.node.size);
        self.noticed.see(&entry);
        self.parcels.see(&entry);
        self.tallies.see(&entry);
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
            self.names.meet(&entry.path, node, first);
        }
    }

    /// Another name; if nothing is known by the first, the file is read under this one.
    fn link(&mut self, found: Found) -> Result<()> {
        if let Some((node, content, large_xattrs)) = self.names.follow(&found.path, &found.node) {
            return self.add(TreeEntry { path: found.path, node, content, large_xattrs });
        }
        let (mut worker, mut buffer) = (Worker::new()?, Vec::new());
        let read =
            small::store(self.shared, &mut worker, &mut buffer, vec![SmallFile::new(found)])?;
        read.into_iter().try_for_each(|entry| self.first(entry))
    }

    /// Another name of a file that came before, of which nothing may differ.
    fn again(&mut self, entry: TreeEntry) -> Result<()> {
        let known = self.names.follow(&entry.path, &entry.node);
        let known = known.filter(|(node, ..)| *node == entry.node);
        let Some((node, content, large_xattrs)) = known else {
            let path = String::from_utf8_lossy(&entry.path);
            let what = "is said to be another name of a file, and there is none like it";
            return Err(Error::corrupt(format!("/{path}: {what}")));
        };
        self.add(TreeEntry { path: entry.path, node, content, large_xattrs })
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
            self.tallies.see(entry);
        }
        count_leaf(self.shared, &entries);
        self.builder.push_leaf(child, &last)
    }
}

fn count_leaf(shared: &Shared<'_, '_>, entries: &[TreeEntry]) {
    let progress = shared.progress;
    let files = entries.iter().filter(|e| e.node.kind.has_content()).count();
    Progress::add(&progress.entries, entries.len() as u64);
    Progress::add(&progress.files, files as u64);
    Progress::add(&progress.bytes, entries.iter().map(|e| e.node.size).sum());
}
