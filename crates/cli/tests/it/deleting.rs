//! `restore --delete-extra`: what the snapshot does not hold goes, and nothing else.

use std::os::unix::fs::PermissionsExt;

use crate::bad_days::{Mount, as_nobody};
use crate::support::Lab;

const DELETE: [&str; 5] = ["restore", "latest", "--in-place", "--delete-extra", "--yes"];

fn set_mode(lab: &Lab, name: &str, mode: u32) {
    std::fs::set_permissions(lab.path(name), PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_could_not_be_listed_loses_nothing() {
    let lab = Lab::ready();
    lab.write("source/precious", "x");
    set_mode(&lab, "source", 0o300);
    as_nobody(&lab, &["snapshot", &lab.text("source")]).expect(3);
    set_mode(&lab, "source", 0o700);
    let here = format!("latest:{}", lab.tree("source"));
    let to = lab.text("source");
    let ran = lab.run(&["restore", &here, "--to", &to, "--delete-extra", "--yes"]);
    assert!(ran.err.contains("could not be looked into"), "{}", ran.err);
    assert_eq!(lab.read("source/precious"), b"x");
    let ran = lab.run(&DELETE);
    assert!(ran.err.contains("could not be looked into"), "{}", ran.err);
    assert_eq!(lab.read("source/precious"), b"x");
}

/// The same file system at a second place has the same device.
#[test]
fn what_is_bound_in_a_target_is_never_deleted() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    std::fs::create_dir(lab.path("source/empty")).unwrap();
    lab.write("elsewhere/precious", "untouched");
    lab.snapshot(&[&lab.text("source")]);
    let elsewhere = lab.path("elsewhere");
    let Some(_extra) = Mount::bind(&elsewhere, &lab.path("source/extra/bound")) else { return };
    let Some(_known) = Mount::bind(&elsewhere, &lab.path("source/empty")) else { return };
    lab.write("source/extra/plain", "x");
    let ran = lab.run(&DELETE).expect(3);
    assert!(ran.err.contains("something is mounted there"), "{}", ran.err);
    assert_eq!(lab.read("elsewhere/precious"), b"untouched");
    assert!(!lab.path("source/extra/plain").exists());
}

/// No snapshot holds what is excluded.
#[test]
fn what_was_left_out_of_the_snapshot_is_not_deleted() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.write("list", "# names\n*.obj\n");
    let tag = "Signature: 8a477f597d28d172789f06886806bc55";
    lab.write("source/cache/CACHEDIR.TAG", tag);
    lab.write("source/marked/.nobackup", "");
    lab.write("source/unmarked/.nobackup", "");
    let left_out = [
        "source/one.o",
        "source/one.obj",
        "source/target/debug/program",
        "source/cache/deep/precious",
        "source/marked/precious",
        "source/unmarked/precious",
    ];
    left_out.iter().for_each(|name| lab.write(name, "x"));
    lab.write("source/later/file", "x");
    lab.write("source/large", vec![1; 100_000]);
    let list = lab.text("list");
    let source = lab.text("source");
    let mut args = vec!["--exclude", "*.o", "--exclude", "target/", "--exclude-file", &list];
    args.extend(["--exclude-caches", "--exclude-if-present", ".nobackup"]);
    args.extend(["--exclude-larger-than", "50KiB", &source]);
    lab.snapshot(&args);
    lab.write("list", "nothing");
    std::fs::remove_file(lab.path("source/unmarked/.nobackup")).unwrap();
    for name in ["source/extra", "source/new/one.o", "source/new/extra", "source/new/deep/extra"] {
        lab.write(name, "x");
    }
    // Marked since then.
    let marked = ["source/later/precious", "source/new/marked/precious"];
    for name in marked.iter().chain(&["source/later/.nobackup", "source/new/marked/.nobackup"]) {
        lab.write(name, "x");
    }
    let ran = lab.run(&DELETE).expect(0);
    assert!(ran.err.contains("the options of the snapshot leave out"), "{}", ran.err);
    let stays = left_out.iter().chain(&marked).chain(&["source/large", "source/new/one.o"]);
    for name in stays {
        assert!(lab.path(name).exists(), "{name}");
    }
    for name in ["source/extra", "source/new/extra", "source/new/deep"] {
        assert!(!lab.path(name).exists(), "{name}");
    }
}

/// It lay hidden below what was mounted there, and that was not entered.
#[test]
fn what_lay_below_a_mount_is_not_deleted() {
    let lab = Lab::ready();
    lab.write("source/mounted/hidden", "x");
    {
        let Some(_mount) = Mount::new(&lab.path("source/mounted"), "1m") else { return };
        lab.snapshot(&["--one-file-system", &lab.text("source")]);
    }
    lab.write("source/extra", "x");
    lab.run(&DELETE).expect(0);
    assert_eq!(lab.read("source/mounted/hidden"), b"x");
    assert!(!lab.path("source/extra").exists());
}

#[test]
fn another_spelling_of_a_name_is_not_extra() {
    let lab = Lab::ready();
    lab.write("source/README.TXT", "x");
    lab.write("source/Directory/File", "x");
    lab.snapshot(&[&lab.text("source")]);
    let Some(_mount) = Mount::folding(&lab.path("image"), &lab.path("out")) else { return };
    lab.write("out/readme.txt", "live");
    lab.write("out/directory/file", "live");
    lab.write("out/directory/extra", "x");
    let here = format!("latest:{}", lab.tree("source"));
    let ran = lab.run(&["restore", &here, "--to", &lab.text("out"), "--delete-extra", "--yes"]);
    assert_eq!(lab.read("out/readme.txt"), b"live", "{}", ran.err);
    assert_eq!(lab.read("out/directory/file"), b"live", "{}", ran.err);
    assert!(!lab.path("out/directory/extra").exists(), "{}", ran.err);
}

/// A second look at what was restored comes before anything is given up for it.
#[test]
fn nothing_is_deleted_before_all_was_read_back() {
    let lab = Lab::ready();
    lab.write("source/file", "captured");
    let captured = lab.path("source/file").metadata().unwrap().modified().unwrap();
    lab.snapshot(&[&lab.text("source")]);
    // The same size and time: it passes for the same until it is read.
    lab.write("source/file", "CAPTURED");
    let file = std::fs::File::options().write(true).open(lab.path("source/file")).unwrap();
    file.set_modified(captured).unwrap();
    lab.write("source/extra", "x");
    let ran = lab.run(&[&DELETE[..], &["--verify"]].concat()).expect(3);
    assert!(ran.err.contains("its content differs"), "{}", ran.err);
    assert!(ran.err.contains("nothing was deleted"), "{}", ran.err);
    assert_eq!(lab.read("source/extra"), b"x");
}

#[test]
fn what_was_deleted_before_something_failed_is_told() {
    let lab = Lab::ready();
    lab.write("source/file", "x");
    lab.snapshot(&[&lab.text("source")]);
    lab.write("source/closed/inner", "x");
    lab.write("source/extra", "x");
    set_mode(&lab, "source/closed", 0o555);
    let ran = as_nobody(&lab, &[&DELETE[..], &["--no-owner"]].concat()).expect(3);
    assert!(ran.err.contains("1 of 3 entries were deleted"), "{}", ran.err);
    assert!(!ran.err.contains("nothing was deleted"), "{}", ran.err);
    assert!(!ran.err.contains("not restored"), "{}", ran.err);
    assert!(lab.path("source/closed/inner").exists() && !lab.path("source/extra").exists());
    set_mode(&lab, "source/closed", 0o755);
}

/// A repository below what is captured is left out, and no snapshot holds it.
#[test]
fn the_repository_of_the_snapshot_stays_when_a_copy_of_it_is_restored_from() {
    let lab = Lab::new();
    let own = lab.text("source/[own]*/repository");
    lab.run(&["init", "--no-probe", "-r", &own]).expect(0);
    lab.write("source/file", "x");
    lab.run(&["snapshot", &lab.text("source"), "-r", &own]).expect(0);
    let config = format!("{own}/config");
    let mut copy = std::process::Command::new("cp");
    copy.args(["-a", &own, &lab.text("repository")]);
    assert!(copy.status().unwrap().success());
    lab.write("source/extra", "x");
    let ran = lab.run(&DELETE).expect(0);
    assert!(std::path::Path::new(&config).exists(), "{}", ran.err);
    assert!(ran.err.contains("leave out") && !lab.path("source/extra").exists(), "{}", ran.err);
}

#[test]
fn nothing_is_deleted_beside_what_was_unreadable() {
    let lab = Lab::ready();
    lab.write("source/a", "the only copy");
    set_mode(&lab, "source/a", 0);
    as_nobody(&lab, &["snapshot", &lab.text("source")]).expect(3);
    set_mode(&lab, "source/a", 0o644);
    std::fs::rename(lab.path("source/a"), lab.path("source/b")).unwrap();
    let ran = lab.run(&DELETE).expect(3);
    assert!(ran.err.contains("not everything comes back"), "{}", ran.err);
    assert_eq!(lab.read("source/b"), b"the only copy");
}

#[test]
fn nothing_is_deleted_beside_what_is_refused() {
    let lab = Lab::ready();
    lab.write("source/d/inner", "x");
    lab.snapshot(&[&lab.text("source")]);
    std::fs::rename(lab.path("source/d"), lab.path("source/d2")).unwrap();
    lab.write("source/d", "in the way");
    let ran = lab.run(&DELETE).expect(3);
    assert!(ran.err.contains("not everything comes back"), "{}", ran.err);
    assert_eq!(lab.read("source/d2/inner"), b"x");
    assert!(ran.err.contains("2 entries will not be restored"), "{}", ran.err);
    assert!(ran.err.contains("2 entries not restored"), "{}", ran.err);
}

/// What it held is below, where nobody sees it.
#[test]
fn nothing_is_deleted_in_what_was_mounted_since() {
    let lab = Lab::ready();
    lab.write("source/app/one", "x");
    lab.write("source/app/sub/two", "x");
    lab.snapshot(&[&lab.text("source")]);
    let precious = ["elsewhere/precious", "elsewhere/sub/precious"];
    precious.iter().for_each(|name| lab.write(name, "untouched"));
    lab.write("source/extra", "x");
    let bound = Mount::bind(&lab.path("elsewhere"), &lab.path("source/app"));
    let Some(_bound) = bound else { return };
    let ran = lab.run(&DELETE).expect(3);
    assert!(ran.err.contains("not when the snapshot was taken"), "{}", ran.err);
    precious.iter().for_each(|name| assert_eq!(lab.read(name), b"untouched"));
    assert!(!lab.path("source/extra").exists() && lab.path("elsewhere/one").exists());
}

#[test]
fn a_directory_that_is_not_looked_into_leaves_the_deletion_incomplete() {
    let lab = Lab::ready();
    lab.write("source/closed/inner", "x");
    lab.snapshot(&[&lab.text("source")]);
    set_mode(&lab, "source/closed", 0o311);
    let ran = as_nobody(&lab, &[&DELETE[..], &["--dry-run"]].concat()).expect(3);
    assert!(ran.err.contains("not looked into"), "{} {}", ran.out, ran.err);
}

/// What it held is below, where nobody sees it; also where it is a directory above that is covered.
#[test]
fn nothing_is_deleted_in_a_root_that_was_mounted_over() {
    let lab = Lab::ready();
    lab.write("above/source/file", "x");
    lab.snapshot(&[&lab.text("above/source")]);
    for place in ["above/source", "above"] {
        let Some(_mount) = Mount::new(&lab.path(place), "1m") else { return };
        lab.write("above/source/precious", "untouched");
        let ran = lab.run(&DELETE).expect(3);
        assert!(ran.err.contains("not when the snapshot was taken"), "{place}: {}", ran.err);
        assert_eq!(lab.read("above/source/precious"), b"untouched");
    }
    lab.write("above/source/extra", "x");
    lab.run(&DELETE).expect(0);
    assert!(!lab.path("above/source/extra").exists());
}

/// A root that was a file system of its own when it was captured is none that covers something.
#[test]
fn a_root_that_was_mounted_when_it_was_captured_loses_what_is_extra() {
    let lab = Lab::ready();
    let Some(_mount) = Mount::new(&lab.path("source"), "1m") else { return };
    lab.write("source/file", "x");
    lab.snapshot(&["--one-file-system", &lab.text("source")]);
    lab.write("source/extra", "x");
    lab.run(&DELETE).expect(0);
    assert!(!lab.path("source/extra").exists());
}
