//! The two jobs of a walk, which any thread may do: list a directory (with the stat of its
//! first entries), and stat a later slice of a large one.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use tintype_model::entry::{Kind, Problem, ProblemKind};

use super::queue::JobId;
use super::{Note, Shared};
use crate::files::handles::{Access, DirHandle};
use crate::files::names::Names;
use crate::files::problems::unreadable;
use crate::files::pseudo::pseudo_name;
use crate::files::roots::Trie;
use crate::files::stat::{Stat, stat_at, stat_fd};

/// Entries that are looked at in one job.
const SLICE: usize = 512;
/// `NAME_MAX` of every file system that Linux knows.
const LONGEST_NAME: usize = 255;

pub(crate) struct Directory {
    pub handle: Arc<DirHandle>,
    pub names: Names,
    /// Roots at or below this directory.
    trie: Option<Arc<Trie>>,
    /// Its path for patterns; empty where there are none.
    path: Vec<u8>,
}

/// How much of a directory is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It is a root: all of it, whatever it lies on.
    Root,
    /// It lies below a root: all of it, unless it begins another file system that stops the
    /// walk. Its parent has this device.
    Below(Option<u64>),
    /// Only the way to the roots below it.
    Way,
}

#[derive(Clone)]
pub(crate) enum Job {
    List { handle: Arc<DirHandle>, trie: Option<Arc<Trie>>, extent: Extent },
    Stat { directory: Arc<Directory>, from: usize },
}

/// One entry of a directory.
pub(crate) struct Record {
    /// Where its name stands in [`Directory::names`].
    pub name: u32,
    pub stat: Result<Stat, Errno>,
    /// The job that lists it, if it is a directory that is entered.
    pub job: Option<JobId>,
    /// It is a directory.
    pub handle: Option<Arc<DirHandle>>,
    /// It is not entered because the paths below it would be too long.
    pub too_long: bool,
}

#[derive(Default)]
pub(crate) struct Slice {
    pub records: Vec<Record>,
}

/// What a job found.
pub(crate) enum Outcome {
    Listed(Listing),
    Slice(Slice),
}

pub(crate) struct Listing {
    pub directory: Arc<Directory>,
    pub problem: Option<Problem>,
    pub first: Slice,
    /// Jobs for the entries behind the first slice.
    pub rest: Vec<JobId>,
}

impl Outcome {
    /// About what it holds in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        let slice = |slice: &Slice| {
            let handles = slice.records.iter().filter(|record| record.job.is_some()).count();
            slice.records.len() * size_of::<Record>() + handles * 256
        };
        match self {
            Outcome::Listed(listing) => {
                listing.directory.names.size_bytes() + slice(&listing.first) + 256
            }
            Outcome::Slice(records) => slice(records),
        }
    }
}

/// A finished job before it is put into the queue: what it found, and the jobs that follow
/// from it. `children[i]` lists the directory of the record with the number `entered[i]`.
pub(crate) struct Finished {
    pub outcome: Outcome,
    pub entered: Vec<u32>,
    pub children: Vec<Job>,
    pub rest: Vec<Job>,
}

impl Shared {
    pub(super) fn run(&self, job: Job, buffer: &mut [MaybeUninit<u8>]) -> Finished {
        match job {
            Job::List { handle, trie, extent } => self.list(handle, trie, extent, buffer),
            Job::Stat { directory, from } => {
                let mut found = Finished::new();
                let records = self.stat_slice(&directory, from, &mut found);
                found.outcome = Outcome::Slice(Slice { records });
                found
            }
        }
    }

    fn list(
        &self,
        handle: Arc<DirHandle>,
        trie: Option<Arc<Trie>>,
        extent: Extent,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Finished {
        let (names, problem) = match handle.fd() {
            Ok(fd) => self.names(&handle, &fd, trie.as_ref(), extent, buffer),
            Err(errno) => (Names::default(), Some(cannot_list(errno))),
        };
        let mut path = Vec::new();
        if self.excludes.has_patterns() {
            path = self.pattern_path(&handle);
        }
        let directory = Arc::new(Directory { handle, names, trie, path });
        let mut found = Finished::new();
        let records = self.stat_slice(&directory, 0, &mut found);
        for from in (SLICE..directory.names.len()).step_by(SLICE) {
            found.rest.push(Job::Stat { directory: Arc::clone(&directory), from });
        }
        let first = Slice { records };
        found.outcome = Outcome::Listed(Listing { directory, problem, first, rest: Vec::new() });
        found
    }

    /// The names that are wanted of an open directory.
    fn names(
        &self,
        handle: &Arc<DirHandle>,
        fd: &OwnedFd,
        trie: Option<&Arc<Trie>>,
        extent: Extent,
        buffer: &mut [MaybeUninit<u8>],
    ) -> (Names, Option<Problem>) {
        let way = || {
            trie.map_or_else(Names::default, |trie| {
                Names::of(trie.children.keys().map(Vec::as_slice))
            })
        };
        match extent {
            Extent::Way => return (way(), None),
            Extent::Below(device) if handle.device() != device => {
                if let Some(note) = self.stops_at(handle, fd) {
                    self.note(note);
                    return (way(), None);
                }
            }
            Extent::Root | Extent::Below(_) => {}
        }
        let (mut names, result) = Names::read(fd, buffer);
        if let Some(sole) = self.excludes.sole_name(fd, &names) {
            match trie.filter(|trie| !trie.children.is_empty()) {
                Some(_) => names = way(),
                None => names.keep_only(sole),
            }
        }
        let problem = result.err().map(|errno| unreadable("its listing ended early", errno));
        (names, problem)
    }

    /// Why a directory on another device than its parent is not entered.
    fn stops_at(&self, handle: &Arc<DirHandle>, fd: &OwnedFd) -> Option<Note> {
        if self.one_file_system {
            return Some(Note::OtherFileSystem(self.tree_path(handle)));
        }
        pseudo_name(fd).map(|name| Note::Pseudo(self.tree_path(handle), name))
    }

    fn stat_slice(
        &self,
        directory: &Arc<Directory>,
        from: usize,
        found: &mut Finished,
    ) -> Vec<Record> {
        let until = (from + SLICE).min(directory.names.len());
        let fd = directory.handle.fd();
        let mut records = Vec::with_capacity(until.saturating_sub(from));
        let mut path = directory.path.clone();
        for index in from..until {
            let place = directory.names.place(index);
            let name = directory.names.at(place);
            let graft = self.graft(&directory.handle, name);
            let stat = match (&fd, graft) {
                (_, Some(graft)) => stat_elsewhere(graft),
                (Ok(fd), None) => stat_at(fd, name),
                (Err(errno), None) => Err(*errno),
            };
            let trie = directory.trie.as_ref().and_then(|trie| trie.children.get(name));
            let named = trie.is_some_and(|trie| trie.is_root);
            let excluded =
                !named && !directory.is_way() && self.excluded(directory, place, &stat, &mut path);
            if excluded && trie.is_none() {
                continue;
            }
            let mut record = Record { name: place, stat, job: None, handle: None, too_long: false };
            if let Some(job) = self.entering(directory, &mut record, trie, excluded, graft) {
                found.entered.push(records.len() as u32);
                found.children.push(job);
            }
            records.push(record);
        }
        records
    }

    fn excluded(
        &self,
        directory: &Directory,
        place: u32,
        stat: &Result<Stat, Errno>,
        path: &mut Vec<u8>,
    ) -> bool {
        if self.excludes.has_patterns() {
            let is_directory = match stat {
                Ok(stat) => stat.kind == Kind::Directory,
                Err(_) => directory.names.says_directory(place),
            };
            path.truncate(directory.path.len());
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(directory.names.at(place));
            if self.excludes.by_pattern(path, is_directory) {
                return true;
            }
        }
        let Ok(stat) = stat else { return false };
        (stat.kind == Kind::File && self.excludes.by_size(stat.size))
            || (stat.kind != Kind::Directory
                && self.excludes.is_leftover(directory.names.at(place)))
    }

    /// The job that lists a record, if it is a directory that is to be entered.
    fn entering(
        &self,
        directory: &Directory,
        record: &mut Record,
        trie: Option<&Arc<Trie>>,
        excluded: bool,
        graft: Option<&Path>,
    ) -> Option<Job> {
        let stat = record.stat.as_ref().ok().filter(|stat| stat.kind == Kind::Directory)?;
        let device = directory.handle.device();
        let stop = if trie.is_some_and(|trie| trie.is_root) || graft.is_some() {
            None
        } else if self.one_file_system && Some(stat.device) != device {
            Some(Note::OtherFileSystem as fn(Vec<u8>) -> Note)
        } else if self.never_enter.contains(&(stat.device, stat.inode)) {
            Some(Note::NotEntered as fn(Vec<u8>) -> Note)
        } else {
            None
        };
        let extent = match trie {
            Some(trie) if trie.is_root => Extent::Root,
            Some(_) if excluded || stop.is_some() || directory.is_way() => Extent::Way,
            _ if graft.is_some() => Extent::Below(Some(stat.device)),
            _ => Extent::Below(device),
        };
        let access = if extent == Extent::Way { Access::Reach } else { Access::List };
        let elsewhere = graft.map(|path| path.as_os_str().as_bytes());
        let handle = directory.handle.child(directory.names.at(record.name), elsewhere, access);
        record.handle = Some(Arc::clone(&handle));
        if let Some(note) = stop.filter(|_| !directory.is_way()) {
            self.note(note(self.tree_path(&handle)));
            trie?;
        }
        if handle.path_length() + 1 + LONGEST_NAME > self.longest_path {
            record.too_long = true;
            return None;
        }
        Some(Job::List { handle, trie: trie.cloned(), extent })
    }
}

impl Directory {
    /// Not below any root: only the way to one.
    fn is_way(&self) -> bool {
        !self.handle.is_listable()
    }
}

impl Finished {
    fn new() -> Self {
        Self {
            outcome: Outcome::Slice(Slice::default()),
            entered: Vec::new(),
            children: Vec::new(),
            rest: Vec::new(),
        }
    }
}

fn stat_elsewhere(path: &Path) -> Result<Stat, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    stat_fd(openat(CWD, path, flags, Mode::empty())?)
}

fn cannot_list(errno: Errno) -> Problem {
    if errno == Errno::STALE || errno == Errno::NOTDIR || errno == Errno::LOOP {
        let message = "another thing took its name before it was listed".to_owned();
        return Problem { kind: ProblemKind::Vanished, message };
    }
    unreadable("directory cannot be listed", errno)
}
