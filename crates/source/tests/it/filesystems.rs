//! Round trips on ext4 and btrfs with their inode flags.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use tintype_model::entry::flags;
use tintype_source::files::TargetOptions;
use tintype_source::files::compare::CompareOptions;

use crate::roundtrip::{assert_same, fill};
use crate::support::{Mounted, skipped_without_root, transfer};

fn set(path: &Path, wanted: u32) {
    let file = fs::File::open(path).unwrap();
    let present = ioctl_getflags(file.as_fd()).unwrap().bits() & !flags::KEPT;
    ioctl_setflags(file.as_fd(), IFlags::from_bits_retain(present | wanted)).unwrap();
}

fn get(path: &Path) -> u32 {
    ioctl_getflags(fs::File::open(path).unwrap().as_fd()).unwrap().bits() & flags::KEPT
}

/// Takes the flags away again, so that the tree can be removed.
fn release(top: &Path, names: &[(&str, u32)]) {
    for (name, _) in names.iter().rev() {
        set(&top.join(name), 0);
    }
}

fn round_trip(kind: &str, nocow: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Mounted::image(kind, dir.path());
    let (from, to) = (mounted.path.join("from"), mounted.path.join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    fill(&from);
    let mut flagged = vec![
        ("flag dir", flags::IMMUTABLE | flags::NODUMP),
        ("flag dir/inside", flags::APPEND),
        ("flag i", flags::IMMUTABLE),
        ("flag i linked", flags::IMMUTABLE),
        ("flag dA", flags::NODUMP | flags::NOATIME),
        ("inherits", flags::NODUMP),
        ("inherits/plain", 0),
    ];
    if nocow {
        flagged.push(("flag C", flags::NOCOW));
    }
    for (name, _) in &flagged {
        if name.contains("dir") && !name.contains('/') || *name == "inherits" {
            fs::create_dir(from.join(name)).unwrap();
        } else {
            fs::write(from.join(name), b"").unwrap();
        }
    }
    fs::hard_link(from.join("flag i linked"), from.join("flag i linked too")).unwrap();
    for (name, wanted) in flagged.iter().rev() {
        set(&from.join(name), *wanted);
    }
    if nocow {
        fs::write(from.join("flag C"), vec![3; 100_000]).unwrap();
    }
    let problems = transfer(&from, &to, TargetOptions::default());
    assert!(problems.is_empty(), "{problems:#?}");
    for (name, wanted) in &flagged {
        assert_eq!(get(&to.join(name)), *wanted, "{kind}: {name}");
    }
    let options = CompareOptions { ignore_missing_sockets: true, ..CompareOptions::default() };
    assert_same(&from, &to, &options);
    release(&from, &flagged);
    release(&to, &flagged);
}

#[test]
fn ext4_with_its_flags() {
    if !skipped_without_root("ext4") {
        round_trip("ext4", false);
    }
}

#[test]
fn btrfs_with_its_flags() {
    if !skipped_without_root("btrfs") {
        round_trip("btrfs", true);
    }
}

#[test]
fn flags_that_a_file_system_has_not_are_a_problem_and_nothing_else() {
    if skipped_without_root("flags elsewhere") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    let btrfs = Mounted::image("btrfs", &from);
    let ext4 = Mounted::image("ext4", &to);
    fs::remove_dir(ext4.path.join("lost+found")).unwrap();
    fs::write(btrfs.path.join("nocow"), b"").unwrap();
    set(&btrfs.path.join("nocow"), flags::NOCOW);
    fs::write(btrfs.path.join("nocow"), b"content").unwrap();
    let problems = transfer(&btrfs.path, &ext4.path, TargetOptions::default());
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].1.message.contains("inode flags C not restored"), "{problems:#?}");
    assert_eq!(fs::read(ext4.path.join("nocow")).unwrap(), b"content");
}
