//! Restores beyond what every target must do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde_json::Value;
use tintype_model::plan::{Check, Stage, Verdict};
use tintype_source::connector::{Destination, Released, Target, TargetPlan};
use tintype_testkit::nfs::Nfs;
use tintype_testkit::samba::Samba;

use super::world::{VolumeWorld, subvolume};
use crate::conformance::{
    Held, Session, World, capture, cleaned, connector, item, path_at, resource,
};
use crate::support::{Mounted, os, run, skipped_without_root};

fn held(world: &VolumeWorld, released: Released) -> Held {
    let session = Session::new(Vec::new());
    let resource = world.resource();
    let mut source = connector(&resource.connector).source(&resource, &session.context).unwrap();
    capture(&mut *source, None, released).unwrap()
}

fn plan(
    world: &VolumeWorld,
    held: &Held,
    session: &Session,
    destination: &Destination,
    bytes: u64,
) -> (Box<dyn Target>, TargetPlan) {
    let resource = world.resource();
    let mut target = connector(&resource.connector).target(&session.context).unwrap();
    let mut item = item(&resource, held);
    item.bytes = bytes;
    let plan = target.plan(&item, &resource, destination, held).unwrap();
    (target, plan)
}

fn blocked(checks: &[Check]) -> Vec<&str> {
    let blocks = checks.iter().filter(|check| check.outcome == Verdict::Block);
    blocks
        .map(|check| {
            assert!(check.cure.is_some(), "{check:?}");
            &check.name[..]
        })
        .collect()
}

fn as_new(path: &Path) -> Destination {
    let at =
        resource(tintype_model::resource::Kind::Volume, "x", "files", &[("path", path_at(path))])
            .at;
    Destination::AsNew { name: "x".into(), at, rules: BTreeMap::default() }
}

#[test]
fn a_rule_that_would_do_nothing_is_refused() {
    let session = Session::new(Vec::new());
    let top = tempfile::tempdir().unwrap();
    let world = VolumeWorld::new("files", &top.path().join("volume"), Vec::new());
    let held = held(&world, Released::Failed);
    let mut destination = as_new(&top.path().join("copy"));
    let Destination::AsNew { rules, .. } = &mut destination else { unreachable!() };
    rules.insert("owner".to_owned(), "me".to_owned());
    let resource = world.resource();
    let mut target = connector("files").target(&session.context).unwrap();
    let item = item(&resource, &held);
    let refused = target.plan(&item, &resource, &destination, &held).unwrap_err();
    assert!(refused.message().contains("owner"), "{refused}");
}

fn on_ext4() -> VolumeWorld {
    let ext4 = Mounted::new("ext4");
    let path = ext4.path.join("volume");
    fs::create_dir(&path).unwrap();
    VolumeWorld::new("files", &path, vec![ext4])
}

#[test]
fn what_stands_in_the_way_is_told_before_anything_is_done() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = on_ext4();
    let top = world.mounts[0].path.clone();
    let held = held(&world, Released::Failed);
    let session = Session::new(Vec::new());
    let blocks = |destination: &Destination, bytes| {
        let (_, plan) = plan(&world, &held, &session, destination, bytes);
        blocked(&plan.checks).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(blocks(&Destination::InPlace, 1).is_empty());
    assert_eq!(blocks(&Destination::InPlace, 1 << 50), ["free-space"]);
    assert_eq!(blocks(&as_new(&world.path), 1), ["target"]);
    assert_eq!(blocks(&as_new(&top.join("no/such")), 1), ["target"]);
    assert_eq!(blocks(&as_new(&world.path.join("a")), 1), ["target"]);
    assert!(blocks(&as_new(&top.join("new")), 1).is_empty());
    let below = Mounted::kind("tmpfs", &world.path.join("deep/er"));
    assert_eq!(blocks(&Destination::InPlace, 1), ["mounts-below"]);
    below.unmount();
    run("mount", &["-o".as_ref(), "remount,ro".as_ref(), top.as_os_str()]);
    assert_eq!(blocks(&Destination::InPlace, 1), ["read-only"]);
    run("mount", &["-o".as_ref(), "remount,rw".as_ref(), top.as_os_str()]);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn as_new_in_a_directory_that_is_there_or_is_not() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = on_ext4();
    let held = held(&world, Released::Failed);
    let top = &world.mounts[0].path;
    fs::create_dir(top.join("empty")).unwrap();
    for name in ["empty", "not there"] {
        let session = Session::new(Vec::new());
        let (mut target, plan) = plan(&world, &held, &session, &as_new(&top.join(name)), 1);
        assert!(blocked(&plan.checks).is_empty());
        for step in &plan.steps {
            target.apply(step, &held).unwrap();
        }
        assert_eq!(
            fs::read(top.join(name).join(os(b"deep/a name\nof two lines"))).unwrap(),
            b"content"
        );
    }
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// One entry cannot be exchanged: those before it were, and all of it is taken back.
#[test]
fn a_switch_that_fails_halfway() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = {
        let ext4 = Mounted::new("ext4");
        let path = ext4.path.clone();
        VolumeWorld::new("files", &path, vec![ext4])
    };
    let number = world.now();
    let held = held(&world, Released::Failed);
    world.write(number + 1);
    let before = world.state();
    let immutable = world.path.join("further");
    let set = |on: bool| {
        let file = fs::File::open(&immutable).unwrap();
        let mut flags = ioctl_getflags(&file).unwrap();
        flags.set(IFlags::IMMUTABLE, on);
        ioctl_setflags(&file, flags).unwrap();
    };
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
    set(true);
    let failed = plan.steps.iter().position(|step| step.stage == Stage::Switch).unwrap();
    for step in &plan.steps[..failed] {
        target.apply(step, &held).unwrap();
    }
    let error = target.apply(&plan.steps[failed], &held).unwrap_err();
    assert!(error.message().contains("further"), "{error}");
    // Somebody looks at it before it is undone: a part is new.
    assert_ne!(world.state(), before);
    for step in plan.steps[..=failed].iter().rev() {
        target.undo(step, &Value::Null).unwrap();
    }
    set(false);
    assert_eq!(world.state(), before);
    assert_eq!(world.leftovers(), Vec::<String>::new());
    // And after all, from the same plan.
    for step in &plan.steps {
        target.apply(step, &held).unwrap();
    }
    assert_eq!(world.now(), number);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// The directory that stands for a subvolume in a snapshot has the time of whoever looks.
fn state(world: &VolumeWorld) -> Vec<String> {
    let all = world.state();
    all.lines().filter(|line| !line.contains("/kept-")).map(str::to_owned).collect()
}

/// What no snapshot holds must not go with what is replaced.
#[test]
fn what_was_left_out_stays() {
    if skipped_without_root("volumes") {
        return;
    }
    for mounted in [true, false] {
        let btrfs = Mounted::new("btrfs");
        let path = if mounted { btrfs.path.clone() } else { btrfs.path.join("volume") };
        fs::create_dir_all(&path).unwrap();
        let copy = path.join("copies/one");
        let mut world = VolumeWorld::new("btrfs", &path, vec![btrfs]);
        world.resource.excludes = vec!["cache/".into(), "/deep/er/*.tmp".into()];
        let held = held(&world, Released::Committed);
        let kept = |world: &VolumeWorld| -> Vec<PathBuf> {
            let shelf = world.mounts[0].path.join(".tintype-snapshots");
            fs::read_dir(shelf).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        assert_eq!(kept(&world).len(), 1);
        fs::create_dir_all(path.join("new dir/cache/below")).unwrap();
        fs::write(path.join("new dir/cache/below/precious"), b"1").unwrap();
        fs::write(path.join("deep/er/x.tmp"), b"2").unwrap();
        fs::create_dir(path.join("copies")).unwrap();
        if mounted {
            let arguments = ["-q", "subvolume", "snapshot", "-r"].map(AsRef::as_ref);
            run("btrfs", &[&arguments[..], &[path.as_os_str(), copy.as_os_str()]].concat());
        }
        if mounted {
            let session = Session::new(Vec::new());
            let (_, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
            assert_eq!(blocked(&plan.checks), ["snapshots-inside"]);
        }
        world.resource.excludes.push("/copies/".into());
        let (inode, before) = (fs::metadata(&path).unwrap().ino(), state(&world));
        let session = Session::new(Vec::new());
        let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
        let last = plan.steps.len() - 1;
        for step in &plan.steps[..last] {
            target.apply(step, &held).unwrap();
        }
        for step in plan.steps[..last].iter().rev() {
            target.undo(step, &Value::Null).unwrap();
        }
        assert_eq!(state(&world), before);
        for step in &plan.steps {
            target.apply(step, &held).unwrap();
        }
        assert_eq!(fs::read(path.join("new dir/cache/below/precious")).unwrap(), b"1");
        assert_eq!(fs::read(path.join("deep/er/x.tmp")).unwrap(), b"2");
        if mounted {
            assert!(copy.join("deep/er").is_dir(), "a snapshot of somebody else");
            assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "clients keep the directory");
        }
        assert_eq!(kept(&world).len(), 1, "the parent of the next snapshot");
        assert_eq!(world.leftovers(), Vec::<String>::new());
    }
}

/// It may hold all that is left of what the other one replaced.
#[test]
fn what_another_restore_left_is_not_removed() {
    if skipped_without_root("volumes") {
        return;
    }
    for is_mount in [true, false] {
        let ext4 = Mounted::new("ext4");
        let path = if is_mount { ext4.path.clone() } else { ext4.path.join("volume") };
        fs::create_dir_all(&path).unwrap();
        let world = VolumeWorld::new("files", &path, vec![ext4]);
        let held = held(&world, Released::Failed);
        let other = path.join("tintype-00000000deadbeef-restore/new");
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("precious"), b"1").unwrap();
        world.write(5);
        let session = Session::new(Vec::new());
        let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
        let last = plan.steps.len() - 1;
        let is_there = || fs::read(other.join("precious")).unwrap() == b"1";
        for step in &plan.steps[..last] {
            target.apply(step, &held).unwrap();
            assert!(is_there(), "{}", step.text);
        }
        for step in plan.steps[..last].iter().rev() {
            target.undo(step, &Value::Null).unwrap();
            assert!(is_there(), "{}", step.text);
        }
        assert_eq!(world.now(), 5);
        for step in &plan.steps {
            target.apply(step, &held).unwrap();
        }
        assert!(is_there() && world.now() == 1);
        assert_eq!(world.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_subvolume_becomes_one_again() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("volume");
    subvolume(&path);
    let world = VolumeWorld::new("btrfs", &path, vec![btrfs]);
    let held = held(&world, Released::Failed);
    let new = world.mounts[0].path.join("new");
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &as_new(&new), 1);
    for step in &plan.steps {
        target.apply(step, &held).unwrap();
    }
    assert_eq!(fs::metadata(&new).unwrap().ino(), 256);
    let copy = VolumeWorld { path: new, mounts: Vec::new(), ..world };
    assert_eq!(copy.now(), 1);
}

/// It may hold all that is left of what was replaced.
#[test]
fn nobody_cleans_up_a_restore_that_can_be_undone() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = on_ext4();
    let held = held(&world, Released::Failed);
    world.write(5);
    let killed = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &killed, &Destination::InPlace, 1);
    let last = plan.steps.len() - 1;
    for step in &plan.steps[..last] {
        target.apply(step, &held).unwrap();
    }
    killed.kill();
    let next = Session::new(Vec::new());
    let resource = world.resource();
    let clean = || cleaned(&*connector("files"), &[&resource], &next.context).unwrap();
    assert!(clean().is_empty());
    for step in plan.steps[..last].iter().rev() {
        target.undo(step, &Value::Null).unwrap();
    }
    assert_eq!(world.now(), 5);
}

/// What somebody does to what was restored, and whether that must stay.
type Write = (fn(&Path), bool);

fn writes() -> [Write; 7] {
    let at_top = |path: &Path| fs::write(path.join("order"), b"order").unwrap();
    let deep = |path: &Path| fs::write(path.join("deep/er/order"), b"order").unwrap();
    let aged = |path: &Path| {
        // As tools do that copy with all times.
        at_top_of(path);
        let file = fs::File::options().write(true).open(path.join("order")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let owned = |path: &Path| {
        std::os::unix::fs::chown(path.join("a"), Some(7), None).unwrap();
        fs::copy(path.join("a"), path.join("deep/order")).unwrap();
        fs::write(path.join("deep/order"), b"order").unwrap();
    };
    let nothing = |_: &Path| {};
    // As most programs save: a file beside, then a rename.
    let saved = |path: &Path| {
        at_top_of(path);
        fs::rename(path.join("order"), path.join("a")).unwrap();
    };
    let deleted = |path: &Path| fs::remove_file(path.join("b")).unwrap();
    [
        (at_top, true),
        (deep, true),
        (aged, true),
        (owned, true),
        (nothing, false),
        (saved, true),
        (deleted, false),
    ]
}

/// Whatever is written to what was restored stays when that is taken back, wherever it is.
#[test]
fn what_is_written_to_what_was_restored_stays_when_it_is_taken_back() {
    if skipped_without_root("volumes") {
        return;
    }
    for is_mount in [true, false] {
        for (number, (write, is_kept)) in writes().into_iter().enumerate() {
            let is_deleted = number == 6;
            // In a directory that is exchanged as a whole, what goes is a change of it.
            let is_kept = is_kept || (is_deleted && !is_mount);
            let what = format!("{number}, {is_mount}");
            let (world, stays) = written_and_taken_back(write, is_mount, &what);
            assert_eq!(stays.is_some(), is_kept, "{what}: {stays:?}");
            let Some(stays) = stays else {
                assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
                continue;
            };
            let top = if is_mount { stays.clone() } else { stays.join("volume") };
            assert!(top.join("a").exists(), "{what}: with all that was restored");
            let found = ["order", "deep/order", "deep/er/order", "a"].map(|name| top.join(name));
            let found = found.iter().find(|path| path.exists()).unwrap();
            assert!(is_deleted || fs::read(found).unwrap() == b"order", "{what}");
        }
    }
}

/// Gives where what was restored stays.
fn written_and_taken_back(
    write: fn(&Path),
    is_mount: bool,
    what: &str,
) -> (VolumeWorld, Option<PathBuf>) {
    let ext4 = Mounted::new("ext4");
    let path = if is_mount { ext4.path.clone() } else { ext4.path.join("volume") };
    fs::create_dir_all(&path).unwrap();
    let world = VolumeWorld::new("files", &path, vec![ext4]);
    let held = held(&world, Released::Failed);
    world.write(5);
    // What was replaced may have something of the same name.
    fs::write(path.join("order"), b"old").unwrap();
    let before = without_ours(&world);
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
    let until = plan.steps.len() - 1;
    for step in &plan.steps[..until] {
        target.apply(step, &held).unwrap();
    }
    write(&path);
    // Who saves meanwhile does not make it fail; a switch that goes on changes nothing of it.
    let of_stage = |stage| plan.steps.iter().find(move |step| step.stage == stage).unwrap();
    target.apply(of_stage(Stage::Health), &held).unwrap();
    if is_mount && !path.join("order").exists() {
        // All but the time of the top itself.
        let entries = || without_ours(&world).split_off(1);
        let written = entries();
        for _ in 0..2 {
            target.apply(of_stage(Stage::Switch), &held).unwrap();
            assert_eq!(entries(), written, "{what}");
            // One that was interrupted right before its end.
            fs::remove_file(shown_of(&path)).unwrap();
        }
    }
    let mut stays = None;
    for step in plan.steps[..until].iter().rev() {
        let given = target.undo(step, &Value::Null).unwrap();
        stays = given["kept"].as_str().map(PathBuf::from).or(stays);
    }
    assert_eq!(without_ours(&world), before, "{what}");
    (world, stays)
}

fn without_ours(world: &VolumeWorld) -> Vec<String> {
    let ours = |line: &&str| line.starts_with("\"tintype-");
    world.state().lines().filter(|line| !ours(line)).map(str::to_owned).collect()
}

/// What is made once all is exchanged, entry by entry.
fn shown_of(path: &Path) -> PathBuf {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|entry| entry.join("shown")).find(|shown| shown.exists()).unwrap()
}

fn at_top_of(path: &Path) {
    fs::write(path.join("order"), b"order").unwrap();
}

/// Whatever is written after the undo point began is in no snapshot: it stays, wherever it is.
#[test]
fn what_is_written_after_the_undo_point_is_not_removed() {
    type Write = fn(&Path);
    if skipped_without_root("volumes") {
        return;
    }
    let at_top = |path: &Path| fs::write(path.join("later"), b"1").unwrap();
    let deep = |path: &Path| fs::write(path.join("deep/er/later"), b"1").unwrap();
    let over = |path: &Path| {
        // As tools do that copy with all times.
        let before = fs::metadata(path.join("a")).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(path.join("a")).unwrap();
        std::io::Write::write_all(&mut &file, b"9").unwrap();
        file.set_modified(before).unwrap();
    };
    let made = |path: &Path| fs::create_dir(path.join("deep/empty")).unwrap();
    let nothing = |_: &Path| {};
    let writes: [(Write, bool); 5] =
        [(at_top, true), (deep, true), (over, true), (made, true), (nothing, false)];
    for is_mount in [true, false] {
        for (number, (write, is_kept)) in writes.iter().enumerate() {
            let ext4 = Mounted::new("ext4");
            let path = if is_mount { ext4.path.clone() } else { ext4.path.join("volume") };
            fs::create_dir_all(&path).unwrap();
            let world = VolumeWorld::new("files", &path, vec![ext4]);
            let held = held(&world, Released::Failed);
            let session = Session::new(Vec::new());
            let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
            let mut last = Value::Null;
            // Before the moment it is in the undo point.
            fs::write(path.join("before"), b"0").unwrap();
            std::thread::sleep(Duration::from_millis(20));
            for step in &plan.steps {
                last = target.apply(step, &held).unwrap();
                if step.stage == Stage::Watch {
                    write(&path);
                }
            }
            assert_eq!(world.now(), 1);
            let what = format!("{number}, {is_mount}");
            let Some(kept) = last["kept"].as_str() else {
                assert!(!is_kept, "{what}: {last}");
                assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
                continue;
            };
            assert!(is_kept, "{what}: {kept}");
            let kept = Path::new(kept);
            let old = if is_mount { kept.to_owned() } else { kept.join("volume") };
            let found = ["later", "deep/er/later", "deep/empty"].map(|name| old.join(name));
            assert!(
                found.iter().any(|path| path.exists()) || fs::read(old.join("a")).unwrap() == b"9"
            );
            assert!(old.join("before").exists(), "all of it");
            // Done again it is told again, and it is not taken for gone, nor for undone.
            let clean = plan.steps.last().unwrap();
            assert_eq!(target.apply(clean, &held).unwrap(), last);
            target.undo(clean, &Value::Null).unwrap_err();
            let next = Session::new(Vec::new());
            session.kill();
            let cleaned =
                cleaned(&*connector("files"), &[&world.resource()], &next.context).unwrap();
            assert!(cleaned.is_empty() && kept.exists(), "{cleaned:?}");
        }
    }
}

/// Whoever has a file open goes on writing to what was replaced.
#[test]
fn who_writes_is_named_and_what_he_writes_stays() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = on_ext4();
    let held = held(&world, Released::Failed);
    let log = world.path.join("deep/log");
    let script = format!("exec >> '{}'; while read line; do echo $line; done", log.display());
    let mut writer = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually(|| log.exists());
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
    let check = plan.checks.iter().find(|check| check.name == "writers").unwrap();
    assert_eq!(check.outcome, Verdict::Warn);
    assert!(check.message.contains(&format!("(pid {})", writer.id())), "{}", check.message);
    let mut last = Value::Null;
    for step in &plan.steps {
        last = target.apply(step, &held).unwrap();
    }
    std::io::Write::write_all(&mut writer.stdin.take().unwrap(), b"late\n").unwrap();
    writer.wait().unwrap();
    let kept = Path::new(last["kept"].as_str().unwrap()).join("volume/deep/log");
    assert_eq!(fs::read(kept).unwrap(), b"late\n");
}

#[test]
fn a_stranger_in_the_way_is_not_removed() {
    if skipped_without_root("volumes") {
        return;
    }
    let world = on_ext4();
    let held = held(&world, Released::Failed);
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
    target.apply(&plan.steps[0], &held).unwrap();
    let mut container = fs::read_dir(&world.mounts[0].path).unwrap().map(|e| e.unwrap().path());
    let container = container.find(|p| p.to_string_lossy().contains("-restore")).unwrap();
    let inside = Mounted::kind("tmpfs", &{
        let at = container.join("new/volume/deep/er/still");
        assert!(at.is_dir());
        at
    });
    fs::write(inside.path.join("of somebody else"), b"x").unwrap();
    let error = target.undo(&plan.steps[0], &Value::Null).unwrap_err();
    assert!(error.message().contains("remove"), "{error}");
    assert!(inside.path.join("of somebody else").exists());
    inside.unmount();
    target.undo(&plan.steps[0], &Value::Null).unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// The share is what was mounted: its directory stays, and so does the connection.
#[test]
fn a_client_of_samba_stays_attached_while_its_volume_is_restored() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("share");
    subvolume(&path);
    let world = VolumeWorld::new("btrfs", &path, vec![btrfs]);
    world.write(700_007);
    let held = held(&world, Released::Failed);
    world.write(800_008);
    let samba = Samba::start(&path);
    let mut client = samba.attach();
    let both = ["700007", "800008"];
    assert_eq!(client.read("b", &both), "800008");
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &held, &session, &Destination::InPlace, 1);
    for step in &plan.steps {
        target.apply(step, &held).unwrap();
        let wanted = both[usize::from(step.stage < Stage::Switch)];
        assert_eq!(client.read("b", &both), wanted, "{}", step.text);
    }
    assert_eq!(world.now(), 700_007);
}

/// Looks again after a while, since servers remember.
fn eventually(mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_mins(1), "clients do not see it");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The number that a client sees, if it is not told that what it knew is gone. Nothing else is ever
/// seen.
fn is_whole(seen: Result<String, String>) -> Option<u64> {
    match seen {
        Ok(seen) => {
            assert!(["700007", "800008"].contains(&&*seen), "{seen}");
            seen.parse().ok()
        }
        Err(said) => {
            assert!(said.contains("STALE") || said.contains("NOENT"), "{said}");
            None
        }
    }
}

/// A file that is open is read to its end as it was. A name leads to the new file when the server has
/// noticed that it is another one; it may tell a client once that what it knew is gone.
#[test]
fn a_client_of_nfs_keeps_its_open_file_while_its_volume_is_restored() {
    if skipped_without_root("volumes") {
        return;
    }
    // Frozen below the export.
    let below = Mounted::new("xfs");
    let volume = below.stack("ext4");
    let path = volume.path.clone();
    let world = VolumeWorld::new("reflink", &path, vec![volume, below]);
    let large = |letter| vec![letter; 8 << 20];
    fs::write(path.join("large"), large(b'A')).unwrap();
    fs::write(path.join("only then"), "x").unwrap();
    world.write(700_007);
    let nfs = Nfs::start(&path);
    assert_eq!(nfs.read("b").unwrap(), "700007");
    let captured = {
        let attached = nfs.open("large");
        let held = held(&world, Released::Failed);
        let seen = attached.rest();
        assert!(seen == (large(b'A'), true), "it read on through the freeze");
        held
    };
    assert_eq!(captured.consistency, tintype_model::resource::Consistency::Filesystem);
    world.write(800_008);
    fs::write(path.join("large.new"), large(b'B')).unwrap();
    fs::rename(path.join("large.new"), path.join("large")).unwrap();
    fs::remove_file(path.join("only then")).unwrap();
    let becomes = |wanted: &str| eventually(|| is_whole(nfs.read("b")) == wanted.parse().ok());
    becomes("800008");
    eventually(|| nfs.read("large").unwrap_or_default().starts_with('B'));
    let attached = nfs.open("large");
    let session = Session::new(Vec::new());
    let (mut target, plan) = plan(&world, &captured, &session, &Destination::InPlace, 1);
    for step in &plan.steps {
        target.apply(step, &captured).unwrap();
        let seen = is_whole(nfs.read("b"));
        assert!(step.stage >= Stage::Switch || seen != Some(700_007), "{}", step.text);
    }
    becomes("700007");
    eventually(|| nfs.read("only then").is_ok());
    let seen = attached.rest();
    assert!(seen == (large(b'B'), true), "{} bytes, {}", seen.0.len(), seen.1);
    assert_eq!(world.now(), 700_007);
    // The share can be written to as before.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "of a client").unwrap();
    let said = nfs.write(file.path(), "written");
    assert_eq!(fs::read(path.join("written")).unwrap_or_default(), b"of a client", "{said}");
    assert_eq!(world.leftovers(), Vec::<String>::new());
}
