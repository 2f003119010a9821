//! A directory with everything that a zip or a tar may find hard.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat,
};

use crate::support::noise;

fn touch(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(super) fn make(source: &Path) {
    let at = |name: &str| source.join(name);
    for number in 0..300 {
        let text = format!("file {number}\n").repeat(number);
        fs::write(at(&format!("small-{number}")), text).unwrap();
    }
    fs::create_dir_all(at("deep/er/and/deeper")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("empty-file"), "").unwrap();
    let mut large = noise(1, 3_000_000);
    large.extend(b"what compresses well ".repeat(200_000));
    fs::write(at("deep/large"), &large).unwrap();
    fs::write(at("\u{e4}\u{fffd} and \\ : * \" what Windows hates?"), "x").unwrap();
    fs::write(source.join(OsStr::from_bytes(b"no text \xff\xfe")), "bytes").unwrap();
    fs::write(at(&"n".repeat(255)), "a name that fills its field").unwrap();
    symlink("deep/large", at("link")).unwrap();
    symlink(OsStr::from_bytes(b"../\xff"), at("link to no text")).unwrap();
    symlink("x".repeat(200), at("link that is long")).unwrap();
    fs::write(at("first name"), noise(5, 400_000)).unwrap();
    fs::hard_link(at("first name"), at("second name")).unwrap();
    fs::hard_link(at("small-9"), at("deep/hard")).unwrap();
    sparse(&at("sparse"));
    let all_hole = fs::File::create(at("nothing but a hole")).unwrap();
    all_hole.set_len(5 << 20).unwrap();
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::set_permissions(at("small-1"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(at("small-2"), fs::Permissions::from_mode(0o000)).unwrap();
    xattr(&at("small-3"), "user.note", b"short");
    xattr(&at("small-3"), "user.a=b", b"\0binary\xff");
    touch(&at("small-4"), -86_400, 999_999_999);
    touch(&at("small-5"), 4_500_000_000, 1);
    touch(&at("link"), 1_000_000_000, 5);
    let owner: OsString = "deep".into();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(source.join(owner), Some(3_000_000), Some(12_345)).unwrap();
    }
}

/// Data, hole, data, and a hole at the end.
fn sparse(path: &Path) {
    let file = fs::File::create(path).unwrap();
    file.set_len(9 << 20).unwrap();
    file.write_all_at(&noise(7, 300_000), 0).unwrap();
    file.write_all_at(&noise(8, 70_000), 4 << 20).unwrap();
}

fn xattr(path: &Path, name: &str, value: &[u8]) {
    setxattr(path, name, value, XattrFlags::empty()).unwrap();
}
