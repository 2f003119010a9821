use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tintype_engine::ErrorKind;
use tintype_engine::backend::conformance::{Extent, assert_conforms};
use tintype_engine::backend::local::Way;
use tintype_engine::backend::{Backend as _, LocalBackend, list_all};
use tintype_engine::env::testing::manual;
use tintype_testkit::volumes::Mounted;

fn open(way: Option<Way>) -> (TempDir, LocalBackend) {
    let directory = tempfile::tempdir().unwrap();
    let backend = match way {
        None => LocalBackend::open(directory.path()),
        Some(way) => LocalBackend::open_with(directory.path(), way),
    };
    (directory, backend.unwrap())
}

/// Everything below a directory, relative to it.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn local_conforms() {
    let (directory, backend) = open(None);
    assert_conforms(&backend, &manual(1).0, Extent::FULL);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "directories are left");
}

#[test]
fn local_conforms_with_link() {
    let (directory, backend) = open(Some(Way::Link));
    assert_conforms(&backend, &manual(2).0, Extent::FULL);
    assert_eq!(files(directory.path()), [""; 0]);
}

#[test]
fn local_conforms_with_rename_that_does_not_replace() {
    let (directory, backend) = open(Some(Way::RenameNoReplace));
    assert_conforms(&backend, &manual(3).0, Extent::FULL);
    assert_eq!(files(directory.path()), [""; 0]);
}

#[test]
fn local_conforms_with_plain_rename_but_claims_less() {
    let (directory, backend) = open(Some(Way::Rename));
    assert!(!backend.conditional());
    assert_conforms(&backend, &manual(4).0, Extent::FULL);
    assert_eq!(files(directory.path()), [""; 0]);
}

#[test]
fn nobody_else_can_read() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("a/repository");
    let backend = LocalBackend::create(&root).unwrap();
    backend.put("data/0f/object", b"x").unwrap();
    let mode = |path: &str| std::fs::metadata(root.join(path)).unwrap().permissions().mode();
    assert_eq!(mode("") & 0o777, 0o700);
    assert_eq!(mode("data/0f") & 0o777, 0o700);
    assert_eq!(mode("data/0f/object") & 0o777, 0o600);
}

#[test]
fn a_root_that_is_not_there_is_told_apart_from_an_object() {
    let (directory, backend) = open(None);
    backend.put("data/0f/object", b"x").unwrap();
    directory.close().unwrap();
    for result in [
        backend.get("data/0f/object", 10).map(drop),
        backend.stat("other").map(drop),
        backend.put("data/1f/object", b"x"),
        backend.delete("data/0f/object"),
        list_all(&backend, "data/").map(drop),
        list_all(&backend, "").map(drop),
        backend.sweep().map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.message().contains("gone (unmounted?)"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    let error = LocalBackend::open(Path::new("/no/such/place")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn list_passes_over_what_is_not_ours() {
    let (directory, backend) = open(None);
    backend.put("config", b"xy").unwrap();
    for foreign in ["lost+found", "tmp", ".hidden"] {
        std::fs::create_dir(directory.path().join(foreign)).unwrap();
        std::fs::write(directory.path().join(foreign).join("file"), b"x").unwrap();
    }
    std::fs::write(directory.path().join(".dot"), b"x").unwrap();
    std::fs::write(directory.path().join("README"), b"x").unwrap();
    std::os::unix::fs::symlink("config", directory.path().join("link")).unwrap();
    let names: Vec<_> = list_all(&backend, "").unwrap().into_iter().map(|l| l.name).collect();
    assert_eq!(names, ["config"]);
    assert!(backend.get("link", 10).is_err());
}

#[test]
fn a_fan_out_directory_may_be_a_link_to_another_disk() {
    let (directory, backend) = open(None);
    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(other.path(), directory.path().join("data")).unwrap();
    backend.put("data/0f/object", b"x").unwrap();
    assert_eq!(list_all(&backend, "data/").unwrap().len(), 1);
    assert_eq!(files(other.path()), ["0f/object"]);
}

#[test]
fn sweep_removes_only_what_is_old() {
    let (directory, backend) = open(Some(Way::Link));
    let dropped = backend.put_stream("data/0f/slow").unwrap();
    let tmp = directory.path().join("tmp");
    std::fs::write(tmp.join("0123"), b"left by a crash").unwrap();
    let old = std::fs::File::open(tmp.join("0123")).unwrap();
    let mtime = old.metadata().unwrap().modified().unwrap();
    old.set_modified(mtime - Duration::from_hours(25)).unwrap();
    assert_eq!(backend.sweep().unwrap(), 1);
    assert_eq!(files(&tmp).len(), 1);
    dropped.finish().unwrap();
    assert_eq!(backend.stat("data/0f/slow").unwrap(), 0);
    assert!(mtime > SystemTime::UNIX_EPOCH);
}

#[test]
fn truncated_file_is_corrupt_and_named() {
    let (directory, backend) = open(None);
    backend.put("data/0f/object", &[1; 1_000]).unwrap();
    let mut out = [0; 1_000];
    backend.read_into("data/0f/object", 0, &mut out).unwrap();
    let path = directory.path().join("data/0f/object");
    std::fs::File::options().write(true).open(path).unwrap().set_len(400).unwrap();
    let error = backend.read_into("data/0f/object", 0, &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.message(), "object data/0f/object has 400 bytes, expected 1000 at offset 0");
}

#[test]
fn unnamed_files_leave_no_second_link() {
    let (directory, backend) = open(None);
    backend.put("a", b"x").unwrap();
    assert_eq!(std::fs::metadata(directory.path().join("a")).unwrap().nlink(), 1);
    assert!(!directory.path().join("tmp").exists());
}

#[test]
fn directories_that_others_removed_are_made_again() {
    for way in [Way::Unnamed, Way::Link] {
        let (directory, backend) = open(Some(way));
        backend.put("data/0f/one", b"x").unwrap();
        std::fs::remove_dir_all(directory.path().join("data")).unwrap();
        backend.put("data/0f/two", b"x").unwrap();
        let stream = backend.put_stream("more/0f/three").unwrap();
        if way == Way::Link {
            std::fs::remove_dir_all(directory.path().join("data")).unwrap();
        }
        stream.finish().unwrap();
        assert_eq!(backend.stat("more/0f/three").unwrap(), 0);
    }
}

#[test]
fn full_file_system_refuses_writes_and_still_deletes() {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root,
        "this test mounts a small tmpfs and needs root, as continuous integration has"
    );
    let directory = tempfile::tempdir().unwrap();
    for way in [Way::Unnamed, Way::Link, Way::RenameNoReplace, Way::Rename] {
        let mounted = Mounted::tmpfs(directory.path(), 1);
        let backend = LocalBackend::open_with(directory.path(), way).unwrap();
        backend.put("data/0f/kept", &vec![1; 100_000]).unwrap();
        let error = backend.put("data/0f/large", &vec![2; 2_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let mut stream = backend.put_stream("data/0f/stream").unwrap();
        let error = stream.write(&vec![3; 2_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert_eq!(backend.sweep().unwrap(), 0);
        backend.delete("data/0f/kept").unwrap();
        drop(stream);
        assert!(list_all(&backend, "").unwrap().is_empty());
        backend.put("data/0f/again", &vec![1; 900_000]).unwrap();
        drop(backend);
        drop(mounted);
    }
}
