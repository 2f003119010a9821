//! Machines of a real libvirt that are off, with small disks: what their definitions say and what
//! happens to them between a plan and its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Step, Verdict};
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{ErrorKind, Result};
use tintype_source::connector::{Connector, Destination, Released, Target, TargetPlan};
use tintype_source::libvirt::LibvirtConnector;
use tintype_testkit::libvirt::Libvirt;

use super::support::{Run, StoredDir, Taken, directory, item, resource, run, take};
use crate::support::skipped_without_root;

const DISK_BYTES: usize = 1 << 20;

fn define(libvirt: &Libvirt, name: &str, disks: &str) {
    define_as(libvirt, &format!("<name>{name}</name>"), disks);
}

fn define_as(libvirt: &Libvirt, identity: &str, disks: &str) {
    libvirt.define_xml(
        "define",
        &format!(
            "<domain type='qemu'>{identity}<memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{disks}</devices></domain>"
        ),
    );
}

fn file_disk(device: &str, file: &Path) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
         <target dev='{device}' bus='virtio'/></disk>",
        file.display()
    )
}

/// A disk full of one byte.
fn fill(file: &Path, byte: u8) {
    std::fs::write(file, vec![byte; DISK_BYTES]).unwrap();
}

fn filled(file: &Path) -> u8 {
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.len() == DISK_BYTES && bytes.iter().all(|byte| *byte == bytes[0]));
    bytes[0]
}

/// What a snapshot holds of a machine.
struct Held {
    resource: Resource,
    taken: Taken,
    item: Item,
    stored: StoredDir,
    run: Run,
    _own: tempfile::TempDir,
}

impl Held {
    fn of(resource: &Resource) -> Result<Self> {
        let (own, into) = directory();
        let run = run();
        let mut source = LibvirtConnector.source(resource, &run.context).unwrap();
        let taken = take(&mut *source, None, &into, Released::Committed)?;
        for (at, bytes) in &taken.objects {
            std::fs::write(into.join(at), bytes).unwrap();
        }
        let item = item(resource, &taken);
        let stored = StoredDir(into);
        Ok(Self { resource: resource.clone(), taken, item, stored, run, _own: own })
    }

    fn target(&self) -> Box<dyn Target> {
        LibvirtConnector.target(&self.run.context).unwrap()
    }

    fn plan(&self, destination: &Destination) -> TargetPlan {
        let plan = self.target().plan(&self.item, &self.resource, destination, &self.stored);
        let plan = plan.unwrap();
        let blocks = plan.checks.iter().filter(|check| check.outcome == Verdict::Block);
        assert_eq!(blocks.count(), 0, "{:?}", plan.checks);
        plan
    }

    fn apply(&self, steps: &[Step], stages: &[Stage]) -> Result<Vec<Value>> {
        let mut target = self.target();
        let steps = steps.iter().filter(|step| stages.contains(&step.stage));
        steps.map(|step| target.apply(step, &self.stored)).collect()
    }

    fn undo(&self, steps: &[Step]) -> Result<()> {
        let mut target = self.target();
        let before = steps.iter().filter(|step| step.stage < Stage::Clean).rev();
        let undone: Vec<_> = before.map(|step| target.undo(step, &Value::Null).map(drop)).collect();
        undone.into_iter().collect()
    }
}

const ALL: [Stage; 6] =
    [Stage::Stage, Stage::Stop, Stage::Switch, Stage::Start, Stage::Health, Stage::Clean];

fn as_new(libvirt: &Libvirt, name: &str, place: &Path, start: bool) -> Destination {
    let mut rules = BTreeMap::from([("directory".to_owned(), place.display().to_string())]);
    rules.extend(start.then(|| ("start".to_owned(), "yes".to_owned())));
    let Value::Object(at) = json!({ "domain": name, "uri": libvirt.uri }) else { unreachable!() };
    Destination::AsNew { name: name.to_owned(), at, rules }
}

#[test]
fn what_definitions_say_and_what_becomes_of_them_between() {
    if skipped_without_root("libvirt") {
        return;
    }
    let libvirt = Libvirt::start();
    disks_that_are_no_files(&libvirt);
    undefined_by_mistake(&libvirt);
    started_meanwhile(&libvirt);
    another_of_the_name(&libvirt);
    firmware_and_networks_of_a_new_one(&libvirt);
    firmware_named_as_a_disk(&libvirt);
    saved_with_its_memory(&libvirt);
    what_a_new_one_shares_and_runs(&libvirt);
    libvirt_that_does_not_answer(&libvirt);
}

fn disks_that_are_no_files(libvirt: &Libvirt) {
    let pool = libvirt.directory.join("pool");
    std::fs::create_dir(&pool).unwrap();
    libvirt.virsh(&["pool-define-as", "pool", "dir", "--target", &pool.display().to_string()]);
    libvirt.virsh(&["pool-start", "pool"]);
    libvirt.virsh(&["vol-create-as", "pool", "volume", "1M", "--format", "raw"]);
    let volume = pool.join("volume");
    fill(&volume, 1);
    let disks = "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>\
        <source pool='pool' volume='volume'/><target dev='vda' bus='virtio'/></disk>\
        <disk type='network' device='disk'><driver name='qemu' type='raw'/>\
        <source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source>\
        <target dev='vdb' bus='virtio'/></disk>";
    define(libvirt, "one", disks);
    let mut one = resource("libvirt", json!({ "domain": "one", "uri": libvirt.uri }));
    let refused = Held::of(&one).err().unwrap();
    assert!(refused.is(ErrorKind::Unsupported), "{refused}");
    let said = refused.to_string();
    assert!(
        said.contains("vdb") && said.contains("network") && said.contains("excludes"),
        "{said}"
    );
    one.excludes = vec!["vdb".into()];
    let held = Held::of(&one).unwrap();
    assert_eq!(held.taken.changed.keys().collect::<Vec<_>>(), ["disks/vda.img"]);
    assert_eq!(filled(&held.stored.0.join("disks/vda.img")), 1);
    fill(&volume, 2);
    let told = |plan: &TargetPlan| {
        let mut checks = plan.checks.iter().filter(|check| check.name == "disks");
        checks.any(|check| check.outcome == Verdict::Warn && check.message.contains("vdb"))
    };
    let plan = held.plan(&Destination::InPlace);
    assert!(told(&plan), "{:?}", plan.checks);
    assert!(plan.undo_at.is_empty(), "the definition names what is replaced");
    held.apply(&plan.steps, &ALL).unwrap();
    assert_eq!(filled(&volume), 1);
    assert!(libvirt.virsh(&["dumpxml", "one"]).contains("vdb"));
    let place = libvirt.directory.join("copy");
    let plan = held.plan(&as_new(libvirt, "copy", &place, false));
    assert!(told(&plan), "{:?}", plan.checks);
    held.apply(&plan.steps, &ALL).unwrap();
    let copy = libvirt.virsh(&["dumpxml", "copy"]);
    assert!(!copy.contains("vdb") && copy.contains("copy-vda.raw"), "{copy}");
    held.undo(&plan.steps).unwrap();
    libvirt.virsh(&["undefine", "one"]);
}

/// Off, with one disk; and what a snapshot holds of it. The disk is another since.
fn off(libvirt: &Libvirt, name: &str) -> (PathBuf, Held) {
    let disk = libvirt.directory.join(format!("{name}.raw"));
    fill(&disk, 1);
    define(libvirt, name, &file_disk("vda", &disk));
    let resource = resource("libvirt", json!({ "domain": name, "uri": libvirt.uri }));
    let held = Held::of(&resource).unwrap();
    assert_eq!(held.taken.consistency, Consistency::Crash);
    fill(&disk, 2);
    (disk, held)
}

fn undefined_by_mistake(libvirt: &Libvirt) {
    let (disk, held) = off(libvirt, "two");
    let other = libvirt.directory.join("other.raw");
    fill(&other, 3);
    for defined in [false, true] {
        libvirt.virsh(&["undefine", "two"]);
        if defined {
            let uuid = held.taken.facts["uuid"].as_str().unwrap();
            let identity = format!("<name>two</name><uuid>{uuid}</uuid>");
            define_as(libvirt, &identity, &file_disk("vda", &other));
        }
        fill(&disk, 2);
        let plan = held.plan(&Destination::InPlace);
        assert!(plan.replaces);
        assert_eq!(plan.undo_at["disks"]["vda"]["file"], json!(disk));
        assert_eq!(plan.undo_at["named_disks"], json!(true));
        // As the undo point is taken.
        let mut before = held.resource.clone();
        before.at.extend(plan.undo_at.clone());
        let point = Held::of(&before).unwrap();
        assert_eq!(filled(&point.stored.0.join("disks/vda.img")), 2);
        held.apply(&plan.steps, &ALL).unwrap();
        assert_eq!((filled(&disk), filled(&other)), (1, 3));
        assert!(libvirt.virsh(&["dumpxml", "two"]).contains("two.raw"));
        let back = point.plan(&Destination::InPlace);
        point.apply(&back.steps, &ALL).unwrap();
        assert_eq!(filled(&disk), 2);
        let names_other = libvirt.virsh(&["dumpxml", "two"]).contains("other.raw");
        assert_eq!(names_other, defined, "as it was before");
    }
    libvirt.virsh(&["undefine", "two"]);
}

fn started_meanwhile(libvirt: &Libvirt) {
    let (disk, held) = off(libvirt, "three");
    let steps = held.plan(&Destination::InPlace).steps;
    held.apply(&steps, &[Stage::Stage]).unwrap();
    libvirt.virsh(&["start", "three"]);
    let refused = held.apply(&steps, &[Stage::Switch]).unwrap_err();
    assert!(refused.is(ErrorKind::Locked), "{refused}");
    assert_eq!(filled(&disk), 2);
    libvirt.virsh(&["destroy", "three"]);
    held.apply(&steps, &[Stage::Switch]).unwrap();
    assert_eq!(filled(&disk), 1);
    libvirt.virsh(&["start", "three"]);
    let refused = held.undo(&steps).unwrap_err();
    assert!(refused.is(ErrorKind::Locked), "{refused}");
    assert_eq!(filled(&disk), 1);
    libvirt.virsh(&["destroy", "three"]);
    held.undo(&steps).unwrap();
    assert_eq!(filled(&disk), 2);
    libvirt.virsh(&["undefine", "three"]);
}

fn another_of_the_name(libvirt: &Libvirt) {
    let (_, held) = off(libvirt, "four");
    let place = libvirt.directory.join("new");
    let plan = held.plan(&as_new(libvirt, "new", &place, true));
    held.apply(&plan.steps, &[Stage::Stage, Stage::Switch]).unwrap();
    // Its owner was quicker: what somebody else started is not ended.
    libvirt.virsh(&["start", "new"]);
    let done = held.apply(&plan.steps, &[Stage::Start]).unwrap();
    let start = plan.steps.iter().find(|step| step.stage == Stage::Start).unwrap();
    held.target().undo(start, &done[0]).unwrap();
    assert_eq!(libvirt.virsh(&["domstate", "new"]).trim(), "running");
    libvirt.virsh(&["destroy", "new"]);
    let done = held.apply(&plan.steps, &[Stage::Start]).unwrap();
    held.target().undo(start, &done[0]).unwrap();
    assert_eq!(libvirt.virsh(&["domstate", "new"]).trim(), "shut off");
    // Another took the name: it stays.
    libvirt.virsh(&["undefine", "new"]);
    define(libvirt, "new", "");
    held.undo(&plan.steps).unwrap();
    assert_eq!(libvirt.virsh(&["domstate", "new"]).trim(), "shut off");
    libvirt.virsh(&["undefine", "new"]);
    libvirt.virsh(&["undefine", "four"]);
}

/// A machine of one filled disk, with its variables in `NAME.fd`.
fn with_firmware(libvirt: &Libvirt, name: &str, firmware: &str, devices: &str) {
    let disk = libvirt.directory.join(format!("{name}.raw"));
    fill(&disk, 1);
    std::fs::write(libvirt.directory.join(format!("{name}.fd")), "variables").unwrap();
    let disk = file_disk("vda", &disk);
    libvirt.define_xml(
        "define",
        &format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type>{firmware}</os>\
             <features><acpi/></features><devices>{disk}{devices}</devices></domain>"
        ),
    );
}

fn firmware_and_networks_of_a_new_one(libvirt: &Libvirt) {
    for name in ["lan", "other"] {
        libvirt.define_xml("net-define", &format!("<network><name>{name}</name></network>"));
    }
    let at = |name: &str| libvirt.directory.join(name);
    let vars = at("five.fd");
    with_firmware(
        libvirt,
        "five",
        &format!(
            "<loader readonly='yes' type='pflash'>/nowhere/code.fd</loader><nvram>{}</nvram>",
            vars.display()
        ),
        "<interface type='network'><mac address='52:54:00:aa:bb:01'/><source network='lan'/>\
         </interface>",
    );
    let five = resource("libvirt", json!({ "domain": "five", "uri": libvirt.uri }));
    let held = Held::of(&five).unwrap();
    let place = at("of-six");
    let mut destination = as_new(libvirt, "six", &place, false);
    let mut rule = |name: &str, value: &str| {
        let Destination::AsNew { rules, .. } = &mut destination else { unreachable!() };
        rules.insert(name.to_owned(), value.to_owned());
    };
    rule("network:lan", "other");
    rule("mac:52:54:00:AA:BB:01", "52:54:00:aa:bb:02");
    let plan = held.plan(&destination);
    held.apply(&plan.steps, &[Stage::Stage]).unwrap();
    let own = place.join("six-nvram");
    std::fs::write(&own, "another's").unwrap();
    let refused = held.apply(&plan.steps, &[Stage::Switch]).unwrap_err();
    assert!(refused.is(ErrorKind::AlreadyExists), "{refused}");
    held.undo(&plan.steps).unwrap();
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "another's");
    std::fs::remove_dir_all(&place).unwrap();
    let mut unknown = destination.clone();
    if let Destination::AsNew { rules, .. } = &mut unknown {
        rules.insert("network:nowhere".to_owned(), "other".to_owned());
    }
    let refused = held.target().plan(&held.item, &held.resource, &unknown, &held.stored);
    assert!(refused.unwrap_err().message().contains("nowhere"));
    held.apply(&plan.steps, &ALL).unwrap();
    let six = libvirt.virsh(&["dumpxml", "six"]);
    assert_eq!(std::fs::read_to_string(place.join("six-nvram")).unwrap(), "variables");
    for there in ["network='other'", "52:54:00:aa:bb:02", "six-nvram", "six-vda.raw"] {
        assert!(six.contains(there), "{there}: {six}");
    }
    for of_five in ["network='lan'", "52:54:00:aa:bb:01", "five"] {
        assert!(!six.contains(of_five), "{of_five}: {six}");
    }
    held.undo(&plan.steps).unwrap();
    libvirt.virsh(&["undefine", "five", "--keep-nvram"]);
}

fn libvirt_that_does_not_answer(libvirt: &Libvirt) {
    let (_, held) = off(libvirt, "seven");
    let mut away = held.resource.clone();
    away.at.insert("uri".into(), json!("qemu+unix:///system?socket=/nowhere"));
    let plan = held.target().plan(&held.item, &away, &Destination::InPlace, &held.stored).unwrap();
    let check = plan.checks.iter().find(|check| check.outcome == Verdict::Block).unwrap();
    assert!(check.name == "permissions" && check.cure.is_some(), "{check:?}");
    libvirt.virsh(&["undefine", "seven"]);
}

fn told<'p>(plan: &'p TargetPlan, name: &str) -> Vec<&'p str> {
    let checks = plan.checks.iter().filter(|check| check.name == name);
    checks.filter(|check| check.cure.is_some()).map(|check| &check.message[..]).collect()
}

fn firmware_named_as_a_disk(libvirt: &Libvirt) {
    let at = |name: &str| libvirt.directory.join(name);
    let vars = at("eight.fd");
    with_firmware(
        libvirt,
        "eight",
        &format!(
            "<loader readonly='yes' type='pflash'>/nowhere/code.fd</loader>\
             <nvram type='file'><source file='{}'/></nvram>",
            vars.display()
        ),
        "",
    );
    let eight = resource("libvirt", json!({ "domain": "eight", "uri": libvirt.uri }));
    let held = Held::of(&eight).unwrap();
    assert_eq!(held.taken.objects["nvram"], b"variables");
    let copy = as_new(libvirt, "copy", &at("of-copy"), false);
    let plan = held.plan(&copy);
    assert!(told(&plan, "nvram").is_empty(), "{:?}", plan.checks);
    held.apply(&plan.steps, &ALL).unwrap();
    let defined = libvirt.virsh(&["dumpxml", "copy"]);
    assert!(defined.contains("copy-nvram") && !defined.contains("eight.fd"), "{defined}");
    held.undo(&plan.steps).unwrap();
    // Without them the new one must not take the original's.
    std::fs::remove_file(&vars).unwrap();
    let held = Held::of(&eight).unwrap();
    let why = held.taken.why_not_more.clone().unwrap();
    assert!(why.contains("eight.fd is not there"), "{why}");
    let plan = held.plan(&copy);
    assert_eq!(told(&plan, "nvram").len(), 1, "{:?}", plan.checks);
    held.apply(&plan.steps, &ALL).unwrap();
    let defined = libvirt.virsh(&["dumpxml", "copy"]);
    assert!(!defined.contains("eight.fd"), "{defined}");
    held.undo(&plan.steps).unwrap();
    libvirt.virsh(&["undefine", "eight", "--keep-nvram"]);
}

fn saved_with_its_memory(libvirt: &Libvirt) {
    let (disk, held) = off(libvirt, "nine");
    let early = held.plan(&Destination::InPlace);
    libvirt.virsh(&["start", "nine"]);
    libvirt.virsh(&["managedsave", "nine"]);
    let plan = held.target().plan(&held.item, &held.resource, &Destination::InPlace, &held.stored);
    let plan = plan.unwrap();
    let check = plan.checks.iter().find(|check| check.outcome == Verdict::Block).unwrap();
    let cure = check.cure.as_deref().unwrap();
    assert!(check.name == "running" && cure.contains("managedsave-remove nine"), "{check:?}");
    let why = Held::of(&held.resource).unwrap().taken.why_not_more.unwrap();
    assert!(why.contains("managedsave"), "{why}");
    // It was saved after the plan was made.
    held.apply(&early.steps, &[Stage::Stage]).unwrap();
    let refused = held.apply(&early.steps, &[Stage::Switch]).unwrap_err();
    assert!(refused.is(ErrorKind::Locked), "{refused}");
    held.undo(&early.steps).unwrap();
    assert_eq!(filled(&disk), 2);
    libvirt.virsh(&["managedsave-remove", "nine"]);
    held.plan(&Destination::InPlace);
    libvirt.virsh(&["undefine", "nine"]);
}

fn what_a_new_one_shares_and_runs(libvirt: &Libvirt) {
    let disk = libvirt.directory.join("ten.raw");
    fill(&disk, 1);
    let log = libvirt.directory.join("ten.log");
    let devices = format!(
        "{}<serial type='file'><source path='{}'/></serial>\
         <graphics type='vnc' port='5977' autoport='no'/>",
        file_disk("vda", &disk),
        log.display()
    );
    let uuid = "11111111-2222-4333-8444-555555555555";
    let identity = format!(
        "<name>ten</name><uuid>{uuid}</uuid><sysinfo type='smbios'><system>\
         <entry name='uuid'>{uuid}</entry></system></sysinfo>"
    );
    define_as(libvirt, &identity, &devices);
    let ten = resource("libvirt", json!({ "domain": "ten", "uri": libvirt.uri }));
    let held = Held::of(&ten).unwrap();
    let copy = as_new(libvirt, "copy", &libvirt.directory.join("of-ten"), true);
    let plan = held.plan(&copy);
    let shared = told(&plan, "places").concat();
    assert!(shared.contains("ten.log") && shared.contains("port 5977"), "{shared}");
    assert!(plan.commands.is_empty(), "{:?}", plan.commands);
    held.apply(&plan.steps, &[Stage::Stage, Stage::Switch]).unwrap();
    let defined = libvirt.virsh(&["dumpxml", "copy"]);
    assert!(!defined.contains(uuid), "{defined}");
    held.undo(&plan.steps).unwrap();
    // Of anybody's making.
    let file = held.stored.0.join("domain.xml");
    let stored = std::fs::read_to_string(&file).unwrap();
    for (program, is_blocked) in [("/tmp/qemu-system-x86_64", false), ("/bin/sh", true)] {
        let (begin, end) = ("<emulator>", "</emulator>");
        let (before, rest) = stored.split_once(begin).unwrap();
        let after = rest.split_once(end).unwrap().1;
        std::fs::write(&file, format!("{before}{begin}{program}{end}{after}")).unwrap();
        for destination in [&copy, &Destination::InPlace] {
            let plan = held.target().plan(&held.item, &held.resource, destination, &held.stored);
            let plan = plan.unwrap();
            assert_eq!(!told(&plan, "program").is_empty(), is_blocked, "{:?}", plan.checks);
            assert_eq!(plan.commands, [[program]], "{:?}", plan.commands);
        }
    }
    libvirt.virsh(&["undefine", "ten"]);
}
