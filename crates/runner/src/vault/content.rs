//! What snapshots hold, without restoring anything: directories, files, versions, differences.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use tintype_engine::cancel::Cancel;
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::diff::{DiffCounts, Difference, What, compare, diff};
use tintype_engine::tree::find::{Query, Search};
use tintype_engine::tree::span::Span;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::entry::{Kind, Node, path_order};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::connector::ReadImage as _;

use super::{Vault, WAITING_WORKERS};
use crate::browse::children;
use crate::disk::StoredImage;

/// Content that is handed on at once.
const PIECE_BYTES: usize = 1 << 20;
/// Of content, what whoever reads in order holds at most.
const HELD_BYTES: usize = 2 << 20;

/// A snapshot that is looked into, by any number of threads.
pub struct View {
    pub(super) reader: Arc<ContentReader<'static>>,
    snapshot: Snapshot,
}

/// Something in a tree, or on a disk that lies in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Without slashes at its ends; empty: the root.
    pub path: Vec<u8>,
    /// The path is one on this disk.
    pub disk: Option<OnDisk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Path of the disk image in the tree.
    pub image: Vec<u8>,
    /// None: the only one whose files can be read.
    pub partition: Option<u32>,
}

/// An entry, of a tree or of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: Vec<u8>,
    pub node: Node,
}

impl From<TreeEntry> for Found {
    fn from(entry: TreeEntry) -> Self {
        Self { path: entry.path, node: entry.node }
    }
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What stands at the path itself; none at a root.
    pub itself: Option<Found>,
    /// What is directly inside, in order; nothing if it is no directory.
    pub items: Vec<Found>,
    pub has_more: bool,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Matches {
    /// In path order.
    pub items: Vec<Found>,
    pub has_more: bool,
    /// Parts of the tree that could not be read, by the first path of each.
    pub unread: Vec<(Vec<u8>, Error)>,
}

/// What is known of a file before it is read.
#[derive(Clone, Debug)]
pub struct FileInfo {
    pub found: Found,
    /// The same only where the bytes are the same.
    pub identity: String,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    Added,
    Removed,
    Changed(What),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub path: Vec<u8>,
    pub what: Altered,
    pub old: Option<Node>,
    pub new: Option<Node>,
}

#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// In path order.
    pub items: Vec<Changed>,
    pub has_more: bool,
    /// Of all of them, where all were looked at.
    pub counts: Option<DiffCounts>,
}

/// A path in one snapshot.
#[derive(Clone, Debug)]
pub struct Held {
    pub snapshot: String,
    pub found: Found,
    /// How it differs from that of the snapshot before; `Added` where that had none. None: not at
    /// all.
    pub what: Option<Altered>,
}

impl Vault {
    /// Looks into a snapshot. A part of one is none.
    pub fn view(&self, id: &str) -> Result<View> {
        let snapshot = self.snapshot(id)?;
        let reader = Arc::new(self.repository.shared_reader()?);
        Ok(View { reader, snapshot })
    }

    /// One path in all these snapshots that hold it, oldest first; contents are not read.
    pub fn versions(&self, ids: &[String], path: &[u8], cancel: &Cancel) -> Result<Vec<Held>> {
        let ids: HashSet<&String> = ids.iter().collect();
        let mut known = self.snapshots()?.snapshots;
        known.retain(|snapshot| ids.contains(&snapshot.id.to_string()));
        let roots: Vec<_> = known.iter().map(|s| (s.id, Root::of(&s.manifest))).collect();
        let reader = self.repository.reader()?;
        let (workers, snapshots) = (WAITING_WORKERS, &roots[..]);
        let search = Search { reader: &reader, snapshots, workers, cancel };
        let versions = search.versions(path, &mut |unread| Err(unread.error))?;
        let of = |id| versions.iter().find(|version| version.snapshots.contains(id));
        let (mut held, mut before) = (Vec::new(), None);
        for (id, _) in &roots {
            let now = of(id).map(|version| &version.entry);
            if let Some(entry) = now {
                let what = match before {
                    None => Some(Altered::Added),
                    Some(before) => compare(before, entry).map(Altered::Changed),
                };
                let found = Found { path: path.to_vec(), node: entry.node.clone() };
                held.push(Held { snapshot: id.to_string(), found, what });
            }
            before = now;
        }
        Ok(held)
    }
}

impl View {
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn root(&self) -> Root {
        Root::of(&self.snapshot.manifest)
    }

    pub(super) fn entry(&self, path: &[u8]) -> Result<TreeEntry> {
        let found = Cursor::new(&self.reader, self.root())?.get(path)?;
        found.ok_or_else(|| absent(path))
    }

    /// `NotFound` where there is no such path.
    pub fn exists(&self, path: &[u8]) -> Result<()> {
        self.entry(path).map(drop)
    }

    /// What a directory holds, at most `limit` entries that come after the one named `after`.
    pub fn list(&self, at: &At, after: Option<&[u8]>, limit: usize) -> Result<Listed> {
        if let Some(disk) = &at.disk {
            return self.list_on_disk(disk, &at.path, after, limit);
        }
        let path = &at.path;
        let mut cursor = Cursor::new(&self.reader, self.root())?;
        let itself = match path.is_empty() {
            true => None,
            false => Some(cursor.get(path)?.ok_or_else(|| absent(path))?),
        };
        let mut listed = Listed { itself: None, items: Vec::new(), has_more: false };
        if itself.as_ref().is_none_or(|entry| entry.node.kind == Kind::Directory) {
            let after = after.map(|name| join(path, name));
            children::<Error>(&mut cursor, path, after.as_deref(), &mut |entry| {
                listed.has_more = listed.items.len() == limit;
                if !listed.has_more {
                    listed.items.push(entry.into());
                }
                Ok(!listed.has_more)
            })?;
        }
        listed.itself = itself.map(Found::from);
        Ok(listed)
    }

    /// Entries that match, the first `limit` that are come upon.
    pub fn search(&self, query: &Query, limit: usize, cancel: &Cancel) -> Result<Matches> {
        let snapshots = [(self.snapshot.id, self.root())];
        let (reader, snapshots) = (&*self.reader, &snapshots[..]);
        let search = Search { reader, snapshots, workers: WAITING_WORKERS, cancel };
        let (mut matches, mut unread) = (Matches::default(), Vec::new());
        let done = search.find(
            query,
            &mut |entry, _| {
                if matches.items.len() == limit {
                    matches.has_more = true;
                    return Err(Error::canceled("enough was found"));
                }
                matches.items.push(entry.into());
                Ok(())
            },
            &mut |part| {
                unread.push((part.first, part.error));
                Ok(())
            },
        );
        if !matches.has_more {
            done?;
        }
        matches.items.sort_by(|a, b| path_order(&a.path, &b.path));
        matches.unread = unread;
        Ok(matches)
    }

    /// What differs from an older snapshot of the same repository, at or below `path`: the first
    /// `limit` differences after that at `after`.
    pub fn differences(
        &self,
        old: &View,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<Differences> {
        let is_in = |view: &View| Cursor::new(&view.reader, view.root())?.get(path);
        if !path.is_empty() && is_in(self)?.is_none() && is_in(old)?.is_none() {
            return Err(absent(path));
        }
        let mut found = Differences::default();
        let span = Span::Within(path);
        let done = diff(&self.reader, old.root(), self.root(), span, &mut |difference| {
            cancel.check()?;
            if after.is_some_and(|after| path_order(difference.path(), after).is_le()) {
                return Ok(());
            }
            if found.items.len() == limit {
                found.has_more = true;
                return Err(Error::canceled("enough was found"));
            }
            found.items.push(difference.into());
            Ok(())
        });
        if !found.has_more {
            found.counts = Some(done?);
        }
        Ok(found)
    }

    /// All differences, counted.
    pub fn count_differences(
        &self,
        old: &View,
        path: &[u8],
        cancel: &Cancel,
    ) -> Result<DiffCounts> {
        let span = Span::Within(path);
        diff(&self.reader, old.root(), self.root(), span, &mut |_| cancel.check())
    }

    /// A file that can be read. Whatever else has that path is refused, by what it is.
    pub fn file(&self, at: &At) -> Result<FileInfo> {
        if let Some(disk) = &at.disk {
            return self.file_on_disk(disk, &at.path);
        }
        let entry = self.entry(&at.path)?;
        readable(&entry.path, &entry.node)?;
        let identity = identity(&entry);
        Ok(FileInfo { found: entry.into(), identity })
    }

    /// Hands on these bytes of a file in order, all of them or an error; every chunk is checked.
    /// Little of it is held, however large it is, and what is not read costs little.
    pub fn read(
        &self,
        at: &At,
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<()> {
        if let Some(disk) = &at.disk {
            return self.read_on_disk(disk, &at.path, range, each, cancel);
        }
        let entry = self.entry(&at.path)?;
        readable(&entry.path, &entry.node)?;
        let file = self.image(&entry, cancel)?.holding(HELD_BYTES);
        let mut buffer = vec![0; PIECE_BYTES];
        let mut position = range.start;
        while position < range.end {
            cancel.check()?;
            let length = (range.end - position).min(PIECE_BYTES as u64) as usize;
            file.read_at(position, &mut buffer[..length])?;
            each(&buffer[..length])?;
            position += length as u64;
        }
        Ok(())
    }

    pub(super) fn image(&self, entry: &TreeEntry, cancel: &Cancel) -> Result<StoredImage> {
        let reader = Arc::clone(&self.reader);
        StoredImage::open(reader, entry, shown(&entry.path), cancel.clone())
    }
}

impl From<Difference> for Changed {
    fn from(difference: Difference) -> Self {
        let path = difference.path().to_vec();
        let (what, old, new) = match difference {
            Difference::Added(new) => (Altered::Added, None, Some(new)),
            Difference::Removed(old) => (Altered::Removed, Some(old), None),
            Difference::Changed { what, old, new } => {
                (Altered::Changed(what), Some(old), Some(new))
            }
        };
        let node = |entry: Option<TreeEntry>| entry.map(|entry| entry.node);
        Self { path, what, old: node(old), new: node(new) }
    }
}

pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

pub(super) fn absent(path: &[u8]) -> Error {
    Error::not_found(format!("the snapshot holds no {}", shown(path)))
}

pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

/// What has no bytes, and why.
pub(super) fn readable(path: &[u8], node: &Node) -> Result<()> {
    if node.kind.has_content() {
        return Ok(());
    }
    let (name, kind) = (shown(path), format!("{:?}", node.kind).to_lowercase());
    let target = node.extras.as_ref().map(|extras| &extras.target[..]).filter(|t| !t.is_empty());
    let to = target.map(|target| format!(" to {}", String::from_utf8_lossy(target)));
    let to = to.unwrap_or_default();
    Err(Error::new(ErrorKind::Invalid, format!("{name} is a {kind}{to} and has no bytes")))
}

/// Of the content alone, from what the tree says of it.
fn identity(entry: &TreeEntry) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&entry.node.size.to_le_bytes());
    match &entry.content {
        Content::None => {}
        Content::Slot(slot) => {
            hasher.update(&slot.digest);
        }
        Content::References { depth, list } => {
            hasher.update(&[*depth]);
            for reference in list {
                hasher.update(&reference.length.to_le_bytes());
                hasher.update(reference.id.as_ref().map_or(&[0; 32], |id| &id.0));
            }
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Of a file on a disk, which is the same while the disk is.
pub(super) fn identity_on_disk(image: &TreeEntry, partition: u32, path: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(identity(image).as_bytes());
    hasher.update(&partition.to_le_bytes());
    hasher.update(path);
    hasher.finalize().to_hex()[..32].to_owned()
}
