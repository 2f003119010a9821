//! The last stage: steps in path order become the tree.

use std::collections::HashMap;
use std::sync::Arc;

use tintype_engine::store::Worker;
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::list::ListBuilder;
use tintype_engine::tree::{Content, LargeXattr, Reference, Root, TreeEntry};
use tintype_model::Result;
use tintype_model::entry::{Kind, Node};

use super::Shared;
use super::job::{Promise, Step};
use super::small::bare;
use crate::progress::Progress;

/// Files with several names, by device and inode.
type Links = HashMap<(u64, u64), (Node, Content, Vec<LargeXattr>)>;

/// Builds until the planner is done; `None` if the run failed elsewhere.
pub(super) fn build(shared: &Shared<'_, '_>) -> Result<Option<Root>> {
    let mut builder = TreeBuilder::new(shared.store)?;
    let mut links = Links::new();
    while let Some(step) = shared.steps.pop() {
        match step {
            Step::Entry(entry) => add(shared, &mut builder, &mut links, *entry)?,
            Step::Leaf { child, entries } => {
                let Some(last) = entries.last().map(|e| e.path.clone()) else { continue };
                if !builder.is_aligned() {
                    for entry in entries {
                        add(shared, &mut builder, &mut links, entry)?;
                    }
                    continue;
                }
                for entry in &entries {
                    remember(&mut links, entry);
                }
                count_leaf(shared, &entries);
                builder.push_leaf(child, &last)?;
            }
            Step::Take(promise, _) => match promise.next(shared) {
                Some(entry) => add(shared, &mut builder, &mut links, entry)?,
                None => return Ok(None),
            },
            Step::Link(mut entry) => {
                let key = (entry.node.device, entry.node.inode);
                if let Some((node, content, xattrs)) = links.get(&key) {
                    entry.node = node.clone();
                    entry.content = content.clone();
                    entry.large_xattrs.clone_from(xattrs);
                }
                add(shared, &mut builder, &mut links, *entry)?;
            }
            Step::Image { path, node, parts, image } => {
                let Some(content) = image_content(shared, parts)? else { return Ok(None) };
                let mut entry = TreeEntry { content, ..bare(path, node) };
                if image.changed() {
                    let problem = tintype_model::entry::Problem {
                        kind: tintype_model::entry::ProblemKind::Changed,
                        message: "changed while it was read".into(),
                    };
                    entry.node.extras_mut().problem = Some(problem);
                }
                add(shared, &mut builder, &mut links, entry)?;
            }
        }
    }
    if shared.failure.is_set() { Ok(None) } else { builder.finish().map(Some) }
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

fn add(
    shared: &Shared<'_, '_>,
    builder: &mut TreeBuilder<'_, '_>,
    links: &mut Links,
    entry: TreeEntry,
) -> Result<()> {
    let progress = shared.progress;
    Progress::add(&progress.entries, 1);
    Progress::add(&progress.files, u64::from(entry.node.kind.has_content()));
    Progress::add(&progress.bytes, entry.node.size);
    remember(links, &entry);
    builder.push(entry)
}

fn remember(links: &mut Links, entry: &TreeEntry) {
    if entry.node.links > 1 && entry.node.kind == Kind::File {
        links.entry((entry.node.device, entry.node.inode)).or_insert_with(|| {
            (entry.node.clone(), entry.content.clone(), entry.large_xattrs.clone())
        });
    }
}

fn count_leaf(shared: &Shared<'_, '_>, entries: &[TreeEntry]) {
    let progress = shared.progress;
    let files = entries.iter().filter(|e| e.node.kind.has_content()).count();
    Progress::add(&progress.entries, entries.len() as u64);
    Progress::add(&progress.files, files as u64);
    Progress::add(&progress.bytes, entries.iter().map(|e| e.node.size).sum());
}
