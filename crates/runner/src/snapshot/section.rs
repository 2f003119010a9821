//! What is captured, as sections that follow each other in path order, and what comes out of them.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use tintype_engine::tree::TreeEntry;
use tintype_engine::tree::span::Span;
use tintype_model::entry::{Kind, Node, ProblemKind, is_within, path_order};
use tintype_model::{Error, Result};
use tintype_source::connector::{Changed, EndOfStream, ReadImage};
use tintype_source::files::{Accounts, Found, Note, Walk, WalkOptions};

use super::small::bare;

/// One piece of the tree.
pub(crate) struct Section {
    /// Tree path of the piece, or of the top of what is walked.
    pub path: Vec<u8>,
    pub what: What,
    /// The item that fails if this cannot be read; without one the run fails.
    pub item: Option<usize>,
}

pub(crate) enum What {
    Walk {
        roots: Vec<PathBuf>,
        options: Box<WalkOptions>,
        /// A view has a device number of its own each time; so that of the parent tells nothing.
        is_view: bool,
        /// Names below the only root.
        changed: Changed<Vec<Vec<u8>>>,
    },
    Image {
        node: Node,
        image: Arc<dyn ReadImage>,
        changed: Changed<Vec<std::ops::Range<u64>>>,
    },
    Stream {
        node: Node,
        read: Box<dyn Read + Send>,
        end: EndOfStream,
    },
    Object {
        node: Node,
        bytes: Vec<u8>,
    },
    /// Stored before.
    Entry(TreeEntry),
}

/// What stands next in the tree.
pub(super) enum New {
    Found {
        found: Found,
        is_view: bool,
    },
    /// It is not there any more, nor is what was below it: see [`Changed::Only`].
    Gone(Vec<u8>),
    Entry(Box<TreeEntry>),
    /// An image, a stream or an object.
    Section(Box<Section>),
}

impl New {
    pub(super) fn path(&self) -> &[u8] {
        match self {
            Self::Found { found, .. } => &found.path,
            Self::Gone(path) => path,
            Self::Entry(entry) => &entry.path,
            Self::Section(section) => &section.path,
        }
    }
}

/// Everything that the sections hold, in path order, with the directories above them.
pub(super) struct Incoming<'w> {
    sections: VecDeque<Section>,
    walks: &'w Walks,
    accounts: Accounts,
    walking: Option<Walking>,
    /// Tops of sections of which only what may have changed comes in.
    kept: Vec<Vec<u8>>,
    knows_rest: bool,
    /// Directories above the next section.
    above: VecDeque<TreeEntry>,
    /// Path of the last directory above a section, all of whose ancestors were given.
    last: Vec<u8>,
    ahead: Option<New>,
}

struct Walking {
    walk: Arc<Walk>,
    batch: std::vec::IntoIter<Found>,
    done: bool,
    is_view: bool,
    /// Only names that may have changed are looked at: what a walk of everything would be like.
    only: Option<Box<WalkOptions>>,
    /// A directory that is new since the parent: all of it is walked before the rest.
    inside: Option<Box<Inside>>,
}

struct Inside {
    top: Vec<u8>,
    walking: Walking,
}

const BATCH: usize = 512;

impl Walking {
    fn new(walk: Arc<Walk>, is_view: bool, only: Option<Box<WalkOptions>>) -> Self {
        Self { walk, batch: Vec::new().into_iter(), done: false, is_view, only, inside: None }
    }

    fn next_found(&mut self) -> Option<Found> {
        if self.batch.as_slice().is_empty() && !self.done {
            let mut batch = Vec::with_capacity(BATCH);
            self.done = !self.walk.next_batch(&mut batch, BATCH);
            self.batch = batch.into_iter();
        }
        self.batch.next()
    }

    fn next(&mut self, walks: &Walks) -> Option<New> {
        let is_view = self.is_view;
        let mut walked = None;
        if let Some(inside) = &mut self.inside {
            // The way to it and itself were given already.
            let top = &inside.top;
            let is_below = |found: &Found| found.path != *top && is_within(&found.path, top);
            while let Some(found) = inside.walking.next_found() {
                if is_below(&found) {
                    return Some(New::Found { found, is_view });
                }
            }
            walks.end(&inside.walking.walk, Some(&self.walk));
            walked = self.inside.take().map(|inside| inside.top);
        }
        loop {
            let found = self.next_found()?;
            let Some(options) = &self.only else {
                return Some(New::Found { found, is_view });
            };
            let below = found.path.get(options.prefix.len() + 1..).unwrap_or_default();
            let is_directory = found.node.kind == Kind::Directory;
            if walked.as_ref().is_some_and(|top| is_within(&found.path, top))
                || options.excludes.matches(below, is_directory)
            {
                continue;
            }
            let problem = found.node.problem();
            if found.node.kind == Kind::Unknown
                && problem.is_some_and(|problem| problem.kind == ProblemKind::Vanished)
            {
                return Some(New::Gone(found.path));
            }
            return Some(New::Found { found, is_view });
        }
    }
}

impl<'w> Incoming<'w> {
    /// Fails if two sections have one path, or one lies in another. `knows_rest`: the parent can
    /// stand for what did not change.
    pub(super) fn new(
        mut sections: Vec<Section>,
        walks: &'w Walks,
        knows_rest: bool,
    ) -> Result<Self> {
        sections.sort_by(|a, b| path_order(&a.path, &b.path));
        let overlap = sections.windows(2).find(|pair| is_within(&pair[1].path, &pair[0].path));
        if let Some(pair) = overlap {
            return Err(Error::internal(format!(
                "{} lies in {}",
                String::from_utf8_lossy(&pair[1].path),
                String::from_utf8_lossy(&pair[0].path)
            )));
        }
        let is_kept = |section: &&Section| {
            knows_rest && matches!(&section.what, What::Walk { changed: Changed::Only(_), .. })
        };
        Ok(Self {
            walks,
            accounts: Accounts::of_host(),
            walking: None,
            kept: sections.iter().filter(is_kept).map(|section| section.path.clone()).collect(),
            knows_rest,
            sections: sections.into(),
            above: VecDeque::new(),
            last: Vec::new(),
            ahead: None,
        })
    }

    pub(super) fn peek(&mut self) -> Option<&New> {
        if self.ahead.is_none() {
            self.ahead = self.advance();
        }
        self.ahead.as_ref()
    }

    pub(super) fn next(&mut self) -> Option<New> {
        match self.ahead.take() {
            Some(new) => Some(new),
            None => self.advance(),
        }
    }

    fn advance(&mut self) -> Option<New> {
        loop {
            if let Some(walking) = &mut self.walking {
                if let Some(new) = walking.next(self.walks) {
                    return Some(new);
                }
                self.walks.end(&walking.walk, None);
                self.walking = None;
            }
            if let Some(entry) = self.above.pop_front() {
                return Some(New::Entry(Box::new(entry)));
            }
            let next = self.sections.front()?;
            let missing = directories_above(&next.path, &self.last, &self.accounts);
            if let Some(last) = missing.last() {
                self.last.clone_from(&last.path);
                self.above = missing.into();
                continue;
            }
            let section = self.sections.pop_front()?;
            match section.what {
                What::Walk { roots, options, is_view, changed } => {
                    self.walking = Some(self.walk(roots, options, is_view, changed));
                }
                What::Entry(entry) => return Some(New::Entry(Box::new(entry))),
                what => return Some(New::Section(Box::new(Section { what, ..section }))),
            }
        }
    }
}

impl Incoming<'_> {
    fn walk(
        &self,
        roots: Vec<PathBuf>,
        options: Box<WalkOptions>,
        is_view: bool,
        changed: Changed<Vec<Vec<u8>>>,
    ) -> Walking {
        let (Changed::Only(names), true) = (changed, self.knows_rest) else {
            return Walking::new(self.walks.begin(Walk::new(roots, *options)), is_view, None);
        };
        let below = |name: &Vec<u8>| options.base.join(OsStr::from_bytes(name));
        let only = WalkOptions { only_roots: true, ..options.again() };
        let walk = Walk::new(names.iter().map(below).collect(), only);
        Walking::new(self.walks.begin(walk), is_view, Some(options))
    }

    /// Whether a path lies in a section of which only what may have changed comes in: what the
    /// parent has there and does not come stays.
    pub(super) fn keeps(&self, path: &[u8]) -> bool {
        self.kept.iter().any(|top| is_within(path, top))
    }

    /// Whether anything that comes, or that is kept, lies in a page of the parent: from `first` up to
    /// but not `below`.
    pub(super) fn reaches(&mut self, first: &[u8], below: Option<&[u8]>) -> bool {
        let is_before = |path: &[u8]| below.is_none_or(|below| path_order(path, below).is_lt());
        self.peek().is_some_and(|new| is_before(new.path()))
            || self.kept.iter().any(|top| Span::Within(top).meets(first, below))
    }

    /// A directory that was just given is new: everything below it is.
    pub(super) fn enter(&mut self, path: &[u8]) {
        let Some(walking) = &mut self.walking else { return };
        let Some(options) = &walking.only else { return };
        let below = path.get(options.prefix.len() + 1..).unwrap_or_default();
        let root = options.base.join(OsStr::from_bytes(below));
        let walk = self.walks.begin(Walk::new(vec![root], options.again()));
        let top = path.to_vec();
        let inner = Walking::new(walk, walking.is_view, None);
        walking.inside = Some(Box::new(Inside { top, walking: inner }));
    }
}

/// What is between the top and a path, but for what lies above `last` or is it: those were given.
/// Below `files` with the host's metadata where there is such a directory.
fn directories_above(path: &[u8], last: &[u8], accounts: &Accounts) -> Vec<TreeEntry> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let above = slashes.map(|(at, _)| &path[..at]);
    let missing = above.filter(|above| !is_within(last, above));
    let node_of = |path: &[u8]| {
        let on_host =
            path.strip_prefix(b"files").map(|rest| if rest.is_empty() { b"/" } else { rest });
        // No directory has an empty name, so this is a plain one.
        let on_host = on_host.unwrap_or_default();
        tintype_source::files::directory_node(OsStr::from_bytes(on_host).as_ref(), accounts)
    };
    missing.map(|path| bare(path.to_vec(), node_of(path))).collect()
}

/// The walks of a run, one after the other, and those who help.
#[derive(Default)]
pub(super) struct Walks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Walk>>,
    notes: Vec<Note>,
    closed: bool,
}

impl Walks {
    fn begin(&self, walk: Walk) -> Arc<Walk> {
        let walk = Arc::new(walk);
        let mut state = self.lock();
        if state.closed {
            walk.stop();
        }
        state.current = Some(Arc::clone(&walk));
        drop(state);
        self.changed.notify_all();
        walk
    }

    /// `next`: the one that goes on.
    fn end(&self, walk: &Walk, next: Option<&Arc<Walk>>) {
        walk.stop();
        let mut state = self.lock();
        state.notes.extend(walk.notes());
        state.current = next.cloned();
    }

    /// No walk follows: helpers return.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(walk) = state.current.take() {
            walk.stop();
            state.notes.extend(walk.notes());
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Helps every walk until [`Walks::close`].
    pub(super) fn help(&self) {
        let mut helped: Option<Arc<Walk>> = None;
        loop {
            let mut state = self.lock();
            let walk = loop {
                let is_new = |walk: &&Arc<Walk>| {
                    helped.as_ref().is_none_or(|helped| !Arc::ptr_eq(helped, walk))
                };
                if let Some(walk) = state.current.as_ref().filter(is_new) {
                    break Arc::clone(walk);
                }
                if state.closed {
                    return;
                }
                state = self.changed.wait(state).expect("no panic while held");
            };
            drop(state);
            walk.help();
            helped = Some(walk);
        }
    }

    pub(super) fn into_notes(self) -> Vec<Note> {
        self.state.into_inner().expect("no panic while held").notes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}
