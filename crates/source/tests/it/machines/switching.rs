//! The switch of a machine that is off: what it refuses, and what it leaves alone. Its disk is a
//! small file, and who starts it meanwhile a real QEMU.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Step, Verdict};
use tintype_model::resource::Resource;
use tintype_source::connector::{Connector, Destination, Released, Target, TargetPlan};
use tintype_source::qemu::QemuConnector;
use tintype_testkit::guest;

use super::support::{Run, StoredDir, directory, file_hash, item, resource, run, source, take};
use crate::support::{Mounted, skipped_without_root};

const DISK_BYTES: u64 = 16 << 20;

/// A machine that is off, and what a snapshot of it holds.
struct Off {
    place: PathBuf,
    disk: PathBuf,
    resource: Resource,
    item: Item,
    stored: StoredDir,
    run: Run,
    _own: [tempfile::TempDir; 2],
}

impl Off {
    /// `disk`: where it is, by its directory.
    fn captured(disk: impl FnOnce(&Path) -> PathBuf) -> Self {
        guest::parts();
        let (own, place) = directory();
        let (held, into) = directory();
        let disk = disk(&place);
        std::fs::write(&disk, vec![1; 1 << 20]).unwrap();
        let file = std::fs::File::options().write(true).open(&disk).unwrap();
        file.set_len(DISK_BYTES).unwrap();
        let disks = json!({ "vda": { "file": disk, "format": "raw" } });
        let resource = resource("qemu", json!({ "qmp": place.join("qmp"), "disks": disks }));
        let run = run();
        let mut source = source(&resource, &run.context);
        let taken = take(&mut *source, None, &into, Released::Committed).unwrap();
        let item = item(&resource, &taken);
        std::fs::write(&disk, vec![2; DISK_BYTES as usize]).unwrap();
        Self { place, disk, resource, item, stored: StoredDir(into), run, _own: [own, held] }
    }

    fn target(&self) -> Box<dyn Target> {
        QemuConnector.target(&self.run.context).unwrap()
    }

    fn plan(&self) -> TargetPlan {
        let in_place = Destination::InPlace;
        self.target().plan(&self.item, &self.resource, &in_place, &self.stored).unwrap()
    }

    fn steps(&self) -> Vec<Step> {
        let plan = self.plan();
        assert!(blocked(&plan).is_empty(), "{:?}", plan.checks);
        plan.steps
    }

    fn apply(&self, steps: &[Step], stage: Stage) -> tintype_model::Result<()> {
        let mut target = self.target();
        let mut steps = steps.iter().filter(|step| step.stage == stage);
        steps.try_for_each(|step| target.apply(step, &self.stored).map(drop))
    }

    fn undo(&self, steps: &[Step]) -> tintype_model::Result<()> {
        let mut target = self.target();
        let before = steps.iter().filter(|step| step.stage < Stage::Clean).rev();
        let undone: Vec<_> = before.map(|step| target.undo(step, &Value::Null).map(drop)).collect();
        undone.into_iter().collect()
    }

    /// What a step wrote beside the disk.
    fn staged(&self) -> PathBuf {
        let names = std::fs::read_dir(&self.place).unwrap();
        let mut paths = names.map(|entry| entry.unwrap().path());
        paths.find(|path| path.to_string_lossy().contains("-new-")).unwrap()
    }
}

fn blocked(plan: &TargetPlan) -> Vec<&str> {
    let blocking = plan.checks.iter().filter(|check| check.outcome == Verdict::Block);
    blocking.map(|check| &check.name[..]).collect()
}

/// A QEMU that has a disk, and stands at its first instruction.
struct Started(Child);

impl Started {
    fn with(disk: &Path) -> Self {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-S", "-machine", "q35,accel=tcg", "-nodefaults", "-display", "none"]);
        let node = format!("driver=file,node-name=vda,filename={}", disk.display());
        qemu.args(["-blockdev", &node, "-device", "virtio-blk-pci,drive=vda"]);
        let started = Self(qemu.stdin(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while !started.holds(disk) {
            assert!(begun.elapsed() < Duration::from_secs(30), "QEMU does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    fn holds(&self, disk: &Path) -> bool {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.0.id()));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|file| file == disk))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_machine_that_was_started_meanwhile_keeps_its_disk() {
    let off = Off::captured(|place| place.join("disk.raw"));
    let before = file_hash(&off.disk);
    let steps = off.steps();
    off.apply(&steps, Stage::Stage).unwrap();
    // Interrupted here; its owner starts it; the restore goes on.
    let started = Started::with(&off.disk);
    assert_eq!(blocked(&off.plan()), ["in-use"]);
    let error = off.apply(&steps, Stage::Switch).unwrap_err();
    assert!(error.is(ErrorKind::Locked) && error.to_string().contains("qemu"), "{error}");
    assert!(started.holds(&off.disk), "nothing was replaced");
    assert_eq!(file_hash(&off.disk), before);
    drop(started);
    off.apply(&steps, Stage::Switch).unwrap();
    let restored = file_hash(&off.disk);
    assert_ne!(restored, before);
    let started = Started::with(&off.disk);
    let error = off.undo(&steps).unwrap_err();
    assert!(error.is(ErrorKind::Locked), "{error}");
    assert!(started.holds(&off.disk), "nothing was taken back");
    drop(started);
    off.undo(&steps).unwrap();
    assert_eq!(file_hash(&off.disk), before);
    assert_eq!(std::fs::read_dir(&off.place).unwrap().count(), 1);
}

/// It was started and shut down again between the undo point and the switch.
#[test]
fn what_a_machine_wrote_after_the_undo_point_is_not_removed() {
    for is_written in [false, true] {
        let off = Off::captured(|place| place.join("disk.raw"));
        let (mut target, mut done) = (off.target(), Value::Null);
        for step in off.steps() {
            if step.stage == Stage::Switch && is_written {
                std::fs::write(&off.disk, vec![3; DISK_BYTES as usize]).unwrap();
            }
            done = target.apply(&step, &off.stored).unwrap();
            assert_eq!(target.apply(&step, &off.stored).unwrap(), done, "{}", step.text);
        }
        assert_eq!(std::fs::read(&off.disk).unwrap()[0], 1);
        let kept = done["kept"].as_str().map(|kept| std::fs::read(kept).unwrap()[0]);
        assert_eq!(kept, is_written.then_some(3), "{done}");
        let files = std::fs::read_dir(&off.place).unwrap().count();
        assert_eq!(files, 1 + usize::from(is_written));
    }
}

/// A machine ran on what was restored before the restore is taken back.
#[test]
fn what_was_written_to_a_restored_disk_stays_when_it_is_taken_back() {
    for (was_there, is_written) in [(true, false), (true, true), (false, false), (false, true)] {
        let off = Off::captured(|place| place.join("disk.raw"));
        if !was_there {
            std::fs::remove_file(&off.disk).unwrap();
        }
        let (mut target, mut steps) = (off.target(), off.steps());
        steps.retain(|step| step.stage < Stage::Clean);
        for step in &steps {
            target.apply(step, &off.stored).unwrap();
        }
        if is_written {
            let file = std::fs::File::options().write(true).open(&off.disk).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[3; 512], 0).unwrap();
        }
        let mut told = Vec::new();
        for step in steps.iter().rev() {
            let given = target.undo(step, &Value::Null).unwrap();
            assert_eq!(target.undo(step, &Value::Null).unwrap(), given, "{}", step.text);
            told.extend(given["kept"].as_str().map(|kept| std::fs::read(kept).unwrap()[0]));
        }
        assert_eq!(told, is_written.then_some(3).into_iter().collect::<Vec<u8>>());
        let there = std::fs::read(&off.disk).ok().map(|bytes| bytes[0]);
        assert_eq!(there, was_there.then_some(2));
        let files = std::fs::read_dir(&off.place).unwrap().count();
        assert_eq!(files, usize::from(was_there) + usize::from(is_written));
    }
}

/// Whether a process has a file open.
fn is_open(file: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut open = processes.flat_map(|process| std::fs::read_dir(process.path().join("fd")));
    open.any(|fds| {
        let mut targets = fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        targets.any(|target| target == file)
    })
}

/// It can be started again as soon as its disks are read, whatever else the snapshot still has to do.
#[test]
fn disks_of_a_machine_that_is_off_are_held_until_each_is_read() {
    guest::parts();
    let (_own, place) = directory();
    let files = ["vda", "vdb"].map(|name| place.join(name));
    files.iter().for_each(|file| std::fs::write(file, vec![1; 1 << 20]).unwrap());
    let disk = |file: &PathBuf| json!({ "file": file, "format": "raw" });
    let disks = json!({ "vda": disk(&files[0]), "vdb": disk(&files[1]) });
    let run = run();
    let resource = resource("qemu", json!({ "qmp": place.join("qmp"), "disks": disks }));
    let mut source = source(&resource, &run.context);
    source.prepare(None).unwrap();
    source.freeze().and(source.thaw()).unwrap();
    let mut view = source.view().unwrap();
    for read in 0..=files.len() {
        let held: Vec<bool> = files.iter().map(|file| is_open(file)).collect();
        let expected: Vec<bool> = (0..files.len()).map(|number| number >= read).collect();
        assert_eq!(held, expected, "{read} were read");
        if !view.parts.is_empty() {
            drop(view.parts.remove(0));
        }
    }
    source.release(Released::Committed).unwrap();
}

#[test]
fn what_was_written_and_is_gone_is_not_in_its_place() {
    let off = Off::captured(|place| place.join("disk.raw"));
    let before = file_hash(&off.disk);
    let steps = off.steps();
    off.apply(&steps, Stage::Stage).unwrap();
    std::fs::remove_file(off.staged()).unwrap();
    let error = off.apply(&steps, Stage::Switch).unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error}");
    off.undo(&steps).unwrap();
    assert_eq!(file_hash(&off.disk), before);
    // Where nothing was before.
    std::fs::remove_file(&off.disk).unwrap();
    let steps = off.steps();
    off.apply(&steps, Stage::Stage).unwrap();
    let staged = off.staged();
    let kept = std::fs::read(&staged).unwrap();
    std::fs::remove_file(&staged).unwrap();
    assert!(off.apply(&steps, Stage::Switch).unwrap_err().is(ErrorKind::NotFound));
    // Somebody else's is not taken for ours, and not removed.
    std::fs::write(&off.disk, "another's").unwrap();
    std::fs::set_permissions(&off.disk, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(off.apply(&steps, Stage::Switch).unwrap_err().is(ErrorKind::NotFound));
    std::fs::write(&staged, &kept).unwrap();
    assert!(off.apply(&steps, Stage::Switch).unwrap_err().is(ErrorKind::AlreadyExists));
    off.undo(&steps).unwrap();
    assert_eq!(std::fs::read(&off.disk).unwrap(), b"another's");
}

#[test]
fn a_link_to_a_disk_stays_and_the_disk_is_replaced() {
    let off = Off::captured(|place| {
        std::fs::create_dir(place.join("pool")).unwrap();
        std::os::unix::fs::symlink("pool/real.raw", place.join("disk.raw")).unwrap();
        place.join("disk.raw")
    });
    let real = off.place.join("pool/real.raw");
    let steps = off.steps();
    off.apply(&steps, Stage::Stage).unwrap();
    off.apply(&steps, Stage::Switch).unwrap();
    assert!(off.disk.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read(&real).unwrap()[0], 1);
    off.undo(&steps).unwrap();
    assert_eq!(std::fs::read(&real).unwrap()[0], 2);
    std::fs::remove_file(&real).unwrap();
    assert_eq!(blocked(&off.plan()), ["place"], "it leads nowhere");
}

/// Whoever owns the directory gains nothing by links in it.
#[test]
fn what_somebody_put_in_the_place_of_what_was_written_is_left_alone() {
    if skipped_without_root("links") {
        return;
    }
    let off = Off::captured(|place| place.join("disk.raw"));
    std::os::unix::fs::chown(&off.disk, Some(65534), Some(65534)).unwrap();
    let victim = off.place.join("victim");
    std::fs::write(&victim, "root's").unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).unwrap();
    type Put = fn(&Path, &Path) -> std::io::Result<()>;
    let puts: [Put; 2] = [
        |victim, at| std::os::unix::fs::symlink(victim, at),
        |victim, at| std::fs::hard_link(victim, at),
    ];
    for put in puts {
        let steps = off.steps();
        off.apply(&steps, Stage::Stage).unwrap();
        let staged = off.staged();
        std::fs::remove_file(&staged).unwrap();
        put(&victim, &staged).unwrap();
        off.apply(&steps, Stage::Switch).unwrap_err();
        let found = victim.symlink_metadata().unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600));
        assert_eq!(std::fs::read(&victim).unwrap(), b"root's");
        assert_eq!(std::fs::read(&off.disk).unwrap()[0], 2);
        off.undo(&steps).unwrap();
    }
    let steps = off.steps();
    off.apply(&steps, Stage::Stage).unwrap();
    off.apply(&steps, Stage::Switch).unwrap();
    assert_eq!(off.disk.symlink_metadata().unwrap().uid(), 65534, "as it was before");
}

#[test]
fn a_disk_that_does_not_fit_blocks_and_one_that_cannot_grow_warns() {
    if skipped_without_root("free space") {
        return;
    }
    let small = tempfile::tempdir().unwrap();
    let off = Off::captured(|place| place.join("disk.raw"));
    let _mounted = Mounted::tmpfs(small.path(), 4);
    let plan = || {
        let disks = json!({ "vda": { "file": small.path().join("copy.raw"), "format": "raw" } });
        let Value::Object(at) = json!({ "qmp": "/none", "disks": disks }) else { unreachable!() };
        let destination = Destination::AsNew { name: "copy".into(), at, rules: BTreeMap::new() };
        let plan = off.target().plan(&off.item, &off.resource, &destination, &off.stored).unwrap();
        plan.checks.into_iter().find(|check| check.name == "free-space").unwrap()
    };
    let warned = plan();
    assert_eq!(warned.outcome, Verdict::Warn, "1 MiB of 16 is written: {warned:?}");
    std::fs::write(small.path().join("filling"), vec![1; 3584 << 10]).unwrap();
    let refused = plan();
    assert_eq!(refused.outcome, Verdict::Block, "{refused:?}");
}
