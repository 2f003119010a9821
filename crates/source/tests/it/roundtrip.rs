//! Everything that a file system can hold, captured and restored, then compared exactly.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, mkdirat, mknodat, openat, utimensat,
};
use tintype_source::files::TargetOptions;
use tintype_source::files::compare::{CompareOptions, compare};

use crate::support::{acl, capability, is_root, os, set_xattr, transfer};

fn touch(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Names, contents, times and links that need no rights.
fn plain(top: &Path) {
    fs::write(top.join("empty"), b"").unwrap();
    fs::write(top.join("small"), b"hello").unwrap();
    fs::write(top.join("large"), vec![42; 3_000_001]).unwrap();
    fs::write(top.join(os(b"not utf-8 \xff\xfe\n")), b"x").unwrap();
    fs::write(top.join("n".repeat(255)), b"long name").unwrap();
    fs::create_dir(top.join(os(&[0xc3; 255]))).unwrap();
    let sparse = fs::File::create(top.join("sparse")).unwrap();
    sparse.set_len(20 << 20).unwrap();
    sparse.write_all_at(b"middle", 10 << 20).unwrap();
    fs::create_dir_all(top.join("sub/deeper")).unwrap();
    fs::write(top.join("sub/deeper/file"), b"1").unwrap();
    fs::hard_link(top.join("small"), top.join("sub/second name")).unwrap();
    fs::hard_link(top.join("small"), top.join("sub/deeper/third name")).unwrap();
    symlink("../nowhere", top.join("dangling")).unwrap();
    symlink(os(&[b'x'; 4000]), top.join("long target")).unwrap();
    symlink("/etc/passwd", top.join("sub/absolute")).unwrap();
    mknodat(CWD, top.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap());
    fs::set_permissions(top.join("sub/deeper"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(top.join("large"), fs::Permissions::from_mode(0o400)).unwrap();
    set_xattr(&top.join("small"), "user.note", b"\0binary\xff");
    set_xattr(&top.join("small"), "user.large", &vec![7; 2000]);
    set_xattr(&top.join("sub"), "user.empty", b"");
    for number in 0..20 {
        set_xattr(&top.join("empty"), &format!("user.{}{number}", "n".repeat(60)), b"1");
    }
    touch(&top.join("dangling"), 1_234_567_890, 123_456_789);
    touch(&top.join("small"), -5, 999_999_999);
    touch(&top.join("fifo"), 1, 1);
    touch(&top.join("sub/deeper"), 4_000_000_000, 1);
}

/// What only root may make.
fn privileged(top: &Path) {
    mknodat(
        CWD,
        top.join("null"),
        FileType::CharacterDevice,
        Mode::RUSR,
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    mknodat(
        CWD,
        top.join("block"),
        FileType::BlockDevice,
        Mode::RUSR,
        rustix::fs::makedev(259, 70_000),
    )
    .unwrap();
    let file = |name: &str, mode: u32| {
        let path = top.join(name);
        fs::write(&path, name).unwrap();
        chown(&path, Some(1234), Some(4321)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    file("setuid", 0o6755);
    file("nothing", 0o000);
    set_xattr(&file("capable", 0o755), "security.capability", &capability());
    set_xattr(&file("labelled", 0o644), "security.test", b"label");
    set_xattr(&file("trusted", 0o644), "trusted.note", b"t");
    set_xattr(&file("with acl", 0o640), "system.posix_acl_access", &acl(77));
    set_xattr(&top.join("sub/deeper"), "system.posix_acl_default", &acl(78));
    lchown(top.join("dangling"), Some(11), Some(12)).unwrap();
    set_xattr(&top.join("dangling"), "trusted.link", b"on the link itself");
    set_xattr(&top.join("fifo"), "trusted.fifo", b"1");
    chown(top.join("fifo"), Some(13), Some(14)).unwrap();
    fs::create_dir(top.join("closed")).unwrap();
    fs::write(top.join("closed/inside"), b"1").unwrap();
    chown(top.join("closed"), Some(15), Some(16)).unwrap();
    fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o2000)).unwrap();
    touch(&top.join("sub/deeper"), 4_000_000_000, 1);
}

/// A path of more than 8000 bytes.
fn longer_than_path_max(top: &Path) {
    let how = OFlags::PATH | OFlags::DIRECTORY;
    let mut at = openat(CWD, top, how, Mode::empty()).unwrap();
    let name = "p".repeat(200);
    for _ in 0..40 {
        mkdirat(&at, &*name, Mode::RWXU).unwrap();
        at = openat(&at, &*name, how, Mode::empty()).unwrap();
    }
    let file = openat(&at, "at the end", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"found").unwrap();
}

pub(crate) fn fill(top: &Path) {
    plain(top);
    longer_than_path_max(top);
    if is_root() {
        privileged(top);
    }
}

pub(crate) fn assert_same(left: &Path, right: &Path, options: &CompareOptions) {
    let result = compare(left, right, options).unwrap();
    assert!(result.differences.is_empty(), "{:#?}", result.differences);
    assert!(result.entries > 20 && result.content_bytes > 3_000_000 && result.hard_links > 2);
    assert!(result.xattrs > 20);
}

#[test]
fn everything_comes_back_exactly() {
    for by_component in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fill(&from);
        let options = TargetOptions { by_component, nonce: 7, ..TargetOptions::default() };
        let problems = transfer(&from, &to, options);
        assert!(problems.is_empty(), "{problems:#?}");
        let options = CompareOptions { ignore_missing_sockets: true, ..CompareOptions::default() };
        assert_same(&from, &to, &options);
        let left: Vec<_> = fs::read_dir(&to)
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tintype")
            })
            .collect();
        assert!(left.is_empty(), "temporary files stay: {left:?}");
    }
}
