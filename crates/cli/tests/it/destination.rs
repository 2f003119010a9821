//! A restore never makes worse what stands at its destination, and says what it did not bring.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;

use crate::bad_days::{Mount, as_nobody};
use crate::support::{Lab, damage, is_root, noise, objects};

fn lab() -> Lab {
    let lab = Lab::ready();
    lab.write("source/file", "old");
    lab.write("source/dir/inner", "inner");
    lab.write("source/dir/deep/inmost", "inmost");
    lab
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

const ALWAYS: [&str; 5] = ["restore", "latest", "--in-place", "--overwrite", "always"];

#[test]
fn the_repository_that_is_read_is_never_deleted() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    lab.write("extra", "x");
    let here = format!("latest:{}", lab.tree("source"));
    let to = lab.text("");
    let ran = lab.run(&["restore", &here, "--to", &to, "--delete-extra", "--yes"]).expect(0);
    assert!(ran.err.contains("belongs to the repository"), "{}", ran.err);
    assert!(!lab.path("extra").exists() && lab.path("file").exists());
    lab.assert_whole();
    let ids = lab.ids();
    assert_eq!(ids.len(), 1);
    for inside in ["repository", "repository/new"] {
        lab.run(&["restore", &ids[0], "--to", &lab.text(inside)]).expect(2);
    }
    assert!(!lab.path("repository/new").exists());
}

#[test]
fn the_repository_inside_of_what_was_captured_is_not_written_to() {
    let lab = lab();
    lab.snapshot(&[&lab.text("")]);
    let config = lab.read("repository/config");
    std::fs::remove_file(lab.path("source/file")).unwrap();
    lab.write("extra", "x");
    let ran = lab.run(&[&ALWAYS[..], &["--delete-extra", "--yes"]].concat()).expect(0);
    assert!(ran.err.contains("belongs to the repository"), "{}", ran.err);
    assert!(!lab.path("extra").exists(), "what else is extra goes");
    assert!(lab.read("repository/config") == config && lab.path("source/file").exists());
    lab.assert_whole();
}

/// Also not below a directory that only leads to what is selected.
#[test]
fn a_directory_that_is_the_repository_now_is_not_written_to() {
    let lab = lab();
    lab.write("source/later/wanted", "x");
    lab.snapshot(&[&lab.text("source")]);
    std::fs::remove_dir_all(lab.path("source/later")).unwrap();
    std::fs::rename(lab.path("repository"), lab.path("source/later")).unwrap();
    let repository = lab.text("source/later");
    let args = ["restore", "latest", "--in-place", "--include", "wanted", "-r", &repository];
    let ran = lab.run(&args).expect(3);
    assert!(ran.err.contains("belongs to the repository"), "{}", ran.err);
    assert!(!lab.path("source/later/wanted").exists());
}

#[test]
fn no_way_is_made_to_a_root_of_which_nothing_is_selected() {
    let lab = lab();
    lab.write("opt/deep/other/file", "x");
    lab.snapshot(&[&lab.text("source"), &lab.text("opt/deep/other")]);
    std::fs::remove_dir_all(lab.path("opt")).unwrap();
    std::fs::remove_file(lab.path("source/file")).unwrap();
    let all = lab.text("source/*");
    lab.run(&["restore", "latest", "--in-place", "--include", &all]).expect(0);
    assert!(lab.path("source/file").exists() && !lab.path("opt").exists());
    lab.run(&["restore", "latest", "--in-place"]).expect(0);
    assert!(lab.path("opt/deep/other/file").exists());
}

#[test]
fn nothing_is_deleted_unless_all_came_back() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    let before = objects(&lab, "data");
    lab.write("source/bad", noise(600 << 10, "bad"));
    lab.snapshot(&[&lab.text("source")]);
    let new: Vec<_> = objects(&lab, "data").into_iter().filter(|o| !before.contains(o)).collect();
    damage(&new[0]);
    std::fs::remove_file(lab.path("source/bad")).unwrap();
    lab.write("source/extra", "the only copy");
    let args = ["restore", "latest", "--in-place", "--delete-extra", "--yes"];
    let ran = lab.run(&args).expect(4);
    assert!(ran.err.contains("nothing was deleted"), "{}", ran.err);
    assert_eq!(lab.read("source/extra"), b"the only copy");
}

#[test]
fn only_what_the_selection_covers_is_deleted() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    let modified = || lab.path("source/dir").metadata().unwrap().modified().unwrap();
    let captured = modified();
    let args = ["restore", "latest", "--in-place", "--delete-extra", "--yes"];
    let write = || {
        lab.write("source/new/keep.log", "x");
        lab.write("source/new/go.tmp", "x");
        lab.write("source/dir/go.tmp", "x");
    };
    write();
    assert_ne!(modified(), captured);
    lab.run(&[&args[..], &["--exclude", "*.log"]].concat()).expect(0);
    assert!(lab.path("source/new/keep.log").exists() && !lab.path("source/new/go.tmp").exists());
    assert!(!lab.path("source/dir/go.tmp").exists());
    assert_eq!(modified(), captured, "a directory gets its time when all is deleted in it");
    write();
    let dir = lab.text("source/dir");
    lab.run(&[&args[..], &["--include", &dir]].concat()).expect(0);
    assert!(lab.path("source/new/go.tmp").exists() && !lab.path("source/dir/go.tmp").exists());
}

#[test]
fn always_repairs_whatever_differs() {
    let lab = lab();
    lab.write("source/linked", "linked");
    std::fs::hard_link(lab.path("source/linked"), lab.path("source/other")).unwrap();
    symlink("file", lab.path("source/link")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let modified = |name: &str| lab.path(name).metadata().unwrap().modified().unwrap();
    let set_time = |name: &str, time| {
        let file = std::fs::File::options().write(true).open(lab.path(name)).unwrap();
        file.set_modified(time).unwrap();
    };
    let (file_time, other_time) = (modified("source/file"), modified("source/other"));
    let before = mode(&lab.path("source/file"));
    set_mode(&lab.path("source/file"), 0o777);
    lab.write("source/dir/inner", "INNER");
    std::fs::copy(lab.path("source/linked"), lab.path("copy")).unwrap();
    std::fs::rename(lab.path("copy"), lab.path("source/other")).unwrap();
    set_time("source/other", other_time);
    lab.run(&["restore", "latest", "--in-place"]).expect(0);
    assert_eq!(mode(&lab.path("source/file")), 0o777, "it stays unless told otherwise");
    let plan = lab.run(&[&ALWAYS[..], &["--dry-run"]].concat()).expect(0).out;
    assert!(plan.contains("metadata "), "{plan}");
    lab.run(&ALWAYS).expect(0);
    assert_eq!(mode(&lab.path("source/file")), before);
    assert_eq!(lab.read("source/dir/inner"), b"inner");
    let inode = |name: &str| lab.path(name).metadata().unwrap().ino();
    assert_eq!(inode("source/linked"), inode("source/other"));
    // The same size and time, and another content.
    lab.write("source/file", "OLD");
    set_time("source/file", file_time);
    lab.run(&ALWAYS).expect(0);
    assert_eq!(lab.read("source/file"), b"old");
    let again = lab.run(&[&ALWAYS[..], &["--json"]].concat()).expect(0).summary();
    assert_eq!(again["plan"]["metadata"], 0, "{again}");
    assert_eq!(again["plan"]["replace"], 0, "{again}");
}

#[test]
fn a_bad_path_does_not_end_the_restore() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    std::fs::create_dir_all(lab.path("out/source")).unwrap();
    std::fs::create_dir(lab.path("elsewhere")).unwrap();
    symlink(lab.path("elsewhere"), lab.path("out/source/dir")).unwrap();
    let to = lab.text("out");
    for more in [&["--include", "inner", "--include", "file"][..], &["--delete-extra", "--yes"]] {
        let args = ["restore", "latest", "--to", &to, "--overwrite", "always"];
        let ran = lab.run(&[&args[..], more].concat()).expect(3);
        assert!(ran.err.contains("is in the way"), "{}", ran.err);
        assert!(ran.err.contains("elsewhere with --to"), "{}", ran.err);
        assert_eq!(lab.read("out/source/file"), b"old");
        std::fs::remove_file(lab.path("out/source/file")).unwrap();
    }
    assert_eq!(std::fs::read_dir(lab.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn whoever_may_write_there_restores_in_place() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    std::fs::remove_file(lab.path("source/file")).unwrap();
    let args = ["restore", "latest", "--in-place"];
    if is_root() {
        let ran = as_nobody(&lab, &args).expect(3);
        assert!(ran.err.contains("owner of"), "{}", ran.err);
        assert_eq!(lab.read("source/file"), b"old");
        std::fs::remove_file(lab.path("source/file")).unwrap();
    }
    as_nobody(&lab, &[&args[..], &["--no-owner"]].concat()).expect(0);
    assert_eq!(lab.read("source/file"), b"old");
}

#[test]
fn what_the_snapshot_does_not_hold_is_named_and_not_green() {
    let lab = lab();
    lab.write("source/secret", "secret");
    set_mode(&lab.path("source/secret"), 0);
    as_nobody(&lab, &["snapshot", &lab.text("source")]).expect(3);
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(3);
    let missing = format!("missing: {}: ", lab.text("out/source/secret"));
    assert!(ran.err.contains(&missing), "{}", ran.err);
    assert_eq!(lab.read("out/source/file"), b"old");
    assert!(!lab.path("out/source/secret").exists());
}

#[test]
fn nothing_restored_is_not_a_success() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    for path in [lab.tree("source/nowhere"), lab.text("source")] {
        let ran = lab.run(&["restore", &format!("latest:{path}"), "--in-place"]).expect(1);
        assert!(ran.err.contains("holds no"), "{}", ran.err);
    }
    let out = lab.text("out");
    let args = ["restore", "latest", "--to", &out, "--include", "nothing-*"];
    let ran = lab.run(&args).expect(1);
    assert!(ran.err.contains("nothing-*"), "{}", ran.err);
    let ran = lab.run(&["restore", "latest", "--to", &out, "--exclude", "*"]).expect(1);
    assert!(ran.err.contains("nothing is left"), "{}", ran.err);
    assert!(!lab.path("out").exists());
}

#[test]
fn directories_that_only_lead_there_keep_their_metadata() {
    let lab = lab();
    set_mode(&lab.path("source/dir"), 0o750);
    lab.snapshot(&[&lab.text("source")]);
    set_mode(&lab.path("source/dir"), 0o711);
    std::fs::remove_file(lab.path("source/dir/inner")).unwrap();
    lab.run(&["restore", "latest", "--in-place", "--include", "inner"]).expect(0);
    assert_eq!(lab.read("source/dir/inner"), b"inner");
    assert_eq!(mode(&lab.path("source/dir")), 0o711);
    // Those that are missing come as the snapshot knows them.
    std::fs::remove_dir_all(lab.path("source/dir")).unwrap();
    let one = format!("latest:{}", lab.tree("source/dir/deep/inmost"));
    lab.run(&["restore", &one, "--in-place"]).expect(0);
    assert_eq!(lab.read("source/dir/deep/inmost"), b"inmost");
    assert_eq!(mode(&lab.path("source/dir")), 0o750);
}

#[test]
fn an_older_snapshot_does_not_take_the_place_of_the_latest() {
    let lab = lab();
    lab.snapshot(&[&lab.text("source")]);
    lab.write("source/file", "new");
    lab.snapshot(&[&lab.text("source")]);
    let ids = lab.ids();
    damage(&lab.path(&format!("repository/fate/{}", ids[1])));
    std::fs::remove_dir_all(lab.path("cache")).unwrap();
    let out = lab.text("out");
    let ran = lab.run(&["restore", "latest", "--to", &out]).expect(4);
    assert!(ran.err.contains(&ids[1]) && ran.err.contains("by its id"), "{}", ran.err);
    assert!(!lab.path("out").exists());
    let ran = lab.run(&["restore", &ids[0], "--to", &out]).expect(0);
    assert!(ran.out.contains(&ids[0][..8]), "{}", ran.out);
    assert_eq!(lab.read("out/source/file"), b"old");
}

#[test]
fn roots_of_one_name_come_back_beside_each_other() {
    let lab = Lab::ready();
    lab.write("two/data/file", "x");
    std::fs::create_dir(lab.path("one")).unwrap();
    symlink("../two/data", lab.path("one/data")).unwrap();
    lab.snapshot(&[&lab.text("one/data")]);
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out")]).expect(0);
    assert!(ran.err.contains("data-2"), "{}", ran.err);
    assert_eq!(lab.read("out/data/file"), b"x");
    assert!(lab.path("out/data-2").is_symlink());
}

#[test]
fn where_a_file_cannot_have_a_further_name_it_becomes_one_of_its_own() {
    let lab = lab();
    std::fs::hard_link(lab.path("source/file"), lab.path("source/dir/same")).unwrap();
    lab.snapshot(&[&lab.text("source")]);
    let Some(_mount) = Mount::new(&lab.path("out/source/dir"), "8m") else { return };
    let ran = lab.run(&["restore", "latest", "--to", &lab.text("out"), "--verify"]).expect(3);
    assert!(ran.err.contains("a file of its own"), "{}", ran.err);
    for name in ["out/source/file", "out/source/dir/same"] {
        assert_eq!(lab.read(name), b"old");
        let (found, wanted) = (lab.path(name), lab.path("source/file"));
        let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
        assert_eq!(modified(&found), modified(&wanted));
    }
}

/// A directory that could not be listed could not be asked for its attributes either.
#[test]
fn attributes_that_the_snapshot_does_not_know_stay() {
    let lab = lab();
    set_mode(&lab.path("source/dir"), 0);
    as_nobody(&lab, &["snapshot", &lab.text("source")]).expect(3);
    let set = |args: &[&str]| {
        let output = std::process::Command::new("setfattr").args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    set_mode(&lab.path("source/dir"), 0o700);
    set(&["-n", "user.kept", "-v", "value", &lab.text("source/dir")]);
    lab.run(&ALWAYS).expect(3);
    let shown = std::process::Command::new("getfattr").arg(lab.path("source/dir")).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(shown.contains("user.kept"), "{shown}");
}

/// Its name is no place.
#[test]
fn a_stream_is_not_restored_in_place() {
    let lab = Lab::ready();
    let name = lab.text("live");
    lab.write("live", "live");
    let mut child = lab.start(&["snapshot", "--stdin", name.trim_start_matches('/')]);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"dump").unwrap();
    assert!(child.wait().unwrap().success());
    let ran = lab.run(&ALWAYS).expect(3);
    assert!(ran.err.contains("captured nowhere"), "{}", ran.err);
    assert_eq!(lab.read("live"), b"live");
    let to = lab.text("out");
    lab.run(&["restore", "latest", "--to", &to]).expect(0);
}
