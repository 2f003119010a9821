//! What whoever takes and restores resources stumbles over: disks that are not mounted, commands that
//! are not there, plans that are blocked.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Lab, Ran};

/// A volume `files` of three entries and a database `db` of three rows.
fn lab() -> Lab {
    let lab = Lab::ready();
    lab.write("files/a", "first");
    lab.write("files/b/c", "second");
    sql(&lab, "db", "create table t(x); insert into t values (1), (2), (3)");
    describe(&lab, &json!({}), &json!([]));
    lab
}

fn describe(lab: &Lab, at: &Value, more: &Value) {
    let mut files = json!({ "path": lab.path("files") });
    let own = at.as_object().unwrap().clone();
    files.as_object_mut().unwrap().extend(own);
    let mut resources = vec![
        json!({ "kind": "volume", "name": "files", "connector": "files", "at": files }),
        json!({ "kind": "database", "name": "db", "connector": "sqlite",
                "at": { "path": lab.path("db") } }),
    ];
    resources.extend(more.as_array().unwrap().iter().cloned());
    lab.write("resources.yaml", json!({ "version": 1, "resources": resources }).to_string());
}

fn sql(lab: &Lab, name: &str, text: &str) {
    rusqlite::Connection::open(lab.path(name)).unwrap().execute_batch(text).unwrap();
}

fn rows(lab: &Lab, name: &str) -> i64 {
    let database = rusqlite::Connection::open(lab.path(name)).unwrap();
    database.query_row("select count(*) from t", [], |row| row.get(0)).unwrap()
}

fn take(lab: &Lab, more: &[&str]) -> Ran {
    lab.run(&[&["snapshot", "--resources", &lab.text("resources.yaml")], more].concat())
}

fn restore(lab: &Lab, more: &[&str]) -> Ran {
    lab.run(&[&["restore", "latest", "--resources"], more].concat())
}

/// The disk of a volume was not mounted.
#[test]
fn a_volume_that_is_empty_all_at_once_is_not_captured() {
    let lab = lab();
    take(&lab, &[]).expect(0);
    let id = lab.ids().remove(0);
    fs::rename(lab.path("files"), lab.path("unmounted")).unwrap();
    fs::create_dir(lab.path("files")).unwrap();
    // However often it is tried.
    for _ in 0..2 {
        let ran = take(&lab, &["files"]).expect(3);
        let told = format!("is empty, and snapshot {} of it holds 3 entries: is its", &id[..8]);
        assert!(ran.out.contains(&told) && ran.out.contains("may_be_empty: true"), "{}", ran.out);
        assert!(
            ran.err.contains("it holds nothing, and is not what `latest` means"),
            "{}",
            ran.err
        );
    }
    // All that held nothing is no latest; what holds a part of it is.
    restore(&lab, &["--to", &lab.text("whole")]).expect(0);
    assert_eq!(lab.read("whole/files/b/c"), b"second");
    take(&lab, &[]).expect(3);
    let newer = restore(&lab, &["--to", &lab.text("part"), "files"]).expect(0);
    assert!(newer.err.contains(&format!("does not hold files: {}", &id[..8])), "{}", newer.err);
    assert_eq!(lab.read("part/files/a"), b"first");
    restore(&lab, &["--to", &lab.text("newest")]).expect(3);
    // It may be brought back, although there is nothing to go into the undo point.
    restore(&lab, &["--in-place", "--yes", "files"]).expect(0);
    assert_eq!(lab.read("files/b/c"), b"second");
    fs::remove_dir_all(lab.path("files")).unwrap();
    fs::create_dir(lab.path("files")).unwrap();
    describe(&lab, &json!({ "may_be_empty": true }), &json!([]));
    take(&lab, &[]).expect(0);
    describe(&lab, &json!({}), &json!([]));
    take(&lab, &[]).expect(0);
}

#[test]
fn commands_that_are_not_there_are_told_without_a_snapshot() {
    let lab = lab();
    lab.write("script", "#!/bin/sh\n");
    let hook = |phase: &str, command: &str, on_error: &str| json!({ "phase": phase, "command": [command], "on_error": on_error });
    let app = json!({ "kind": "application", "name": "app",
        "components": [{ "resource": "files" }], "version": { "command": ["no-such-program"] },
        "hooks": [hook("pre-quiesce", &lab.text("nowhere"), "fail"),
                  hook("post-run", &lab.text("script"), "continue"),
                  hook("post-run", "true", "fail"),
                  hook("post-restore", "no-such-hook", "fail")] });
    describe(&lab, &json!({}), &json!([app]));
    let ran = take(&lab, &["--dry-run"]).expect(3);
    for told in [
        format!("app: pre-quiesce: would fail: there is no {} on this host", lab.text("nowhere")),
        format!("app: post-run: would not run: {} cannot be executed", lab.text("script")),
        "app: version: would not run: there is no no-such-program in PATH".to_owned(),
        "app: post-restore: would not run: there is no no-such-hook in PATH".to_owned(),
    ] {
        assert!(ran.err.contains(&told), "{told}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("post-run").count(), 1, "{}", ran.err);
    let last = ran.out.lines().last().unwrap();
    assert!(last.contains("would be incomplete: 1 resource captured, 1 failed"), "{last}");
    let fine = take(&lab, &["--dry-run", "db"]).expect(0);
    let last = fine.out.lines().last().unwrap();
    assert_eq!(last, "no snapshot was taken; without --dry-run it would hold 1 resource");
    assert!(lab.ids().is_empty());
}

/// Promise 3: a restore says what it takes away, and it can be brought back.
#[test]
fn files_that_are_newer_are_told_before_they_are_replaced() {
    let lab = lab();
    take(&lab, &[]).expect(0);
    let unchanged = restore(&lab, &["--in-place", "--dry-run"]).expect(0);
    assert!(!unchanged.out.contains("newer"), "{}", unchanged.out);
    let last = unchanged.out.lines().last().unwrap();
    assert!(last.starts_with("nothing was changed; without --dry-run this restores"), "{last}");
    assert!(last.contains("files") && last.contains("db"), "{last}");
    lab.write("files/b/c", "changed");
    lab.write("files/later", "of today");
    // With the time of before, as `cp -p` makes it.
    let old = fs::metadata(lab.path("files/a")).unwrap().modified().unwrap();
    fs::File::options()
        .append(true)
        .open(lab.path("files/later"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    let plan = restore(&lab, &["--in-place", "--dry-run", "files"]).expect(0);
    let told = "newer: 2 files are newer than the snapshot and replaced with all else: b/c, later";
    assert!(plan.out.contains(told), "{}", plan.out);
    // Quiet, and all that must be known is said.
    let done = restore(&lab, &["--in-place", "--yes", "--quiet", "files"]).expect(0);
    assert!(!lab.path("files/later").exists());
    let point = lab.undo_point();
    assert!(done.out.contains(&format!("undo point: snapshot {}", &point[..8])), "{}", done.out);
    assert_eq!(done.out.lines().last(), Some("restored files"));
    lab.run(&["restore", &point, "--resources", "--in-place", "--yes", "files"]).expect(0);
    assert_eq!(lab.read("files/later"), b"of today");
    // What was restored before is none that is newer, though it was written later.
    let again =
        lab.run(&["restore", &point, "--resources", "--in-place", "--dry-run", "files"]).expect(0);
    assert!(!again.out.contains("newer"), "{}", again.out);
}

#[test]
fn what_lies_elsewhere_now_is_restored_over_itself() {
    let lab = lab();
    take(&lab, &[]).expect(0);
    fs::rename(lab.path("db"), lab.path("moved")).unwrap();
    sql(&lab, "moved", "delete from t");
    let now = format!("db.path={}", lab.text("moved"));
    for (set, more, told) in [
        ("db.pth=/x", &["--in-place", "db"][..], "did you mean `path`?"),
        ("db.password=x", &["--in-place", "db"], "is a secret"),
        ("dbs.path=/x", &["--in-place", "db"], "of a NAME that --as-new names"),
        (&now, &["--to", "plain", "db"], "cannot be used with"),
        (&now, &["--undo"], "--set is for --in-place and --as-new"),
    ] {
        let refused = restore(&lab, &[more, &["--set", set]].concat()).expect(2);
        assert!(refused.err.contains(told), "{set}: {}", refused.err);
    }
    restore(&lab, &["--in-place", "--yes", "db", "--set", &now]).expect(0);
    assert_eq!(rows(&lab, "moved"), 3);
    assert!(!lab.path("db").exists());
}

#[test]
fn hints_say_what_there_is() {
    let lab = lab();
    take(&lab, &[]).expect(0);
    let files = lab.run(&["restore", "latest", "--in-place", "--yes"]).expect(1);
    assert!(files.err.contains("with --resources --in-place"), "{}", files.err);
    let never = restore(&lab, &["--undo"]).expect(1);
    assert!(never.err.contains("there is nothing to take back"), "{}", never.err);
    restore(&lab, &["--in-place", "--yes", "db"]).expect(0);
    let ended = restore(&lab, &["--undo"]).expect(1);
    let point = lab.undo_point();
    let command = format!("`tintype repo restore {} --resources --in-place db`", &point[..8]);
    assert!(ended.err.contains("has ended") && ended.err.contains(&command), "{}", ended.err);
}

/// Where the snapshot kept it, also if that was named from where somebody stood.
#[test]
fn what_a_killed_run_left_in_its_scratch_is_cleaned() {
    let lab = lab();
    take(&lab, &["--scratch", "scratch"]).expect(0);
    let names = fs::read_dir(lab.path("runs")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of: Vec<String> = names.filter_map(|n| Some(n.strip_prefix("of-")?.to_owned())).collect();
    let left = lab.path(&format!("scratch/tintype-{}00000001", of[0]));
    fs::create_dir(&left).unwrap();
    let clean = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
        lab.prepare(command.args(["discover", "--clean", "--scratch", "scratch"]));
        Ran::of(&command.output().unwrap()).expect(0)
    };
    let said = clean();
    assert!(
        said.out.contains(&format!("removed: scratch directory {}", left.display())),
        "{}",
        said.out
    );
    assert!(!left.exists());
    assert!(clean().out.contains("nothing was found to remove"));
}
