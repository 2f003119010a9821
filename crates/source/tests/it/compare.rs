//! The comparison sees each kind of difference: what finds nothing must be able to find.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tintype_source::files::compare::{CompareOptions, compare};

use crate::support::set_xattr;

fn make(top: &Path) {
    fs::create_dir_all(top.join("dir")).unwrap();
    fs::write(top.join("file"), vec![1; 600_000]).unwrap();
    fs::write(top.join("dir/other"), b"x").unwrap();
    fs::hard_link(top.join("file"), top.join("second")).unwrap();
    symlink("target", top.join("link")).unwrap();
    let file = fs::File::create(top.join("sparse")).unwrap();
    file.set_len(1 << 20).unwrap();
    set_xattr(&top.join("file"), "user.x", b"1");
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1000, 1);
    for name in ["file", "dir/other", "sparse", "dir", ""] {
        fs::File::open(top.join(name)).unwrap().set_modified(then).unwrap();
    }
    let time = rustix::fs::Timespec { tv_sec: 1000, tv_nsec: 1 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let how = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, top.join("link"), &times, how).unwrap();
}

#[test]
fn each_kind_of_difference_is_seen() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 10] = [
        ("missing on the right", |top| fs::remove_file(top.join("dir/other")).unwrap()),
        ("missing on the left", |top| fs::write(top.join("new"), b"").unwrap()),
        ("mode: 0644 / 0600", |top| {
            fs::set_permissions(top.join("dir/other"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("mtime: 1000.000000001 / 1000.000000002", |top| {
            let then = std::time::UNIX_EPOCH + std::time::Duration::new(1000, 2);
            fs::File::open(top.join("dir")).unwrap().set_modified(then).unwrap();
        }),
        ("content from byte 524287", |top| {
            let file = fs::OpenOptions::new().write(true).open(top.join("file")).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[2], 524_287).unwrap();
        }),
        ("same file as: file / second", |top| {
            fs::copy(top.join("file"), top.join("copy")).unwrap();
            fs::rename(top.join("copy"), top.join("second")).unwrap();
        }),
        ("symlink target", |top| {
            fs::remove_file(top.join("link")).unwrap();
            symlink("elsewhere", top.join("link")).unwrap();
        }),
        ("kind", |top| {
            fs::remove_file(top.join("link")).unwrap();
            fs::write(top.join("link"), b"").unwrap();
        }),
        ("xattr user.x: value", |top| set_xattr(&top.join("file"), "user.x", b"2")),
        ("sparse: true / false", |top| fs::write(top.join("sparse"), vec![0; 1 << 20]).unwrap()),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let (left, right) = (dir.path().join("left"), dir.path().join("right"));
        make(&left);
        make(&right);
        let options = CompareOptions { ignore_top: true, ..CompareOptions::default() };
        let before = compare(&left, &right, &options).unwrap();
        assert_eq!(before.differences, []);
        change(&right);
        let result = compare(&left, &right, &options).unwrap();
        let seen: Vec<_> = result.differences.iter().map(|found| &*found.what).collect();
        assert!(seen.iter().any(|seen| seen.contains(what)), "{what}: {seen:?}");
    }
}
