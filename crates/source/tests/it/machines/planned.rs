//! Restores of machines of QEMU whose snapshot is made by hand: what is decided, checked and written
//! without a machine that runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step, Verdict};
use tintype_model::resource::{Consistency, Hook, Resource};
use tintype_source::connector::{Connector, Destination, TargetPlan};
use tintype_source::qemu::QemuConnector;

use super::support::{Run, StoredDir, Taken, directory, item, resource, run};
use crate::support::{Mounted, skipped_without_root};

const DISK_BYTES: usize = 1 << 20;

/// A machine with one disk, variables of its firmware and a bridge of the host.
struct Held {
    resource: Resource,
    item: Item,
    stored: StoredDir,
    place: PathBuf,
    run: Run,
    _own: (tempfile::TempDir, tempfile::TempDir),
}

fn as_new(directory: &Path, more: &[(&str, &str)]) -> Destination {
    let mut rules = BTreeMap::from([("directory".to_owned(), directory.display().to_string())]);
    rules.extend(more.iter().map(|(rule, to)| ((*rule).to_owned(), (*to).to_owned())));
    let Value::Object(at) = json!({ "qmp": directory.join("qmp") }) else { unreachable!() };
    Destination::AsNew { name: "copy".into(), at, rules }
}

impl Held {
    fn new() -> Self {
        tintype_testkit::guest::parts();
        let ((own, into), (there, place)) = (directory(), directory());
        let vm = place.join("vm");
        std::fs::create_dir(&vm).unwrap();
        std::fs::create_dir(into.join("disks")).unwrap();
        std::fs::write(into.join("disks/vda.img"), vec![7; DISK_BYTES]).unwrap();
        std::fs::write(into.join("nvram"), "variables").unwrap();
        let file = |name: &str| vm.join(name).display().to_string();
        let drive = format!("if=pflash,format=raw,file={}", file("vars.fd"));
        let disk = format!(
            "driver=qcow2,node-name=vda,file.driver=file,file.filename={}",
            file("a.qcow2")
        );
        let command = [
            "qemu-system-x86_64",
            "-name",
            "original",
            "-drive",
            &drive,
            "-blockdev",
            &disk,
            "-netdev",
            "bridge,id=n,br=lan",
            "-qmp",
            "unix:/run/original.qmp,server=on",
        ];
        let definition = json!({ "format": 1, "name": "original", "uuid": null, "qemu": "7.2",
            "command": command, "directory": vm, "system": null, "block": [] });
        std::fs::write(into.join("definition.json"), definition.to_string()).unwrap();
        let of = |name: &str, at: &str, format: &str| {
            json!({ "name": name, "file": file(at), "format": format, "size_bytes": DISK_BYTES,
                "has_backing": false })
        };
        let facts = json!({ "disks": [of("vda", "a.qcow2", "qcow2")],
            "nvram": of("nvram", "vars.fd", "raw"), "running": true });
        let resource =
            resource("qemu", json!({ "qmp": place.join("qmp"), "agent": place.join("agent") }));
        let taken = Taken {
            consistency: Consistency::Crash,
            why_not_more: None,
            mark: None,
            facts,
            changed: BTreeMap::new(),
            objects: BTreeMap::new(),
        };
        let item = item(&resource, &taken);
        Self { resource, item, stored: StoredDir(into), place, run: run(), _own: (own, there) }
    }

    fn plan(&self, destination: &Destination) -> TargetPlan {
        let mut target = QemuConnector.target(&self.run.context).unwrap();
        target.plan(&self.item, &self.resource, destination, &self.stored).unwrap()
    }

    /// Up to a stage, and of it.
    fn apply(&self, plan: &TargetPlan, stages: &[Stage]) -> tintype_model::Result<()> {
        let mut target = QemuConnector.target(&self.run.context).unwrap();
        let mut steps = plan.steps.iter().filter(|step| stages.contains(&step.stage));
        steps.try_for_each(|step| target.apply(step, &self.stored).map(drop))
    }

    fn hook(&mut self, phase: &str) {
        let hook = json!({ "phase": phase, "where": "guest", "command": ["true"] });
        let hook: Hook = serde_json::from_value(hook).unwrap();
        self.resource.hooks = vec![hook];
    }
}

fn found<'p>(plan: &'p TargetPlan, name: &str) -> Vec<&'p Check> {
    plan.checks.iter().filter(|check| check.name == name).collect()
}

fn blocked(plan: &TargetPlan) -> Vec<&str> {
    let blocks = plan.checks.iter().filter(|check| check.outcome == Verdict::Block);
    blocks.map(|check| &check.name[..]).collect()
}

const WRITTEN: [Stage; 2] = [Stage::Stage, Stage::Switch];

#[test]
fn as_new_it_has_firmware_of_its_own_and_the_network_that_a_rule_gives() {
    let held = Held::new();
    let copy = held.place.join("copy");
    let plan = held.plan(&as_new(&copy, &[("replace:br=lan", "br=other")]));
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    held.apply(&plan, &WRITTEN).unwrap();
    held.apply(&plan, &[Stage::Health]).unwrap();
    assert_eq!(std::fs::read_to_string(copy.join("nvram")).unwrap(), "variables");
    let start = std::fs::read_to_string(copy.join("start.sh")).unwrap();
    let whole = |name: &str| format!("={}", copy.join(name).display());
    for word in [&whole("nvram")[..], &whole("vda.qcow2"), "br=other", "'copy'"] {
        assert!(start.contains(word), "{word}: {start}");
    }
    let originals = ["br=lan", "/vm/", "vars.fd", "original"];
    assert!(!originals.iter().any(|original| start.contains(original)), "{start}");
}

#[test]
fn a_disk_that_is_not_what_was_captured_fails_the_health_check() {
    let held = Held::new();
    let plan = held.plan(&Destination::InPlace);
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    held.apply(&plan, &WRITTEN).unwrap();
    held.apply(&plan, &[Stage::Health]).unwrap();
    let disk = held.place.join("vm/a.qcow2");
    let image = std::fs::read(&disk).unwrap();
    std::fs::write(&disk, "no image").unwrap();
    let error = held.apply(&plan, &[Stage::Health]).unwrap_err();
    assert!(error.to_string().contains("a.qcow2 cannot be opened"), "{error}");
    // A smaller one of the format.
    let words = ["create", "-q", "-f", "qcow2"].map(std::ffi::OsStr::new);
    let small = [disk.as_os_str(), "65536".as_ref()];
    crate::support::run("qemu-img", &[&words[..], &small].concat());
    let error = held.apply(&plan, &[Stage::Health]).unwrap_err();
    assert!(error.is(ErrorKind::Corrupt), "{error}");
    std::fs::write(&disk, image).unwrap();
    held.apply(&plan, &[Stage::Health]).unwrap();
}

#[test]
fn where_nothing_may_be_written_nothing_is_restored() {
    if skipped_without_root("a file system that is read-only") {
        return;
    }
    let held = Held::new();
    let at = held.place.join("read-only");
    std::fs::create_dir(&at).unwrap();
    let mounted = Mounted::tmpfs(&at, 3);
    let remount = ["-o", "remount,ro"].map(std::ffi::OsStr::new);
    crate::support::run("mount", &[&remount[..], &[at.as_os_str()]].concat());
    let plan = held.plan(&as_new(&at.join("copy"), &[]));
    assert!(blocked(&plan).contains(&"permissions"), "{:?}", plan.checks);
    let said = found(&plan, "permissions")[0];
    assert!(said.message.contains("read-only") && said.cure.is_some(), "{said:?}");
    let plan = held.plan(&as_new(&held.place.join("copy"), &[]));
    assert_eq!(found(&plan, "permissions")[0].outcome, Verdict::Pass);
    drop(mounted);
}

#[test]
fn hooks_in_a_guest_need_an_agent_that_answers() {
    let mut held = Held::new();
    let copy = held.place.join("copy");
    let start = [("start", "yes")];
    held.hook("pre-restore");
    let plan = held.plan(&as_new(&copy, &start));
    assert_eq!(blocked(&plan), ["guest-hook"], "nothing listens: {:?}", plan.checks);
    held.hook("post-restore");
    let plan = held.plan(&as_new(&copy, &start));
    assert_eq!(blocked(&plan), ["guest-hook"], "none is named for it: {:?}", plan.checks);
    let mut destination = as_new(&copy, &start);
    if let Destination::AsNew { at, .. } = &mut destination {
        at.insert("agent".into(), json!(copy.join("agent")));
    }
    assert_eq!(blocked(&held.plan(&destination)), Vec::<&str>::new());
}

/// The command line comes out of a snapshot, which may be of anybody's making.
#[test]
fn what_is_started_is_shown_beforehand_and_is_a_qemu() {
    let held = Held::new();
    let copy = held.place.join("copy");
    assert!(held.plan(&as_new(&copy, &[("start", "no")])).commands.is_empty());
    let plan = held.plan(&as_new(&copy, &[("start", "yes")]));
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    assert_eq!(plan.commands[0][..3], ["qemu-system-x86_64", "-name", "copy"]);
    let file = held.stored.0.join("definition.json");
    let mut definition: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    definition["command"] = json!(["/bin/sh", "-c", "echo"]);
    std::fs::write(file, definition.to_string()).unwrap();
    let plan = held.plan(&as_new(&copy, &[("start", "yes")]));
    assert_eq!(blocked(&plan), ["program"]);
    assert_eq!(plan.commands, [["/bin/sh", "-c", "echo"]]);
}

#[test]
fn what_appeared_since_the_plan_is_not_removed() {
    for name in ["nvram", "definition.json", "start.sh", "vda.qcow2"] {
        let held = Held::new();
        let copy = held.place.join("copy");
        let plan = held.plan(&as_new(&copy, &[]));
        assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
        held.apply(&plan, &[Stage::Stage]).unwrap();
        let file = copy.join(name);
        std::fs::write(&file, "another's").unwrap();
        let refused = held.apply(&plan, &[Stage::Switch]).unwrap_err();
        assert!(refused.is(ErrorKind::AlreadyExists), "{name}: {refused}");
        let mut target = QemuConnector.target(&held.run.context).unwrap();
        for step in plan.steps.iter().rev().filter(|step| step.stage <= Stage::Switch) {
            target.undo(step, &Value::Null).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "another's");
        assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 1, "{name}");
    }
}

/// On disks that the undo takes away.
#[test]
fn one_that_opens_no_monitor_does_not_run_on() {
    let held = Held::new();
    let (script, number) = (held.place.join("start.sh"), held.place.join("number"));
    let line = format!(
        "#!/bin/sh\nexec qemu-system-x86_64 -machine none -nodefaults -display none -pidfile {}\n",
        number.display()
    );
    std::fs::write(&script, line).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&script, mode).unwrap();
    let action = json!({ "do": "start", "script": script, "directory": held.place,
        "qmp": held.place.join("qmp") });
    let step = Step { stage: Stage::Start, text: "start it".to_owned(), action };
    let mut target = QemuConnector.target(&held.run.context).unwrap();
    let runs = || std::fs::read_to_string(&number).ok().filter(|text| text.ends_with('\n'));
    let failed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while runs().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            // Sooner than it gives up.
            held.run.context.cancel.cancel();
        });
        target.apply(&step, &held.stored).unwrap_err()
    });
    assert!(failed.is(ErrorKind::Canceled), "{failed}");
    let process = runs().unwrap();
    assert!(!Path::new("/proc").join(process.trim()).exists(), "QEMU {process} runs on");
}

#[test]
fn rules_of_what_is_not_there_are_refused() {
    let held = Held::new();
    let mut target = QemuConnector.target(&held.run.context).unwrap();
    let copy = held.place.join("copy");
    for rule in [("mac:52:54:00:00:00:09", "52:54:00:00:00:01"), ("start", "true")] {
        let destination = as_new(&copy, &[rule]);
        let refused = target.plan(&held.item, &held.resource, &destination, &held.stored);
        let refused = refused.unwrap_err();
        assert!(refused.is(ErrorKind::Invalid), "{rule:?}: {refused}");
    }
}

#[test]
fn one_that_is_off_says_that_its_definition_is_not_captured() {
    let held = Held::new();
    let disk = held.place.join("off.raw");
    std::fs::write(&disk, vec![1; DISK_BYTES]).unwrap();
    let mut off = held.resource.clone();
    off.at.insert("disks".into(), json!({ "vda": { "file": disk, "format": "raw" } }));
    let plan = super::support::source(&off, &held.run.context).plan().unwrap();
    let why = plan.why_not_more.unwrap();
    assert!(why.contains("definition") && why.contains("not captured"), "{why}");
}
