//! Snapshots of resources: windows, failures of single members, the guard, what is recorded. The
//! platforms are played here, because real ones fail too rarely; connectors are tested on real ones.

mod changed;
mod hooks;
mod joined;
mod played;
mod restoring;
mod session;
mod stuck;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::item::Outcome;
use tintype_model::resource::{Resource, Resources};
use tintype_runner::group::{self, GroupOptions, GuardCommand, Places, Taken};
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::{Labels, SnapshotOptions};
use tintype_source::connector::{Connector, Context};

use self::played::{DISK, Log, Played, World, application, resource};
use crate::support::{Lab, noise};

struct Stage {
    lab: Lab,
    log: Log,
    world: Arc<Mutex<World>>,
}

impl Stage {
    fn new() -> Self {
        Self { lab: Lab::new(), log: Log::default(), world: Arc::default() }
    }

    fn take(&self, resources: Vec<Resource>) -> Taken {
        take(self, &[Box::new(self.played())], resources)
    }

    fn options(&self) -> GroupOptions {
        let again = ["group::the_guard_of_these_tests", "--exact", "--nocapture"];
        GroupOptions {
            places: Places {
                runtime_dir: self.lab.path("run"),
                state_dir: self.lab.path("state"),
                scratch_dir: self.lab.path("scratch"),
            },
            deadline: Duration::from_secs(1),
            guard: GuardCommand {
                program: std::env::current_exe().unwrap(),
                arguments: again.map(str::to_owned).to_vec(),
                environment: vec![("TINTYPE_TEST_GUARD".into(), "1".into())],
            },
            written_devices: Vec::new(),
            passwords: tintype_source::connector::Passwords::default(),
            elsewhere: std::collections::BTreeSet::new(),
            quiesce: true,
            never_enter: Vec::new(),
            ahead_bytes: 1 << 20,
        }
    }

    fn played(&self) -> Played {
        Played { log: Arc::clone(&self.log), world: Arc::clone(&self.world) }
    }

    fn taken_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let reader = self.lab.repository.reader().unwrap();
        let root = tintype_engine::tree::Root::of(&self.lab.latest().unwrap().manifest);
        tintype_runner::content::small(&reader, root, path.as_bytes(), 1 << 30).unwrap()
    }
}

fn take(stage: &Stage, connectors: &[Box<dyn Connector>], resources: Vec<Resource>) -> Taken {
    try_take(stage, connectors, resources).unwrap()
}

fn try_take(
    stage: &Stage,
    connectors: &[Box<dyn Connector>],
    resources: Vec<Resource>,
) -> tintype_model::Result<Taken> {
    take_of(stage, connectors, resources, &[], stage.lab.latest(), &Cancel::default())
}

fn take_of(
    stage: &Stage,
    connectors: &[Box<dyn Connector>],
    resources: Vec<Resource>,
    names: &[String],
    parent: Option<Snapshot>,
    cancel: &Cancel,
) -> tintype_model::Result<Taken> {
    let labels = Labels::default();
    let progress = Progress::default();
    take_as(stage, connectors, (resources, names), (labels, parent), cancel, &progress)
}

fn take_as(
    stage: &Stage,
    connectors: &[Box<dyn Connector>],
    (resources, names): (Vec<Resource>, &[String]),
    (labels, parent): (Labels, Option<Snapshot>),
    cancel: &Cancel,
    progress: &Progress,
) -> tintype_model::Result<Taken> {
    let resources = Resources::new(resources);
    let snapshot = SnapshotOptions {
        labels: Labels { roots: group::places(&resources, names).unwrap(), ..labels },
        parent,
        workers: 2,
        most_workers: 2,
        cancel: cancel.clone(),
        read_all: false,
    };
    group::snapshot(
        &stage.lab.repository,
        connectors,
        &resources,
        names,
        &snapshot,
        &stage.options(),
        progress,
    )
}

/// Run as a process of its own by the others; alone it does nothing.
#[test]
fn the_guard_of_these_tests() {
    if std::env::var_os("TINTYPE_TEST_GUARD").is_none() {
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
        scratch: std::path::PathBuf::new(),
        written_devices: Vec::new(),
        passwords: tintype_source::connector::Passwords::default(),
        quiesce: true,
    };
    let played = Played { log: Log::default(), world: Arc::default() };
    group::guard(&[Box::new(played)], &context).unwrap();
}

fn outcomes(taken: &Taken) -> BTreeMap<&str, Outcome> {
    taken.descriptor.items.iter().map(|item| (&item.name[..], item.outcome)).collect()
}

/// To ask for what changed, or to mount a copy, takes a while for each.
#[test]
fn views_are_made_ready_side_by_side() {
    let stage = Stage::new();
    let taken = stage.take(vec![resource("a", "meets"), resource("b", "meets")]);
    assert!(taken.outcome.manifest.complete, "{:?}", taken.descriptor.items);
    assert_eq!(stage.read("tenants/system/vms/b/c-stream").unwrap(), noise(3, 400_000));
}

/// Nobody means it by the latest, and what is compared with it would all be read.
#[test]
fn a_snapshot_that_holds_nothing_is_no_parent() {
    let stage = Stage::new();
    let whole = stage.take(vec![resource("a", "")]).outcome;
    let nothing = stage.take(vec![resource("a", "fails-prepare")]).outcome;
    let of = |manifest: &tintype_engine::format::records::Manifest| {
        (manifest.complete, tintype_runner::snapshot::holds_nothing(manifest))
    };
    assert_eq!((of(&whole.manifest), of(&nothing.manifest)), ((true, false), (false, true)));
    let known = stage.lab.repository.snapshots().unwrap().snapshots;
    assert_eq!(known.len(), 2);
    let places = [b"tenants/system/vms/a".to_vec()];
    let parent = group::parent::parent_of(known, &places).unwrap();
    assert_eq!(parent.id, whole.id);
    let part = stage.take(vec![resource("a", ""), resource("b", "fails-prepare")]).outcome;
    assert_eq!(of(&part.manifest), (false, false));
}

#[test]
fn what_belongs_together_is_frozen_together() {
    let stage = Stage::new();
    let resources = vec![
        resource("a", ""),
        resource("b", ""),
        resource("c", ""),
        application("app", &["a", "b"]),
    ];
    let taken = stage.take(resources);
    let log = stage.taken_log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap();
    for (first, then) in [
        ("prepare b", "freeze a"),
        ("ahead b", "freeze a"),
        ("freeze a", "thaw b"),
        ("freeze b", "thaw a"),
        ("thaw a", "view a"),
        ("view c", "committed a"),
    ] {
        assert!(at(first) < at(then), "{first} before {then}: {log:?}");
    }
    assert!(taken.outcome.manifest.complete);
    let windows = &taken.descriptor.windows;
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[0].members, ["a", "b"]);
    let item = taken.descriptor.item("a").unwrap();
    assert_eq!((item.entries, item.problems), (5, 0), "its place and four parts");
    assert_eq!(item.place, "tenants/system/apps/app/a");
    assert_eq!(item.version.as_deref(), Some("7"));
    assert_eq!(stage.read("tenants/system/vms/c/b-ahead").unwrap(), b"read before");
    assert_eq!(stage.read("tenants/system/vms/c/c-stream").unwrap(), noise(3, 400_000));
    let disk = stage.read("tenants/system/vms/c/disk.img").unwrap();
    let cell = |at: usize| &disk[at << 20..(at + 1) << 20];
    assert_eq!(disk.len() as u64, DISK);
    assert!(cell(1) == noise((1 << 20) + 1, 1 << 20) && cell(2) == vec![0; 1 << 20]);
    let definition = stage.read("tenants/system/apps/app/app.yaml").unwrap();
    assert!(String::from_utf8(definition).unwrap().contains("\"application\""));
    let stored = group::descriptor(&stage.lab.repository, &stage.lab.latest().unwrap()).unwrap();
    assert_eq!(stored.unwrap().items, taken.descriptor.items);
    assert_eq!(std::fs::read_dir(stage.lab.path("scratch")).unwrap().count(), 0);
    let known = std::fs::read_dir(stage.lab.path("run")).unwrap().flatten();
    let known: Vec<_> = known.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(known.len() == 1 && known[0].starts_with("of-"), "no session is left: {known:?}");
}

#[test]
fn of_a_disk_only_what_changed_is_read_again() {
    let stage = Stage::new();
    stage.take(vec![resource("a", "")]);
    let first = stage.read("tenants/system/vms/a/disk.img").unwrap();
    stage.taken_log();
    stage.take(vec![resource("a", "")]);
    let log = stage.taken_log();
    let read: Vec<_> = log.iter().filter(|line| line.starts_with("read ")).collect();
    assert_eq!(read, ["read 5", "read 7"]);
    assert!(stage.read("tenants/system/vms/a/disk.img").unwrap() == first);
    // What failed leaves no mark.
    stage.take(vec![resource("a", "fails-stream")]);
    stage.taken_log();
    stage.take(vec![resource("a", "")]);
    let log = stage.taken_log();
    assert_eq!(log.iter().filter(|line| line.starts_with("read ")).count(), 8);
}

/// One application between two snapshots of everything costs neither of them a whole read.
#[test]
fn a_part_borrows_the_marks_of_the_whole() {
    let stage = Stage::new();
    let all = || vec![resource("a", ""), resource("b", "")];
    stage.take(all());
    let whole = stage.lab.latest();
    let reads = |names: &[&str], parent: &Option<Snapshot>| {
        stage.taken_log();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let connectors: [Box<dyn Connector>; 1] = [Box::new(stage.played())];
        let cancel = Cancel::default();
        let taken = take_of(&stage, &connectors, all(), &names, parent.clone(), &cancel);
        let log = stage.taken_log();
        let count = log.iter().filter(|line| line.starts_with("read ")).count();
        let released = log.last().unwrap().split(' ').next().unwrap().to_owned();
        let mark = taken.unwrap().descriptor.item("a").unwrap().mark.is_some();
        (count, released, mark)
    };
    assert_eq!(reads(&["a"], &whole), (2, "failed".into(), false));
    assert_eq!(reads(&[], &whole), (4, "committed".into(), true));
    let disk = stage.read("tenants/system/vms/a/disk.img").unwrap();
    assert_eq!(disk.len() as u64, DISK);
    // Alone it is a series of its own.
    assert_eq!(reads(&["a"], &None), (8, "committed".into(), true));
}

#[test]
fn one_that_fails_fails_alone() {
    for fails in ["plan", "prepare", "ahead", "freeze", "thaw", "view", "stream", "image"] {
        let stage = Stage::new();
        let bad = resource("bad", &format!("fails-{fails}"));
        let taken =
            stage.take(vec![bad, resource("good", ""), application("app", &["bad", "good"])]);
        let expected = [("bad", Outcome::Failed), ("good", Outcome::Captured)];
        assert_eq!(outcomes(&taken), BTreeMap::from(expected), "{fails}");
        assert!(!taken.outcome.manifest.complete, "{fails}");
        let item = taken.descriptor.item("bad").unwrap();
        let reason = item.reason.as_deref().unwrap();
        assert!(
            reason.contains("does not work") || reason.contains("cut") || reason.contains("bad"),
            "{reason}"
        );
        assert_eq!((item.consistency, &item.mark), (None, &None), "{fails}");
        let log = stage.taken_log();
        assert!(log.contains(&"committed good".to_owned()), "{fails}");
        let was_made = fails != "plan";
        assert_eq!(log.contains(&"failed bad".to_owned()), was_made, "{fails}: {log:?}");
        let (frozen, thawed) = ["freeze bad", "thaw bad"]
            .map(|what| log.iter().filter(|line| *line == what).count())
            .into();
        assert_eq!(frozen, thawed, "{fails}: {log:?}");
        assert!(stage.read("tenants/system/apps/app/good/c-stream").is_some());
    }
}

#[test]
fn one_that_hangs_does_not_keep_the_others_frozen() {
    let stage = Stage::new();
    let slow = resource("slow", "hangs-freeze");
    let taken = stage.take(vec![slow, resource("good", ""), application("app", &["slow", "good"])]);
    let slow = taken.descriptor.item("slow").unwrap();
    assert_eq!(slow.outcome, Outcome::Failed);
    assert!(slow.reason.as_ref().unwrap().contains("frozen for"), "{slow:?}");
    assert!(taken.descriptor.item("good").unwrap().frozen_seconds.is_none_or(|s| s < 1.4));
}

#[test]
fn the_guard_thaws_at_the_deadline() {
    let stage = Stage::new();
    let file = stage.lab.path("thawed");
    let taken = stage.take(vec![resource("a", &format!("guarded {}", file.display()))]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "thawed");
    let item = taken.descriptor.item("a").unwrap();
    assert_eq!(item.outcome, Outcome::Failed);
    let reason = item.reason.as_ref().unwrap();
    assert!(reason.contains("guard") || reason.contains("frozen for"), "{reason}");
}

/// Nobody knows what it has done: its resource fails, and whoever took the snapshot is told.
#[test]
fn a_guard_that_does_not_answer_is_killed_and_named() {
    let stage = Stage::new();
    // As if thawed at once.
    let file = stage.lab.path("thawed");
    std::fs::write(&file, "").unwrap();
    let hangs = "read order; echo ready; read window; echo ready; read done; exec sleep 60";
    let guard = GuardCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), hangs.into()],
        environment: Vec::new(),
    };
    let options = GroupOptions { guard, deadline: Duration::from_millis(500), ..stage.options() };
    let resources = vec![resource("a", &format!("guarded {}", file.display()))];
    let resources = Resources::new(resources);
    let snapshot = SnapshotOptions {
        labels: Labels { roots: group::places(&resources, &[]).unwrap(), ..Labels::default() },
        parent: None,
        workers: 2,
        most_workers: 2,
        cancel: Cancel::default(),
        read_all: false,
    };
    let connectors: [Box<dyn Connector>; 1] = [Box::new(stage.played())];
    let (repository, progress) = (&stage.lab.repository, Progress::default());
    let taken =
        group::snapshot(repository, &connectors, &resources, &[], &snapshot, &options, &progress);
    let taken = taken.unwrap();
    let killed = "the guard of a did not answer and was killed";
    assert!(taken.unreleased.iter().any(|what| what.contains(killed)), "{:?}", taken.unreleased);
    assert_eq!(outcomes(&taken), BTreeMap::from([("a", Outcome::Failed)]));
}

/// The guest still flushed when it was asked to thaw, and answers when the run is long over.
#[test]
fn what_could_not_be_thawed_is_told_and_its_guard_goes_on() {
    let stage = Stage::new();
    let file = stage.lab.path("thawed");
    let held = resource("held", &format!("held {}", file.display()));
    let taken = stage.take(vec![held, resource("good", "")]);
    assert_eq!(outcomes(&taken)["held"], Outcome::Failed);
    assert_eq!(outcomes(&taken)["good"], Outcome::Captured);
    let told = taken.unreleased.join("; ");
    assert!(told.contains("held: may still be frozen; its guard goes on"), "{told}");
    assert!(!file.exists(), "nothing answers");
    std::fs::write(file.with_extension("answers"), "").unwrap();
    let clock = Env::system().clock;
    let until = clock.elapsed() + Duration::from_secs(20);
    while !file.exists() {
        assert!(clock.elapsed() < until, "nobody thaws");
        clock.sleep(Duration::from_millis(50));
    }
}

/// A run that is killed closes its pipe to the guard.
#[test]
fn the_guard_thaws_when_the_run_dies() {
    let stage = Stage::new();
    let file = stage.lab.path("thawed");
    let GuardCommand { program, arguments, environment } = stage.options().guard;
    let mut guard = std::process::Command::new(program)
        .args(arguments)
        .envs(environment)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let guarded = serde_json::json!({
        "connector": "played", "name": "a", "what": { "file": file },
    });
    let session = "00000000deadbeef";
    let order = serde_json::json!({ "session": session, "runtime_dir": stage.lab.path("run"),
        "scratch": stage.lab.path(&format!("scratch/tintype-{session}")), "resources": [] });
    let window = serde_json::json!({ "deadline_ms": 60_000, "guarded": [guarded] });
    let mut pipe = guard.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, format!("{order}\n{window}\n").as_bytes()).unwrap();
    drop(pipe);
    assert!(guard.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "thawed");
}
