//! Machines that are restored, and run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Step, Verdict};
use tintype_model::resource::Resource;
use tintype_source::connector::{Connector, Destination, Released, Target, TargetPlan};
use tintype_source::qemu::QemuConnector;
use tintype_testkit::guest::{Guest, Options};

use super::support::{
    StoredDir, Taken, directory, file_hash, guest_writes, item, leftovers, qemu, run, source, take,
};

fn captured(resource: &Resource, into: &Path) -> Taken {
    let run = run();
    let mut source = source(resource, &run.context);
    let taken = take(&mut *source, None, into, Released::Committed).unwrap();
    for (at, bytes) in &taken.objects {
        std::fs::write(into.join(at), bytes).unwrap();
    }
    taken
}

fn blocked(plan: &TargetPlan) -> Vec<&str> {
    let blocking = plan.checks.iter().filter(|check| check.outcome == Verdict::Block);
    blocking.map(|check| &check.name[..]).collect()
}

fn in_order(plan: &TargetPlan) -> Vec<Step> {
    let mut steps = plan.steps.clone();
    steps.sort_by_key(|step| step.stage);
    steps
}

/// With `disks`, as discovery writes it.
fn whole_resource(guest: &Guest) -> Resource {
    let mut resource = qemu(guest);
    let disks = guest
        .disks
        .iter()
        .map(|(name, file, format)| (name.clone(), json!({ "file": file, "format": format })));
    resource.at.insert("disks".into(), Value::Object(disks.collect()));
    resource
}

fn listed(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains("qcow2")).collect();
    names.sort();
    names
}

#[test]
fn over_the_source_each_step_can_be_taken_back_and_in_the_end_it_runs_as_it_was() {
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    guest.shell("echo before > /data/state; sync");
    let resource = whole_resource(&guest);
    let (_own, into) = directory();
    let taken = captured(&resource, &into);
    guest.shell("echo after > /data/state; sync");
    let stored = StoredDir(into.clone());
    let item: Item = item(&resource, &taken);
    let run = run();
    let mut target = QemuConnector.target(&run.context).unwrap();
    let plan = target.plan(&item, &resource, &Destination::InPlace, &stored).unwrap();
    assert!(blocked(&plan).contains(&"running"), "{:?}", plan.checks);
    let place = guest.directory.clone();
    let kept = guest.quit();

    let plan = target.plan(&item, &resource, &Destination::InPlace, &stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    assert!(plan.replaces);
    let steps = in_order(&plan);
    let (files, hash) = (listed(&place), file_hash(&place.join("data.qcow2")));
    let switched = steps.iter().position(|step| step.stage == Stage::Clean).unwrap();
    for broken in 0..=switched {
        back_and_forth(&mut *target, &steps[..broken], &stored);
        assert_eq!(listed(&place), files, "after {broken} steps");
        assert_eq!(file_hash(&place.join("data.qcow2")), hash, "after {broken} steps");
    }
    for step in &steps {
        target.apply(step, &stored).unwrap();
        // As after an interruption that lost the answer.
        if step.stage != Stage::Stage {
            target.apply(step, &stored).unwrap();
        }
    }
    assert_eq!(listed(&place), files);
    let mut guest =
        Guest::boot_in(&place, &Options { words: "nowriter".into(), ..Options::default() });
    assert_eq!(guest.shell("cat /data/state").trim(), "before");
    guest_writes(&mut guest);
    drop((guest, kept));
}

fn back_and_forth(target: &mut dyn Target, steps: &[Step], stored: &StoredDir) {
    let done: Vec<Value> = steps.iter().map(|step| target.apply(step, stored).unwrap()).collect();
    for (number, step) in steps.iter().enumerate().rev() {
        // What was done by the last is not known.
        let last = number + 1 == steps.len();
        target.undo(step, if last { &Value::Null } else { &done[number] }).unwrap();
    }
}

#[test]
fn as_new_it_runs_beside_the_original_with_an_identity_of_its_own() {
    let uuid = "11111111-2222-4333-8444-555555555555";
    let mac = "52:54:00:12:34:56";
    let arguments = [
        "-name",
        "original",
        "-uuid",
        uuid,
        "-netdev",
        "user,id=n0,restrict=on",
        "-device",
        &format!("virtio-net-pci,netdev=n0,mac={mac}"),
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    let mut guest = Guest::boot(&Options { arguments, ..Options::default() });
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let taken = captured(&resource, &into);
    let stored = StoredDir(into.clone());
    let item = item(&resource, &taken);
    let (_place, base) = directory();
    let place = base.join("copy");
    let at = json!({ "qmp": place.join("qmp"), "agent": place.join("agent") });
    let Value::Object(at) = at else { unreachable!() };
    let destination = |more: &[(&str, &str)]| {
        let old = format!("replace:{}/", guest.directory.display());
        let new = format!("{}/", place.display());
        let mut rules = BTreeMap::from([
            ("directory".to_owned(), place.display().to_string()),
            ("format:vda".to_owned(), "qcow2".to_owned()),
            ("start".to_owned(), "yes".to_owned()),
            (old, new),
        ]);
        rules.extend(more.iter().map(|(rule, to)| ((*rule).to_owned(), (*to).to_owned())));
        Destination::AsNew { name: "copy".into(), at: at.clone(), rules }
    };
    let run = run();
    let mut target = QemuConnector.target(&run.context).unwrap();
    for same in [("uuid", uuid), ("mac:52:54:00:12:34:56", mac)] {
        let plan = target.plan(&item, &resource, &destination(&[same]), &stored).unwrap();
        assert!(blocked(&plan).contains(&"identity"), "{same:?}: {:?}", plan.checks);
    }
    // It would run on the original's disk, unless a rule gives it another.
    for (text, is_refused) in [("console.log", true), ("root.qcow2", false)] {
        let mut one = destination(&[("disks", "vdb")]);
        let Destination::AsNew { rules, .. } = &mut one else { unreachable!() };
        rules.retain(|rule, _| !rule.starts_with("replace:"));
        rules.insert(format!("replace:{text}"), "other".to_owned());
        let plan = target.plan(&item, &resource, &one, &stored).unwrap();
        assert_eq!(blocked(&plan).contains(&"disks"), is_refused, "{:?}", plan.checks);
    }
    let plan = target.plan(&item, &resource, &destination(&[]), &stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    assert!(!plan.replaces);
    let steps = in_order(&plan);
    for step in &steps {
        target.apply(step, &stored).unwrap_or_else(|error| panic!("{}: {error}", step.text));
    }
    let definition = std::fs::read_to_string(place.join("definition.json")).unwrap();
    assert!(!definition.contains(uuid) && !definition.contains(mac), "{definition}");
    guest_writes(&mut guest);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    for step in steps.iter().rev() {
        target.undo(step, &Value::Null).unwrap();
    }
    assert!(!place.join("vda.qcow2").exists() && !place.join("start.sh").exists());
}

#[test]
fn one_disk_is_restored_alone_in_another_format() {
    let guest = Guest::boot(&Options::default());
    let resource = qemu(&guest);
    let (_own, into) = directory();
    let taken = captured(&resource, &into);
    let stored = StoredDir(into.clone());
    let (_place, base) = directory();
    let run = run();
    let mut target = QemuConnector.target(&run.context).unwrap();
    let item = item(&resource, &taken);
    let one: PathBuf = base.join("one.qcow2");
    let at = json!({ "qmp": "/none", "disks": { "vdb": { "file": one, "format": "qcow2" } } });
    let Value::Object(at) = at else { unreachable!() };
    let rules = BTreeMap::from([("disks".to_owned(), "vdb".to_owned())]);
    let destination = Destination::AsNew { name: "one".into(), at, rules };
    let plan = target.plan(&item, &resource, &destination, &stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    for step in &in_order(&plan) {
        target.apply(step, &stored).unwrap();
    }
    let raw = base.join("one.raw");
    let convert = ["convert", "-O", "raw"].map(std::ffi::OsStr::new);
    crate::support::run("qemu-img", &[&convert[..], &[one.as_os_str(), raw.as_os_str()]].concat());
    assert_eq!(file_hash(&raw), file_hash(&into.join("disks/vdb.img")));
}
