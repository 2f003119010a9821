//! From `init` to a proven restore, once through.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use tintype_source::files::compare::{CompareOptions, compare};

use crate::support::{Lab, is_root, noise};

fn fill(lab: &Lab) {
    lab.write("source/readme", "hello\n");
    lab.write("source/empty", "");
    lab.write("source/large", noise(5 << 20, "large"));
    for number in 0..200 {
        lab.write(&format!("source/many/{number}"), format!("file {number}\n"));
    }
    symlink("readme", lab.path("source/link")).unwrap();
    std::fs::hard_link(lab.path("source/readme"), lab.path("source/second-name")).unwrap();
    std::fs::create_dir(lab.path("source/private")).unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(lab.path("source/private"), mode(0o1700)).unwrap();
    std::fs::set_permissions(lab.path("source/empty"), mode(0o4751)).unwrap();
}

#[test]
fn the_whole_life() {
    let lab = Lab::new();
    fill(&lab);
    let made = lab.run(&["init"]).expect(0);
    let words = made.out.lines().filter(|line| line.starts_with("    "));
    assert_eq!(words.flat_map(str::split_whitespace).count(), 12, "{}", made.out);

    let first = lab.snapshot(&[&lab.text("source"), "--tag", "first", "--note", "before"]);
    assert_eq!(first["complete"], true);
    assert!(first["stored_bytes"].as_u64() > Some(5 << 20), "{first}");
    assert!(first["requests"].as_u64() > Some(5), "{first}");
    assert!(first["bytes_written"].as_u64() > Some(5 << 20), "{first}");

    lab.write("source/readme", "hello again\n");
    lab.write("source/new", "new\n");
    std::fs::remove_file(lab.path("source/many/7")).unwrap();
    let second = lab.snapshot(&[&lab.text("source")]);
    assert_eq!(second["parent"], first["snapshot"]);
    assert!(second["stored_bytes"].as_u64() < Some(1 << 20), "{second}");
    assert!(second["bytes_written"].as_u64() < Some(1 << 20), "{second}");

    let listed = lab.run(&["list"]).expect(0).out;
    assert!(listed.contains("2 snapshots") && listed.contains("first"), "{listed}");
    let diff = lab.run(&["diff", "latest~1", "latest"]).expect(0).out;
    let root = lab.tree("source");
    for line in [format!("+ {root}/new"), format!("- {root}/many/7"), format!("M {root}/readme")] {
        assert!(diff.lines().any(|found| found == line), "{line}: {diff}");
    }

    let target = lab.text("restored");
    lab.run(&["restore", "latest", "--to", &target, "--verify"]).expect(0);
    let options = CompareOptions { ignore_owners: !is_root(), ..CompareOptions::default() };
    let restored = lab.path("restored/source");
    let compared = compare(&lab.path("source"), &restored, &options).unwrap();
    assert!(compared.differences.is_empty(), "{:?}", compared.differences);
    assert_eq!(compared.hard_links, 2);

    // The older one, one file of it, into a directory that exists already.
    let place = format!("latest~1:{root}/readme");
    lab.run(&["restore", &place, "--to", &target]).expect(0);
    assert_eq!(lab.read("restored/readme"), b"hello\n");
    assert_eq!(lab.run(&["cat", &place]).expect(0).out, "hello\n");
    lab.assert_whole();
}

#[test]
fn old_snapshots_go_and_their_bytes_with_them() {
    let lab = Lab::ready();
    lab.write("source/a", noise(3 << 20, "a"));
    lab.snapshot(&[&lab.text("source")]);
    std::fs::remove_file(lab.path("source/a")).unwrap();
    lab.write("source/b", noise(1 << 20, "b"));
    lab.snapshot(&[&lab.text("source")]);

    let plan = lab.run(&["prune", "--keep-last", "1", "--dry-run", "--json"]).expect(0);
    assert_eq!(plan.summary()["dropped"], 1);
    assert!(plan.summary()["freed_bytes"].as_u64() > Some(3 << 20), "{}", plan.out);
    assert_eq!(lab.ids().len(), 2, "a dry run changes nothing");
    let text = lab.run(&["prune", "--keep-last", "1", "--dry-run"]).expect(0).out;
    assert!(text.contains("last snapshot") && text.contains("no rule keeps it"), "{text}");

    lab.run(&["prune", "--keep-last", "1"]).expect(0);
    assert_eq!(lab.ids().len(), 1);
    let freed = lab.run(&["gc", "--json"]).expect(0).summary();
    assert!(freed["deleted_bytes"].as_u64() > Some(3 << 20), "{freed}");
    lab.assert_whole();
    lab.run(&["restore", "latest", "--to", &lab.text("restored")]).expect(0);
    assert_eq!(lab.read("restored/source/b"), noise(1 << 20, "b"));
}

#[test]
fn snapshots_are_copied_under_another_key() {
    let lab = Lab::ready();
    lab.write("source/a", noise(2 << 20, "a"));
    lab.snapshot(&[&lab.text("source"), "--tag", "keep"]);
    let other = lab.text("other");
    let mut init = lab.command(&["init", "--no-probe", "-r", &other]);
    let init = init.env("TINTYPE_PASSWORD", "another passphrase");
    assert!(init.output().unwrap().status.success());
    let copy = || {
        let mut copy = lab.command(&["copy", "--all", "--to", &other, "--json"]);
        copy.env("TINTYPE_TO_PASSWORD", "another passphrase");
        crate::support::Ran::of(&copy.output().unwrap()).expect(0).summary()
    };
    assert_eq!(copy()["copied"].as_array().map(Vec::len), Some(1));
    let again = copy();
    assert_eq!(again["skipped"].as_array().map(Vec::len), Some(1), "{again}");
    let mut restore = lab.command(&["restore", "latest", "-r", &other, "--to", &lab.text("out")]);
    let restore = restore.env("TINTYPE_PASSWORD", "another passphrase");
    assert!(restore.output().unwrap().status.success());
    assert_eq!(lab.read("out/source/a"), noise(2 << 20, "a"));
}
