//! Taking a snapshot of files.
//!
//! ```text
//! walk helpers ─► planner ──steps, in path order──────────────► tree ─► commit
//!  (list, stat)    │  compares with the parent                   ▲
//!                  └─jobs─► workers (read, cut, hash, compress, seal, pack) ─┘
//! ```
//! The planner decides what must be read, workers read it, the tree takes results in path
//! order. Both queues are bounded by bytes, so memory does not grow with the number of files. How
//! many workers read at once follows from how long they wait for it (`readers.rs`). A worker
//! that cuts a large file gives chunks to workers that have nothing to do.

mod gather;
mod image;
mod job;
pub mod join;
mod large;
pub(crate) mod names;
pub mod part;
mod planner;
mod readers;
pub(crate) mod ready;
pub(crate) mod section;
mod small;
pub(crate) mod tally;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tintype_engine::backend::local::is_remote;
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Task;
use tintype_engine::format::records::{Manifest, SessionKind};
use tintype_engine::id::{SnapshotId, encode_hex};
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::annotate::Standing;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::store::Store;
use tintype_engine::tree::{Parcel, TreeEntry};
use tintype_model::entry::{Node, Problem, Time};
use tintype_model::{Error, Result};
use tintype_source::connector::{Changed, EndOfStream};
use tintype_source::files::image::Image;
use tintype_source::files::{Accounts, Note, WalkOptions};

use crate::failure::Failure;
use crate::progress::Progress;
use crate::queue::Queue;
use job::{Job, Step};
use readers::{Readers, Watch};
use section::{Section, Walks, What};
use tally::Tally;
use tree::Built;

/// Memory of the steps that wait for the tree, and of the jobs that wait for a worker.
const STEPS_BYTES: usize = 16 << 20;
const JOBS_BYTES: usize = 8 << 20;

/// Of a manifest's statistics: how many resources were captured.
const CAPTURED: &str = "captured_items";

/// Whether nothing of what it was taken of was captured: nobody means it by the latest, and nothing
/// is compared with it.
pub fn holds_nothing(manifest: &Manifest) -> bool {
    manifest.stats[CAPTURED] == 0
}

/// What is captured.
pub enum Input<'i> {
    /// Directories and files below `options.base`.
    Files { roots: Vec<PathBuf>, options: Box<WalkOptions> },
    /// Block devices or images, cut at fixed positions, at `files/<path>`.
    Images(Vec<PathBuf>),
    /// Bytes that come from somewhere, at `files/<name>`. `end` is asked after the last byte
    /// whether all went well.
    Stream { path: Vec<u8>, node: Node, read: Box<dyn std::io::Read + Send>, end: EndOfStream },
    /// What frozen views hold, known when the run is under way.
    Group(Group<'i>),
    /// Entries that somebody else made.
    Ready(Ready<'i>),
}

/// Gives entries with their content: see `crate::bundle`.
pub struct Ready<'i>(pub(crate) ready::Give<'i>);

/// Freezes, and gives what was frozen: see `crate::group`.
pub struct Group<'i>(pub(crate) Freeze<'i>);

pub(crate) type Freeze<'i> = Box<dyn FnOnce(&dyn Desk) -> Result<Feed<'i>> + Send + 'i>;

/// What a group gives to the run.
pub(crate) struct Feed<'i> {
    pub sections: Vec<Section>,
    /// Tree paths of which tallies are kept.
    pub places: Vec<Vec<u8>>,
    /// Called when all was read: the last entry of the tree.
    pub describe: Describe<'i>,
}

pub(crate) type Describe<'i> =
    Box<dyn FnOnce(Vec<(Vec<u8>, Tally)>, &FailedItems) -> Result<Described> + Send + 'i>;

pub(crate) struct Described {
    pub path: Vec<u8>,
    pub node: Node,
    pub bytes: Vec<u8>,
    /// Whether every item was captured.
    pub is_complete: bool,
    /// How many items were.
    pub captured: u64,
}

/// What the run does for a group that is not yet frozen.
pub(crate) trait Desk {
    /// Stores what must be read before the window; gives what becomes of it in the tree.
    fn store_ahead(&self, section: Section) -> Result<Section>;

    /// The session shows that it lives; called in long waits.
    fn beat(&self) -> Result<()>;

    /// Where reading fails items.
    fn items(&self) -> &FailedItems;
}

impl Input<'_> {
    /// Whether a file server must be asked for each file.
    fn answers_late(&self) -> bool {
        let Input::Files { roots, .. } = self else { return false };
        // Where there is nothing the walk will say so.
        roots.iter().any(|root| rustix::fs::statfs(root).is_ok_and(|found| is_remote(&found)))
    }
}

/// What goes into the manifest beside what is measured.
#[derive(Default)]
pub struct Labels {
    pub paths: Vec<String>,
    /// Tree paths of the captured roots.
    pub roots: Vec<Vec<u8>>,
    pub tags: Vec<String>,
    pub note: String,
    pub expiry: Option<Timestamp>,
    pub options: serde_json::Value,
}

pub struct SnapshotOptions {
    pub labels: Labels,
    /// Compared with: unchanged files are not read again.
    pub parent: Option<Snapshot>,
    pub workers: usize,
    /// So many while they wait for what they read; no fewer than `workers`.
    pub most_workers: usize,
    pub cancel: Cancel,
    /// Forget the parent's word on what is unchanged: read everything.
    pub read_all: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub id: SnapshotId,
    pub manifest: Manifest,
    pub notes: Vec<Note>,
    pub noticed: Noticed,
    /// Packs of earlier snapshots that the store has lost.
    pub lacking_packs: usize,
}

impl Outcome {
    /// As it is listed.
    pub fn snapshot(&self) -> Snapshot {
        let standing = Standing::of(&self.manifest);
        Snapshot { id: self.id, manifest: self.manifest.clone(), standing }
    }
}

/// Entries of this run that changed or vanished while they were read: the snapshot is complete,
/// but somebody may want to know.
#[derive(Debug, Default)]
pub struct Noticed {
    pub count: u64,
    /// The first of them: tree path and what was seen.
    pub first: Vec<(Vec<u8>, Problem)>,
}

/// So many are told by name.
const MOST_NOTICED: usize = 1000;

impl Noticed {
    fn see(&mut self, entry: &TreeEntry) {
        let Some(problem) = entry.node.problem() else { return };
        if problem.kind.makes_incomplete() {
            return;
        }
        self.count += 1;
        if self.first.len() < MOST_NOTICED {
            self.first.push((entry.path.clone(), problem.clone()));
        }
    }
}

/// What all threads of a run share.
struct Shared<'a, 'r> {
    store: &'a Store<'r>,
    progress: &'a Progress,
    cancel: &'a Cancel,
    failure: Failure,
    jobs: Queue<Job>,
    readers: Readers,
    steps: Queue<Step>,
    known: Mutex<KnownFiles>,
    /// Buffers of chunks that were handed over, to be used again: at most one for each worker.
    spare: Mutex<Vec<Vec<u8>>>,
    items: FailedItems,
}

/// What the tree needs to describe itself: places before the first step, the rest after the last.
#[derive(Default)]
struct Last<'d> {
    places: Option<Vec<Vec<u8>>>,
    describe: Option<Describe<'d>>,
}

impl<'d> Last<'d> {
    fn take_places(last: &Mutex<Self>) -> Option<Vec<Vec<u8>>> {
        last.lock().expect("no panic while held").places.take()
    }

    fn take_describe(last: &Mutex<Self>) -> Option<Describe<'d>> {
        last.lock().expect("no panic while held").describe.take()
    }
}

/// Items of which something could not be read, each with its first error.
#[derive(Default)]
pub(crate) struct FailedItems(Mutex<BTreeMap<usize, String>>);

impl FailedItems {
    pub(crate) fn fail(&self, item: usize, error: &Error) {
        let mut failed = self.0.lock().expect("no panic while held");
        failed.entry(item).or_insert_with(|| error.to_string());
    }

    pub(crate) fn get(&self, item: usize) -> Option<String> {
        self.0.lock().expect("no panic while held").get(&item).cloned()
    }
}

/// Small files of this run by digest, so that equal ones share a slot.
#[derive(Default)]
struct KnownFiles {
    slots: HashMap<[u8; 16], (u32, u32)>,
    parcels: Vec<Parcel>,
}

/// Beyond this many, equal files are stored again: memory stays bounded.
const KNOWN_FILES: usize = 384 << 10;

impl Shared<'_, '_> {
    fn fail_item(&self, item: usize, error: &Error) {
        self.items.fail(item, error);
    }

    /// For a thread that begins to read.
    fn watch(&self) -> Watch<'_> {
        self.readers.watch(&*self.store.repository().env().clock)
    }

    fn have_read(&self, watch: &mut Watch<'_>, files: u64, bytes: u64) {
        if let Some(active) = watch.read(files, bytes) {
            self.jobs.limit(active);
        }
    }

    /// An empty buffer, most likely one that was used before.
    fn take_spare(&self) -> Vec<u8> {
        self.spare.lock().expect("no panic while held").pop().unwrap_or_default()
    }

    fn give_spare(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.spare.lock().expect("no panic while held").push(buffer);
    }

    fn fail(&self, error: Error) {
        self.failure.set(error);
        self.jobs.abort();
        self.steps.abort();
    }
}

pub fn run(
    repository: &Repository,
    input: Input<'_>,
    options: &SnapshotOptions,
    progress: &Progress,
) -> Result<Outcome> {
    run_as(repository, input, options, progress, &Ok)
}

/// The same, where somebody else has a word in what the manifest says, or that there is none.
pub(crate) fn run_as(
    repository: &Repository,
    input: Input<'_>,
    options: &SnapshotOptions,
    progress: &Progress,
    finish: &dyn Fn(Manifest) -> Result<Manifest>,
) -> Result<Outcome> {
    let started = repository.env().clock.now();
    let parent = options.parent.as_ref().map(|p| p.id);
    let store = repository.begin_writing(SessionKind::Snapshot, parent)?;
    let captured = capture(repository, &store, input, options, progress);
    let finished = captured.and_then(|(built, notes)| {
        store.flush()?;
        let manifest = finish(manifest(repository, &store, options, started, &built))?;
        Ok((built, notes, manifest))
    });
    conclude(store, finished)
}

fn conclude(store: Store<'_>, finished: Result<(Built, Vec<Note>, Manifest)>) -> Result<Outcome> {
    match finished {
        Ok((built, notes, manifest)) => {
            let noticed = built.noticed;
            let lacking_packs = store.lacking();
            let id = store.commit(manifest.clone())?;
            Ok(Outcome { id, manifest, notes, noticed, lacking_packs })
        }
        Err(error) => {
            // What was uploaded helps the next run; if even that fails, the first error counts.
            if let Err(second) = store.abandon() {
                tracing::warn!(error = %second, "what was uploaded could not be kept");
            }
            Err(error)
        }
    }
}

fn manifest(
    repository: &Repository,
    store: &Store<'_>,
    options: &SnapshotOptions,
    started: Timestamp,
    built: &Built,
) -> Manifest {
    let root = &built.root;
    let labels = &options.labels;
    let identity = repository.identity();
    let stats = &store.stats;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let seconds = repository.env().clock.now().duration_since(started).as_secs_f64();
    let mut stats = serde_json::json!({
        "seconds": seconds,
        "new_bytes": count(&stats.new_bytes),
        "stored_bytes": count(&stats.stored_bytes),
        "metadata_bytes": count(&stats.metadata_bytes),
        "pack_bytes": count(&stats.pack_bytes),
        "known_bytes": count(&stats.known_bytes),
        "parcel_bytes": built.parcels.raw,
        "parcel_live_bytes": built.parcels.live,
        "parcel_gain_bytes": built.parcels.gain,
    });
    if let Some(captured) = built.captured {
        stats[CAPTURED] = captured.into();
    }
    Manifest {
        scope: "partial".into(),
        time: started,
        host: identity.host.clone(),
        user: identity.user.clone(),
        program: identity.program.clone(),
        paths: labels.paths.clone(),
        roots: labels.roots.iter().map(|r| encode_hex(r)).collect(),
        tags: labels.tags.clone(),
        note: labels.note.clone(),
        parent: options.parent.as_ref().map(|p| p.id),
        expiry: labels.expiry,
        root: root.id,
        level: root.level,
        entries: root.entries,
        bytes: root.bytes,
        problems: root.problems,
        complete: root.problems == 0 && built.is_complete,
        options: labels.options.clone(),
        stats,
        origin: None,
    }
}

fn capture(
    repository: &Repository,
    store: &Store<'_>,
    input: Input<'_>,
    options: &SnapshotOptions,
    progress: &Progress,
) -> Result<(Built, Vec<Note>)> {
    let workers = options.workers.max(1);
    let most = options.most_workers.max(workers);
    // Of a file server much can be asked at once.
    let at_first = if input.answers_late() { most } else { workers };
    let shared = Shared {
        store,
        progress,
        cancel: &options.cancel,
        failure: Failure::default(),
        jobs: Queue::new(JOBS_BYTES),
        readers: Readers::new(&*repository.env().clock, at_first, most),
        steps: Queue::new(STEPS_BYTES),
        known: Mutex::default(),
        spare: Mutex::default(),
        items: FailedItems::default(),
    };
    let reader = ContentReader::new(repository, store.index().clone());
    shared.jobs.limit(at_first);
    let trusted_before = options.parent.as_ref().map(|p| trust_limit(p.manifest.time));
    // Where packs are lost nobody knows what an unchanged file would refer to.
    let trusts = !options.read_all && store.lacking() == 0;
    let parent = options.parent.as_ref().filter(|_| trusts);
    let walks = Walks::default();
    let last = Mutex::default();
    let mut input = Some(input);
    let mut feed = || {
        let input = match input.take().expect("called once") {
            Input::Ready(Ready(give)) => {
                walks.close();
                return ready::feed(&shared, give);
            }
            input => input,
        };
        let fed = sections(&shared, &last, input).and_then(|sections| {
            planner::plan(&shared, sections, &walks, &reader, parent, trusted_before)
        });
        walks.close();
        fed
    };
    let helpers = (0..at_first).map(|_| Box::new(|| walks.help()) as Task<'_>);
    let build = &mut || tree::build(&shared, &last);
    let built = run_stages(repository, &shared, &mut feed, build, helpers.collect(), most);
    shared.failure.into_result()?;
    options.cancel.check()?;
    let built = built.ok_or_else(|| Error::internal("no tree was made"))?;
    Ok((built, walks.into_notes()))
}

/// What an input consists of.
fn sections<'i>(
    shared: &Shared<'_, '_>,
    last: &Mutex<Last<'i>>,
    input: Input<'i>,
) -> Result<Vec<Section>> {
    match input {
        Input::Files { roots, options } => {
            let path = options.prefix.clone();
            let what = What::Walk { roots, options, is_view: false, changed: Changed::Unknown };
            Ok(vec![Section { path, what, item: None }])
        }
        Input::Images(paths) => {
            let accounts = Accounts::of_host();
            let section = |path: &PathBuf| {
                let image = Image::open(path)?;
                let name = path.as_os_str().as_bytes();
                let path = [b"files/", name.strip_prefix(b"/").unwrap_or(name)].concat();
                let (node, changed) = (image.node(&accounts), Changed::Unknown);
                let what = What::Image { node, image: Arc::new(image), changed };
                Ok(Section { path, what, item: None })
            };
            paths.iter().map(section).collect()
        }
        Input::Stream { path, node, read, end } => {
            Ok(vec![Section { path, what: What::Stream { node, read, end }, item: None }])
        }
        Input::Ready(_) => Err(Error::internal("entries at hand are no sections")),
        Input::Group(Group(freeze)) => {
            let Feed { sections, places, describe } = freeze(shared)?;
            *last.lock().expect("no panic while held") =
                Last { places: Some(places), describe: Some(describe) };
            Ok(sections)
        }
    }
}

impl Desk for Shared<'_, '_> {
    fn store_ahead(&self, section: Section) -> Result<Section> {
        let Section { path, what, item } = section;
        let entry = match what {
            What::Stream { node, mut read, end } => {
                planner::stream(self, path.clone(), node, &mut *read, end, item)?
            }
            What::Object { node, bytes } => large::store_bytes(self, path.clone(), node, &bytes)?,
            What::Entry(entry) => entry,
            What::Walk { .. } | What::Image { .. } => {
                return Err(Error::internal("only streams and objects are read ahead"));
            }
        };
        Ok(Section { path, what: What::Entry(entry), item })
    }

    fn beat(&self) -> Result<()> {
        self.cancel.check()?;
        self.store.beat()
    }

    fn items(&self) -> &FailedItems {
        &self.items
    }
}

/// It is asked so often whether it is time to show that the session lives.
const BEATS_EVERY: Duration = Duration::from_secs(5);

/// Runs feeder, workers and tree side by side until all have ended.
fn run_stages(
    repository: &Repository,
    shared: &Shared<'_, '_>,
    feed: &mut (dyn FnMut() -> Result<()> + Send),
    build: &mut (dyn FnMut() -> Result<Option<Built>> + Send),
    helpers: Vec<Task<'_>>,
    workers: usize,
) -> Option<Built> {
    let built = Mutex::new(None);
    let made = &built;
    let (fed, is_fed) = channel::<()>();
    let mut tasks = helpers;
    tasks.push(Box::new(move || {
        if let Err(error) = feed() {
            shared.fail(error);
        }
        shared.jobs.close();
        shared.steps.close();
        drop(fed);
    }));
    // A dump that is waited for, or a hook, may be quiet for hours.
    tasks.push(Box::new(move || {
        while is_fed.recv_timeout(BEATS_EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = shared.store.beat() {
                tracing::warn!(%error, "a sign of life could not be given");
            }
        }
    }));
    for _ in 0..workers {
        tasks.push(Box::new(|| {
            if let Err(error) = job::work(shared) {
                shared.fail(error);
            }
        }));
    }
    tasks.push(Box::new(move || match build() {
        Ok(built) => *made.lock().expect("no panic while held") = built,
        Err(error) => shared.fail(error),
    }));
    repository.env().tasks.run(tasks);
    built.into_inner().expect("no panic while held")
}

/// Files that changed after this moment are read again whatever the parent says: the clock of
/// the file system may lag, and some file systems know only every second second.
fn trust_limit(scan_started: Timestamp) -> Time {
    Time {
        seconds: scan_started.as_second() - 2,
        nanoseconds: scan_started.subsec_nanosecond().max(0) as u32,
    }
}
