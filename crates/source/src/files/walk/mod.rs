//! An ordered walk of directory trees that any number of threads can speed up.
//!
//! One consumer calls [`Walk::next`]; it gets every entry in tree order. Other threads may
//! run [`Walk::help`], which lists and stats directories ahead of the consumer, in the order
//! in which it will need them, until the results that wait reach a bound in bytes. With no
//! helper the consumer does everything itself; the sequence is the same.
//!
//! The entries on the way to a root are directories with their own metadata, so that a
//! restore knows them. Problems are part of the entries; a walk never fails as a whole.

mod jobs;
mod queue;

use std::collections::{BTreeMap, HashSet};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use tintype_model::entry::{Problem, ProblemKind, is_within};

use self::jobs::{Directory, Extent, Job, Outcome, Record};
use self::queue::{JobId, Needed, Queue};
use super::exclude::Excludes;
use super::found::Found;
use super::handles::{Access, DirHandle, Pool, lock};
use super::names::BUFFER_SIZE_BYTES;
use super::owners::{Accounts, OwnerCache};
use super::problems::unreadable;
use super::roots::{self, Trie};
use super::stat::{Stat, stat_fd, unknown_node};

/// How a walk is done. The default walks everything below its roots as `files/…`.
#[derive(Debug)]
pub struct WalkOptions {
    /// Roots lie below this directory, and `prefix` is its path in the tree. A frozen view of
    /// `/home` at `/run/view` is `base: /run/view, prefix: files/home`.
    pub base: PathBuf,
    pub prefix: Vec<u8>,
    pub excludes: Arc<Excludes>,
    /// Roots are looked at, and what leads to them, but not entered. One that is not there is
    /// [`ProblemKind::Vanished`].
    pub only_roots: bool,
    /// Mount points below a root are recorded, what is mounted there is not.
    pub one_file_system: bool,
    /// Directories by device and inode whose content is never taken: the repository itself.
    pub never_enter: Vec<(u64, u64)>,
    /// Directories in whose place others are walked: path below `base`, and an absolute path whose
    /// last component is no symlink.
    pub grafts: Vec<(Vec<u8>, PathBuf)>,
    pub accounts: Accounts,
    /// Bound of what helpers hold ready for the consumer.
    pub ahead_bytes: usize,
    /// Bound of directories that are open at once.
    pub open_directories: usize,
    /// Directories whose entries could have longer tree paths are not entered.
    pub longest_path: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            base: PathBuf::from("/"),
            prefix: b"files".to_vec(),
            excludes: Arc::default(),
            only_roots: false,
            one_file_system: false,
            never_enter: Vec::new(),
            grafts: Vec::new(),
            accounts: Accounts::of_host(),
            ahead_bytes: 16 << 20,
            open_directories: 400,
            longest_path: 65_535,
        }
    }
}

impl WalkOptions {
    /// The same for another walk.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            base: self.base.clone(),
            prefix: self.prefix.clone(),
            excludes: Arc::clone(&self.excludes),
            never_enter: self.never_enter.clone(),
            grafts: self.grafts.clone(),
            accounts: self.accounts.clone(),
            ..*self
        }
    }
}

/// Something that the user may want to know, and that is no problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A mount point, not entered because of [`WalkOptions::one_file_system`].
    OtherFileSystem(Vec<u8>),
    /// The kernel's own state, not entered: path and file system.
    Pseudo(Vec<u8>, &'static str),
    /// In [`WalkOptions::never_enter`].
    NotEntered(Vec<u8>),
    /// A root that does not lie below the base.
    OutsideBase(PathBuf),
}

/// Notes beyond this are dropped.
const MOST_NOTES: usize = 10_000;

/// What all threads of a walk share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    notes: Mutex<Vec<Note>>,
    excludes: Arc<Excludes>,
    one_file_system: bool,
    never_enter: HashSet<(u64, u64)>,
    grafts: BTreeMap<Vec<u8>, PathBuf>,
    prefix: Vec<u8>,
    ahead_bytes: usize,
    ahead_count: usize,
    longest_path: usize,
}

/// See the module's head.
pub struct Walk {
    shared: Shared,
    consumer: Mutex<Consumer>,
}

/// Where the consumer stands.
struct Consumer {
    start: Option<(Arc<DirHandle>, JobId, Result<Stat, Errno>)>,
    frames: Vec<Frame>,
    /// Tree path of the innermost directory.
    path: Vec<u8>,
    owners: OwnerCache,
    buffer: Vec<MaybeUninit<u8>>,
    /// Roots that are not there are no problem.
    only_roots: bool,
}

/// A directory of which not all entries have been given yet.
struct Frame {
    directory: Arc<Directory>,
    records: std::vec::IntoIter<Record>,
    rest: std::vec::IntoIter<JobId>,
    /// Length of the parent's path.
    parent_length: usize,
}

impl Walk {
    /// Roots are absolute paths below the base, see [`roots::resolve`].
    pub fn new(roots: Vec<PathBuf>, options: WalkOptions) -> Self {
        let base = options.base.as_path();
        let mut notes = Vec::new();
        let mut inside = Vec::new();
        for root in roots {
            match roots::below(base, &root) {
                Some(path) => inside.push(path),
                None => notes.push(Note::OutsideBase(root)),
            }
        }
        let mut trie = Trie::new(inside.iter().map(Vec::as_slice));
        if options.only_roots {
            trie = trie.into_ways();
        }
        let (access, extent) =
            if trie.is_root { (Access::List, Extent::Root) } else { (Access::Reach, Extent::Way) };
        let pool = Pool::new(options.open_directories);
        let path = base.as_os_str().as_bytes();
        let handle = DirHandle::root(path, options.prefix.len(), access, pool);
        let mut queue = Queue::default();
        let job = Job::List { handle: Arc::clone(&handle), trie: Some(trie), extent };
        let first = queue.seed(job);
        let consumer = Consumer {
            start: Some((handle, first, stat_base(base))),
            frames: Vec::new(),
            path: options.prefix.clone(),
            owners: OwnerCache::new(options.accounts),
            buffer: buffer(),
            only_roots: options.only_roots,
        };
        let shared = Shared {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            notes: Mutex::new(notes),
            excludes: options.excludes,
            one_file_system: options.one_file_system,
            never_enter: options.never_enter.into_iter().collect(),
            grafts: options.grafts.into_iter().collect(),
            prefix: options.prefix,
            ahead_bytes: options.ahead_bytes,
            ahead_count: (options.open_directories / 2).max(2),
            longest_path: options.longest_path,
        };
        Self { shared, consumer: Mutex::new(consumer) }
    }

    /// Works ahead of the consumer until the walk is over or [stopped](Walk::stop). Run it on
    /// as many threads as should help.
    pub fn help(&self) {
        let mut buffer = buffer();
        while let Some((id, job)) = self.shared.begin() {
            self.shared.perform(id, job, &mut buffer);
        }
    }

    /// The next entry in tree order.
    pub fn next(&self) -> Option<Found> {
        lock(&self.consumer).next(&self.shared)
    }

    /// Appends up to `most` entries; false if there are no more.
    pub fn next_batch(&self, batch: &mut Vec<Found>, most: usize) -> bool {
        let mut consumer = lock(&self.consumer);
        for _ in 0..most {
            match consumer.next(&self.shared) {
                Some(found) => batch.push(found),
                None => return false,
            }
        }
        true
    }

    /// Ends the walk early: helpers return, [`Walk::next`] gives nothing more. A consumer that
    /// gives up must call it.
    pub fn stop(&self) {
        self.shared.close();
    }

    /// What was noted so far, in no particular order.
    pub fn notes(&self) -> Vec<Note> {
        lock(&self.shared.notes).clone()
    }
}

impl Shared {
    /// Waits for a job that a helper may do; none when the walk is over.
    fn begin(&self) -> Option<(JobId, Job)> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if self.has_room(&queue)
                && let Some(begun) = queue.begin_next()
            {
                return Some(begun);
            }
            queue.waiting += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.waiting -= 1;
        }
    }

    fn has_room(&self, queue: &Queue) -> bool {
        queue.ahead_bytes < self.ahead_bytes && queue.ahead_count < self.ahead_count
    }

    /// Does a job that was begun and puts what it found into the queue. If it panics the job
    /// is put back, so that the consumer meets the panic too instead of waiting for ever.
    fn perform(&self, id: JobId, job: Job, buffer: &mut [MaybeUninit<u8>]) {
        let guard = PutBack { shared: self, id, job: Some(job.clone()) };
        let mut found = self.run(job, buffer);
        guard.disarm();
        let mut queue = lock(&self.queue);
        let entered = found.children.len();
        found.children.append(&mut found.rest);
        let mut ids = queue.insert_after(id, found.children);
        let rest = ids.split_off(entered);
        let records = match &mut found.outcome {
            Outcome::Listed(listing) => {
                listing.rest = rest;
                &mut listing.first.records
            }
            Outcome::Slice(slice) => &mut slice.records,
        };
        for (record, id) in found.entered.into_iter().zip(ids) {
            records[record as usize].job = Some(id);
        }
        queue.finish(id, found.outcome);
        self.wake(&queue);
    }

    fn wake(&self, queue: &Queue) {
        if queue.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// What a job found. Does it, or another one while somebody else does it.
    fn outcome(&self, id: JobId, buffer: &mut [MaybeUninit<u8>]) -> Option<Outcome> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            let begun = match queue.need(id) {
                Needed::Outcome(outcome) => {
                    self.wake(&queue);
                    return Some(outcome);
                }
                Needed::Job(job) => Some((id, job)),
                Needed::Running if self.has_room(&queue) => queue.begin_next(),
                Needed::Running => None,
            };
            if let Some((id, job)) = begun {
                drop(queue);
                self.perform(id, job, buffer);
                queue = lock(&self.queue);
            } else {
                queue.waiting += 1;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.waiting -= 1;
            }
        }
    }

    fn close(&self) {
        lock(&self.queue).closed = true;
        self.changed.notify_all();
    }

    fn note(&self, note: Note) {
        let mut notes = lock(&self.notes);
        if notes.len() < MOST_NOTES {
            notes.push(note);
        }
    }

    fn tree_path(&self, handle: &DirHandle) -> Vec<u8> {
        let mut path = self.prefix.clone();
        for name in handle.names() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        path
    }

    /// What is walked in the place of an entry of a directory, if it is not the entry itself.
    fn graft(&self, directory: &DirHandle, name: &[u8]) -> Option<&Path> {
        if self.grafts.is_empty() {
            return None;
        }
        let mut path = directory.names().join(&b'/');
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        self.grafts.get(&path).map(PathBuf::as_path)
    }

    /// The path that patterns see: below `files` that of the host, else that below the prefix.
    fn pattern_path(&self, handle: &DirHandle) -> Vec<u8> {
        let path = self.tree_path(handle);
        if self.prefix.is_empty() {
            return path;
        }
        let files = is_within(&self.prefix, b"files");
        let anchor = if files { b"files".len() } else { self.prefix.len() };
        path.get(anchor + 1..).unwrap_or_default().to_vec()
    }
}

struct PutBack<'a> {
    shared: &'a Shared,
    id: JobId,
    job: Option<Job>,
}

impl PutBack<'_> {
    fn disarm(mut self) {
        self.job = None;
    }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            lock(&self.shared.queue).put_back(self.id, job);
            self.shared.changed.notify_all();
        }
    }
}

impl Consumer {
    fn next(&mut self, shared: &Shared) -> Option<Found> {
        if let Some((handle, job, stat)) = self.start.take() {
            let path = self.path.clone();
            let problem = self.enter(shared, job, path.len());
            if !path.is_empty() {
                return Some(self.found(path, stat, None, Some(handle), problem));
            }
        }
        loop {
            let Some(frame) = self.frames.last_mut() else {
                shared.close();
                return None;
            };
            if let Some(record) = frame.records.next() {
                return Some(self.give(shared, record));
            }
            if let Some(id) = frame.rest.next() {
                if let Outcome::Slice(slice) = shared.outcome(id, &mut self.buffer)? {
                    frame.records = slice.records.into_iter();
                }
                continue;
            }
            self.path.truncate(frame.parent_length);
            self.frames.pop();
        }
    }

    fn give(&mut self, shared: &Shared, record: Record) -> Found {
        let frame = self.frames.last().expect("a record comes from the innermost frame");
        let name = frame.directory.names.at(record.name);
        let dir = Some(Arc::clone(&frame.directory.handle));
        let parent_length = self.path.len();
        let mut path = Vec::with_capacity(parent_length + 1 + name.len());
        path.extend_from_slice(&self.path);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let mut problem = None;
        if let Some(job) = record.job {
            self.path.clone_from(&path);
            problem = self.enter(shared, job, parent_length);
        } else if record.too_long {
            let message = "not entered: paths below it would be too long".to_owned();
            problem = Some(Problem { kind: ProblemKind::Unreadable, message });
        }
        self.found(path, record.stat, dir, record.handle, problem)
    }

    /// Makes a listed directory the innermost one; gives what was wrong with listing it.
    fn enter(&mut self, shared: &Shared, job: JobId, parent_length: usize) -> Option<Problem> {
        let Some(Outcome::Listed(listing)) = shared.outcome(job, &mut self.buffer) else {
            return None; // The walk was stopped.
        };
        self.frames.push(Frame {
            directory: listing.directory,
            records: listing.first.records.into_iter(),
            rest: listing.rest.into_iter(),
            parent_length,
        });
        listing.problem
    }

    fn found(
        &mut self,
        path: Vec<u8>,
        stat: Result<Stat, Errno>,
        dir: Option<Arc<DirHandle>>,
        own: Option<Arc<DirHandle>>,
        problem: Option<Problem>,
    ) -> Found {
        let (mut node, blocks, attributes) = match &stat {
            Ok(stat) => {
                (stat.node(self.owners.get(stat.uid, stat.gid)), stat.blocks, stat.attributes)
            }
            Err(_) => (unknown_node(), 0, 0),
        };
        let problem = match stat {
            Err(errno) => {
                let mut problem = unreadable("cannot be looked at", errno);
                let is_named = dir.as_ref().is_some_and(|dir| !dir.is_listable());
                if (own.is_some() || is_named) && !self.only_roots {
                    // Nobody listed it: the user named it, and it is not there.
                    problem.kind = ProblemKind::Unreadable;
                }
                Some(problem)
            }
            Ok(_) => problem,
        };
        if problem.is_some() {
            node.extras_mut().problem = problem;
        }
        Found { path, node, dir, own, blocks, attributes }
    }
}

/// Follows symlinks: the base is named by the caller, not found.
fn stat_base(base: &Path) -> Result<Stat, Errno> {
    stat_fd(openat(CWD, base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

fn buffer() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); BUFFER_SIZE_BYTES]
}
