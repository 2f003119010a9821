//! What a stream of changes means in names: those of the older view that are gone or lie elsewhere,
//! and those of the newer view that are new or differ.
//!
//! Commands speak of names as they are at that moment, and among them are temporary ones
//! (`o257-7-0`). So each is done on a tree that holds only what was named: a node knows where it
//! lay in the older view (its origin), or that it is new.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::send::{Command, Stream};

/// Bounds of what is held of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub nodes: usize,
    /// Bytes of all paths.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 2_000_000, bytes: 256 << 20 }
    }
}

/// What changed. Paths are below the top of the subvolume, which itself is an empty path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Names that may differ, of the older and of the newer view.
    pub names: BTreeSet<Vec<u8>>,
    /// What lay elsewhere in the older view: from, to. If it is a directory, what lies below it
    /// moved with it and is not among the names.
    pub moved: Vec<(Vec<u8>, Vec<u8>)>,
}

struct Node {
    parent: usize,
    /// None: it was there and is not there any more.
    children: BTreeMap<Vec<u8>, Option<usize>>,
    origin: Option<Vec<u8>>,
    is_changed: bool,
    was_moved: bool,
}

struct Overlay {
    nodes: Vec<Node>,
    names: BTreeSet<Vec<u8>>,
    bytes: usize,
    limits: Limits,
}

const TOP: usize = 0;

/// Reads a stream to its end. An error also if it speaks of what cannot be, or of more than the
/// limits allow.
pub(super) fn changes(read: impl Read, limits: Limits) -> io::Result<Changes> {
    let top = Node {
        parent: TOP,
        children: BTreeMap::new(),
        origin: Some(Vec::new()),
        is_changed: false,
        was_moved: false,
    };
    let mut overlay = Overlay { nodes: vec![top], names: BTreeSet::new(), bytes: 0, limits };
    for command in Stream::new(read) {
        overlay.perform(command?)?;
    }
    overlay.finish()
}

impl Overlay {
    fn perform(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Change(path) => {
                let node = self.look_up(&path)?;
                self.nodes[node].is_changed = true;
            }
            Command::Make(path) | Command::Link(path) => {
                let (parent, name) = self.parent_of(&path)?;
                let node = self.add(parent, name.len(), None)?;
                self.attach(node, parent, name)?;
            }
            Command::Remove(path) => {
                self.detach(&path)?;
            }
            Command::Rename { from, to } => {
                let node = self.detach(&from)?;
                let (parent, name) = self.parent_of(&to)?;
                self.nodes[node].was_moved = true;
                self.attach(node, parent, name)?;
            }
        }
        Ok(())
    }

    fn parent_of<'p>(&mut self, path: &'p [u8]) -> io::Result<(usize, &'p [u8])> {
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = match at {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        if name.is_empty() {
            return Err(impossible("the top is no name", path));
        }
        Ok((self.look_up(parent)?, name))
    }

    /// The node at a path; made if nothing was said of it before, and it can be there.
    fn look_up(&mut self, path: &[u8]) -> io::Result<usize> {
        let mut at = TOP;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = match (self.nodes[at].children.get(name), &self.nodes[at].origin) {
                (Some(Some(child)), _) => *child,
                (None, Some(origin)) => {
                    let origin = joined(origin, name);
                    let child = self.add(at, name.len(), Some(origin))?;
                    self.nodes[at].children.insert(name.to_vec(), Some(child));
                    child
                }
                (Some(None), _) | (None, None) => {
                    return Err(impossible("there is nothing of that name", path));
                }
            };
        }
        Ok(at)
    }

    fn add(&mut self, parent: usize, name: usize, origin: Option<Vec<u8>>) -> io::Result<usize> {
        self.spend(name + origin.as_ref().map_or(0, Vec::len))?;
        if self.nodes.len() >= self.limits.nodes {
            return Err(too_many());
        }
        let is_new = origin.is_none();
        let children = BTreeMap::new();
        self.nodes.push(Node { parent, children, origin, is_changed: is_new, was_moved: false });
        Ok(self.nodes.len() - 1)
    }

    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        if self.bytes > self.limits.bytes { Err(too_many()) } else { Ok(()) }
    }

    fn detach(&mut self, path: &[u8]) -> io::Result<usize> {
        let (parent, name) = self.parent_of(path)?;
        let node = self.look_up(path)?;
        self.nodes[parent].children.insert(name.to_vec(), None);
        self.nodes[parent].is_changed = true;
        if let Some(origin) = self.nodes[node].origin.clone() {
            self.spend(origin.len())?;
            self.names.insert(origin);
        }
        Ok(node)
    }

    fn attach(&mut self, node: usize, parent: usize, name: &[u8]) -> io::Result<()> {
        self.spend(name.len())?;
        self.nodes[parent].is_changed = true;
        self.nodes[node].parent = parent;
        self.nodes[parent].children.insert(name.to_vec(), Some(node));
        Ok(())
    }

    fn finish(mut self) -> io::Result<Changes> {
        let mut moved = Vec::new();
        let mut left = vec![(TOP, Vec::new())];
        while let Some((at, path)) = left.pop() {
            // Paths can be longer than those of any command, where directories moved.
            self.spend(path.len())?;
            let node = &self.nodes[at];
            let living = node.children.iter().filter_map(|(name, child)| Some((name, (*child)?)));
            left.extend(living.map(|(name, child)| (child, joined(&path, name))));
            let is_told = node.is_changed || node.was_moved;
            if let Some(origin) = node.origin.as_ref().filter(|origin| **origin != path) {
                if node.was_moved {
                    moved.push((origin.clone(), path.clone()));
                }
                if is_told {
                    self.names.insert(origin.clone());
                }
            }
            if is_told {
                self.names.insert(path);
            }
        }
        moved.sort_unstable();
        Ok(Changes { names: self.names, moved })
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

fn impossible(what: &str, path: &[u8]) -> io::Error {
    let path = String::from_utf8_lossy(path);
    io::Error::new(io::ErrorKind::InvalidData, format!("btrfs send stream: {path}: {what}"))
}

fn too_many() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "btrfs send stream: too many changes")
}
