//! Disks whose guest means no good: nothing is written outside of the target, and every walk ends.

use std::fs;

use super::{MIB, empty, ext4, machine, need_tools, tool};
use crate::support::Lab;

/// Puts other bytes in the place of some that stand in an image once or more.
fn forge(lab: &Lab, image: &str, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let mut bytes = lab.read(image);
    let places: Vec<usize> =
        (0..=bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(new);
    }
    lab.write(image, bytes);
}

#[test]
fn names_that_lead_out_of_the_target_are_refused() {
    need_tools();
    let lab = Lab::ready();
    lab.write("tree/evil-name-of-file", "evil");
    lab.write("tree/xy/in", "a directory that will be named ..");
    lab.write("tree/good", "good");
    empty(&lab, "ext4", 8 * MIB);
    // Without checksums a name can be forged.
    let plain = ["-q", "-t", "ext4", "-O", "^metadata_csum,^dir_index", "-d", "tree", "ext4"];
    tool(&lab, "mke2fs", &plain);
    forge(&lab, "ext4", b"evil-name-of-file", b"../../../outside1");
    forge(&lab, "ext4", b"\x02\x02xy", b"\x02\x02..");
    empty(&lab, "fat", 40 * MIB);
    tool(&lab, "mkfs.vfat", &["-F", "32", "fat"]);
    lab.write("tree2/long-name-of-evil.text", "evil");
    tool(&lab, "mcopy", &["-i", "fat", "tree2/long-name-of-evil.text", "tree/good", "::"]);
    // The first five letters of a long name, in UTF-16.
    forge(&lab, "fat", b"l\0o\0n\0g\0-\0", b".\0.\0/\0x\0x\0");
    let place = machine(&lab, &["ext4", "fat"]);
    for image in ["ext4", "fat"] {
        let out = format!("below/{image}");
        let (place, target) = (place(image), lab.text(&out));
        let ran = lab.run(&["disk", "restore", &place, "/", "--to", &target, "--no-owner"]);
        let ran = ran.expect(3);
        // The reader of ext4 takes nothing of a directory that holds such a name.
        let why = if image == "fat" { "no file can have this name" } else { "invalid name" };
        assert!(ran.err.contains(why), "{image}: {}", ran.err);
    }
    assert_eq!(lab.read("below/fat/good"), b"good", "the others come out");
    let names = |below: &str| -> Vec<String> {
        let found = fs::read_dir(lab.path(below)).unwrap();
        let mut names: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("below"), ["ext4", "fat"]);
    assert_eq!(names("below/fat"), ["good"]);
    assert!(!names("").iter().any(|name| name.starts_with("outside") || name.starts_with("xx")));
}

#[test]
fn a_directory_that_holds_itself_ends() {
    need_tools();
    let lab = Lab::ready();
    lab.write("tree/dir/file", "x");
    // The smallest: the bound grows with the disk.
    empty(&lab, "ext4", 256 << 10);
    let small = ["-q", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-N", "32"];
    tool(&lab, "mke2fs", &[&small[..], &["-d", "tree", "ext4"]].concat());
    // Two ways down from each level: without a bound it would take longer than the world has.
    for name in ["dir/a", "dir/b"] {
        tool(&lab, "debugfs", &["-w", "-R", &format!("ln dir {name}"), "ext4"]);
    }
    let place = machine(&lab, &["ext4"])("ext4");
    let ran = lab.run(&["disk", "ls", "-R", "--quiet", &place, "/"]).expect(1);
    assert!(ran.err.contains("more directories than it has room for"), "{}", ran.err);
}

#[test]
fn symlinks_of_a_disk_lead_nowhere_on_this_host() {
    need_tools();
    let lab = Lab::ready();
    lab.write("outside/precious", "untouched");
    lab.write("tree/dir/precious", "from the disk");
    ext4(&lab, "ext4", "tree", 4 * MIB);
    let place = machine(&lab, &["ext4"])("ext4");
    // Somebody put a link where a directory is to come.
    fs::create_dir(lab.path("out")).unwrap();
    std::os::unix::fs::symlink(lab.path("outside"), lab.path("out/dir")).unwrap();
    let out = lab.text("out");
    let args = ["disk", "restore", &place, "/", "--to", &out, "--no-owner", "--overwrite"];
    lab.run(&args).expect(3);
    assert_eq!(lab.read("outside/precious"), b"untouched");
}
