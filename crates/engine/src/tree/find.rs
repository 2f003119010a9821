//! Finding entries by name and metadata over any number of snapshots, without reading
//! contents: every distinct page is read once, and what is found in it is found in all
//! snapshots that share it.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use serde::Serialize;
use tintype_model::entry::{Kind, Time, file_name};
use tintype_model::{Error, Result};

use super::cursor::Page;
use super::diff::compare;
use super::forest::Forest;
use super::span::Span;
use super::{Root, TreeEntry};
use crate::cancel::Cancel;
use crate::id::SnapshotId;
use crate::reader::ContentReader;

/// One way to choose by path. Paths are those of the tree: `files/etc/hosts`.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `*` and `?` stay within a component, `**` does not, `[…]` and `{…}` as usual. A pattern
    /// without a slash is matched with the last component, any other with the whole path.
    Glob { matcher: GlobMatcher, whole: bool },
    /// Somewhere in the path, byte by byte.
    Substring(Vec<u8>),
    /// The last component, exactly.
    Name(Vec<u8>),
}

impl Pattern {
    pub fn glob(text: &str) -> Result<Self> {
        let trimmed = text.strip_prefix('/').unwrap_or(text);
        let glob = GlobBuilder::new(trimmed).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|e| Error::invalid(format!("{text:?} is no pattern: {e}")))?;
        Ok(Self::Glob { matcher: glob.compile_matcher(), whole: text.contains('/') })
    }

    fn matches(&self, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        match self {
            Self::Glob { matcher, whole } => {
                let of = if *whole { path } else { file_name(path) };
                matcher.is_match(std::ffi::OsStr::from_bytes(of))
            }
            Self::Substring(part) => {
                part.is_empty() || path.windows(part.len()).any(|window| window == part)
            }
            Self::Name(name) => file_name(path) == name,
        }
    }
}

/// What is looked for; everything that is given must hold. Bounds are inclusive.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Any of these; all entries if there is none.
    pub patterns: Vec<Pattern>,
    /// Any of these; all kinds if there is none.
    pub kinds: Vec<Kind>,
    pub least_bytes: Option<u64>,
    pub most_bytes: Option<u64>,
    pub modified_from: Option<Time>,
    pub modified_until: Option<Time>,
    /// At or below this path; everywhere if empty.
    pub within: Vec<u8>,
}

impl Query {
    pub fn matches(&self, entry: &TreeEntry) -> bool {
        let node = &entry.node;
        (self.kinds.is_empty() || self.kinds.contains(&node.kind))
            && self.least_bytes.is_none_or(|least| node.size >= least)
            && self.most_bytes.is_none_or(|most| node.size <= most)
            && self.modified_from.is_none_or(|from| node.mtime >= from)
            && self.modified_until.is_none_or(|until| node.mtime <= until)
            && Span::Within(&self.within).holds(&entry.path)
            && (self.patterns.is_empty() || self.patterns.iter().any(|p| p.matches(&entry.path)))
    }
}

/// What to search and how.
pub struct Search<'s, 'r> {
    pub reader: &'s ContentReader<'r>,
    /// Oldest first.
    pub snapshots: &'s [(SnapshotId, Root)],
    pub workers: usize,
    pub cancel: &'s Cancel,
}

/// What a search could not look into.
#[derive(Debug)]
pub struct Unread {
    /// The first path that the page would have held; empty for a whole tree.
    pub first: Vec<u8>,
    pub snapshots: Vec<SnapshotId>,
    pub error: Error,
}

/// A version of an entry, and the snapshots that hold it, oldest first.
#[derive(Clone, Debug)]
pub struct Version {
    pub entry: TreeEntry,
    pub snapshots: Vec<SnapshotId>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FindCounts {
    /// Distinct pages that were read.
    pub pages: u64,
    pub matches: u64,
}

impl Search<'_, '_> {
    fn ids(&self, trees: &[u32]) -> Vec<SnapshotId> {
        trees.iter().map(|number| self.snapshots[*number as usize].0).collect()
    }

    fn leaves(
        &self,
        span: Span<'_>,
        wanted: &(dyn Fn(&TreeEntry) -> bool + Sync),
        each: &mut dyn FnMut(TreeEntry, &[SnapshotId]) -> Result<()>,
        unread: &mut dyn FnMut(Unread) -> Result<()>,
    ) -> Result<FindCounts> {
        let Self { reader, workers, cancel, .. } = *self;
        let forest = Forest { reader, workers, cancel, span };
        let roots: Vec<Root> = self.snapshots.iter().map(|(_, root)| *root).collect();
        let mut counts = FindCounts::default();
        forest.walk(
            &roots,
            &|_, _, page| match page? {
                Page::Leaf(mut entries) => {
                    entries.retain(wanted);
                    Ok(entries)
                }
                Page::Inner(_) => Ok(Vec::new()),
            },
            &mut |visit, found: Result<Vec<TreeEntry>>| {
                counts.pages += 1;
                let snapshots = self.ids(visit.trees);
                match found {
                    Ok(entries) => entries.into_iter().try_for_each(|entry| {
                        counts.matches += 1;
                        each(entry, &snapshots)
                    }),
                    Err(error) => {
                        unread(Unread { first: visit.child.first.clone(), snapshots, error })
                    }
                }
            },
        )?;
        Ok(counts)
    }

    /// Calls `each` with every entry that matches and the snapshots that hold it, oldest
    /// first. An entry comes once for each version of its page, with other snapshots each time.
    pub fn find(
        &self,
        query: &Query,
        each: &mut dyn FnMut(TreeEntry, &[SnapshotId]) -> Result<()>,
        unread: &mut dyn FnMut(Unread) -> Result<()>,
    ) -> Result<FindCounts> {
        self.leaves(Span::Within(&query.within), &|entry| query.matches(entry), each, unread)
    }

    /// The distinct versions of one path, by the oldest snapshot that holds each. Versions
    /// differ if a restore would show it.
    pub fn versions(
        &self,
        path: &[u8],
        unread: &mut dyn FnMut(Unread) -> Result<()>,
    ) -> Result<Vec<Version>> {
        let mut found: Vec<(TreeEntry, BTreeSet<usize>)> = Vec::new();
        let number = |id: &SnapshotId| self.snapshots.iter().position(|(other, _)| other == id);
        self.leaves(
            Span::Exactly(path),
            &|entry| entry.path == path,
            &mut |entry, snapshots| {
                let numbers = snapshots.iter().filter_map(number);
                match found.iter_mut().find(|(known, _)| compare(known, &entry).is_none()) {
                    Some((_, known)) => known.extend(numbers),
                    None => found.push((entry, numbers.collect())),
                }
                Ok(())
            },
            unread,
        )?;
        found.sort_by_key(|(_, numbers)| numbers.first().copied());
        let named = |numbers: BTreeSet<usize>| {
            numbers.into_iter().map(|number| self.snapshots[number].0).collect()
        };
        let versions = found.into_iter();
        Ok(versions.map(|(entry, n)| Version { entry, snapshots: named(n) }).collect())
    }
}
