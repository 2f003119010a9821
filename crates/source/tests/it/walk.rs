//! Order, completeness, limits and excludes of the walk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tintype_model::entry::{Kind, ProblemKind, path_order};
use tintype_source::files::{ExcludesBuilder, Note, Walk, WalkOptions};

use crate::support::{Mounted, find, os, paths, skipped_without_root, walk_all, walk_roots};

fn small_options() -> WalkOptions {
    WalkOptions { open_directories: 4, ahead_bytes: 4096, ..WalkOptions::default() }
}

/// What a plain recursion finds.
fn expected(base: &Path) -> Vec<Vec<u8>> {
    fn below(dir: &Path, tree: &[u8], into: &mut Vec<Vec<u8>>) {
        into.push(tree.to_vec());
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let mut path = tree.to_vec();
            path.push(b'/');
            path.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(&*entry.file_name()));
            if entry.file_type().unwrap().is_dir() {
                below(&entry.path(), &path, into);
            } else {
                into.push(path);
            }
        }
    }
    let mut all = Vec::new();
    below(base, b"t", &mut all);
    all.sort_by(|a, b| path_order(a, b));
    all
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'a'), Just(b'b'), Just(b'.'), Just(1u8), Just(0xffu8), Just(b'0')];
    prop::collection::vec(byte, 1..5).prop_filter("reserved", |name| name != b"." && name != b"..")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_entry_comes_once_and_in_order(
        files in prop::collection::vec(prop::collection::vec(names(), 1..6), 0..60)
    ) {
        let dir = tempfile::tempdir().unwrap();
        for file in &files {
            let mut path = dir.path().to_owned();
            for name in &file[..file.len() - 1] {
                path.push(os(name));
            }
            if fs::create_dir_all(&path).is_ok() {
                path.push(os(&file[file.len() - 1]));
                let _ = fs::write(path, b"x");
            }
        }
        let want = expected(dir.path());
        for helpers in [0, 2] {
            for options in [WalkOptions::default(), small_options()] {
                let found = walk_all(dir.path(), helpers, options);
                let got: Vec<_> = found.iter().map(|found| found.path.clone()).collect();
                prop_assert_eq!(&got, &want);
            }
        }
    }
}

#[test]
fn directories_larger_than_a_slice_are_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..5000u32 {
        let name = number.wrapping_mul(7919) % 5000;
        if number % 3 == 0 {
            let below = dir.path().join(format!("entry-{name:04}"));
            fs::create_dir(&below).unwrap();
            fs::write(below.join("file"), b"").unwrap();
        } else {
            fs::write(dir.path().join(format!("entry-{name:04}")), b"").unwrap();
        }
    }
    let want = expected(dir.path());
    for (helpers, options) in
        [(0, small_options()), (3, small_options()), (2, WalkOptions::default())]
    {
        let found = walk_all(dir.path(), helpers, options);
        let got: Vec<_> = found.iter().map(|found| found.path.clone()).collect();
        assert_eq!(got, want);
        assert!(found.iter().all(|found| found.node.problem().is_none()));
    }
}

#[test]
fn a_deep_tree_needs_neither_stack_nor_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let mut at = rustix::fs::openat(
        rustix::fs::CWD,
        dir.path(),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..2000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())
            .unwrap();
    }
    let found = walk_all(dir.path(), 1, small_options());
    assert_eq!(found.len(), 2001);
    assert!(found.iter().all(|found| found.node.problem().is_none()));
    let found = walk_all(dir.path(), 1, WalkOptions { longest_path: 1000, ..small_options() });
    let last = found.last().unwrap();
    assert!(last.path.len() < 1000);
    assert_eq!(last.node.problem().unwrap().kind, ProblemKind::Unreadable);
}

#[test]
fn ways_to_roots_are_entries_and_overlapping_roots_merge() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a/b/c", "a/other", "z"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    fs::write(dir.path().join("a/b/c/file"), b"1234").unwrap();
    fs::write(dir.path().join("z/one"), b"").unwrap();
    fs::write(dir.path().join("z/two"), b"").unwrap();
    fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o711)).unwrap();
    let roots = ["a/b", "a/b/c", "z/one", "missing"].map(|root| dir.path().join(root));
    let options = WalkOptions {
        base: dir.path().to_owned(),
        prefix: b"files/x".to_vec(),
        ..WalkOptions::default()
    };
    let found = walk_roots(roots.to_vec(), 1, options);
    let want = [
        "files/x",
        "files/x/a",
        "files/x/a/b",
        "files/x/a/b/c",
        "files/x/a/b/c/file",
        "files/x/missing",
        "files/x/z",
        "files/x/z/one",
    ];
    assert_eq!(paths(&found), want);
    assert_eq!(find(&found, "files/x/a").node.mode, 0o711);
    assert_eq!(find(&found, "files/x/a/b/c/file").node.size, 4);
    let missing = &find(&found, "files/x/missing").node;
    assert_eq!(missing.kind, Kind::Unknown);
    assert_eq!(missing.problem().unwrap().kind, ProblemKind::Unreadable);
}

#[test]
fn excludes_leave_out_and_bring_back() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    for path in ["src/target/debug", "cache/deep", "fake", "marked/deep", "keep"] {
        fs::create_dir_all(top.join(path)).unwrap();
    }
    for path in [
        "src/a.o",
        "src/keep.o",
        "src/target/debug/x",
        "cache/deep/x",
        "fake/x",
        "marked/.nobackup",
        "marked/deep/root",
        "marked/x",
        "keep/ten",
    ] {
        fs::write(top.join(path), b"0123456789").unwrap();
    }
    let tag = b"Signature: 8a477f597d28d172789f06886806bc55\n# a cache";
    fs::write(top.join("cache/CACHEDIR.TAG"), tag).unwrap();
    fs::write(
        top.join("fake/CACHEDIR.TAG"),
        b"Signature: something else entirely, but long enough",
    )
    .unwrap();
    fs::write(top.join("keep/eleven"), b"0123456789A").unwrap();
    let list = top.join("keep/list");
    fs::write(&list, "# comment\n\n*.o\r\n!keep.o\ntarget/debug\n").unwrap();
    let mut builder = ExcludesBuilder::default();
    builder.file(&list).unwrap();
    builder
        .caches(true)
        .if_present(".nobackup".as_ref())
        .larger_than(60)
        .pattern("/keep/list", "--exclude");
    let excludes = Arc::new(builder.build().unwrap());
    fs::write(top.join("keep/large"), [0; 61]).unwrap();
    let options = WalkOptions {
        base: top.to_owned(),
        prefix: b"files".to_vec(),
        excludes: Arc::clone(&excludes),
        ..WalkOptions::default()
    };
    // A root inside a directory whose content is left out is taken all the same.
    let found = walk_roots(vec![top.to_owned(), top.join("marked/deep")], 1, options);
    let want = [
        "files",
        "files/cache",
        "files/cache/CACHEDIR.TAG",
        "files/fake",
        "files/fake/CACHEDIR.TAG",
        "files/fake/x",
        "files/keep",
        "files/keep/eleven",
        "files/keep/ten",
        "files/marked",
        "files/marked/deep",
        "files/marked/deep/root",
        "files/src",
        "files/src/keep.o",
        "files/src/target",
    ];
    assert_eq!(paths(&found), want);
    let counted = excludes.counted();
    assert_eq!((counted.by_pattern, counted.by_size, counted.caches, counted.marked), (3, 1, 1, 1));
}

#[test]
fn a_stopped_walk_ends_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..100 {
        fs::create_dir(dir.path().join(number.to_string())).unwrap();
    }
    let walk = Walk::new(vec![dir.path().to_owned()], small_options());
    std::thread::scope(|scope| {
        scope.spawn(|| walk.help());
        assert!(walk.next().is_some());
        walk.stop();
        while walk.next().is_some() {}
    });
}

#[test]
fn other_file_systems_and_the_kernels_own() {
    if skipped_without_root("one file system") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["proc", "tmp"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::create_dir_all(dir.path().join("never/inside")).unwrap();
    let _proc = Mounted::kind("proc", &dir.path().join("proc"));
    let tmp = Mounted::kind("tmpfs", &dir.path().join("tmp"));
    fs::create_dir(tmp.path.join("deep")).unwrap();
    fs::write(tmp.path.join("deep/file"), b"x").unwrap();
    let never = rustix::fs::stat(dir.path().join("never")).unwrap();
    let options = |one_file_system| WalkOptions {
        base: dir.path().to_owned(),
        prefix: b"t".to_vec(),
        one_file_system,
        never_enter: vec![(never.st_dev, never.st_ino)],
        ..WalkOptions::default()
    };
    let root = vec![dir.path().to_owned()];
    let found = walk_roots(root.clone(), 1, options(false));
    assert_eq!(paths(&found), ["t", "t/never", "t/proc", "t/tmp", "t/tmp/deep", "t/tmp/deep/file"]);
    assert!(found.iter().all(|found| found.node.problem().is_none()));

    let walk = Walk::new(root.clone(), options(true));
    let mut found = Vec::new();
    while walk.next_batch(&mut found, 10) {}
    assert_eq!(paths(&found), ["t", "t/never", "t/proc", "t/tmp"]);
    assert!(walk.notes().contains(&Note::OtherFileSystem(b"t/tmp".to_vec())));
    assert!(walk.notes().contains(&Note::NotEntered(b"t/never".to_vec())));

    let roots =
        vec![dir.path().to_owned(), dir.path().join("tmp/deep"), dir.path().join("proc/sys/fs")];
    let found = walk_roots(roots, 1, options(true));
    assert!(paths(&found).contains(&"t/tmp/deep/file".to_owned()));
    assert!(paths(&found).contains(&"t/proc/sys/fs/file-max".to_owned()));
    assert!(!paths(&found).contains(&"t/proc/version".to_owned()));
}
