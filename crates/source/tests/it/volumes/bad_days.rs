//! What goes wrong: each time it is refused or fails with a reason, and nothing stays.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use tintype_model::ErrorKind;
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_source::connector::{Content, Released, Source};

use super::world::{VolumeWorld, subvolume};
use crate::conformance::{Held, Session, World, capture, connector, path_at, resource};
use crate::support::{Mounted, skipped_without_root};

fn volume(kind: &str, path: &Path) -> Resource {
    resource(Kind::Volume, "data", kind, &[("path", path_at(path))])
}

fn source(resource: &Resource, session: &Session) -> Box<dyn Source> {
    connector(&resource.connector).source(resource, &session.context).unwrap()
}

fn refusal(kind: &str, path: &Path, written_devices: Vec<u64>) -> String {
    let session = Session::new(written_devices);
    let resource = volume(kind, path);
    let error = source(&resource, &session).plan().unwrap_err();
    assert!(error.message().contains("volume data"), "{error}");
    error.message().to_owned()
}

#[test]
fn what_cannot_be_frozen_is_refused_beforehand() {
    if skipped_without_root("volumes") {
        return;
    }
    let root = refusal("reflink", Path::new("/etc"), Vec::new());
    assert!(root.contains("root file system") || root.contains("is not ext4 or xfs"), "{root}");
    let not_btrfs = refusal("btrfs", Path::new("/proc"), Vec::new());
    assert!(not_btrfs.contains("not on btrfs"), "{not_btrfs}");
    let nowhere = refusal("files", Path::new("/no/such/directory"), Vec::new());
    assert!(nowhere.contains("/no/such/directory"), "{nowhere}");

    // No reflinks below.
    let without = Mounted::new("ext4");
    let plain = without.stack("ext4");
    let below = refusal("reflink", &plain.path, Vec::new());
    assert!(below.contains("without reflinks"), "{below}");

    // We write to it, or to what lies on it.
    let btrfs = Mounted::new("btrfs");
    let upper = btrfs.stack("xfs");
    let top = upper.stack("ext4");
    for device in [fs::metadata(&upper.path).unwrap().dev(), fs::metadata(&top.path).unwrap().dev()]
    {
        let ours = refusal("reflink", &upper.path, vec![device]);
        assert!(ours.contains("freezing it would stop the snapshot"), "{ours}");
    }
    // Not what it lies on.
    let below = fs::metadata(&btrfs.path).unwrap().dev();
    let session = Session::new(vec![below]);
    let plan = source(&volume("reflink", &upper.path), &session).plan().unwrap();
    assert_eq!(plan.reaches, Consistency::Filesystem);
    drop(top);
}

#[test]
fn an_empty_mount_point_is_not_taken_for_a_volume() {
    if skipped_without_root("volumes") {
        return;
    }
    let ext4 = Mounted::new("ext4");
    let mut resource = volume("files", &ext4.path);
    resource.at.insert("mounted".into(), true.into());
    let session = Session::new(Vec::new());
    source(&resource, &session).plan().unwrap();
    ext4.unmount();
    let error = source(&resource, &session).plan().unwrap_err();
    assert!(error.is(ErrorKind::NotFound) && error.message().contains("nothing is mounted"));
}

/// What was opened stays readable, and nothing is taken for empty.
#[test]
fn a_volume_that_is_unmounted_while_it_is_read() {
    if skipped_without_root("volumes") {
        return;
    }
    for kind in ["files", "btrfs", "reflink"] {
        let below = Mounted::new("btrfs");
        let upper = if kind == "reflink" { Some(below.stack("ext4")) } else { None };
        let place = upper.as_ref().unwrap_or(&below).path.join("volume");
        fs::create_dir(&place).unwrap();
        let world = VolumeWorld::new(kind, &place, Vec::new());
        let number = world.now();
        let session = Session::new(Vec::new());
        let mut source = source(&world.resource, &session);
        source.plan().unwrap();
        source.prepare(None).unwrap();
        source.freeze().unwrap();
        source.thaw().unwrap();
        let view = source.view().unwrap();
        upper.as_ref().unwrap_or(&below).unmount();
        assert!(!place.exists());
        assert_eq!(world.captured(&Held::of(view)), number, "{kind}");
        source.release(Released::Failed).unwrap();
    }
}

#[test]
fn a_volume_that_vanishes_before_the_freeze() {
    if skipped_without_root("volumes") {
        return;
    }
    let below = Mounted::new("btrfs");
    let path = below.path.join("volume");
    subvolume(&path);
    let session = Session::new(Vec::new());
    let mut source = source(&volume("btrfs", &path), &session);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    fs::remove_dir(&path).unwrap();
    let error = source.freeze().unwrap_err();
    assert!(error.message().contains("volume data"), "{error}");
    source.thaw().unwrap();
    source.release(Released::Failed).unwrap();
    assert_eq!(fs::read_dir(&below.path).unwrap().count(), 0, "nothing is left");
}

#[test]
fn what_somebody_else_froze_stays_frozen() {
    if skipped_without_root("volumes") {
        return;
    }
    let xfs = Mounted::new("xfs");
    let ext4 = xfs.stack("ext4");
    let session = Session::new(Vec::new());
    let mut source = source(&volume("reflink", &ext4.path), &session);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    let fsfreeze =
        |how: &str| Command::new("fsfreeze").arg(how).arg(&ext4.path).status().unwrap().success();
    assert!(fsfreeze("-f"));
    let error = source.freeze().unwrap_err();
    source.thaw().unwrap();
    source.release(Released::Failed).unwrap();
    assert!(fsfreeze("-u"), "it was not ours to thaw");
    assert!(error.is(ErrorKind::Locked) && error.message().contains("frozen already"), "{error}");
}

/// The guard was quicker: what was shared may be of several moments.
#[test]
fn a_guard_that_thaws_makes_the_view_worthless() {
    if skipped_without_root("volumes") {
        return;
    }
    let xfs = Mounted::new("xfs");
    let ext4 = xfs.stack("ext4");
    let session = Session::new(Vec::new());
    let resource = volume("reflink", &ext4.path);
    let mut source = source(&resource, &session);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    let guarded = source.guarded().unwrap();
    assert_eq!((&guarded.connector[..], &guarded.name[..]), ("reflink", "data"));
    source.freeze().unwrap();
    let guard = Session::new(Vec::new());
    for _ in 0..2 {
        connector(&guarded.connector).thaw(&guarded.what, &guard.context).unwrap();
    }
    fs::write(ext4.path.join("written"), b"after the thaw").unwrap();
    assert!(source.thaw().unwrap_err().message().contains("thawed before"));
    source.view().map(|_| ()).unwrap_err();
    source.release(Released::Failed).unwrap();
    assert_eq!(fs::read_dir(&xfs.path).unwrap().count(), 1, "only the image is left");
}

/// Frozen together, the upper would wait for the lower, and the lower for the group.
#[test]
fn a_volume_on_another_one_is_not_frozen_with_it() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let lower = btrfs.stack("xfs");
    let upper = lower.stack("ext4");
    let session = Session::new(Vec::new());
    let mut sources: Vec<_> = [&lower, &upper]
        .iter()
        .zip(["lower", "upper"])
        .map(|(mounted, name)| {
            let mut resource = volume("reflink", &mounted.path);
            name.clone_into(&mut resource.name);
            let mut source = source(&resource, &session);
            source.plan().unwrap();
            source.prepare(None).unwrap();
            source
        })
        .collect();
    sources[0].freeze().unwrap();
    let error = sources[1].freeze().unwrap_err();
    assert!(
        error.message().contains("upper cannot be frozen together with volume lower"),
        "{error}"
    );
    sources[1].thaw().unwrap();
    sources[0].thaw().unwrap();
    sources[1].freeze().unwrap();
    sources[1].thaw().unwrap();
    for mut source in sources {
        source.release(Released::Failed).unwrap();
    }
}

#[test]
fn two_volumes_of_one_subvolume_in_one_session() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let session = Session::new(Vec::new());
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let path = btrfs.path.join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(name), name).unwrap();
            let (session, barrier) = (&session, &barrier);
            scope.spawn(move || {
                let mut resource = volume("btrfs", &path);
                name.clone_into(&mut resource.name);
                let mut source = source(&resource, session);
                barrier.wait();
                let held = capture(&mut *source, None, Released::Committed).unwrap();
                assert_eq!(fs::read_to_string(held.path(b"").join(name)).unwrap(), name);
            });
        }
    });
}

#[test]
fn a_read_only_mount_is_refused() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    crate::support::run("mount", &["-o".as_ref(), "remount,ro".as_ref(), btrfs.path.as_os_str()]);
    let why = refusal("btrfs", &btrfs.path, Vec::new());
    assert!(why.contains("read-only"), "{why}");
}

/// Long: 10^6 files in one directory, and ten of them changed.
#[test]
#[ignore = "takes a minute and 2 GB"]
fn a_million_files_in_one_directory() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::sized("btrfs", 4 << 30);
    let path = btrfs.path.join("volume");
    subvolume(&path);
    for number in 0..1_000_000 {
        fs::File::create(path.join(format!("{number:07}"))).unwrap();
    }
    let resource = volume("btrfs", &path);
    let take = |mark| {
        let session = Session::new(Vec::new());
        let mut source = source(&resource, &session);
        source.plan().unwrap();
        source.prepare(mark).unwrap();
        source.freeze().unwrap();
        source.thaw().unwrap();
        let begun = std::time::Instant::now();
        let view = source.view().unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        let Content::Files { changed, .. } = &view.parts[0].content else { panic!("no files") };
        let changed = changed.clone();
        source.release(Released::Committed).unwrap();
        (view.mark, changed, seconds)
    };
    let (mark, ..) = take(None);
    for number in 0..10 {
        fs::write(path.join(format!("{:07}", number * 99_999)), b"changed").unwrap();
    }
    let (_, changed, seconds) = take(mark.as_ref());
    let tintype_source::connector::Changed::Only(names) = changed else { panic!("not known") };
    assert_eq!(names.len(), 10);
    eprintln!("what changed of 10^6 files: {seconds:.3} s");
    assert!(seconds < 1.0, "{seconds} s");
}
