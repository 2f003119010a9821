//! A repository in memory and directories on the real file system.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use tintype_engine::backend::faults::FaultyBackend;
use tintype_engine::backend::{Counters, CountingBackend, MemoryBackend, SharedBackend};
use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::env::Env;
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::repo::{Identity, Repository};
use tintype_model::Result;
use tintype_runner::progress::Progress;
use tintype_runner::restore::{self, ApplyOptions, Destination, Overwrite, Plan, Report, Request};
use tintype_runner::snapshot::{self, Input, Labels, Outcome, SnapshotOptions};
use tintype_source::files::compare::{CompareOptions, compare};
use tintype_source::files::{Excludes, ExcludesBuilder, Owners, WalkOptions};

pub(crate) struct Lab {
    pub backend: MemoryBackend,
    /// What goes wrong between it and the repository.
    pub faults: FaultyBackend,
    /// What the repository asked of the backend.
    pub counters: Arc<Counters>,
    pub repository: Repository,
    pub secret: Secret,
    pub dir: TempDir,
}

pub(crate) struct Taken {
    pub outcome: Outcome,
    /// Content bytes that were read from files.
    pub read_bytes: u64,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let backend = MemoryBackend::new();
        let counters = Arc::<Counters>::default();
        let env = Env::system();
        let faults = FaultyBackend::new(Arc::new(backend.clone()), Arc::clone(&env.clock));
        let counting = CountingBackend::new(Arc::new(faults.clone()), Arc::clone(&counters));
        let shared: SharedBackend = Arc::new(counting);
        let secret = Secret::Recovery(RecoveryKey::generate(&env));
        let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
        let (repository, _) =
            Repository::init(shared, &[(&secret, "test")], false, options).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        Self { backend, faults, counters, repository, secret, dir }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("source")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Makes everything look older than the next snapshot, so that it is trusted.
    pub(crate) fn settle() {
        // Change times cannot be set: two seconds is what the engine distrusts.
        Env::system().clock.sleep(std::time::Duration::from_millis(2100));
    }

    pub(crate) fn latest(&self) -> Option<Snapshot> {
        self.repository.snapshots().unwrap().snapshots.pop()
    }

    pub(crate) fn take(&self) -> Taken {
        let walk = WalkOptions::default();
        self.take_with(Input::Files { roots: vec![self.source()], options: Box::new(walk) })
            .unwrap()
    }

    pub(crate) fn take_with(&self, input: Input) -> Result<Taken> {
        let options = SnapshotOptions {
            labels: Labels { roots: vec![tree_path(&self.source())], ..Labels::default() },
            parent: self.latest(),
            workers: 2,
            most_workers: 4,
            cancel: Cancel::default(),
            read_all: false,
        };
        self.take_as(input, &options)
    }

    pub(crate) fn take_as(&self, input: Input, options: &SnapshotOptions) -> Result<Taken> {
        let progress = Progress::default();
        let outcome = snapshot::run(&self.repository, input, options, &progress)?;
        Ok(Taken { outcome, read_bytes: progress.moved_bytes.load(Ordering::Relaxed) })
    }

    pub(crate) fn request(&self, to: &str) -> Request {
        Request {
            path: tree_path(&self.source()),
            also: Vec::new(),
            destination: Destination::Directory(self.path(to)),
            include: None,
            exclude: Excludes::default(),
            overwrite: Overwrite::Never,
            delete_extra: false,
            owners: Owners::default(),
            claim: false,
            untouchable: Vec::new(),
        }
    }

    pub(crate) fn plan(&self, request: &Request) -> Plan {
        let reader = self.repository.reader().unwrap();
        restore::plan(&reader, &self.latest().unwrap(), request, &Cancel::default()).unwrap()
    }

    pub(crate) fn apply(&self, plan: &Plan) -> Report {
        self.try_apply(plan, Cancel::default()).unwrap()
    }

    pub(crate) fn try_apply(&self, plan: &Plan, cancel: Cancel) -> Result<Report> {
        let reader = self.repository.reader().unwrap();
        let options = ApplyOptions { workers: 2, cancel, verify: true, sync: false };
        restore::apply(&reader, plan, &options, &Progress::default())
    }

    /// Restores the latest snapshot to `to` and gives the report.
    pub(crate) fn restore(&self, to: &str) -> Report {
        self.apply(&self.plan(&self.request(to)))
    }

    pub(crate) fn assert_equal(&self, to: &str) {
        let options = CompareOptions { ignore_top: true, ..CompareOptions::default() };
        let compared = compare(&self.source(), &self.path(to), &options).unwrap();
        assert!(compared.differences.is_empty(), "{:#?}", compared.differences);
    }
}

/// Mounts and devices need root; tests of them must run in continuous checks.
pub(crate) fn skipped_without_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "{what}: must run as root in CI");
        eprintln!("{what}: not run, because it needs root");
    }
    !is_root
}

pub(crate) fn tree_path(path: &Path) -> Vec<u8> {
    [b"files", path.as_os_str().as_bytes()].concat()
}

pub(crate) fn patterns(lines: &[&str]) -> Excludes {
    let mut builder = ExcludesBuilder::default();
    for line in lines {
        builder.pattern(line, "test");
    }
    builder.build().unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
