//! Joins trees to one, in path order. A leaf into whose range no other tree reaches is taken over by
//! its id, as its parent names it, without being read; what the trees share is read and merged
//! entry by entry. So the work follows the places where trees meet, not what they hold.

use tintype_model::entry::{Kind, is_within, path_order};
use tintype_model::{Error, Result};

use super::builder::TreeBuilder;
use super::cursor::{Ahead, Cursor};
use super::{Root, TreeEntry};
use crate::reader::ContentReader;

/// A tree that is joined with others.
#[derive(Clone, Debug)]
pub struct Branch {
    pub root: Root,
    /// What was captured, as tree paths; directories above only lead there. Empty: all of it.
    pub captured: Vec<Vec<u8>>,
    /// Entries that are left out.
    pub skip: Vec<Vec<u8>>,
}

/// How much was read for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    pub leaves_read: u64,
    pub leaves_taken: u64,
}

/// Puts all that the trees hold into `builder`. A directory that several have is kept once, as the
/// first has it that captured it; any other path that two have is an error. `beat` is called often.
/// Whoever joins pins what the trees belong to.
pub fn join(
    builder: &mut TreeBuilder<'_, '_>,
    reader: &ContentReader<'_>,
    branches: &[Branch],
    beat: &mut dyn FnMut() -> Result<()>,
) -> Result<Joined> {
    let sources = branches.iter().map(|branch| Source::new(reader, branch));
    let mut sources = sources.collect::<Result<Vec<_>>>()?;
    let mut heads = sources.iter_mut().map(Source::head).collect::<Result<Vec<_>>>()?;
    while let Some((at, path)) = next(&heads, None) {
        let (path, limit) = (path.to_vec(), next(&heads, Some(at)).map(|(_, path)| path.to_vec()));
        if limit.as_ref() != Some(&path) {
            sources[at].put_below(limit.as_deref(), builder, beat)?;
            heads[at] = sources[at].head()?;
            continue;
        }
        beat()?;
        let mut found = Vec::new();
        for (source, head) in sources.iter_mut().zip(&mut heads) {
            if head.as_ref() == Some(&path) {
                found.extend(source.take()?.map(|entry| (entry, source.branch)));
                *head = source.head()?;
            }
        }
        if let Some(entry) = one_of(found)? {
            builder.push(entry)?;
        }
    }
    let read = sources.iter().map(|source| source.leaves_read).sum();
    Ok(Joined { leaves_read: read, leaves_taken: builder.pages_reused })
}

/// The first of the paths that come next, and which tree has it; but for that of `other`.
fn next(heads: &[Option<Vec<u8>>], other: Option<usize>) -> Option<(usize, &[u8])> {
    let heads = heads.iter().enumerate().filter(|(at, _)| Some(*at) != other);
    heads
        .filter_map(|(at, head)| Some((at, head.as_deref()?)))
        .min_by(|(_, a), (_, b)| path_order(a, b))
}

/// What is kept of the entries that trees have at one path.
fn one_of(found: Vec<(TreeEntry, &Branch)>) -> Result<Option<TreeEntry>> {
    let is_shared = found.len() > 1;
    if let Some((entry, _)) = found.iter().find(|(e, _)| e.node.kind != Kind::Directory)
        && is_shared
    {
        return Err(Error::invalid(format!(
            "/{} is in more than one of the trees that are joined, and no directory in each",
            String::from_utf8_lossy(&entry.path)
        )));
    }
    let captured = found.iter().position(|(entry, branch)| branch.has_captured(&entry.path));
    Ok(found.into_iter().nth(captured.unwrap_or_default()).map(|(entry, _)| entry))
}

impl Branch {
    fn has_captured(&self, path: &[u8]) -> bool {
        self.captured.is_empty() || self.captured.iter().any(|place| is_within(path, place))
    }

    fn skips(&self, path: &[u8]) -> bool {
        self.skip.iter().any(|skipped| skipped == path)
    }

    fn skips_within(&self, first: &[u8], below: Option<&[u8]>) -> bool {
        let is_within = |path: &&Vec<u8>| {
            path_order(path, first).is_ge()
                && below.is_none_or(|below| path_order(path, below).is_lt())
        };
        self.skip.iter().any(|path| is_within(&path))
    }
}

/// One of the trees, and how far it was taken.
struct Source<'s, 'r> {
    branch: &'s Branch,
    cursor: Cursor<'s, 'r>,
    leaves_read: u64,
}

impl<'s, 'r> Source<'s, 'r> {
    fn new(reader: &'s ContentReader<'r>, branch: &'s Branch) -> Result<Self> {
        Ok(Self { branch, cursor: Cursor::new(reader, branch.root)?, leaves_read: 0 })
    }

    /// The path that comes next; of a leaf that is not read, its first.
    fn head(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(entry) = self.cursor.rest_of_leaf().first() {
                return Ok(Some(entry.path.clone()));
            }
            if let Some(ahead) = self.cursor.ahead()? {
                return Ok(Some(ahead.child.first.clone()));
            }
            if !self.read_leaf()? {
                return Ok(None);
            }
        }
    }

    fn read_leaf(&mut self) -> Result<bool> {
        let is_there = self.cursor.next_leaf()?;
        self.leaves_read += u64::from(is_there);
        Ok(is_there)
    }

    /// The entry that comes next, unless it is left out.
    fn take(&mut self) -> Result<Option<TreeEntry>> {
        if self.cursor.rest_of_leaf().is_empty() {
            self.read_leaf()?;
        }
        let entry = self.cursor.next_entry()?;
        Ok(entry.filter(|entry| !self.branch.skips(&entry.path)))
    }

    /// Puts all that comes before `limit`, from which on others have a say.
    fn put_below(
        &mut self,
        limit: Option<&[u8]>,
        builder: &mut TreeBuilder<'_, '_>,
        beat: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let is_over = |path: &[u8]| limit.is_some_and(|limit| path_order(path, limit).is_ge());
        loop {
            beat()?;
            if let Some(entry) = self.cursor.rest_of_leaf().first() {
                if is_over(&entry.path) {
                    return Ok(());
                }
                self.take()?.map_or(Ok(()), |entry| builder.push(entry))?;
                continue;
            }
            let Some(Ahead { child, below }) = self.cursor.ahead()? else { return Ok(()) };
            if is_over(&child.first) {
                return Ok(());
            }
            // Where the last leaf of a tree ends nobody knows before it is read.
            let is_alone = match (below, limit) {
                (_, None) => true,
                (Some(below), Some(limit)) => path_order(below, limit).is_le(),
                (None, Some(_)) => false,
            };
            let is_whole = is_alone && !self.branch.skips_within(&child.first, below);
            match is_whole && builder.is_aligned() {
                true => {
                    let child = self.cursor.pass_leaf().expect("it is ahead");
                    let first = child.first.clone();
                    builder.push_leaf(child, &first)?;
                }
                false => {
                    self.read_leaf()?;
                }
            }
        }
    }
}
