//! A restore says what it leaves alone, and does not get into the way of another one.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{FlockOperation, flock};

use crate::bad_days::Mount;
use crate::support::{Lab, noise};

const LEFTOVER: &str = ".tintype-0123456789abcdef-0000000000000007";

fn lab() -> Lab {
    let lab = Lab::ready();
    lab.write("source/file", "old");
    lab.write("source/dir/inner", "inner");
    lab.snapshot(&[&lab.text("source")]);
    lab
}

/// The steps of an action: paths and reasons.
fn steps(ran: &crate::support::Ran, action: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let events = ran.events().into_iter();
    let found = events.filter(|event| event["event"] == "step" && event["action"] == action);
    found.map(|event| (text(&event["path"]), text(&event["why"]))).collect()
}

#[test]
fn what_is_kept_is_named_and_other_metadata_counted_apart() {
    let lab = lab();
    let to = lab.text("out");
    let again = ["restore", "latest", "--to", &to];
    lab.run(&again).expect(0);
    let same = lab.run(&[&again[..], &["--json"]].concat()).expect(0);
    assert_eq!(same.summary()["plan"]["same"], 2);
    assert!(steps(&same, "keep").is_empty() && steps(&same, "keep-metadata").is_empty());
    lab.write("out/source/file", "live");
    let inner = lab.path("out/source/dir/inner");
    std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o604)).unwrap();
    for more in [&["--json"][..], &["--json", "--dry-run"]] {
        let ran = lab.run(&[&again[..], more].concat()).expect(0);
        let plan = &ran.summary()["plan"];
        assert_eq!((&plan["keep"], &plan["keep_metadata"]), (&1.into(), &1.into()), "{plan}");
        assert_eq!(plan["same"], 0, "{plan}");
        assert_eq!(steps(&ran, "keep")[0].0, "source/file");
        let (path, why) = &steps(&ran, "keep-metadata")[0];
        assert!(path == "source/dir/inner" && why.contains("the content is the same"), "{why}");
    }
    let ran = lab.run(&again).expect(0);
    let kept = format!("kept: {}: ", lab.text("out/source/file"));
    assert!(
        ran.err.contains(&kept) && ran.err.contains("kept 1 entry that differs"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains(inner.to_str().unwrap()), "{}", ran.err);
    let older = lab.run(&[&again[..], &["--overwrite", "older"]].concat()).expect(0);
    assert!(older.err.contains("--overwrite always"), "{}", older.err);
    assert!(!older.err.contains("--overwrite older"), "it was given: {}", older.err);
    let mode = inner.metadata().unwrap().permissions().mode();
    assert_ne!(mode & 0o777, 0o604, "older sets metadata");
}

#[test]
fn of_many_kept_files_the_first_are_named() {
    let lab = Lab::ready();
    for number in 0..30 {
        lab.write(&format!("source/{number:02}"), "old");
    }
    lab.snapshot(&[&lab.text("source")]);
    for number in 0..30 {
        lab.write(&format!("source/{number:02}"), "live");
    }
    let ran = lab.run(&["restore", "latest", "--in-place"]).expect(0);
    assert_eq!(ran.err.matches("kept: ").count(), 20, "{}", ran.err);
    assert!(ran.err.contains("and 10 more"), "{}", ran.err);
    let ran = lab.run(&["restore", "latest", "--in-place", "--verbose"]).expect(0);
    assert_eq!(ran.err.matches("kept: ").count(), 30, "{}", ran.err);
}

#[test]
fn sockets_are_not_restored_and_that_is_said() {
    let lab = lab();
    let socket = UnixListener::bind(lab.path("source/socket")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let to = lab.text("out");
    let args = ["restore", "latest", "--to", &to];
    let plan = lab.run(&[&args[..], &["--dry-run"]].concat()).expect(0).out;
    let line = format!("skip     {}  (a socket", lab.text("out/source/socket"));
    assert!(plan.contains(&line) && plan.contains("of these 1 socket)"), "{plan}");
    let ran = lab.run(&args).expect(0);
    assert!(ran.err.contains("1 socket is not restored"), "{}", ran.err);
    let ran = lab.run(&[&args[..], &["--json"]].concat()).expect(0);
    assert_eq!(ran.summary()["plan"]["sockets"], 1);
    assert_eq!(steps(&ran, "skip")[0].0, "source/socket");
    // One that listens is there.
    let ran = lab.run(&["restore", "latest", "--in-place"]).expect(0);
    assert!(!ran.err.contains("socket"), "{}", ran.err);
    drop(socket);
}

#[test]
fn paths_are_those_on_this_host() {
    let lab = lab();
    lab.write("elsewhere/x", "x");
    std::fs::create_dir_all(lab.path("out/source")).unwrap();
    symlink(lab.path("elsewhere"), lab.path("out/source/dir")).unwrap();
    let to = lab.text("out");
    for more in [&[][..], &["--dry-run"]] {
        let ran = lab.run(&[&["restore", "latest", "--to", &to], more].concat()).expect(3);
        let shown = format!("refused: {}: something", lab.text("out/source/dir"));
        assert!(ran.err.contains(&shown), "{}", ran.err);
        assert!(!format!("{}{}", ran.out, ran.err).contains(" /source"), "{} {}", ran.out, ran.err);
    }
}

#[test]
fn leftovers_are_listed_before_they_go() {
    let lab = lab();
    let (here, below) = (format!("out/{LEFTOVER}"), format!("out/source/dir/{LEFTOVER}"));
    let elsewhere = format!("out/beside/{LEFTOVER}");
    [&here, &below, &elsewhere].iter().for_each(|name| lab.write(name, "half"));
    let to = lab.text("out");
    let args = ["restore", "latest", "--to", &to];
    let plan = lab.run(&[&args[..], &["--dry-run"]].concat()).expect(0).out;
    for name in [&here, &below] {
        assert!(plan.contains(&format!("leftover {}\n", lab.text(name))), "{plan}");
        assert!(lab.path(name).exists());
    }
    assert!(plan.contains("2 leftovers to remove") && !plan.contains("beside"), "{plan}");
    let ran = lab.run(&args).expect(0);
    assert_eq!(ran.err.matches("leftover of a killed restore").count(), 2, "{}", ran.err);
    assert!(!lab.path(&here).exists() && !lab.path(&below).exists());
    assert!(lab.path(&elsewhere).exists(), "nothing was restored there");
}

#[test]
fn a_second_restore_into_one_place_conflicts_before_anything_is_written() {
    let lab = lab();
    let locked = |name: &str| {
        let dir = std::fs::File::open(lab.path(name)).unwrap();
        flock(&dir, FlockOperation::NonBlockingLockExclusive).unwrap();
        dir
    };
    std::fs::create_dir_all(lab.path("out/deep")).unwrap();
    let out = lab.text("out");
    let deep = lab.text("out/deep");
    let first = locked("out");
    for to in [&out, &deep] {
        let ran = lab.run(&["restore", "latest", "--to", to]).expect(5);
        assert!(ran.err.contains("another restore works there"), "{}", ran.err);
        assert!(ran.err.contains(&format!("by process {}:", std::process::id())), "{}", ran.err);
        lab.run(&["restore", "latest", "--to", to, "--dry-run"]).expect(0);
    }
    assert!(!lab.path("out/source").exists() && !lab.path("out/deep/source").exists());
    lab.run(&["restore", "latest", "--to", &lab.text("beside")]).expect(0);
    drop(first);
    std::fs::remove_file(lab.path("source/file")).unwrap();
    let first = locked("source");
    lab.run(&["restore", "latest", "--in-place"]).expect(5);
    assert!(!lab.path("source/file").exists());
    drop(first);
    lab.run(&["restore", "latest", "--in-place"]).expect(0);
    lab.run(&["restore", "latest", "--to", &out]).expect(0);
}

#[test]
fn a_full_target_ends_the_restore_once() {
    let lab = Lab::ready();
    for number in 0..200 {
        lab.write(&format!("source/{number:03}"), noise(64 << 10, &number.to_string()));
    }
    lab.snapshot(&[&lab.text("source")]);
    let to = lab.text("out");
    {
        let Some(mount) = Mount::new(&lab.path("out"), "4m") else { return };
        let ran = lab.run(&["restore", "latest", "--to", &to]).expect(1);
        assert!(ran.err.contains("check warn   space: "), "{}", ran.err);
        assert_eq!(ran.err.matches("No space left").count(), 1, "{}", ran.err);
        assert!(ran.err.contains("goes on from there"), "{}", ran.err);
        let restored = std::fs::read_dir(lab.path("out/source")).unwrap().count();
        assert!((1..200).contains(&restored), "{restored}");
        mount.remount("size=64m");
        lab.run(&["restore", "latest", "--to", &to, "--verify"]).expect(0);
    }
}

#[test]
fn holes_need_no_room() {
    let lab = Lab::ready();
    lab.write("source/sparse", noise(1 << 20, "data"));
    let file = std::fs::File::options().write(true).open(lab.path("source/sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let Some(_mount) = Mount::new(&lab.path("out"), "8m") else { return };
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(!ran.err.contains("check warn   space"), "{}", ran.err);
    assert_eq!(lab.path("out/source/sparse").metadata().unwrap().len(), 1 << 30);
}
