//! What a restore does to what is there already.

use crate::bad_days::{as_nobody, give, in_the_hands_of_nobody};
use crate::support::{Lab, Ran, damage, noise, objects};

fn lab() -> Lab {
    let lab = Lab::ready();
    lab.write("source/file", "old");
    lab.write("source/dir/inner", "inner");
    lab.snapshot(&[&lab.text("source")]);
    lab
}

#[test]
fn what_exists_stays_unless_told_otherwise() {
    let lab = lab();
    lab.write("source/file", "live");
    lab.write("source/extra/deep", "extra");
    let kept = lab.run(&["restore", "latest", "--in-place"]).expect(0);
    assert!(kept.err.contains("--overwrite"), "{}", kept.err);
    assert_eq!(lab.read("source/file"), b"live");
    lab.run(&["restore", "latest", "--in-place", "--overwrite", "older"]).expect(0);
    assert_eq!(lab.read("source/file"), b"live", "the live file is newer");
    lab.run(&["restore", "latest", "--in-place", "--overwrite", "always"]).expect(0);
    assert_eq!(lab.read("source/file"), b"old");
    assert_eq!(lab.read("source/extra/deep"), b"extra");
}

#[test]
fn nothing_is_deleted_unlisted_and_unagreed() {
    let lab = lab();
    lab.write("source/extra/deep", "extra");
    lab.write("outside", "untouched");
    let args = ["restore", "latest", "--in-place", "--delete-extra"];
    let plan = lab.run(&[&args[..], &["--dry-run"]].concat()).expect(0).out;
    let below = lab.text("source/extra");
    assert!(plan.contains(&format!("delete   {below}/deep\n")), "{plan}");
    assert!(!plan.contains("outside"), "{plan}");
    lab.run(&args).expect(2);
    assert_eq!(lab.read("source/extra/deep"), b"extra");
    lab.run(&[&args[..], &["--yes"]].concat()).expect(0);
    assert!(!lab.path("source/extra").exists());
    assert_eq!(lab.read("outside"), b"untouched");
}

#[test]
fn directories_that_only_lead_to_what_was_captured_lose_nothing() {
    let lab = lab();
    let target = lab.text("target");
    lab.write("target/precious", "x");
    let top = format!("latest:{}", lab.tree("").trim_end_matches('/'));
    lab.run(&["restore", &top, "--to", &target, "--delete-extra", "--yes"]).expect(0);
    assert_eq!(lab.read("target/precious"), b"x");
    assert_eq!(lab.read("target/source/file"), b"old");
}

#[test]
fn an_obstacle_is_refused_and_the_rest_restored() {
    let lab = lab();
    lab.write("out/source/file/in-the-way", "x");
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(3);
    assert!(ran.err.contains("a directory is in the way"), "{}", ran.err);
    assert_eq!(lab.read("out/source/dir/inner"), b"inner");
    assert_eq!(lab.read("out/source/file/in-the-way"), b"x");
}

#[test]
fn a_selection_brings_back_only_that() {
    let lab = lab();
    let out = lab.text("out");
    lab.run(&["restore", "latest", "--to", &out, "--include", "inner"]).expect(0);
    assert_eq!(lab.read("out/source/dir/inner"), b"inner");
    assert!(!lab.path("out/source/file").exists());
    let other = lab.text("other");
    lab.run(&["restore", "latest", "--to", &other, "--exclude", "dir/"]).expect(0);
    assert!(lab.path("other/source/file").exists() && !lab.path("other/source/dir").exists());
    lab.run(&["restore", "latest"]).expect(2);
    lab.run(&["restore", "latest:/files/nowhere", "--to", &out]).expect(1);
}

#[test]
fn damage_is_named_and_the_rest_restored() {
    let lab = Lab::ready();
    lab.write("source/good", noise(600 << 10, "good"));
    lab.snapshot(&[&lab.text("source")]);
    let before = objects(&lab, "data");
    lab.write("source/bad", noise(600 << 10, "bad"));
    lab.snapshot(&[&lab.text("source")]);
    let new: Vec<_> = objects(&lab, "data").into_iter().filter(|o| !before.contains(o)).collect();
    assert_eq!(new.len(), 1);
    damage(&new[0]);
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(4);
    assert!(ran.err.contains("source/bad"), "{}", ran.err);
    assert!(lab.read("out/source/good") == noise(600 << 10, "good"));
    assert!(!lab.path("out/source/bad").exists(), "damage is never returned as data");
    let verified = lab.run(&["verify", "--all"]).expect(4).out;
    assert!(verified.contains(&lab.tree("source/bad")), "{verified}");
    assert!(!verified.contains(&lab.tree("source/good")), "{verified}");
    lab.run(&["cat", &format!("latest:{}", lab.tree("source/bad"))]).expect(4);
}

/// Directories get their modes when all below them is there, also those that only hold a name
/// of a file that has several.
#[test]
fn directories_that_their_owner_cannot_write_come_back() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::ready();
    lab.write("source/a/closed/first", "linked");
    lab.write("source/b/closed/deep/file", noise(700_000, "deep"));
    std::fs::create_dir(lab.path("source/c")).unwrap();
    let first = lab.path("source/a/closed/first");
    std::fs::hard_link(first, lab.path("source/c/second")).unwrap();
    let mode = |name: &str| lab.path(name).metadata().unwrap().permissions().mode() & 0o7777;
    let closed = ["source/a/closed", "source/b/closed/deep", "source/b/closed", "source/c"];
    for name in closed {
        std::fs::set_permissions(lab.path(name), PermissionsExt::from_mode(0o500)).unwrap();
    }
    as_nobody(&lab, &["snapshot", &lab.text("source")]).expect(0);
    as_nobody(&lab, &["restore", "latest", "--to", &lab.text("out"), "--verify"]).expect(0);
    for name in closed {
        assert_eq!(mode(&format!("out/{name}")), 0o500, "{name}");
    }
    assert_eq!(lab.read("out/source/c/second"), b"linked");
}

/// What the snapshot does not seem to hold may stand on a page that cannot be read.
#[test]
fn nothing_is_deleted_beside_damaged_pages() {
    let lab = Lab::ready();
    for number in 0..3000 {
        lab.write(&format!("source/{:02}/file-{number:04}", number / 100), number.to_string());
    }
    lab.snapshot(&[&lab.text("source")]);
    lab.write("source/extra", "extra");
    let pages = objects(&lab, "meta");
    assert_eq!(pages.len(), 1);
    damage(&pages[0]);
    let args = ["restore", "latest", "--in-place", "--delete-extra", "--yes"];
    let dry = lab.run(&[&args[..], &["--dry-run"]].concat()).expect(4);
    assert!(dry.err.contains("nobody knows what it holds"), "{}", dry.err);
    let ran = lab.run(&args).expect(4);
    assert!(ran.err.contains("this part of the snapshot is damaged"), "{}", ran.err);
    assert_eq!(lab.read("source/extra"), b"extra");
    assert_eq!(lab.read("source/29/file-2999"), b"2999");
}

/// Also without root one's own files are one's own, and so are their set-id bits.
#[test]
fn set_id_bits_of_own_files_come_back_without_root() {
    use std::os::unix::fs::PermissionsExt;
    let lab = lab();
    give(&lab, "65534:65534");
    std::fs::set_permissions(lab.path("source/file"), PermissionsExt::from_mode(0o6755)).unwrap();
    in_the_hands_of_nobody(&lab, &["snapshot", &lab.text("source")]).expect(0);
    let mode = |name: &str| lab.path(name).metadata().unwrap().permissions().mode() & 0o7777;
    for (out, option, expected) in [
        ("out", None, 0o6755),
        ("named", Some("--owners-by-name"), 0o6755),
        ("kept", Some("--no-owner"), 0o755),
    ] {
        let to = lab.text(out);
        let args: Vec<&str> =
            ["restore", "latest", "--to", &to].into_iter().chain(option).collect();
        let ran = in_the_hands_of_nobody(&lab, &args).expect(0);
        assert_eq!(mode(&format!("{out}/source/file")), expected, "{out}: {}", ran.err);
    }
}

/// Files that wait for a slow store are not open.
#[test]
fn more_files_than_may_be_open_come_back() {
    let lab = Lab::ready();
    for number in 0..120 {
        lab.write(&format!("source/{number}"), noise(272 << 10, &number.to_string()));
    }
    lab.snapshot(&[&lab.text("source")]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" repo \"$@\"", env!("CARGO_BIN_EXE_tintype")]);
    command.args(["restore", "latest", "--to", &lab.text("out"), "--limit-download", "16MiB"]);
    lab.prepare(&mut command);
    Ran::of(&command.output().unwrap()).expect(0);
    assert!(lab.read("out/source/119") == noise(272 << 10, "119"));
}
