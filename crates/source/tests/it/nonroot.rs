//! What somebody without rights gets. Root runs these in a child that gave its rights up.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use tintype_model::entry::{Kind, ProblemKind};
use tintype_source::files::compare::{CompareOptions, compare};
use tintype_source::files::{TargetOptions, WalkOptions};

use crate::support::{find, is_root, transfer, walk_all};

const PLACE: &str = "TINTYPE_TEST_WITHOUT_ROOT";
const NOBODY: u32 = 65_534;

#[test]
fn without_root() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    if !is_root() {
        return child(dir.path());
    }
    // The binary may lie where nobody else can reach it.
    let program = dir.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let from = dir.path().join("from");
    make(&from);
    chown(from.join("alien"), Some(1), Some(1)).unwrap();
    fs::set_permissions(from.join("alien"), fs::Permissions::from_mode(0o4755)).unwrap();
    chown(from.join("alien group"), Some(NOBODY), Some(1)).unwrap();
    fs::set_permissions(from.join("alien group"), fs::Permissions::from_mode(0o6755)).unwrap();
    for name in
        ["", "open", "unreadable file", "closed dir", "closed dir/inside", "way", "way/below"]
    {
        chown(from.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", "nonroot::in_the_child", "--nocapture"])
        .env(PLACE, dir.path())
        .output()
        .expect("setpriv, of util-linux, must be installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("1 passed") && text.contains("without root: done"), "{text}");
}

#[test]
fn in_the_child() {
    if let Some(place) = std::env::var_os(PLACE) {
        assert!(!is_root());
        child(Path::new(&place));
        println!("without root: done");
    }
}

fn make(from: &Path) {
    fs::create_dir_all(from.join("closed dir")).unwrap();
    fs::create_dir_all(from.join("way/below")).unwrap();
    for (name, mode) in [
        ("open", 0o644),
        ("alien", 0o755),
        ("alien group", 0o755),
        ("closed dir/inside", 0o644),
        ("unreadable file", 0),
    ] {
        fs::write(from.join(name), name).unwrap();
        fs::set_permissions(from.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(from.join("closed dir"), fs::Permissions::from_mode(0o300)).unwrap();
    fs::set_permissions(from.join("way"), fs::Permissions::from_mode(0o100)).unwrap();
}

fn child(place: &Path) {
    let from = place.join("from");
    if !from.exists() {
        make(&from);
    }
    let found = walk_all(&from, 1, WalkOptions::default());
    let closed = &find(&found, "t/closed dir").node;
    let problem = closed.problem().unwrap();
    assert_eq!(closed.kind, Kind::Directory);
    assert_eq!(problem.kind, ProblemKind::Unreadable);
    assert_eq!(problem.message, "directory cannot be listed: permission denied");
    let problem = find(&found, "t/unreadable file").open().unwrap_err();
    assert_eq!(problem.message, "cannot be opened: permission denied");
    // A directory that may only be passed is no obstacle on the way to a root.
    let options =
        WalkOptions { base: from.clone(), prefix: b"t".to_vec(), ..WalkOptions::default() };
    let mut found = crate::support::walk_roots(vec![from.join("way/below")], 0, options);
    assert_eq!(found.len(), 3);
    for found in &mut found {
        found.load_extras();
        assert!(found.node.problem().is_none(), "{found:?}");
    }
    fs::set_permissions(from.join("closed dir"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(from.join("way"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(from.join("unreadable file"), fs::Permissions::from_mode(0o400)).unwrap();
    restored(&from, &place.join("to"));
}

fn restored(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    // A read-only directory that stands there already is written all the same.
    fs::create_dir(to.join("closed dir")).unwrap();
    fs::set_permissions(to.join("closed dir"), fs::Permissions::from_mode(0o500)).unwrap();
    let alien = from.join("alien").metadata().unwrap();
    let foreign = std::os::unix::fs::MetadataExt::uid(&alien) == 1;
    let problems = transfer(from, to, TargetOptions::default());
    let ignore_owners = CompareOptions { ignore_owners: true, ..CompareOptions::default() };
    let differences = compare(from, to, &ignore_owners).unwrap().differences;
    if foreign {
        let messages: Vec<_> = problems.iter().map(|(_, problem)| &*problem.message).collect();
        let expected = [
            "set-id bits 4000 not restored without the owner",
            "set-id bits 2000 not restored without the owner",
            "owner of 2 entries not restored: not root",
        ];
        assert_eq!(messages, expected);
        let modes: Vec<_> = differences.iter().map(|difference| &*difference.what).collect();
        assert_eq!(modes, ["mode: 4755 / 0755", "mode: 6755 / 4755"]);
    } else {
        assert!(problems.is_empty() && differences.is_empty(), "{problems:?} {differences:?}");
    }
}
