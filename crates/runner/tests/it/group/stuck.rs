//! A run that freezes something, holds what is needed to thaw it, and does not go on: what the guard
//! then does. The run is a process of its own.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::resource::{Consistency, Hook, HookPlace, OnError, Phase, Resource, Resources};
use tintype_model::{Error, Result};
use tintype_runner::group::{self, GroupOptions};
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::{Labels, SnapshotOptions};
use tintype_source::connector::{
    CapturePlan, Connector, Context, Discovered, Guarded, Part, Released, Source, Target, View,
};

use super::{Stage, resource};

const FILE: &str = "TINTYPE_TEST_FILE";
const RESUMED: &str = "TINTYPE_TEST_RESUMED";
const HOW: &str = "TINTYPE_TEST_HOW";

/// What it freezes is a lock that one process holds at a time, as the socket of a guest's agent.
struct Holding;

impl Connector for Holding {
    fn name(&self) -> &'static str {
        "played"
    }

    fn schema(&self) -> Value {
        json!({ "type": "object" })
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Resource) -> Result<()> {
        Ok(())
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let how = resource.at["does"].as_str().unwrap().to_owned();
        let file = PathBuf::from(std::env::var_os(FILE).unwrap());
        Ok(Box::new(HoldingSource { how, file, held: None, scratch: context.scratch.clone() }))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Err(Error::unsupported("nothing is restored here"))
    }

    fn thaw(&self, guarded: &Value, _: &Context) -> Result<()> {
        let path = PathBuf::from(guarded["file"].as_str().unwrap());
        let file = File::options().write(true).open(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::unavailable("it is held"))?;
        thawed(&path, "guard");
        Ok(())
    }

    fn outlives(&self) -> bool {
        true
    }

    /// Says so once the run that left something is dead.
    fn clean(
        &self,
        resources: &[&Resource],
        context: &Context,
        removed: &mut Vec<String>,
    ) -> Result<()> {
        let left = PathBuf::from(std::env::var_os(FILE).unwrap()).with_extension("left");
        let Ok(label) = std::fs::read_to_string(&left) else { return Ok(()) };
        let name = Path::new(&label).file_name().unwrap().to_str().unwrap();
        assert!(context.is_dead(name) && resources[0].name == "a", "{label}");
        std::fs::rename(&left, left.with_extension("cleaned")).unwrap();
        removed.push(label);
        Ok(())
    }
}

/// By whom; the first one counts.
fn thawed(file: &Path, by: &str) {
    let by_whom = file.with_extension("by");
    if !by_whom.exists() {
        std::fs::write(by_whom, by).unwrap();
    }
}

struct HoldingSource {
    how: String,
    file: PathBuf,
    held: Option<File>,
    scratch: PathBuf,
}

impl Source for HoldingSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        Ok(CapturePlan { reaches: Consistency::Crash, why_not_more: None, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }

    fn guarded(&self) -> Option<Guarded> {
        let what = json!({ "file": self.file });
        Some(Guarded { connector: "played".into(), name: "a".into(), what })
    }

    fn freeze(&mut self) -> Result<()> {
        let file = File::create(&self.file).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        self.held = Some(file);
        match &self.how[..] {
            "dies" => {}
            "stops" => {
                kill_process(getpid(), Signal::STOP).unwrap();
                // It may reach this thread last; the guard lets all go on after the deadline.
                Env::system().clock.sleep(Duration::from_millis(1200));
            }
            _ => Env::system().clock.sleep(Duration::from_mins(1)),
        }
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        self.held = None;
        thawed(&self.file, "run");
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        if self.how == "dies" {
            let left = self.file.with_extension("left");
            std::fs::write(left, self.scratch.display().to_string()).unwrap();
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        Ok(View {
            parts: vec![Part::object("a.json", "{}")],
            consistency: Consistency::Crash,
            why_not_more: None,
            mark: None,
            facts: Value::Null,
            version: None,
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}

/// Run as a process of its own; alone it does nothing.
#[test]
fn the_guard() {
    if std::env::var_os(FILE).is_none() {
        return;
    }
    let env = Env::system();
    let context = Context {
        clock: Arc::clone(&env.clock),
        tasks: Arc::clone(&env.tasks),
        cancel: Cancel::default(),
        session: String::new(),
        series: String::new(),
        living: Arc::new(std::collections::BTreeSet::new()),
        scratch: PathBuf::new(),
        written_devices: Vec::new(),
        passwords: tintype_source::connector::Passwords::default(),
        quiesce: true,
    };
    group::guard(&[Box::new(Holding)], &context).unwrap();
}

/// As [`the_guard`].
#[test]
fn the_run() {
    let Ok(how) = std::env::var(HOW) else { return };
    let stage = Stage::new();
    let mut one = resource("a", &how);
    if how == "owes" {
        let resumed = format!("echo resumed > {}", std::env::var(RESUMED).unwrap());
        let hook = |phase, command: &str| Hook {
            phase,
            command: ["sh", "-c", command].map(str::to_owned).to_vec(),
            place: HookPlace::Host,
            timeout_seconds: 10,
            on_error: OnError::Fail,
        };
        one.hooks = vec![hook(Phase::PreQuiesce, "kill -9 $PPID"), hook(Phase::PostThaw, &resumed)];
    }
    let resources = Resources::new(vec![one]);
    let snapshot = SnapshotOptions {
        labels: Labels { roots: group::places(&resources, &[]).unwrap(), ..Labels::default() },
        parent: None,
        workers: 2,
        most_workers: 2,
        cancel: Cancel::default(),
        read_all: false,
    };
    let mut options: GroupOptions = stage.options();
    options.guard.arguments[0] = "group::stuck::the_guard".to_owned();
    options.guard.environment = vec![(FILE.to_owned(), std::env::var(FILE).unwrap())];
    let connectors: [Box<dyn Connector>; 1] = [Box::new(Holding)];
    let repository = &stage.lab.repository;
    let progress = Progress::default();
    let taken =
        group::snapshot(repository, &connectors, &resources, &[], &snapshot, &options, &progress);
    let taken = taken.unwrap();
    let reason = taken.descriptor.item("a").unwrap().reason.clone().unwrap();
    assert!(reason.contains("frozen for") || reason.contains("deadline"), "{reason}");
}

/// How a run ended, who thawed what it froze, and after how long. The deadline is one second.
fn ran(how: &str) -> (ExitStatus, String, Duration) {
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("held");
    let clock = Env::system().clock;
    let begun = clock.elapsed();
    let took = || clock.elapsed().saturating_sub(begun);
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["group::stuck::the_run", "--exact", "--nocapture"])
        .env(FILE, &file)
        .env(HOW, how)
        // What it makes goes with what is ours: it may be killed.
        .env("TMPDIR", own.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let by = file.with_extension("by");
    while !by.exists() {
        assert!(took() < Duration::from_secs(20), "nobody thaws");
        clock.sleep(Duration::from_millis(20));
    }
    let took = took();
    let status = run.wait().unwrap();
    (status, std::fs::read_to_string(by).unwrap(), took)
}

#[test]
fn a_run_that_was_stopped_goes_on_and_thaws() {
    let (status, by, took) = ran("stops");
    assert!(status.success() && by == "run", "{status} {by}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_run_that_is_stuck_is_killed_and_the_guard_thaws() {
    let (status, by, took) = ran("hangs");
    assert_eq!((status.signal(), &by[..]), (Some(9), "guard"));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// It had stopped something, and is killed before it could start it again.
#[test]
fn what_a_run_that_dies_had_stopped_goes_on() {
    let own = tempfile::tempdir().unwrap();
    let resumed = own.path().join("resumed");
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["group::stuck::the_run", "--exact", "--nocapture"])
        .env(FILE, own.path().join("held"))
        .env(RESUMED, &resumed)
        .env(HOW, "owes")
        .env("TMPDIR", own.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(run.wait().unwrap().signal(), Some(9));
    let clock = Env::system().clock;
    let until = clock.elapsed() + Duration::from_secs(20);
    while std::fs::read_to_string(&resumed).unwrap_or_default() != "resumed\n" {
        assert!(clock.elapsed() < until, "nobody says so");
        clock.sleep(Duration::from_millis(20));
    }
}

/// After its window: nothing is frozen any more, and what it made is there.
#[test]
fn a_run_that_is_killed_while_it_reads_is_cleaned_up_after_by_its_guard() {
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("held");
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["group::stuck::the_run", "--exact", "--nocapture"])
        .env(FILE, &file)
        .env(HOW, "dies")
        .env("TMPDIR", own.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(run.wait().unwrap().signal(), Some(9));
    let cleaned = file.with_extension("cleaned");
    let clock = Env::system().clock;
    let until = clock.elapsed() + Duration::from_secs(20);
    let scratch = || PathBuf::from(std::fs::read_to_string(&cleaned).unwrap());
    while !cleaned.exists() || scratch().exists() {
        assert!(clock.elapsed() < until, "it is not cleaned");
        clock.sleep(Duration::from_millis(20));
    }
}
