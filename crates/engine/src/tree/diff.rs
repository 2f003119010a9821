//! What differs between two trees of one repository, without reading contents.
//!
//! Both trees are merged in path order. Pages are compared by id before they are read: equal
//! pages begin with the same path, so of two pages with different first paths the earlier has
//! no equal in the rest of the other tree and is opened; of two with the same first path and
//! different ids the higher is. Cost follows the change, not the size of the trees.

use std::cmp::Ordering;

use serde::Serialize;
use tintype_model::Result;
use tintype_model::entry::{Extras, path_order};

use super::cursor::{Page, read_page};
use super::span::Span;
use super::{Child, Root, TreeEntry};
use crate::id::ContentId;
use crate::reader::{ContentReader, ReadBuffer};

/// The strongest of what changed about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Mode, owner, mtime, xattrs, flags, a problem; not ctime, inode, device, links.
    Metadata,
    /// Bytes of a file, target of a symlink, number of a device.
    Content,
    /// Another kind of entry under the same path.
    Type,
}

/// One difference; the path is that of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Added(TreeEntry),
    Removed(TreeEntry),
    Changed { what: What, old: TreeEntry, new: TreeEntry },
}

impl Difference {
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Added(entry) | Self::Removed(entry) | Self::Changed { new: entry, .. } => {
                &entry.path
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffCounts {
    pub added: u64,
    pub added_bytes: u64,
    pub removed: u64,
    pub removed_bytes: u64,
    pub content: u64,
    pub metadata: u64,
    pub types: u64,
    /// Size of changed files, new minus old.
    pub grown_bytes: i64,
}

/// What differs between two entries of one path, `None` if nothing that a restore would show.
pub fn compare(old: &TreeEntry, new: &TreeEntry) -> Option<What> {
    let (a, b) = (&old.node, &new.node);
    if a.kind != b.kind {
        return Some(What::Type);
    }
    let none = Extras::default();
    let extras = |entry: &'_ TreeEntry| entry.node.extras.as_deref().cloned().unwrap_or_default();
    let (x, y) = match (&a.extras, &b.extras) {
        (None, None) => (none.clone(), none),
        _ => (extras(old), extras(new)),
    };
    if !old.same_content(new) || x.target != y.target || x.device_number != y.device_number {
        return Some(What::Content);
    }
    let same = a.mode == b.mode
        && a.owner == b.owner
        && a.mtime == b.mtime
        && x == y
        && old.large_xattrs == new.large_xattrs;
    (!same).then_some(What::Metadata)
}

/// Calls `each` for every difference within `span`, in path order.
pub fn diff(
    reader: &ContentReader<'_>,
    old: Root,
    new: Root,
    span: Span<'_>,
    each: &mut dyn FnMut(Difference) -> Result<()>,
) -> Result<DiffCounts> {
    let mut counts = DiffCounts::default();
    let (mut left, mut right) = (Side::new(reader, old, span)?, Side::new(reader, new, span)?);
    let mut emit = |difference: Difference| {
        counts.add(&difference);
        each(difference)
    };
    loop {
        match step(&left.head(), &right.head()) {
            Step::End => break,
            Step::Skip => {
                left.skip();
                right.skip();
            }
            Step::OpenLeft => left.open()?,
            Step::OpenRight => right.open()?,
            Step::Removed => emit(Difference::Removed(left.take()))?,
            Step::Added => emit(Difference::Added(right.take()))?,
            Step::Both => {
                let (old, new) = (left.take(), right.take());
                if let Some(what) = compare(&old, &new) {
                    emit(Difference::Changed { what, old, new })?;
                }
            }
        }
    }
    Ok(counts)
}

impl DiffCounts {
    fn add(&mut self, difference: &Difference) {
        match difference {
            Difference::Added(entry) => {
                self.added += 1;
                self.added_bytes = self.added_bytes.wrapping_add(entry.node.size);
            }
            Difference::Removed(entry) => {
                self.removed += 1;
                self.removed_bytes = self.removed_bytes.wrapping_add(entry.node.size);
            }
            Difference::Changed { what, old, new } => {
                *match what {
                    What::Metadata => &mut self.metadata,
                    What::Content => &mut self.content,
                    What::Type => &mut self.types,
                } += 1;
                let grown = new.node.size.wrapping_sub(old.node.size) as i64;
                self.grown_bytes = self.grown_bytes.wrapping_add(grown);
            }
        }
    }
}

/// What comes next on one side.
enum Head<'h> {
    End,
    Entry(&'h [u8]),
    Page { first: &'h [u8], level: u8, id: ContentId },
}

enum Step {
    End,
    Skip,
    OpenLeft,
    OpenRight,
    Removed,
    Added,
    Both,
}

fn step(left: &Head<'_>, right: &Head<'_>) -> Step {
    match (left, right) {
        (Head::End, Head::End) => Step::End,
        (Head::Page { .. }, Head::End) => Step::OpenLeft,
        (Head::End, Head::Page { .. }) => Step::OpenRight,
        (Head::Entry(_), Head::End) => Step::Removed,
        (Head::End, Head::Entry(_)) => Step::Added,
        (Head::Entry(a), Head::Entry(b)) => match path_order(a, b) {
            Ordering::Less => Step::Removed,
            Ordering::Equal => Step::Both,
            Ordering::Greater => Step::Added,
        },
        (Head::Entry(path), Head::Page { first, .. }) => {
            if path_order(path, first).is_lt() {
                Step::Removed
            } else {
                Step::OpenRight
            }
        }
        (Head::Page { first, .. }, Head::Entry(path)) => {
            if path_order(path, first).is_lt() {
                Step::Added
            } else {
                Step::OpenLeft
            }
        }
        (
            Head::Page { first: a, level: high, id: x },
            Head::Page { first: b, level: low, id: y },
        ) => match path_order(a, b) {
            _ if x == y && high == low => Step::Skip,
            Ordering::Less => Step::OpenLeft,
            Ordering::Greater => Step::OpenRight,
            Ordering::Equal if high >= low => Step::OpenLeft,
            Ordering::Equal => Step::OpenRight,
        },
    }
}

/// One tree: pages that were not opened yet, and the entries of the last leaf.
struct Side<'d, 'r> {
    reader: &'d ContentReader<'r>,
    buffer: ReadBuffer,
    span: Span<'d>,
    /// In reverse order: the next one is last.
    pages: Vec<Waiting>,
    /// In reverse order.
    entries: Vec<TreeEntry>,
}

struct Waiting {
    child: Child,
    level: u8,
    below: Option<Vec<u8>>,
}

impl<'d, 'r> Side<'d, 'r> {
    fn new(reader: &'d ContentReader<'r>, root: Root, span: Span<'d>) -> Result<Self> {
        let root = Waiting { child: Child::of_root(&root), level: root.level, below: None };
        let buffer = ReadBuffer::new()?;
        Ok(Self { reader, buffer, span, pages: vec![root], entries: Vec::new() })
    }

    fn head(&self) -> Head<'_> {
        if let Some(entry) = self.entries.last() {
            return Head::Entry(&entry.path);
        }
        match self.pages.last() {
            None => Head::End,
            Some(Waiting { child, level, .. }) => {
                Head::Page { first: &child.first, level: *level, id: child.id }
            }
        }
    }

    fn skip(&mut self) {
        self.pages.pop();
    }

    fn take(&mut self) -> TreeEntry {
        self.entries.pop().expect("an entry is next")
    }

    fn open(&mut self) -> Result<()> {
        let Waiting { child, level, below } = self.pages.pop().expect("a page is next");
        let first = (!child.first.is_empty()).then_some(&child.first[..]);
        let (reader, buffer) = (self.reader, &mut self.buffer);
        let page = read_page(reader, buffer, &child.id, level, first, below.as_deref())?;
        child.check_counts(&page)?;
        match page {
            Page::Leaf(mut entries) => {
                entries.retain(|entry| self.span.holds(&entry.path));
                entries.reverse();
                self.entries = entries;
            }
            Page::Inner(children) => {
                let mut below = below;
                for child in children.into_iter().rev() {
                    let first = child.first.clone();
                    if self.span.meets(&first, below.as_deref()) {
                        self.pages.push(Waiting { child, level: level - 1, below });
                    }
                    below = Some(first);
                }
            }
        }
        Ok(())
    }
}
