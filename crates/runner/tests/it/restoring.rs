//! What a restore does to what is there, and what it must never do.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use tintype_engine::cancel::Cancel;
use tintype_runner::restore::{Destination, Overwrite, Request};
use tintype_runner::snapshot::{Input, Labels, SnapshotOptions};
use tintype_source::files::WalkOptions;

use crate::support::{Lab, noise, patterns, tree_path};

fn set_age(path: &std::path::Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - seconds);
    file.set_modified(time).unwrap();
}

fn sample(lab: &Lab) {
    lab.write("keep", b"from the snapshot");
    lab.write("dir/one", b"one");
    lab.write("dir/two.txt", &noise(1, 400_000));
    lab.write("other/three.txt", b"three");
    set_age(&lab.source().join("keep"), 100);
    lab.take();
}

#[test]
fn existing_files_stay_unless_asked() {
    let lab = Lab::new();
    sample(&lab);
    fs::create_dir(lab.path("out")).unwrap();
    fs::write(lab.path("out/keep"), b"mine").unwrap();
    set_age(&lab.path("out/keep"), 200);
    let plan = lab.plan(&lab.request("out"));
    assert_eq!((plan.counts.keep, plan.counts.replace), (1, 0));
    lab.apply(&plan);
    assert_eq!(fs::read(lab.path("out/keep")).unwrap(), b"mine");
    let older = Request { overwrite: Overwrite::Older, ..lab.request("out") };
    set_age(&lab.path("out/keep"), 50);
    assert_eq!(lab.plan(&older).counts.replace, 0, "it is newer");
    set_age(&lab.path("out/keep"), 200);
    lab.apply(&lab.plan(&older));
    assert_eq!(fs::read(lab.path("out/keep")).unwrap(), b"from the snapshot");
    fs::write(lab.path("out/keep"), b"newer than all").unwrap();
    lab.apply(&lab.plan(&Request { overwrite: Overwrite::Always, ..lab.request("out") }));
    lab.assert_equal("out");
}

#[test]
fn a_second_restore_has_nothing_to_do() {
    let lab = Lab::new();
    sample(&lab);
    lab.restore("out");
    let plan = lab.plan(&lab.request("out"));
    assert_eq!((plan.counts.create, plan.counts.same, plan.counts.bytes), (0, 4, 0));
    fs::remove_file(lab.path("out/dir/one")).unwrap();
    assert_eq!(lab.plan(&lab.request("out")).counts.create, 1, "an interrupted one goes on");
}

#[test]
fn extra_files_go_only_when_asked_and_are_listed() {
    let lab = Lab::new();
    sample(&lab);
    lab.restore("out");
    fs::create_dir(lab.path("out/dir/deep")).unwrap();
    fs::write(lab.path("out/dir/deep/extra"), b"x").unwrap();
    fs::write(lab.path("out/extra"), b"x").unwrap();
    lab.restore("out");
    assert!(lab.path("out/extra").exists());
    let request = Request { delete_extra: true, ..lab.request("out") };
    let plan = lab.plan(&request);
    let names: Vec<_> = plan.extra.iter().map(|p| String::from_utf8_lossy(p)).collect();
    assert_eq!(names, ["extra", "dir/deep/extra", "dir/deep"]);
    let report = lab.apply(&plan);
    assert_eq!(report.deleted, 3);
    lab.assert_equal("out");
}

#[test]
fn a_selection_makes_only_what_leads_to_it() {
    let lab = Lab::new();
    sample(&lab);
    let request = Request { include: Some(patterns(&["*.txt"])), ..lab.request("out") };
    lab.apply(&lab.plan(&request));
    assert!(lab.path("out/dir/two.txt").exists() && lab.path("out/other/three.txt").exists());
    assert!(!lab.path("out/keep").exists() && !lab.path("out/dir/one").exists());
    let request = Request { exclude: patterns(&["dir"]), ..lab.request("out2") };
    lab.apply(&lab.plan(&request));
    assert!(lab.path("out2/keep").exists() && !lab.path("out2/dir").exists());
}

#[test]
fn in_place_brings_back_what_was_lost_and_keeps_the_rest() {
    let lab = Lab::new();
    sample(&lab);
    fs::remove_dir_all(lab.source().join("dir")).unwrap();
    fs::write(lab.source().join("mine"), b"not in the snapshot").unwrap();
    let request =
        Request { path: Vec::new(), destination: Destination::InPlace, ..lab.request("") };
    let report = lab.apply(&lab.plan(&request));
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(fs::read(lab.source().join("dir/one")).unwrap(), b"one");
    assert!(lab.source().join("mine").exists());
}

#[test]
fn captured_roots_go_below_the_target_by_name() {
    let lab = Lab::new();
    sample(&lab);
    let request = Request { path: Vec::new(), ..lab.request("out") };
    lab.apply(&lab.plan(&request));
    lab.assert_equal("out/source");
}

#[test]
fn no_symlink_leads_out_of_the_target() {
    let lab = Lab::new();
    sample(&lab);
    fs::create_dir_all(lab.path("elsewhere")).unwrap();
    fs::create_dir(lab.path("out")).unwrap();
    symlink(lab.path("elsewhere"), lab.path("out/dir")).unwrap();
    let plan = lab.plan(&Request { overwrite: Overwrite::Always, ..lab.request("out") });
    assert_eq!(plan.refused.len(), 1, "the symlink is in the way");
    let report = lab.apply(&plan);
    assert_eq!(fs::read_dir(lab.path("elsewhere")).unwrap().count(), 0);
    assert!(report.failed.iter().all(|(path, _)| path.starts_with(b"dir/")), "{:?}", report.failed);
    assert!(lab.path("out/other/three.txt").exists());
}

#[test]
fn something_of_another_kind_is_refused() {
    let lab = Lab::new();
    sample(&lab);
    fs::create_dir_all(lab.path("out/keep/inside")).unwrap();
    let plan = lab.plan(&Request { overwrite: Overwrite::Always, ..lab.request("out") });
    assert_eq!(plan.refused.len(), 1);
    assert_eq!(plan.refused[0].0, b"keep");
    lab.apply(&plan);
    assert!(lab.path("out/keep/inside").exists());
}

#[test]
fn further_names_of_symlinks_and_fifos_stay_further_names() {
    let lab = Lab::new();
    lab.write("dir/file", b"x");
    symlink("dir/file", lab.source().join("link")).unwrap();
    let (here, mode) = (rustix::fs::CWD, rustix::fs::Mode::from(0o640));
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(here, lab.source().join("fifo"), fifo, mode, 0).unwrap();
    for name in ["link", "fifo"] {
        fs::hard_link(lab.source().join(name), lab.source().join("dir").join(name)).unwrap();
    }
    lab.take();
    let report = lab.restore("out");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    for name in ["link", "fifo"] {
        let [first, other] = ["out", "out/dir"]
            .map(|dir| fs::symlink_metadata(lab.path(dir).join(name)).unwrap().ino());
        assert_eq!(first, other, "{name}");
    }
    lab.assert_equal("out");
}

/// The next restore finds the directories that lead to a root, and leaves them as they are.
#[test]
fn ways_that_an_interrupted_restore_made_are_as_they_were_captured() {
    let lab = Lab::new();
    lab.write("way/base/file", b"x");
    let way = lab.source().join("way");
    fs::set_permissions(&way, PermissionsExt::from_mode(0o751)).unwrap();
    let root = way.join("base");
    let options = SnapshotOptions {
        labels: Labels { roots: vec![tree_path(&root)], ..Labels::default() },
        parent: None,
        workers: 1,
        most_workers: 1,
        cancel: Cancel::default(),
        read_all: false,
    };
    let walk = Box::new(WalkOptions::default());
    lab.take_as(Input::Files { roots: vec![root.clone()], options: walk }, &options).unwrap();
    fs::remove_dir_all(&way).unwrap();
    let request =
        Request { path: Vec::new(), destination: Destination::InPlace, ..lab.request("") };
    let interrupted = Cancel::default();
    interrupted.cancel();
    lab.try_apply(&lab.plan(&request), interrupted).unwrap_err();
    let mode = || way.metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode(), 0o751);
    lab.apply(&lab.plan(&request));
    assert_eq!((mode(), fs::read(root.join("file")).unwrap()), (0o751, b"x".to_vec()));
}

/// What comes into it may have been where others could not go.
#[test]
fn a_target_that_is_made_is_private() {
    let lab = Lab::new();
    sample(&lab);
    lab.restore("new/out");
    let mode = |name: &str| lab.path(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("new/out"), 0o700);
    fs::set_permissions(lab.path("new/out"), PermissionsExt::from_mode(0o755)).unwrap();
    lab.restore("new/out");
    assert_eq!(mode("new/out"), 0o755, "it was there");
}

/// The plan was made for a target that was not there: another restore may have begun meanwhile.
#[test]
fn a_target_that_somebody_made_since_the_plan_is_a_conflict() {
    let lab = Lab::new();
    lab.write("file", b"x");
    lab.take();
    let plan = lab.plan(&lab.request("out"));
    fs::create_dir(lab.path("out")).unwrap();
    let ended = lab.try_apply(&plan, Cancel::default());
    assert!(ended.is_err_and(|error| error.is(tintype_model::ErrorKind::Locked)));
    assert_eq!(fs::read_dir(lab.path("out")).unwrap().count(), 0);
}
