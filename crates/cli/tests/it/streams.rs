//! Standard input, commands, images.

use std::io::Write as _;

use crate::support::{Lab, Ran, noise};

#[test]
fn standard_input_is_kept_under_its_name() {
    let lab = Lab::ready();
    let bytes = noise(1 << 20, "stream");
    let mut child = lab.start(&["snapshot", "--stdin", "dump/shop.sql"]);
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    Ran::of(&child.wait_with_output().unwrap()).expect(0);
    let cat = lab.command(&["cat", "latest:/files/dump/shop.sql"]).output().unwrap();
    assert!(cat.stdout == bytes);
    lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/shop.sql") == bytes);
}

#[test]
fn a_command_that_fails_makes_no_snapshot() {
    let lab = Lab::ready();
    let kept = ["snapshot", "--from-command", "n", "--", "sh", "-c", "echo kept; echo seen >&2"];
    let ran = lab.run(&kept).expect(0);
    assert!(ran.err.contains("seen"), "its errors pass through: {}", ran.err);
    assert_eq!(lab.run(&["cat", "latest:/files/n"]).expect(0).out, "kept\n");

    let failing = ["snapshot", "--from-command", "n", "--", "sh", "-c", "echo half; exit 3"];
    let failed = lab.run(&failing).expect(1);
    assert!(failed.err.contains("exit status: 3"), "{}", failed.err);
    lab.run(&["snapshot", "--from-command", "n", "--", "no-such-program-here"]).expect(1);
    lab.run(&["snapshot", "--from-command", "../n", "--", "true"]).expect(2);
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn an_image_comes_back_with_its_holes() {
    use std::os::unix::fs::FileExt as _;
    let lab = Lab::ready();
    lab.write("disk.img", "");
    let disk = std::fs::OpenOptions::new().write(true).open(lab.path("disk.img")).unwrap();
    disk.set_len(64 << 20).unwrap();
    disk.write_all_at(&noise(1 << 20, "disk"), 10 << 20).unwrap();
    let summary = lab.snapshot(&["--block", &lab.text("disk.img")]);
    assert_eq!(summary["bytes"], 64 << 20);
    assert!(summary["stored_bytes"].as_u64() < Some(3 << 20), "{summary}");
    lab.run(&["restore", "latest", "--to", &lab.text("out"), "--verify"]).expect(0);
    assert!(lab.read("out/disk.img") == lab.read("disk.img"));
}

#[test]
fn a_command_does_not_get_our_secrets() {
    let lab = Lab::ready();
    lab.run(&["snapshot", "--from-command", "env", "--", "env"]).expect(0);
    let seen = lab.run(&["cat", "latest:/files/env"]).expect(0).out;
    assert!(seen.contains("PATH=") && !seen.contains("TINTYPE_PASSWORD"), "{seen}");
}
