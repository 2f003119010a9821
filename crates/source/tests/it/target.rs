//! Conflicts, replacing, and what an aborted restore leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tintype_model::ErrorKind;
use tintype_model::entry::{Kind, Xattr};
use tintype_source::files::{Accounts, Owners, Put, Target, TargetOptions, WalkOptions};

use crate::attacks::node;
use crate::support::{acl, is_root, paths, set_xattr, walk_all};

fn open(dir: &tempfile::TempDir, replace_kinds: bool) -> Target {
    Target::open(dir.path(), TargetOptions { replace_kinds, ..TargetOptions::default() }).unwrap()
}

#[test]
fn what_stands_there_is_kept_unless_it_may_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"old").unwrap();
    fs::create_dir_all(dir.path().join("full/below")).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let strict = open(&dir, false);
    let file = node(Kind::File, 3);
    for path in [&b"file"[..], b"full", b"empty"] {
        let error = strict.write_small(path, b"new", &file, Put::New).unwrap_err();
        assert!(error.is(ErrorKind::AlreadyExists), "{error:?}");
        let error = strict.hard_link(b"file", path, Put::New).unwrap_err();
        assert!(error.is(ErrorKind::AlreadyExists), "{error:?}");
    }
    for path in [&b"full"[..], b"empty"] {
        let error = strict.write_small(path, b"new", &file, Put::Replace).unwrap_err();
        assert!(error.is(ErrorKind::AlreadyExists), "{error:?}");
        assert!(error.message().contains("a directory is in the way"), "{error}");
    }
    assert!(strict.make_dir(b"file").unwrap_err().is(ErrorKind::AlreadyExists));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
    strict.write_small(b"file", b"new", &file, Put::Replace).unwrap();
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"new");

    let lax = open(&dir, true);
    assert!(!lax.make_dir(b"file").unwrap());
    assert!(lax.make_dir(b"file").unwrap());
    lax.write_small(b"empty", b"new", &file, Put::Replace).unwrap();
    assert!(lax.write_small(b"full", b"new", &file, Put::Replace).is_err());
    assert!(dir.path().join("full/below").is_dir());
    assert_eq!(lax.list_dir(b"").unwrap(), [&b"empty"[..], b"file", b"full"]);
    lax.remove(b"full/below").unwrap();
    assert!(lax.stat(b"full/below").unwrap().is_none());
    assert!(lax.stat(b"nowhere/at/all").unwrap().is_none());
    assert_eq!(lax.stat(b"empty").unwrap().unwrap().size, 3);
}

#[test]
fn an_unfinished_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir, false);
    let file = target.begin_file(b"file", &node(Kind::File, 10)).unwrap();
    file.write_at(5, b"12345").unwrap();
    let names = target.list_dir(b"").unwrap();
    assert!(names.len() == 1 && names[0].starts_with(b".tintype-"), "{names:?}");
    assert_eq!(
        dir.path().join(crate::support::os(&names[0])).metadata().unwrap().mode() & 0o7777,
        0o600
    );
    drop(file);
    assert!(target.list_dir(b"").unwrap().is_empty());
    // More bytes than the entry says: refused, and nothing stays.
    let file = target.begin_file(b"file", &node(Kind::File, 10)).unwrap();
    file.write_at(0, &[1; 11]).unwrap();
    assert!(file.finish(&node(Kind::File, 10), Put::New).unwrap_err().is(ErrorKind::Invalid));
    assert!(target.list_dir(b"").unwrap().is_empty());
    // Fewer: the rest is a hole.
    let file = target.begin_file(b"file", &node(Kind::File, 10)).unwrap();
    file.write_at(2, &[1; 2]).unwrap();
    file.finish(&node(Kind::File, 10), Put::New).unwrap();
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
}

/// Of two restores into one directory each leaves alone what the other still writes.
#[test]
fn what_a_killed_restore_left_goes_and_what_lives_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (left, mine) = (".tintype-0123456789abcdef-0000000000000007", ".tintype-mine");
    for name in [left, mine] {
        fs::write(dir.path().join(name), b"half").unwrap();
    }
    let sources = walk_all(dir.path(), 0, WalkOptions::default());
    assert_eq!(paths(&sources), ["t", "t/.tintype-mine"], "no snapshot takes what is left over");
    let nonced = |nonce| TargetOptions { nonce, ..TargetOptions::default() };
    let living = Target::open(dir.path(), nonced(1)).unwrap();
    let file = living.begin_file(b"file", &node(Kind::File, 1)).unwrap();
    file.write_at(0, b"x").unwrap();
    let next = Target::open(dir.path(), nonced(2)).unwrap();
    for name in next.leftovers(b"") {
        next.remove_leftover(&name);
    }
    assert!(!dir.path().join(left).exists() && dir.path().join(mine).exists());
    file.finish(&node(Kind::File, 1), Put::New).unwrap();
    assert_eq!(next.list_dir(b"").unwrap(), [mine.as_bytes(), b"file"]);
}

#[test]
fn a_hard_link_over_itself_leaves_no_temporary_name() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir, false);
    target.write_small(b"a", b"x", &node(Kind::File, 1), Put::New).unwrap();
    for _ in 0..2 {
        target.hard_link(b"a", b"b", Put::Replace).unwrap();
    }
    assert_eq!(target.list_dir(b"").unwrap(), [b"a", b"b"]);
    assert_eq!(target.stat(b"b").unwrap().unwrap().links, 2);
}

#[test]
fn inherited_acls_and_left_over_attributes_go() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    set_xattr(&below, "system.posix_acl_default", &acl(99));
    set_xattr(&below, "user.old", b"1");
    let target = open(&dir, false);
    assert!(target.make_dir(b"below").unwrap());
    let problems = target.write_small(b"below/file", b"x", &node(Kind::File, 1), Put::New).unwrap();
    assert_eq!(problems, []);
    target.make_dir(b"below/dir").unwrap();
    let mut directory = node(Kind::Directory, 0);
    directory.mode = 0o750;
    target.special(b"below/fifo", &node(Kind::Fifo, 0), Put::New).unwrap();
    assert!(target.finish_dir(b"below/dir", &directory).unwrap().is_empty());
    directory.extras_mut().xattrs.push(Xattr { name: b"user.new".to_vec(), value: b"2".to_vec() });
    assert!(target.finish_dir(b"below", &directory).unwrap().is_empty());
    for (name, want) in
        [("below", "user.new\0"), ("below/file", ""), ("below/dir", ""), ("below/fifo", "")]
    {
        let mut list = vec![0; 1000];
        let length = rustix::fs::llistxattr(dir.path().join(name), &mut list[..]).unwrap();
        assert_eq!(String::from_utf8_lossy(&list[..length]), want, "{name}");
    }
    let mode = |name| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("below/file"), mode("below/dir")), (0o644, 0o750));
}

#[test]
fn owners_can_be_kept_or_mapped_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let owners = Owners::Keep;
    let target =
        Target::open(dir.path(), TargetOptions { owners, ..TargetOptions::default() }).unwrap();
    let mut file = node(Kind::File, 0);
    let owner = std::sync::Arc::make_mut(&mut file.owner);
    (owner.uid, owner.gid, owner.user) = (77, 77, b"ann".to_vec());
    file.mode = 0o4755;
    let problems = target.write_small(b"kept", b"", &file, Put::New).unwrap();
    assert!(problems.is_empty(), "as asked: {problems:?}");
    let kept = target.stat(b"kept").unwrap().unwrap();
    assert_eq!((kept.owner.uid, kept.mode), (rustix::process::geteuid().as_raw(), 0o755));
    if is_root() {
        let owners = Owners::Names(Accounts::parse(b"ann:x:88:88:", b""));
        let target =
            Target::open(dir.path(), TargetOptions { owners, ..TargetOptions::default() }).unwrap();
        target.write_small(b"mapped", b"", &file, Put::New).unwrap();
        let mapped = target.stat(b"mapped").unwrap().unwrap();
        assert_eq!((mapped.owner.uid, mapped.owner.gid, mapped.mode), (88, 77, 0o4755));
    }
}
