//! What btrfs says has changed, against everything that there is.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags, mknodat, renameat_with};
use tintype_model::resource::{Kind, Resource};
use tintype_source::connector::{Changed, Released};

use super::world::subvolume;
use crate::conformance::{Held, Session, capture, cleaned, connector, path_at, resource};
use crate::support::{Mounted, os, set_xattr, skipped_without_root};

const NAMES: [&str; 6] = ["a", "b", "c\nd", "e", "f", "%67"];

type Op = (u8, Vec<u8>, Vec<u8>, u16);

fn path(top: &Path, of: &[u8]) -> PathBuf {
    of.iter().fold(top.to_owned(), |path, name| path.join(NAMES[*name as usize % NAMES.len()]))
}

/// Does what can be done; what cannot is left.
fn perform(top: &Path, (what, one, two, number): &Op) {
    let (from, to) = (path(top, one), path(top, two));
    let bytes = vec![*number as u8; usize::from(*number) * 7];
    match what {
        0..=2 => {
            if let Ok(mut file) = opened(&from, true) {
                drop(file.write_all(&bytes));
            }
        }
        3 | 4 => drop(fs::create_dir_all(&from)),
        5..=8 => drop(fs::rename(&from, &to)),
        9 | 10 => drop(renameat_with(CWD, &from, CWD, &to, RenameFlags::EXCHANGE)),
        11 | 12 => drop(fs::hard_link(&from, &to)),
        13 => drop(fs::remove_file(&from)),
        14 => drop(fs::remove_dir_all(&from)),
        15 => drop(symlink("else", &from)),
        16 => {
            if let Ok(found) = from.symlink_metadata().filter_links() {
                let mode = (found.permissions().mode() & !0o77) | u32::from(*number) & 0o77;
                drop(fs::set_permissions(&from, fs::Permissions::from_mode(mode)));
            }
        }
        17 => drop(chown(&from, Some(u32::from(*number)), None)),
        18 => {
            if from.symlink_metadata().filter_links().is_ok() {
                set_xattr(&from, "user.x", &number.to_le_bytes());
            }
        }
        19 => drop(mknodat(CWD, &from, FileType::Fifo, Mode::RUSR, 0)),
        20 => {
            if let Ok(file) = opened(&from, false) {
                file.set_len(u64::from(*number)).unwrap();
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*number));
                file.set_modified(time).unwrap();
            }
        }
        21 => {
            if let Ok(file) = opened(&from, false) {
                drop(file.write_at(b"x", u64::from(*number) * 100));
            }
        }
        _ => {
            if from.symlink_metadata().is_err() && from.parent().unwrap().is_dir() {
                subvolume(&from);
                fs::write(from.join("in a subvolume"), bytes).unwrap();
            }
        }
    }
}

/// Not waiting for somebody who reads a fifo.
fn opened(path: &Path, create: bool) -> std::io::Result<fs::File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    fs::OpenOptions::new()
        .write(true)
        .create(create)
        .truncate(create)
        .custom_flags(flags)
        .open(path)
}

trait FilterLinks {
    fn filter_links(self) -> std::io::Result<fs::Metadata>;
}

impl FilterLinks for std::io::Result<fs::Metadata> {
    fn filter_links(self) -> std::io::Result<fs::Metadata> {
        self.and_then(|found| {
            let is_plain = found.is_file() || found.is_dir();
            if is_plain { Ok(found) } else { Err(std::io::ErrorKind::Unsupported.into()) }
        })
    }
}

fn take(resource: &Resource, parent: Option<&Held>) -> Held {
    let session = Session::new(Vec::new());
    let mut source = connector("btrfs").source(resource, &session.context).unwrap();
    let mark = parent.and_then(|parent| parent.mark.as_ref());
    capture(&mut *source, mark, Released::Committed).unwrap()
}

fn volume(path: &Path) -> Resource {
    resource(Kind::Volume, "data", "btrfs", &[("path", path_at(path))])
}

fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    // Subvolumes are rare, because then everything is looked at.
    let what = prop_oneof![200 => 0u8..22, 1 => Just(22u8)];
    let place = || prop::collection::vec(0u8..6, 1..4);
    prop::collection::vec((what, place(), place(), any::<u16>()), 0..most)
}

#[test]
fn what_changed_is_never_left_out() {
    if skipped_without_root("btrfs") {
        return;
    }
    // Sparse; what is removed frees its space late.
    let btrfs = Mounted::sized("btrfs", 16 << 30);
    let (mut known, mut number) = (0, 0);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48);
    let config =
        Config { failure_persistence: None, cases, max_shrink_iters: 200, ..Config::default() };
    let counts = std::cell::RefCell::new((&mut known, &mut number));
    let tested = TestRunner::new(config).run(&(ops(40), ops(25), ops(6)), |rounds| {
        let (known, number) = &mut *counts.borrow_mut();
        **number += 1;
        let path = btrfs.path.join(format!("volume {number}"));
        subvolume(&path);
        let resource = volume(&path);
        let mut parent: Option<Held> = None;
        for round in [rounds.0, rounds.1, rounds.2] {
            for op in &round {
                perform(&path, op);
            }
            let held = take(&resource, parent.as_ref());
            let (_, tree, changed) = &held.trees[0];
            if let (Changed::Only(names), Some(parent)) = (changed, &parent) {
                **known += 1;
                let updated = parent.trees[0].1.updated(names, tree);
                prop_assert_eq!(&updated, tree, "{:?}", names);
            }
            parent = Some(held);
        }
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
    assert!(known >= number, "mostly it is known what changed: {known} in {number}");
}

fn only(held: &Held) -> Vec<String> {
    let (_, _, Changed::Only(names)) = &held.trees[0] else { panic!("not known what changed") };
    names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn only_what_changed_is_named() {
    if skipped_without_root("btrfs") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = &btrfs.path;
    fs::create_dir_all(path.join("dir/below")).unwrap();
    for number in 0..2000 {
        fs::write(path.join(format!("dir/below/{number}")), b"x").unwrap();
    }
    fs::create_dir(path.join("left out")).unwrap();
    let mut resource = volume(path);
    resource.excludes = vec!["left out/".into()];
    let first = take(&resource, None);
    assert_eq!(first.trees[0].2, Changed::Unknown);
    fs::write(path.join("dir/below/7"), b"y").unwrap();
    fs::remove_file(path.join("dir/below/8")).unwrap();
    fs::write(path.join(os(b"dir/two\nlines")), b"new").unwrap();
    fs::write(path.join("left out/x"), b"x").unwrap();
    fs::rename(path.join("dir"), path.join("renamed")).unwrap();
    let second = take(&resource, Some(&first));
    assert_eq!(
        only(&second),
        [
            "dir",
            "dir/below",
            "dir/below/7",
            "dir/below/8",
            "renamed",
            "renamed/below",
            "renamed/below/7",
            "renamed/two\nlines"
        ]
    );
    assert!(only(&take(&resource, Some(&second))).is_empty());
    // The mark of the first fits no more: its snapshot went with the commit of the second.
    assert_eq!(take(&resource, Some(&first)).trees[0].2, Changed::Unknown);
}

#[test]
fn a_mark_that_does_not_fit_means_that_everything_is_read() {
    if skipped_without_root("btrfs") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("volume");
    subvolume(&path);
    fs::write(path.join("file"), b"x").unwrap();
    let resource = volume(&path);
    let shelf = btrfs.path.join(".tintype-snapshots");
    let kept = || -> PathBuf {
        let mut all: Vec<_> = fs::read_dir(&shelf).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    };
    let property = |value: &str| {
        let arguments = ["property", "set", "-f"].map(AsRef::as_ref);
        let kept = kept();
        let rest = [kept.as_os_str(), "ro".as_ref(), value.as_ref()];
        crate::support::run("btrfs", &[arguments, rest].concat());
    };

    // Somebody wrote to the kept snapshot.
    let first = take(&resource, None);
    property("false");
    fs::write(kept().join("file"), b"y").unwrap();
    property("true");
    let second = take(&resource, Some(&first));
    assert_eq!(second.trees[0].2, Changed::Unknown);
    assert_eq!(only(&take(&resource, Some(&second))), Vec::<String>::new());

    // Other excludes, another resource of the same name, nonsense, gone.
    let third = take(&resource, None);
    let mut other = resource.clone();
    other.excludes = vec!["*.o".into()];
    assert_eq!(take(&other, Some(&third)).trees[0].2, Changed::Unknown);
    let beside = btrfs.path.join("beside");
    subvolume(&beside);
    let fourth = take(&resource, None);
    assert_eq!(take(&volume(&beside), Some(&fourth)).trees[0].2, Changed::Unknown);
    let mut broken = take(&resource, None);
    broken.mark.as_mut().unwrap()["subvolumes"][0]["generation"] = 1.into();
    assert_eq!(take(&resource, Some(&broken)).trees[0].2, Changed::Unknown);
    broken.mark.as_mut().unwrap()["chain"] = "../x".into();
    assert_eq!(take(&resource, Some(&broken)).trees[0].2, Changed::Unknown);
}

/// A run that failed leaves the next one without a mark: what was kept for the one before is needed
/// by nobody then.
#[test]
fn of_a_series_one_snapshot_is_kept_also_after_a_run_that_failed() {
    if skipped_without_root("btrfs") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("volume");
    subvolume(&path);
    let resource = volume(&path);
    let take = |series: &str, mark| {
        let mut session = Session::new(Vec::new());
        session.context.series = series.to_owned();
        cleaned(&*connector("btrfs"), &[], &session.context).unwrap();
        let mut source = connector("btrfs").source(&resource, &session.context).unwrap();
        capture(&mut *source, mark, Released::Committed).unwrap()
    };
    let kept = || {
        cleaned(&*connector("btrfs"), &[], &Session::new(Vec::new()).context).unwrap();
        fs::read_dir(btrfs.path.join(".tintype-snapshots")).unwrap().count()
    };
    let (one, other) = ("1111111111111111", "2222222222222222");
    take(one, None);
    take(one, None);
    let last = take(one, None);
    assert_eq!(kept(), 1);
    // That of another repository is another's.
    take(other, None);
    assert_eq!(kept(), 2);
    fs::write(path.join("new"), b"x").unwrap();
    assert_eq!(only(&take(one, last.mark.as_ref())), ["new"]);
    assert_eq!(kept(), 2);
}

/// Other processes clean whenever they start, and remove a shelf that is empty.
#[test]
fn a_shelf_that_somebody_removes_before_the_freeze_is_made_again() {
    if skipped_without_root("btrfs") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    fs::write(btrfs.path.join("file"), b"x").unwrap();
    let resource = volume(&btrfs.path);
    let session = Session::new(Vec::new());
    let mut source = connector("btrfs").source(&resource, &session.context).unwrap();
    source.prepare(None).unwrap();
    cleaned(&*connector("btrfs"), &[], &Session::new(Vec::new()).context).unwrap();
    assert!(!btrfs.path.join(".tintype-snapshots").exists());
    source.freeze().unwrap();
    source.view().unwrap();
    source.release(Released::Failed).unwrap();
    assert!(!btrfs.path.join(".tintype-snapshots").exists());
}

#[test]
fn read_only_snapshots_inside_are_left_out_and_told() {
    if skipped_without_root("btrfs") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = &btrfs.path;
    fs::create_dir(path.join("copies")).unwrap();
    fs::write(path.join("file"), b"x").unwrap();
    let copy = path.join("copies/1");
    let arguments = ["-q", "subvolume", "snapshot", "-r"].map(AsRef::as_ref);
    crate::support::run("btrfs", &[&arguments[..], &[path.as_os_str(), copy.as_os_str()]].concat());
    let session = Session::new(Vec::new());
    let mut source = connector("btrfs").source(&volume(path), &session.context).unwrap();
    let why = source.plan().unwrap().why_not_more.unwrap();
    assert!(why.contains("copies/1 (a read-only snapshot)"), "{why}");
    let held = capture(&mut *source, None, Released::Committed).unwrap();
    let names: Vec<_> = held.trees[0].1.0.keys().map(|n| String::from_utf8_lossy(n)).collect();
    assert_eq!(names, ["", "copies", "copies/1", "file"]);
    crate::support::run(
        "btrfs",
        &["-q", "subvolume", "delete"]
            .map(AsRef::as_ref)
            .iter()
            .copied()
            .chain([copy.as_os_str()])
            .collect::<Vec<_>>(),
    );
    let next = take(&volume(path), Some(&held));
    assert_eq!(only(&next), ["copies", "copies/1"]);
}
