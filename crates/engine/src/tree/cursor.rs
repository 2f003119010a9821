//! Walking a stored tree in path order, from any path on.

use tintype_model::entry::{is_within, path_order};
use tintype_model::{Error, ErrorKind, Result};

use super::{Child, Root, TreeEntry, inner, leaf};
use crate::format::frame::Kind;
use crate::id::ContentId;
use crate::reader::{ContentReader, ReadBuffer};

/// A page, decoded.
pub enum Page {
    Inner(Vec<Child>),
    Leaf(Vec<TreeEntry>),
}

/// Reads and checks one page. `first` is its key in the parent (any, for a root), `below` the
/// key that it must stay below.
pub fn read_page(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    id: &ContentId,
    level: u8,
    first: Option<&[u8]>,
    below: Option<&[u8]>,
) -> Result<Page> {
    let mut raw = Vec::new();
    reader.read(id, Kind::Page, buffer, &mut raw)?;
    let wrong = |what: &str| Error::corrupt(format!("page {id}: {what}"));
    let (page, found_first, last) = if level == 0 {
        let entries = leaf::decode(&raw).map_err(|e| e.context(format!("page {id}")))?;
        let ends =
            (entries.first().map(|e| e.path.clone()), entries.last().map(|e| e.path.clone()));
        (Page::Leaf(entries), ends.0, ends.1)
    } else {
        let (found, children) = inner::decode(&raw).map_err(|e| e.context(format!("page {id}")))?;
        if found != level {
            return Err(wrong("is not of the level that its parent says"));
        }
        let ends =
            (children.first().map(|c| c.first.clone()), children.last().map(|c| c.first.clone()));
        (Page::Inner(children), ends.0, ends.1)
    };
    if first.is_some_and(|key| found_first.as_deref() != Some(key)) {
        return Err(wrong("does not begin with its key"));
    }
    if let (Some(below), Some(last)) = (below, last)
        && path_order(&last, below).is_ge()
    {
        return Err(wrong("reaches beyond the next page"));
    }
    Ok(page)
}

struct Open {
    children: Vec<Child>,
    /// The next one to enter.
    next: usize,
    below: Option<Vec<u8>>,
}

/// A leaf that was not read.
pub struct Ahead<'a> {
    pub child: &'a Child,
    /// The path that it stays below; none if it is the last.
    pub below: Option<&'a [u8]>,
}

/// A position in a tree.
pub struct Cursor<'c, 'r> {
    reader: &'c ContentReader<'r>,
    buffer: ReadBuffer,
    root: Root,
    started: bool,
    /// From the root's page down to the one above the current leaf.
    open: Vec<Open>,
    leaf: Option<Child>,
    entries: std::vec::IntoIter<TreeEntry>,
    /// Pages that could not be read are skipped and kept here, if asked for.
    pub damaged: Option<Vec<(Vec<u8>, Error)>>,
}

impl<'c, 'r> Cursor<'c, 'r> {
    pub fn new(reader: &'c ContentReader<'r>, root: Root) -> Result<Self> {
        Ok(Self {
            reader,
            buffer: ReadBuffer::new()?,
            root,
            started: false,
            open: Vec::new(),
            leaf: None,
            entries: Vec::new().into_iter(),
            damaged: None,
        })
    }

    /// Goes on after unreadable pages instead of failing; they are collected in `damaged` with
    /// the first path that they would have held.
    pub fn tolerant(mut self) -> Self {
        self.damaged = Some(Vec::new());
        self
    }

    fn start(&mut self) -> Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let root = Child::of_root(&self.root);
        self.enter(root, self.root.level, None, true)
    }

    fn enter(
        &mut self,
        child: Child,
        level: u8,
        below: Option<Vec<u8>>,
        is_root: bool,
    ) -> Result<()> {
        let first = (!is_root).then_some(&child.first[..]);
        let page =
            read_page(self.reader, &mut self.buffer, &child.id, level, first, below.as_deref());
        let page = page.and_then(|page| child.check_counts(&page).map(|()| page));
        match page {
            Ok(Page::Inner(children)) => self.open.push(Open { children, next: 0, below }),
            Ok(Page::Leaf(entries)) => {
                self.leaf = Some(child);
                self.entries = entries.into_iter();
            }
            Err(error) => match &mut self.damaged {
                Some(damaged) if error.is(ErrorKind::Corrupt) => damaged.push((child.first, error)),
                _ => return Err(error),
            },
        }
        Ok(())
    }

    /// Level of the pages that the innermost open page names.
    fn child_level(&self) -> u8 {
        self.root.level - self.open.len() as u8
    }

    /// Goes to the next leaf. False at the end. After it, [`Self::leaf`] and
    /// [`Self::rest_of_leaf`] tell about the leaf.
    pub fn next_leaf(&mut self) -> Result<bool> {
        self.leaf = None;
        self.entries = Vec::new().into_iter();
        if !self.started {
            self.start()?;
            if self.leaf.is_some() {
                return Ok(true);
            }
        }
        while let Some(open) = self.open.last() {
            if open.next == open.children.len() {
                self.open.pop();
                continue;
            }
            self.enter_next()?;
            if self.leaf.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next leaf as its parent names it, which is not read for that; only when nothing is left
    /// of the current one. `None` where no parent names one: at the end, and before a tree that is
    /// one leaf.
    pub fn ahead(&mut self) -> Result<Option<Ahead<'_>>> {
        debug_assert!(self.entries.as_slice().is_empty());
        if self.root.level == 0 {
            return Ok(None);
        }
        self.start()?;
        while let Some(open) = self.open.last() {
            if open.next == open.children.len() {
                self.open.pop();
            } else if self.child_level() == 0 {
                break;
            } else {
                self.enter_next()?;
            }
        }
        Ok(self.open.last().map(|open| {
            let below = open.children.get(open.next + 1).map(|child| &child.first[..]);
            Ahead { child: &open.children[open.next], below: below.or(open.below.as_deref()) }
        }))
    }

    /// Takes the leaf that [`Self::ahead`] told of, unread.
    pub fn pass_leaf(&mut self) -> Option<Child> {
        let open = self.open.last_mut()?;
        let child = open.children.get(open.next).cloned()?;
        open.next += 1;
        Some(child)
    }

    /// Enters the next child of the innermost open page, which has one.
    fn enter_next(&mut self) -> Result<()> {
        let level = self.child_level();
        let open = self.open.last_mut().expect("the caller looked");
        let child = open.children[open.next].clone();
        open.next += 1;
        let below = open.children.get(open.next).map(|c| c.first.clone());
        let below = below.or_else(|| open.below.clone());
        self.enter(child, level, below, false)
    }

    /// The current leaf as its parent names it.
    pub fn leaf(&self) -> Option<&Child> {
        self.leaf.as_ref()
    }

    /// Entries of the current leaf that were not taken yet.
    pub fn rest_of_leaf(&self) -> &[TreeEntry] {
        self.entries.as_slice()
    }

    /// Takes the next entry.
    pub fn next_entry(&mut self) -> Result<Option<TreeEntry>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            if !self.next_leaf()? {
                return Ok(None);
            }
        }
    }

    /// Looks at the next entry.
    pub fn peek(&mut self) -> Result<Option<&TreeEntry>> {
        while self.entries.as_slice().is_empty() {
            if !self.next_leaf()? {
                return Ok(None);
            }
        }
        Ok(self.entries.as_slice().first())
    }

    /// Goes to the first entry that is not before `path`: reads one page of each level.
    pub fn seek(&mut self, path: &[u8]) -> Result<()> {
        self.started = false;
        self.open.clear();
        self.leaf = None;
        self.entries = Vec::new().into_iter();
        self.start()?;
        while self.leaf.is_none() {
            let Some(open) = self.open.last_mut() else { return Ok(()) };
            let after = open.children.partition_point(|c| path_order(&c.first, path).is_le());
            open.next = after.saturating_sub(1);
            let depth = self.open.len();
            self.enter_next()?;
            if self.leaf.is_none() && self.open.len() == depth {
                // The page is damaged and was skipped; what follows is after it.
                return Ok(());
            }
        }
        while self.entries.as_slice().first().is_some_and(|e| path_order(&e.path, path).is_lt()) {
            self.entries.next();
        }
        Ok(())
    }

    /// The entry at exactly `path`.
    pub fn get(&mut self, path: &[u8]) -> Result<Option<TreeEntry>> {
        self.seek(path)?;
        let found = self.peek()?.is_some_and(|entry| entry.path == path);
        if found { self.next_entry() } else { Ok(None) }
    }

    /// Calls `each` for `path` and everything below it, in order.
    pub fn for_each_within(
        &mut self,
        path: &[u8],
        each: &mut dyn FnMut(TreeEntry) -> Result<()>,
    ) -> Result<()> {
        if path.is_empty() {
            self.started = false;
            self.open.clear();
            self.entries = Vec::new().into_iter();
        } else {
            self.seek(path)?;
        }
        while let Some(entry) = self.next_entry()? {
            if !is_within(&entry.path, path) {
                break;
            }
            each(entry)?;
        }
        Ok(())
    }
}
