//! Parts of runs that are not joined yet: no snapshots for users.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tintype_engine::backend::local::LocalBackend;
use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::slot::{Passphrase, Secret};
use tintype_engine::env::{Clock, Env};
use tintype_engine::id::SnapshotId;
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};
use tintype_runner::progress::Progress;
use tintype_runner::snapshot::part::Part;
use tintype_runner::snapshot::{self, Input, Labels, SnapshotOptions};
use tintype_source::files::WalkOptions;

use crate::support::{Lab, PASSWORD};

/// Some days ago.
struct Ago(Arc<dyn Clock>, i64);

impl Clock for Ago {
    fn now(&self) -> Timestamp {
        self.0.now() - SignedDuration::from_hours(24 * self.1)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
    }
}

/// What a run of a manager leaves when it is interrupted.
fn part(lab: &Lab, run: &str, days_ago: i64) -> SnapshotId {
    let backend = Arc::new(LocalBackend::open(&lab.path("repository")).unwrap());
    let secret = Secret::Passphrase(Passphrase::new(PASSWORD.to_owned()).unwrap());
    let system = Env::system();
    let env = Env { clock: Arc::new(Ago(Arc::clone(&system.clock), days_ago)), ..system };
    let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
    let repository = Repository::open(backend, &secret, options).unwrap();
    let options = Part { run: run.into(), name: "one".into() }.options(false);
    let options = SnapshotOptions {
        labels: Labels { options, ..Labels::default() },
        parent: None,
        workers: 1,
        most_workers: 1,
        cancel: Cancel::default(),
        read_all: false,
    };
    let walk = Box::new(WalkOptions::default());
    let input = Input::Files { roots: vec![lab.path("source")], options: walk };
    snapshot::run(&repository, input, &options, &Progress::default()).unwrap().id
}

#[test]
fn parts_are_no_snapshots_for_users() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    let whole = lab.snapshot(&[&lab.text("source")])["snapshot"].as_str().unwrap().to_owned();
    let [young, old] = [("7", 6), ("6", 9)].map(|(run, days)| part(&lab, run, days).to_string());
    part(&lab, "7", 0);
    assert_eq!(lab.ids(), std::slice::from_ref(&whole));
    let listed = lab.run(&["list"]).expect(0);
    assert!(listed.err.contains("3 parts of runs"), "{}", listed.err);
    let listed = lab.run(&["list", "--all"]).expect(0).out;
    assert_eq!(listed.lines().filter(|line| line.contains("part")).count(), 3, "{listed}");
    let shown = lab.run(&["show", "latest", "--json"]).expect(0).events().remove(0);
    assert_eq!(shown["id"], whole.as_str());
    let found = lab.run(&["find", "file", "--json"]).expect(0).events().remove(0);
    assert_eq!(found["snapshots"], serde_json::json!([whole]));
    // By its id one may look into it, and no more.
    let file = format!("{young}:{}", lab.tree("source/file"));
    assert_eq!(lab.run(&["cat", &file]).expect(0).out, "x");
    for refused in [&["export", &young, "out.zip", "--plain"][..], &["copy", &young]] {
        let to = lab.text("repository");
        let more: &[&str] = if refused[0] == "copy" { &["--to", &to] } else { &[] };
        let words = [refused, more].concat();
        let mut command = lab.command(&words);
        command.env("TINTYPE_TO_PASSWORD", PASSWORD);
        let ran = crate::support::Ran::of(&command.output().unwrap()).expect(1);
        assert!(ran.err.contains("part one of run 7"), "{}", ran.err);
    }
    let planned = lab.run(&["prune", "--keep-last", "1", "--dry-run"]).expect(0).out;
    assert!(planned.contains("1 kept, 0 dropped") && planned.contains(&old[..8]), "{planned}");
    assert!(!planned.contains(&young[..8]), "{planned}");
    lab.run(&["prune", "--keep-last", "1"]).expect(0);
    let left = lab.run(&["list", "--all"]).expect(0).out;
    assert!(left.contains(&young[..8]) && !left.contains(&old[..8]), "{left}");
    assert!(left.contains("3 snapshots"), "{left}");
}
