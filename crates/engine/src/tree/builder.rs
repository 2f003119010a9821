//! Builds a tree from entries in path order. A leaf of the parent whose range did not change
//! is taken over by its id, without looking at what it refers to: the parent is pinned.

use tintype_model::entry::path_order;
use tintype_model::{Error, Result};

use super::leaf::{LeafEncoder, check_length};
use super::list::{ListBuilder, MOST_INLINE};
use super::{Child, Content, LargeXattr, Root, TreeEntry, inner};
use crate::format::frame::Kind;
use crate::format::limits;
use crate::id::ContentId;
use crate::store::{Store, Worker};

const LEAST_WEIGHT: usize = 32 << 10;
const MOST_WEIGHT: usize = 128 << 10;

pub struct TreeBuilder<'s, 'r> {
    store: &'s Store<'r>,
    worker: Worker,
    leaf: LeafEncoder,
    bytes: u64,
    problems: u64,
    /// Children that wait for their parent, leaves first.
    levels: Vec<Vec<Child>>,
    last: Vec<u8>,
    pub pages_reused: u64,
}

impl<'s, 'r> TreeBuilder<'s, 'r> {
    pub fn new(store: &'s Store<'r>) -> Result<Self> {
        Ok(Self {
            store,
            worker: Worker::new()?,
            leaf: LeafEncoder::default(),
            bytes: 0,
            problems: 0,
            levels: Vec::new(),
            last: Vec::new(),
            pages_reused: 0,
        })
    }

    /// Adds the next entry. References beyond what a page holds become lists, large xattrs
    /// frames of their own.
    pub fn push(&mut self, mut entry: TreeEntry) -> Result<()> {
        self.check_order(&entry.path)?;
        // A page that no reader accepts must never be committed.
        check_length(&entry).map_err(|e| {
            let path = String::from_utf8_lossy(&entry.path);
            Error::internal(format!("{path}: {e}"))
        })?;
        self.shrink(&mut entry)?;
        if !self.leaf.has_room(&entry.path) {
            self.finish_leaf()?;
        }
        self.bytes += entry.node.size;
        self.problems += u64::from(entry.is_problem());
        self.leaf.push(&entry);
        let weight = self.leaf.weight();
        let cut = weight >= MOST_WEIGHT
            || (weight >= LEAST_WEIGHT
                && self.store.repository().keys().cut_hash(&[&entry.path]).is_multiple_of(256));
        self.last = entry.path;
        if cut { self.finish_leaf() } else { Ok(()) }
    }

    /// Whether a leaf of the parent could be taken over now.
    pub fn is_aligned(&self) -> bool {
        self.leaf.is_empty()
    }

    /// Takes over a leaf; only when [`Self::is_aligned`]. `last_path`: its last, or if that is not
    /// known any path of it.
    pub fn push_leaf(&mut self, child: Child, last_path: &[u8]) -> Result<()> {
        debug_assert!(self.is_aligned());
        self.check_order(&child.first)?;
        self.pages_reused += 1;
        self.last = last_path.to_vec();
        self.push_child(0, child)
    }

    fn check_order(&self, path: &[u8]) -> Result<()> {
        if self.last.is_empty() || path_order(&self.last, path).is_lt() {
            return Ok(());
        }
        Err(Error::internal(format!(
            "entries are not in path order: {:?} after {:?}",
            String::from_utf8_lossy(path),
            String::from_utf8_lossy(&self.last)
        )))
    }

    fn shrink(&mut self, entry: &mut TreeEntry) -> Result<()> {
        if let Content::References { depth, list } = &mut entry.content
            && list.len() > MOST_INLINE
        {
            let mut lists = ListBuilder::new(self.store, *depth);
            for reference in list.drain(..) {
                lists.push(&mut self.worker, reference)?;
            }
            entry.content = lists.finish(&mut self.worker)?;
        }
        let Some(extras) = &mut entry.node.extras else { return Ok(()) };
        let is_large = |value: &[u8]| value.len() > limits::XATTR_INLINE_BYTES;
        for xattr in extras.xattrs.extract_if(.., |x| is_large(&x.value)) {
            let stored = self.store.put(&mut self.worker, Kind::List, &xattr.value)?;
            let length = xattr.value.len() as u32;
            entry.large_xattrs.push(LargeXattr { name: xattr.name, length, id: stored.id });
        }
        Ok(())
    }

    fn finish_leaf(&mut self) -> Result<()> {
        let first = self.leaf.first().to_vec();
        let entries = self.leaf.count() as u64;
        let raw = self.leaf.finish();
        let id = self.put_page(&raw)?;
        let child = Child { first, id, entries, bytes: self.bytes, problems: self.problems };
        (self.bytes, self.problems) = (0, 0);
        self.push_child(0, child)
    }

    fn put_page(&mut self, raw: &[u8]) -> Result<ContentId> {
        Ok(self.store.put(&mut self.worker, Kind::Page, raw)?.id)
    }

    fn push_child(&mut self, level: usize, child: Child) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        let waiting: usize = self.levels[level].iter().map(|child| child.first.len()).sum();
        if waiting + child.first.len() > inner::MOST_KEY_BYTES {
            self.finish_inner(level)?;
        }
        let count = self.levels[level].len() + 1;
        let hash = || self.store.repository().keys().cut_hash(&[&child.id.0]);
        let cut = count >= inner::MOST_CHILDREN
            || (count >= inner::LEAST_CHILDREN && hash().is_multiple_of(192));
        self.levels[level].push(child);
        if cut { self.finish_inner(level) } else { Ok(()) }
    }

    /// Makes the waiting children of `level` one page of the level above.
    fn finish_inner(&mut self, level: usize) -> Result<()> {
        let children = std::mem::take(&mut self.levels[level]);
        let raw = inner::encode(level as u8 + 1, &children);
        let id = self.put_page(&raw)?;
        let sum = |of: fn(&Child) -> u64| children.iter().map(of).sum();
        let child = Child {
            first: children[0].first.clone(),
            id,
            entries: sum(|c| c.entries),
            bytes: sum(|c| c.bytes),
            problems: sum(|c| c.problems),
        };
        self.push_child(level + 1, child)
    }

    pub fn finish(mut self) -> Result<Root> {
        if !self.leaf.is_empty() {
            self.finish_leaf()?;
        }
        let mut level = 0;
        loop {
            let waiting = self.levels.get(level).map_or(0, Vec::len);
            let is_top = self.levels.len() <= level + 1;
            match (is_top, waiting) {
                (true, 0) => return self.empty_root(),
                (true, 1) => {
                    let top = self.levels[level].pop().expect("it has one");
                    return Ok(Root {
                        id: top.id,
                        level: level as u8,
                        entries: top.entries,
                        bytes: top.bytes,
                        problems: top.problems,
                    });
                }
                (_, 0) => {}
                _ => self.finish_inner(level)?,
            }
            level += 1;
        }
    }

    fn empty_root(&mut self) -> Result<Root> {
        let id = self.put_page(&LeafEncoder::default().finish())?;
        Ok(Root { id, level: 0, entries: 0, bytes: 0, problems: 0 })
    }
}
