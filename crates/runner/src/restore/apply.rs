//! Does what a plan says, in the order of the tree: directories, then what they hold, then their
//! metadata; at the end, further names of files.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use tintype_engine::env::Task;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Parcel, Reference, TreeEntry};
use tintype_model::entry::{Kind, Node, Problem, ProblemKind, is_within};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::files::{Put, Target, TargetOptions};

use super::claim::Claim;
use super::content::{Job, LargeFile, Shared, SmallFile, work};
use super::hold::{Hold, Stack};
use super::{Action, ApplyOptions, Plan, Report, reread};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::queue::Queue;
use crate::snapshot::names::Inodes;

/// Memory of the jobs that wait.
const JOBS_BYTES: usize = 6 << 20;
/// Small files are grouped by parcel within a window of so much memory.
const WINDOW_BYTES: usize = 2 << 20;
/// Pieces of one large file that are one job.
const PART_PIECES: usize = 32;

/// Applies a plan. Errors that concern one entry are in the report; an error here ends it.
pub fn apply(
    reader: &ContentReader<'_>,
    plan: &Plan,
    options: &ApplyOptions,
    progress: &Progress,
) -> Result<Report> {
    let is_made = make_base(&plan.base)
        .map_err(|e| Error::io(e, format_args!("cannot make {}", plan.base.display())))?;
    let _claim = if plan.base_is_new { Some(claim_new(&plan.base, is_made)?) } else { None };
    let nonce = u64::from_le_bytes(reader.repository().env().bytes());
    let target_options =
        TargetOptions { owners: plan.owners.clone(), nonce, ..TargetOptions::default() };
    let target = Target::open(&plan.base, target_options)?;
    let shared = Shared {
        reader,
        target: &target,
        jobs: Queue::new(JOBS_BYTES),
        failure: Failure::default(),
        progress,
        cancel: &options.cancel,
        report: std::sync::Mutex::default(),
    };
    let mut feeder = Feeder::new(&shared, plan)?;
    run(&shared, &mut feeder, options.workers.max(1));
    let Feeder { links, named, waiting, .. } = feeder;
    if !shared.failure.is_set() {
        make_links(&shared, links);
        named.into_iter().for_each(|hold| hold.release(&shared));
    }
    if !shared.failure.is_set() {
        check_and_delete(&shared, plan, options).unwrap_or_else(|error| shared.failure.set(error));
        waiting.into_iter().rev().for_each(|hold| hold.release(&shared));
    }
    let Shared { failure, report, .. } = shared;
    failure.into_result()?;
    options.cancel.check()?;
    let mut report = report.into_inner().expect("no panic while held");
    report.imperfect.extend(target.complete().into_iter().map(|(path, p)| (path, p.message)));
    if options.sync {
        target.sync()?;
    }
    let count =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    report.entries = count(&progress.entries);
    report.files = count(&progress.files);
    report.bytes = count(&progress.moved_bytes);
    Ok(report)
}

/// A directory that is made for a restore is for nobody else: what comes into it may have been
/// below a directory that others could not enter. False: there is one.
pub(crate) fn make_base(base: &Path) -> std::io::Result<bool> {
    if base.is_dir() {
        return Ok(false);
    }
    if let Some(above) = base.parent() {
        std::fs::create_dir_all(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(base) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

/// The plan was made for a directory that was not there.
fn claim_new(base: &Path, is_made: bool) -> Result<Claim> {
    if is_made {
        return Claim::take([base.to_path_buf()]);
    }
    let base = base.display();
    Err(Error::locked(format!("{base} was made meanwhile (another restore?); run it again")))
}

/// Last of all: what is there is not given up before what is to come has come, is what it should
/// be, and is on the disk.
fn check_and_delete(shared: &Shared<'_, '_>, plan: &Plan, options: &ApplyOptions) -> Result<()> {
    if options.verify {
        let mut report = shared.report.lock().expect("no panic while held");
        reread::verify(shared.reader, plan, shared.target, &mut report, options)?;
    }
    if options.sync && !plan.extra.is_empty() {
        shared.target.sync()?;
    }
    remove_extra(shared, plan);
    Ok(())
}

fn run<'t>(shared: &Shared<'_, 't>, feeder: &mut Feeder<'_, '_, 't>, workers: usize) {
    let mut tasks: Vec<Task<'_>> = vec![Box::new(|| {
        if let Err(error) = feeder.feed() {
            shared.stop(error);
        }
        shared.jobs.close();
    })];
    for _ in 0..workers {
        tasks.push(Box::new(|| {
            if let Err(error) = work(shared) {
                shared.stop(error);
            }
        }));
    }
    shared.reader.repository().env().tasks.run(tasks);
}

/// A name whose file could not be restored must not become one of whatever stands in its place.
fn make_links(shared: &Shared<'_, '_>, links: Vec<Link>) {
    let failed = shared.report.lock().expect("no panic while held").failed.clone();
    let failed: HashMap<Vec<u8>, String> = failed.into_iter().collect();
    for link in links {
        if shared.failure.is_set() {
            return;
        }
        let made = match failed.get(&link.first) {
            Some(cause) => {
                let first = shared.target.shown(&link.first);
                Err(Error::unavailable(format!(
                    "is the same file as {first}, which failed: {cause}"
                )))
            }
            None => make_link(shared, &link),
        };
        match made {
            Ok(()) => Progress::add(&shared.progress.entries, 1),
            Err(error) => shared.failed(&link.path, &error),
        }
        link.hold.release(shared);
    }
}

/// Where a file cannot have a further name, it becomes a file of its own.
fn make_link(shared: &Shared<'_, '_>, link: &Link) -> Result<()> {
    let Err(error) = shared.target.hard_link(&link.first, &link.path, link.put) else {
        return Ok(());
    };
    if !error.is(ErrorKind::Unsupported) {
        return Err(error);
    }
    let mut problems = shared.target.copy(&link.first, &link.path, link.put)?;
    let message = format!("a file of its own, {error}");
    problems.push(Problem { kind: ProblemKind::Metadata, message });
    shared.imperfect(&link.path, problems);
    Ok(())
}

/// Nothing is deleted if anything failed.
fn remove_extra(shared: &Shared<'_, '_>, plan: &Plan) {
    if !shared.report.lock().expect("no panic while held").failed.is_empty() {
        return;
    }
    for path in &plan.extra {
        if shared.cancel.check().is_err() {
            return;
        }
        match shared.target.remove(path) {
            Ok(()) => shared.report.lock().expect("no panic while held").deleted += 1,
            // Gone meanwhile.
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) => {
                shared.failed(path, &error);
                shared.report.lock().expect("no panic while held").undeleted += 1;
            }
        }
    }
}

struct Link {
    first: Vec<u8>,
    path: Vec<u8>,
    put: Put,
    hold: Hold,
}

struct Feeder<'f, 'a, 't> {
    shared: &'f Shared<'a, 't>,
    plan: &'f Plan,
    buffer: ReadBuffer,
    /// Where the feeder is.
    directories: Stack,
    /// Directories above the present path that are made only if something below them is; without
    /// a node if the snapshot's own entry cannot be read.
    optional: Vec<(Vec<u8>, Option<Node>)>,
    /// Those without a node that are still to come, in tree order.
    unknown: &'f [Vec<u8>],
    links: Vec<Link>,
    /// Directories that are finished last: something is deleted in them, or they only lead to
    /// a root.
    waiting: Vec<Hold>,
    /// Directories in which something is deleted.
    emptied: HashSet<&'f [u8]>,
    /// Of files that have several, the first.
    first_names: Inodes<Vec<u8>>,
    /// Directories of first names stay as they are until all others are made.
    named: Vec<Hold>,
    window: HashMap<tintype_engine::id::ContentId, (Parcel, Vec<SmallFile>)>,
    empty: Vec<SmallFile>,
    window_bytes: usize,
}

impl<'f, 'a, 't> Feeder<'f, 'a, 't> {
    fn new(shared: &'f Shared<'a, 't>, plan: &'f Plan) -> Result<Self> {
        Ok(Self {
            shared,
            plan,
            buffer: ReadBuffer::new()?,
            directories: Stack::default(),
            optional: Vec::new(),
            unknown: &plan.unknown,
            links: Vec::new(),
            waiting: Vec::new(),
            emptied: plan.extra.iter().filter_map(|path| parent_of(path)).collect(),
            first_names: Inodes::new(),
            named: Vec::new(),
            window: HashMap::new(),
            empty: Vec::new(),
            window_bytes: 0,
        })
    }

    fn feed(&mut self) -> Result<()> {
        let plan = self.plan;
        for (path, node) in &plan.ways {
            self.make_way(path, node.as_ref());
        }
        for path in &plan.leftovers {
            self.shared.target.remove_leftover(path);
        }
        plan.for_each(self.shared.reader, &mut |step| {
            self.shared.cancel.check()?;
            if self.shared.failure.is_set() {
                return Err(Error::canceled("the restore failed elsewhere"));
            }
            self.step(step.action, step.path, step.entry);
            Ok(())
        })?;
        self.close_window();
        self.directories.leave_all(self.shared);
        Ok(())
    }

    /// A missing directory above a root that is restored in place, as the snapshot knows it.
    fn make_way(&mut self, path: &[u8], node: Option<&Node>) {
        self.directories.leave_for(path, self.shared);
        match self.shared.target.make_dir(path) {
            // Another root made it meanwhile.
            Ok(true) => {}
            Ok(false) => match node {
                Some(node) => {
                    self.shared.target.prepare_dir(path, node);
                    self.directories.enter(path.to_vec(), node.clone());
                    self.waiting.push(self.directories.hold());
                }
                None => self.is_not_as_captured(path),
            },
            Err(error) => self.shared.failed(path, &error),
        }
    }

    fn is_not_as_captured(&self, path: &[u8]) {
        let why = "made with mode 0700: what the snapshot says of it cannot be read";
        let mut report = self.shared.report.lock().expect("no panic while held");
        report.imperfect.push((path.to_vec(), why.into()));
    }

    fn step(&mut self, action: Action, path: &[u8], entry: &TreeEntry) {
        self.directories.leave_for(path, self.shared);
        self.optional.retain(|(directory, _)| is_within(path, directory));
        while let Some((directory, rest)) = self.unknown.split_first()
            && path != directory.as_slice()
            && is_within(path, directory)
        {
            self.optional.push((directory.clone(), None));
            self.unknown = rest;
        }
        let put = match action {
            // A directory that is there is never replaced.
            Action::Create | Action::Merge => Put::New,
            Action::Replace => Put::Replace,
            Action::Same | Action::KeepMetadata => {
                self.note_first_name(path, entry);
                self.shared.done(entry.node.size, entry.node.kind.has_content());
                return;
            }
            Action::Metadata => {
                self.note_first_name(path, entry);
                self.metadata(path, entry);
                return;
            }
            Action::Leave if entry.node.kind == Kind::Directory => {
                self.optional.push((path.to_vec(), Some(entry.node.clone())));
                return;
            }
            Action::Keep | Action::Refuse | Action::Skip | Action::Leave => return,
        };
        self.make_optional();
        if let Err(error) = self.make(path, entry, put) {
            self.shared.failed(path, &error);
        }
    }

    fn make(&mut self, path: &[u8], entry: &TreeEntry, put: Put) -> Result<()> {
        if let Some(first) = self.note_first_name(path, entry) {
            let hold = self.directories.hold();
            self.links.push(Link { first, path: path.to_vec(), put, hold });
            return Ok(());
        }
        let mut entry = entry.clone();
        self.load_large_xattrs(path, &mut entry);
        let problems = match entry.node.kind {
            Kind::Directory => return self.directory(path, entry.node),
            Kind::File | Kind::Image | Kind::Stream => return self.file(path, entry, put),
            Kind::Symlink => self.shared.target.symlink(path, &entry.node, put)?,
            _ => self.shared.target.special(path, &entry.node, put)?,
        };
        self.shared.imperfect(path, problems);
        self.shared.done(0, false);
        Ok(())
    }

    fn make_optional(&mut self) {
        for (directory, node) in std::mem::take(&mut self.optional) {
            let standing = self.shared.target.stat(&directory);
            if standing.is_ok_and(|found| found.is_some_and(|n| n.kind == Kind::Directory)) {
                // It was not selected: only the way to what was.
                continue;
            }
            let made = match node {
                Some(node) => self.directory(&directory, node.clone()).inspect(|()| {
                    self.shared.target.prepare_dir(&directory, &node);
                }),
                None => self.unknown_directory(&directory),
            };
            if let Err(error) = made {
                self.shared.failed(&directory, &error);
            }
        }
    }

    /// With those above it, of which the snapshot cannot be read either.
    fn unknown_directory(&self, path: &[u8]) -> Result<()> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for at in slashes.map(|(at, _)| at).chain([path.len()]) {
            if self.shared.target.stat(&path[..at])?.is_none() {
                self.shared.target.make_dir(&path[..at])?;
                self.is_not_as_captured(&path[..at]);
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &[u8], node: Node) -> Result<()> {
        self.shared.target.make_dir(path)?;
        self.directories.enter(path.to_vec(), node);
        if self.emptied.contains(path) {
            self.waiting.push(self.directories.hold());
        }
        self.shared.done(0, false);
        Ok(())
    }

    /// What has its content already.
    fn metadata(&mut self, path: &[u8], entry: &TreeEntry) {
        let mut entry = entry.clone();
        self.load_large_xattrs(path, &mut entry);
        match self.shared.target.set_metadata(path, &entry.node) {
            Ok(problems) => {
                self.shared.imperfect(path, problems);
                self.shared.done(entry.node.size, entry.node.kind.has_content());
            }
            Err(error) => self.shared.failed(path, &error),
        }
    }

    fn load_large_xattrs(&mut self, path: &[u8], entry: &mut TreeEntry) {
        for xattr in std::mem::take(&mut entry.large_xattrs) {
            let mut value = Vec::new();
            let read =
                self.shared.reader.read(&xattr.id, FrameKind::List, &mut self.buffer, &mut value);
            match read {
                Ok(()) => {
                    let xattr = tintype_model::entry::Xattr { name: xattr.name, value };
                    entry.node.extras_mut().xattrs.push(xattr);
                }
                Err(error) => self.shared.without_xattr(path, &xattr.name, &error),
            }
        }
    }

    /// The first name of a file (of any kind but a directory) that has several, if this is
    /// another one.
    fn note_first_name(&mut self, path: &[u8], entry: &TreeEntry) -> Option<Vec<u8>> {
        let node = &entry.node;
        if node.links < 2 || node.kind == Kind::Directory {
            return None;
        }
        let key = (node.device, node.inode);
        let known = self.first_names.at(&entry.path);
        if let Some(first) = known.get(&key) {
            return Some(first.clone());
        }
        known.insert(key, path.to_vec());
        self.named.push(self.directories.hold());
        None
    }

    fn file(&mut self, path: &[u8], entry: TreeEntry, put: Put) -> Result<()> {
        self.shared.progress.at(path);
        let hold = self.directories.hold();
        if let Some(device) = self.plan.devices.get(path) {
            let (depth, list) = match entry.content {
                Content::References { depth, list } => (depth, list),
                Content::None => (0, Vec::new()),
                Content::Slot(_) => {
                    return Err(Error::corrupt("an image is stored as a small file"));
                }
            };
            return self.large(LargeFile::onto(device.clone(), entry.node, hold), depth, list);
        }
        let (path, mut node) = (path.to_vec(), entry.node);
        match entry.content {
            Content::None => {
                node.size = 0;
                self.small(None, SmallFile { path, node, put, offset: 0, hold });
                Ok(())
            }
            Content::Slot(slot) => {
                let offset = slot.offset as usize;
                self.small(Some(slot.parcel), SmallFile { path, node, put, offset, hold });
                Ok(())
            }
            Content::References { depth, list } => {
                self.large(LargeFile::new(path, node, put, hold), depth, list)
            }
        }
    }

    fn small(&mut self, parcel: Option<Parcel>, file: SmallFile) {
        self.window_bytes += file.memory_bytes();
        match parcel {
            Some(parcel) => {
                let waiting = self.window.entry(parcel.id).or_insert((parcel, Vec::new()));
                waiting.1.push(file);
            }
            None => self.empty.push(file),
        }
        if self.window_bytes >= WINDOW_BYTES {
            self.close_window();
        }
    }

    fn close_window(&mut self) {
        self.window_bytes = 0;
        for (_, (parcel, files)) in self.window.drain() {
            self.shared.jobs.push(Job::Small { parcel: Some(parcel), files });
        }
        if !self.empty.is_empty() {
            let files = std::mem::take(&mut self.empty);
            self.shared.jobs.push(Job::Small { parcel: None, files });
        }
    }

    /// Follows lists down to chunks and makes jobs of them as they come.
    fn large(&mut self, file: LargeFile<'t>, depth: u8, list: Vec<Reference>) -> Result<()> {
        let file = Arc::new(file);
        let mut parts = Parts { shared: self.shared, file: &file, pieces: Vec::new(), offset: 0 };
        let made = References::new(self.shared.reader, &mut self.buffer, depth, list)
            .try_for_each(|reference| parts.add(reference?))
            .and_then(|()| parts.close());
        match made {
            Ok(()) => {}
            Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
            Err(error) => file.fail(self.shared, &error),
        }
        file.end_part(self.shared);
        Ok(())
    }
}

pub(super) fn parent_of(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').map(|slash| &path[..slash])
}

/// A large file that is made into jobs: what its lists name may be far more than memory holds.
struct Parts<'p, 'a, 't> {
    shared: &'p Shared<'a, 't>,
    file: &'p Arc<LargeFile<'t>>,
    /// Of the next job: offsets in the file, and what is there.
    pieces: Vec<(u64, Reference)>,
    offset: u64,
}

impl Parts<'_, '_, '_> {
    fn add(&mut self, reference: Reference) -> Result<()> {
        self.pieces.push((self.offset, reference));
        self.offset = self.offset.saturating_add(reference.length);
        if self.pieces.len() < PART_PIECES { Ok(()) } else { self.close() }
    }

    fn close(&mut self) -> Result<()> {
        self.shared.cancel.check()?;
        let pieces = std::mem::take(&mut self.pieces);
        if pieces.is_empty() {
            return Ok(());
        }
        if self.file.has_failed() {
            return Err(Error::unavailable("the file failed already, and that was told"));
        }
        self.file.begin_part();
        let job = Job::Large { file: Arc::clone(self.file), pieces };
        if self.shared.jobs.push(job) {
            return Ok(());
        }
        Err(Error::canceled("the restore failed elsewhere"))
    }
}
