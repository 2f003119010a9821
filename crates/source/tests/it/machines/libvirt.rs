//! Machines and networks of a real libvirt.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Verdict};
use tintype_model::resource::{Consistency, Hook, HookPlace, Kind, OnError, Phase, Resource};
use tintype_source::connector::{
    Connector, Content, Context, Destination, Released, Source, Target, TargetPlan,
};
use tintype_source::libvirt::LibvirtConnector;
use tintype_testkit::libvirt::Libvirt;

use super::support::{
    Run, StoredDir, Taken, WITHOUT_FREEZE, check, directory, file_hash, frozen, item, read,
    resource, run, sequence, take,
};
use crate::conformance::cleaned;
use crate::support::{Mounted, skipped_without_root};

fn machine(libvirt: &Libvirt, name: &str) -> Resource {
    resource("libvirt", json!({ "domain": name, "uri": libvirt.uri }))
}

fn source(resource: &Resource, context: &Context) -> Box<dyn Source> {
    LibvirtConnector.source(resource, context).unwrap()
}

fn captured(resource: &Resource, mark: Option<&Value>, into: &Path) -> Taken {
    let run = run();
    let mut source = source(resource, &run.context);
    let taken = take(&mut *source, mark, into, Released::Committed).unwrap();
    for (at, bytes) in &taken.objects {
        std::fs::write(into.join(at), bytes).unwrap();
    }
    taken
}

fn writes(libvirt: &Libvirt, name: &str) {
    let said = libvirt
        .shell(name, "timeout 20 sh -c 'echo x > /data/probe && sync -d /data/probe' && echo yes");
    assert_eq!(said.trim(), "yes");
}

/// What captures left: jobs, and checkpoints beside one.
fn leftovers(libvirt: &Libvirt, name: &str) -> Vec<String> {
    let mut left: Vec<String> = libvirt.try_virsh(&["backup-dumpxml", name]).into_iter().collect();
    let list = libvirt.virsh(&["checkpoint-list", name, "--name"]);
    let checkpoints = list.lines().filter(|line| !line.trim().is_empty());
    left.extend(checkpoints.skip(1).map(str::to_owned));
    let state = libvirt.virsh(&["domstate", name]);
    left.extend((state.trim() != "running").then(|| state.clone()));
    left
}

#[test]
fn a_machine_is_captured_by_changes_and_its_bad_days_pass() {
    if skipped_without_root("libvirt") {
        return;
    }
    // Before libvirt, which sees mounts only of before its start.
    let small = tempfile::tempdir().unwrap();
    let _mounted = Mounted::tmpfs(small.path(), 24);
    let libvirt = Libvirt::start();
    libvirt.define("one", "", "");
    libvirt.start_and_wait("one");
    let resource = machine(&libvirt, "one");
    let (_own, into) = directory();
    let mut mark: Option<Value> = None;
    for (round, script) in
        ["true", "dd if=/dev/urandom of=/data/a bs=1M count=5 conv=fsync"].into_iter().enumerate()
    {
        libvirt.shell("one", script);
        let taken = captured(&resource, mark.as_ref(), &into);
        assert_eq!(taken.consistency, Consistency::Filesystem, "{:?}", taken.why_not_more);
        println!("round {round}: window {} changed {:?}", taken.facts["window"], taken.changed);
        for (disk, bytes) in &taken.changed {
            assert_eq!(bytes.is_some(), round > 0, "{disk}: {:?}", taken.facts);
            assert!(bytes.is_none_or(|bytes| bytes < 20 << 20), "{disk} {bytes:?}");
        }
        check(&into);
        std::fs::remove_file(into.join("domain.xml")).unwrap();
        mark = taken.mark;
        assert_eq!(leftovers(&libvirt, "one"), Vec::<String>::new());
        writes(&libvirt, "one");
    }
    two_series(&libvirt, &resource, &mut mark, &into);
    cleared(&libvirt, &resource, &mut mark, &into);
    killed_after_the_freeze(&libvirt, &resource, mark.as_ref());
    killed_in_the_window(&libvirt, &resource, mark.as_ref(), &into);
    let second = run();
    let mut first = source(&resource, &second.context);
    frozen(&mut *first, None).unwrap();
    let other = run();
    let mut two = source(&resource, &other.context);
    two.plan().unwrap();
    assert!(two.prepare(None).unwrap_err().is(ErrorKind::Locked));
    two.release(Released::Failed).unwrap();
    first.release(Released::Failed).unwrap();
    assert_eq!(leftovers(&libvirt, "one"), Vec::<String>::new());
    scratch_is_full(&libvirt, &resource, small.path());
    one_that_stands_still(&libvirt, &resource, small.path());
    an_agent_that_does_not_freeze(&libvirt, &resource);
    power_cut(&libvirt, &resource, mark.as_ref(), &into);
}

/// Into two repositories in turn, which know nothing of each other.
fn two_series(libvirt: &Libvirt, resource: &Resource, mark: &mut Option<Value>, into: &Path) {
    let (_own, other) = directory();
    let mut of_other: Option<Value> = None;
    for round in 0..2 {
        libvirt.shell("one", "dd if=/dev/urandom of=/data/rnd bs=4k count=10 conv=fsync");
        let taken = captured(resource, of_other.as_ref(), &other);
        let known = taken.changed.values().all(Option::is_some);
        assert_eq!(known, round > 0, "{:?}", taken.facts);
        of_other = taken.mark;
        let taken = captured(resource, mark.as_ref(), into);
        assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
        *mark = taken.mark;
        for directory in [into, &other] {
            std::fs::remove_file(directory.join("domain.xml")).unwrap();
            check(directory);
        }
    }
    let list = libvirt.virsh(&["checkpoint-list", "one", "--name"]);
    let of_other = of_other.unwrap()["bitmap"].as_str().unwrap().to_owned();
    assert_eq!(list.lines().filter(|line| !line.trim().is_empty()).count(), 2, "{list}");
    libvirt.virsh(&["checkpoint-delete", "one", &of_other]);
}

/// By a program that knows nothing of libvirt, which notices nothing.
fn cleared(libvirt: &Libvirt, resource: &Resource, mark: &mut Option<Value>, into: &Path) {
    let ask = |ask: Value| -> Value {
        let said = libvirt.virsh(&["qemu-monitor-command", "one", &ask.to_string()]);
        serde_json::from_str(&said).unwrap()
    };
    libvirt.shell("one", "dd if=/dev/urandom of=/data/a bs=1M count=5 conv=fsync");
    let record = mark.as_ref().unwrap()["bitmap"].clone();
    let nodes = ask(json!({ "execute": "query-named-block-nodes" }));
    let is_it = |node: &&Value| {
        let mut bitmaps = node["dirty-bitmaps"].as_array().into_iter().flatten();
        node["image"]["virtual-size"] == 1u64 << 30 && bitmaps.any(|b| b["name"] == record)
    };
    let node = nodes["return"].as_array().unwrap().iter().find(is_it).unwrap();
    let arguments = json!({ "node": node["node-name"], "name": record });
    ask(json!({ "execute": "block-dirty-bitmap-clear", "arguments": arguments }));
    let taken = captured(resource, mark.as_ref(), into);
    assert!(taken.changed["disks/vda.img"].is_some(), "{:?}", taken.facts);
    assert!(taken.changed["disks/vdb.img"].is_none(), "what changed is not known");
    let why = taken.facts["read_whole"][0].as_str().unwrap();
    assert!(why.contains("vdb") && why.contains("cleared"), "{why}");
    std::fs::remove_file(into.join("domain.xml")).unwrap();
    check(into);
    *mark = taken.mark;
}

/// With its guard, and without a job that tells of it.
fn killed_after_the_freeze(libvirt: &Libvirt, resource: &Resource, mark: Option<&Value>) {
    use std::os::unix::fs::PermissionsExt;
    let top = tempfile::tempdir().unwrap();
    std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let of_run = || {
        let mut context = super::support::context(top.path());
        context.scratch = top.path().join(context.label());
        std::fs::create_dir(&context.scratch).unwrap();
        context
    };
    let dead = of_run();
    let mut killed = source(resource, &dead);
    killed.plan().unwrap();
    killed.prepare(mark).unwrap();
    killed.freeze().unwrap();
    drop(killed);
    libvirt.virsh(&["domjobabort", "one"]);
    let alive = cleaned(&LibvirtConnector, &[], &dead).unwrap();
    assert_eq!(alive, Vec::<String>::new(), "what lives is left alone");
    let later = of_run();
    let gone = cleaned(&LibvirtConnector, &[], &later).unwrap();
    assert_eq!(gone, ["vm one: a freeze of a session that is no more"]);
    writes(libvirt, "one");
    assert_eq!(cleaned(&LibvirtConnector, &[], &later).unwrap(), Vec::<String>::new());
}

fn killed_in_the_window(libvirt: &Libvirt, resource: &Resource, mark: Option<&Value>, into: &Path) {
    let dead = run();
    let mut killed = source(resource, &dead.context);
    killed.plan().unwrap();
    killed.prepare(mark).unwrap();
    let guarded = killed.guarded().unwrap();
    killed.freeze().unwrap();
    drop(killed);
    let later = run();
    LibvirtConnector.thaw(&guarded.what, &later.context).unwrap();
    writes(libvirt, "one");
    LibvirtConnector.thaw(&guarded.what, &later.context).expect("a second time is no error");
    let alive = cleaned(&LibvirtConnector, &[resource], &dead.context).unwrap();
    assert_eq!(alive, Vec::<String>::new(), "what lives is left alone");
    let removed = cleaned(&LibvirtConnector, &[resource], &later.context).unwrap();
    assert_eq!(removed.len(), 1, "{removed:?}");
    libvirt.shell("one", "dd if=/dev/urandom of=/data/b bs=1M count=5 conv=fsync");
    let Run { context, scratch } = run();
    let mut source = source(resource, &context);
    let taken = take(&mut *source, mark, into, Released::Committed).unwrap();
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
    check(into);
    assert_eq!(leftovers(libvirt, "one"), Vec::<String>::new());
    drop(scratch);
}

/// Only the item fails, and nobody reads meanwhile: the guest goes on, at once where it overwrites
/// more slowly than scratch fills between two looks at it, else soon.
fn scratch_is_full(libvirt: &Libvirt, resource: &Resource, small: &Path) {
    libvirt.shell("one", "dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync");
    let slow = "for i in $(seq 0 19); do dd if=/dev/zero of=/data/big bs=1M count=1 seek=$i \
        conv=notrunc,fsync; usleep 200000; done";
    assert!(!overwritten(libvirt, resource, small, slow).contains("Suspended"));
    libvirt.shell("one", "dd if=/dev/urandom of=/data/big bs=1M count=30 conv=fsync");
    let fast = "dd if=/dev/zero of=/data/big bs=1M count=30 conv=notrunc,fsync";
    let told = overwritten(libvirt, resource, small, fast);
    // Whether it was faster than the looks or not: whoever was stopped goes on.
    let last = told.lines().rfind(|line| line.contains("lifecycle"));
    assert!(last.is_none_or(|line| line.contains("Resumed")), "{told}");
}

/// What the guest went through while a script ran that overwrites more than fits.
fn overwritten(libvirt: &Libvirt, resource: &Resource, small: &Path, script: &str) -> String {
    let context = super::support::context(small);
    let mut source = source(resource, &context);
    frozen(&mut *source, None).unwrap();
    let view = source.view().unwrap();
    let events = Events::of(libvirt, "one");
    let script = format!("rm -f /data/over; {script}; sync; echo > /data/over");
    let ask = json!({"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c",
        script]}});
    libvirt.virsh(&["qemu-agent-command", "one", &ask.to_string()]);
    let begun = Instant::now();
    while !libvirt.try_shell("one", "ls /data/over").is_some_and(|said| said.contains("over")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the guest does not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = events.end();
    let (_own, into) = directory();
    let error = read(view, &into).unwrap_err();
    assert!(error.is(ErrorKind::NoSpace), "{error}");
    assert!(error.to_string().contains("nearly full"), "{error}");
    source.release(Released::Failed).unwrap();
    drop(source);
    assert_eq!(leftovers(libvirt, "one"), Vec::<String>::new());
    told
}

/// What libvirt tells of a machine's life.
struct Events {
    told: std::process::Child,
    into: tempfile::NamedTempFile,
}

impl Events {
    fn of(libvirt: &Libvirt, name: &str) -> Self {
        let into = tempfile::NamedTempFile::new().unwrap();
        let mut virsh = Command::new("virsh");
        virsh.args(["-c", &libvirt.uri, "event", name, "--event", "lifecycle", "--loop"]);
        let told = virsh.stdout(into.reopen().unwrap()).spawn().unwrap();
        // Until it listens; events before are not told.
        std::thread::sleep(Duration::from_millis(500));
        Self { told, into }
    }

    fn end(mut self) -> String {
        let process = self.told.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        self.told.wait().unwrap();
        std::fs::read_to_string(self.into.path()).unwrap()
    }
}

/// A guest that its owner paused, or that another's job stopped, is left as it is.
fn one_that_stands_still(libvirt: &Libvirt, resource: &Resource, small: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let capture = || {
        let (_own, into) = directory();
        let taken = captured(resource, None, &into);
        assert_eq!(taken.consistency, Consistency::Crash);
        cleaned(&LibvirtConnector, &[resource], &run().context).unwrap();
    };
    libvirt.virsh(&["suspend", "one"]);
    capture();
    assert_eq!(libvirt.virsh(&["domstate", "one", "--reason"]).trim(), "paused (user)");
    libvirt.virsh(&["resume", "one"]);
    // A job of another's with little room.
    std::fs::set_permissions(small, std::fs::Permissions::from_mode(0o777)).unwrap();
    let filling = small.join("filling");
    std::fs::write(&filling, vec![1; 18 << 20]).unwrap();
    let at = |name: &str| small.join(name).display().to_string();
    let job = format!(
        "<domainbackup mode='pull'><server transport='unix' socket='{}'/><disks>\
         <disk name='vda' backup='no'/><disk name='vdb' backup='yes' type='file'>\
         <scratch file='{}'/></disk></disks></domainbackup>",
        at("foreign"),
        at("foreign.qcow2")
    );
    let file = libvirt.directory.join("job.xml");
    std::fs::write(&file, job).unwrap();
    libvirt.shell("one", "dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync");
    libvirt.virsh(&["backup-begin", "one", &file.display().to_string()]);
    let ask = json!({"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c",
        "dd if=/dev/zero of=/data/big bs=1M count=20 conv=notrunc,fsync"]}});
    libvirt.virsh(&["qemu-agent-command", "one", &ask.to_string()]);
    let stopped = "paused (I/O error)";
    let begun = Instant::now();
    while libvirt.virsh(&["domstate", "one", "--reason"]).trim() != stopped {
        assert!(begun.elapsed() < Duration::from_mins(1), "scratch is not full");
        std::thread::sleep(Duration::from_millis(50));
    }
    cleaned(&LibvirtConnector, &[resource], &run().context).unwrap();
    assert!(libvirt.try_virsh(&["backup-dumpxml", "one"]).is_ok(), "it is another's");
    libvirt.virsh(&["domjobabort", "one"]);
    capture();
    assert_eq!(libvirt.virsh(&["domstate", "one", "--reason"]).trim(), stopped);
    libvirt.virsh(&["resume", "one"]);
    std::fs::remove_file(filling).unwrap();
    writes(libvirt, "one");
}

/// It answers, and its guest is captured as after a power failure, which is said.
fn an_agent_that_does_not_freeze(libvirt: &Libvirt, resource: &Resource) {
    // Checkpoints of series before.
    let before = leftovers(libvirt, "one");
    assert_eq!(libvirt.line_into("one").run(WITHOUT_FREEZE).trim(), "yes");
    let run = run();
    let mut source = source(resource, &run.context);
    // It opens its port only after it went into the background.
    let begun = Instant::now();
    loop {
        let plan = source.plan().unwrap();
        assert_eq!(plan.reaches, Consistency::Crash);
        let why = plan.why_not_more.unwrap();
        if why.contains("guest-fsfreeze") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{why}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (_own, into) = directory();
    let taken = take(&mut *source, None, &into, Released::Failed).unwrap();
    drop(source);
    assert_eq!(taken.consistency, Consistency::Crash);
    assert!(taken.why_not_more.unwrap().contains("guest-fsfreeze"));
    assert_eq!(leftovers(libvirt, "one"), before);
    writes(libvirt, "one");
}

fn power_cut(libvirt: &Libvirt, resource: &Resource, mark: Option<&Value>, into: &Path) {
    let process = libvirt.process("one").unwrap();
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while libvirt.virsh(&["domstate", "one"]).trim() != "shut off" {
        assert!(begun.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    // Off, and not by itself.
    let (_own, off) = directory();
    let taken = captured(resource, mark, &off);
    assert_eq!(taken.consistency, Consistency::Crash);
    libvirt.start_and_wait("one");
    let taken = captured(resource, mark, into);
    assert!(taken.changed.values().all(Option::is_none), "{:?}", taken.changed);
    std::fs::remove_file(into.join("domain.xml")).unwrap();
    check(into);
    let taken = captured(resource, taken.mark.as_ref(), into);
    assert!(taken.changed.values().all(Option::is_some), "{:?}", taken.facts);
}

fn blocked(plan: &TargetPlan) -> Vec<&str> {
    let blocking = plan.checks.iter().filter(|check| check.outcome == Verdict::Block);
    blocking.map(|check| &check.name[..]).collect()
}

fn network(name: &str, bridge: &str, subnet: u8) -> String {
    format!(
        "<network><name>{name}</name><bridge name='{bridge}'/>\
         <ip address='192.168.{subnet}.1' netmask='255.255.255.0'/></network>"
    )
}

#[test]
fn a_machine_and_its_network_are_restored_over_and_as_new() {
    if skipped_without_root("libvirt") {
        return;
    }
    let libvirt = Libvirt::start();
    libvirt.define_xml("net-define", &network("lan", "tt0", 211));
    libvirt.virsh(&["net-start", "lan"]);
    libvirt.virsh(&["net-autostart", "lan"]);
    let interface = "<interface type='network'><mac address='52:54:00:0a:0b:0c'/>\
        <source network='lan'/><model type='virtio'/></interface>";
    libvirt.define("one", "nowriter", interface);
    libvirt.start_and_wait("one");
    libvirt.shell("one", "echo before > /data/state; sync");
    libvirt.virsh(&["autostart", "one"]);
    let resource = machine(&libvirt, "one");
    let (_own, into) = directory();
    let taken = captured(&resource, None, &into);
    let stored = StoredDir(into.clone());
    let item = item(&resource, &taken);
    networks(&libvirt);

    let run = run();
    let mut target = LibvirtConnector.target(&run.context).unwrap();
    let plan = target.plan(&item, &resource, &Destination::InPlace, &stored).unwrap();
    assert_eq!(blocked(&plan), ["running"], "{:?}", plan.checks);
    let place = libvirt.directory.join("copy");
    let destination = |rules: &[(&str, &str)]| {
        let place = place.display().to_string();
        let mut all = BTreeMap::from([("directory".to_owned(), place)]);
        all.insert("start".into(), "yes".into());
        all.extend(rules.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned())));
        let at = json!({ "domain": "copy", "uri": libvirt.uri });
        let Value::Object(at) = at else { unreachable!() };
        Destination::AsNew { name: "copy".into(), at, rules: all }
    };
    for (rules, why) in [
        (&[("mac:52:54:00:0a:0b:0c", "52:54:00:0a:0b:0c")][..], "identity"),
        (&[("uuid", taken.facts["uuid"].as_str().unwrap())], "identity"),
        (&[("network:lan", "nowhere")], "network"),
    ] {
        let plan = target.plan(&item, &resource, &destination(rules), &stored).unwrap();
        assert_eq!(blocked(&plan), [why], "{:?}", plan.checks);
    }
    let plan = target.plan(&item, &resource, &destination(&[]), &stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    let mut steps = plan.steps.clone();
    steps.sort_by_key(|step| step.stage);
    for step in &steps {
        target.apply(step, &stored).unwrap_or_else(|error| panic!("{}: {error}", step.text));
    }
    assert_eq!(libvirt.shell("copy", "cat /data/state").trim(), "before");
    writes(&libvirt, "one");
    for step in steps.iter().rev() {
        target.undo(step, &Value::Null).unwrap();
    }
    assert!(!place.exists());
    assert!(libvirt.try_virsh(&["dominfo", "copy"]).is_err());

    over_what_is_there(&libvirt, &resource, &item, &stored, &mut *target);
    // Its checkpoint went with the old disks.
    let taken = captured(&resource, taken.mark.as_ref(), &into);
    assert!(taken.changed.values().all(Option::is_none), "{:?}", taken.changed);
}

fn over_what_is_there(
    libvirt: &Libvirt,
    resource: &Resource,
    item: &Item,
    stored: &StoredDir,
    target: &mut dyn Target,
) {
    libvirt.shell("one", "echo after > /data/state; sync");
    libvirt.virsh(&["destroy", "one"]);
    libvirt.virsh(&["autostart", "one", "--disable"]);
    let hash = file_hash(&libvirt.directory.join("one-vdb.qcow2"));
    let mut resource = resource.clone();
    resource.hooks = vec![in_guest(Phase::PreRestore)];
    let plan = target.plan(item, &resource, &Destination::InPlace, stored).unwrap();
    assert_eq!(blocked(&plan), ["guest-hook"], "{:?}", plan.checks);
    // One after the restore needs a machine that runs.
    resource.hooks = vec![in_guest(Phase::PostRestore)];
    let plan = target.plan(item, &resource, &Destination::InPlace, stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    let mut steps = plan.steps.clone();
    steps.sort_by_key(|step| step.stage);
    let last = steps.iter().position(|step| step.stage == Stage::Clean).unwrap();
    for broken in 0..=last {
        let done: Vec<Value> =
            steps[..broken].iter().map(|step| target.apply(step, stored).unwrap()).collect();
        for (step, done) in steps.iter().zip(&done).rev() {
            target.undo(step, done).unwrap();
        }
        assert_eq!(file_hash(&libvirt.directory.join("one-vdb.qcow2")), hash, "{broken} steps");
        assert_eq!(autostarts(libvirt, "dominfo", "one"), "disable", "{broken} steps");
    }
    for step in &steps {
        target.apply(step, stored).unwrap();
    }
    assert_eq!(autostarts(libvirt, "dominfo", "one"), "enable");
    let run = run();
    let ran = source(&resource, &run.context).run_in_guest(&resource.hooks[0]).unwrap();
    assert_eq!((ran.exit, &ran.output[..]), (Some(0), "before\n"));
}

fn in_guest(phase: Phase) -> Hook {
    let command = ["/bin/sh", "-c", "cat /data/state"].map(str::to_owned).into();
    let (place, on_error) = (HookPlace::Guest, OnError::Fail);
    Hook { phase, command, place, timeout_seconds: 20, on_error }
}

fn autostarts(libvirt: &Libvirt, info: &str, name: &str) -> String {
    let said = libvirt.virsh(&[info, name]);
    let line = said.lines().find_map(|line| line.strip_prefix("Autostart:"));
    line.unwrap().trim().to_owned()
}

fn networks(libvirt: &Libvirt) {
    let mut resource = resource("libvirt", json!({ "network": "lan", "uri": libvirt.uri }));
    resource.kind = Kind::Network;
    let first = run();
    let mut capture = source(&resource, &first.context);
    frozen(&mut *capture, None).unwrap();
    let view = capture.view().unwrap();
    let facts = view.facts.clone();
    let Content::Object(definition) = &view.parts[0].content else { panic!("a definition") };
    let (_own, into) = directory();
    std::fs::write(into.join("network.xml"), definition).unwrap();
    capture.release(Released::Committed).unwrap();
    let stored = StoredDir(into.clone());
    let taken = Taken {
        consistency: view.consistency,
        why_not_more: None,
        mark: None,
        facts,
        changed: BTreeMap::new(),
        objects: BTreeMap::new(),
    };
    let item = item(&resource, &taken);
    let mut target = LibvirtConnector.target(&first.context).unwrap();
    let plan = target.plan(&item, &resource, &Destination::InPlace, &stored).unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "it is as it was: {:?}", plan.checks);
    let new = |rules: &[(&str, &str)]| {
        let rules = rules.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned()));
        let Value::Object(at) = json!({ "network": "lan2", "uri": libvirt.uri }) else {
            unreachable!()
        };
        Destination::AsNew { name: "lan2".into(), at, rules: rules.collect() }
    };
    let plan = target.plan(&item, &resource, &new(&[]), &stored).unwrap();
    assert_eq!(blocked(&plan), ["address"], "{:?}", plan.checks);
    // Another address of the same network.
    let rules = [("replace:192.168.211.1", "192.168.211.77")];
    let plan = target.plan(&item, &resource, &new(&rules), &stored).unwrap();
    assert_eq!(blocked(&plan), ["address"], "{:?}", plan.checks);
    let plan =
        target.plan(&item, &resource, &new(&[("replace:192.168.211.", "192.168.212.")]), &stored);
    let plan = plan.unwrap();
    assert_eq!(blocked(&plan), Vec::<&str>::new(), "{:?}", plan.checks);
    for step in &plan.steps {
        target.apply(step, &stored).unwrap();
    }
    assert_eq!(autostarts(libvirt, "net-info", "lan2"), "yes");
    libvirt.virsh(&["net-destroy", "lan2"]);
    let health = plan.steps.iter().find(|step| step.stage == Stage::Health).unwrap();
    let error = target.apply(health, &stored).unwrap_err().to_string();
    assert!(error.contains("lan2 was started and does not run"), "{error}");
    for step in plan.steps.iter().rev() {
        target.undo(step, &Value::Null).unwrap();
    }
    assert!(libvirt.try_virsh(&["net-info", "lan2"]).is_err());
    // A network that runs and is another now is not touched.
    let changed =
        String::from_utf8(definition.clone()).unwrap().replace("192.168.211.", "192.168.213.");
    std::fs::write(into.join("network.xml"), changed).unwrap();
    let plan = target.plan(&item, &resource, &Destination::InPlace, &stored).unwrap();
    assert_eq!(blocked(&plan), ["running"], "{:?}", plan.checks);
}

#[test]
fn a_machine_that_is_off_claims_no_more_than_is_certain_and_excluded_disks_stay_out() {
    if skipped_without_root("libvirt") {
        return;
    }
    let libvirt = Libvirt::start();
    libvirt.define("one", "", "");
    libvirt.start_and_wait("one");
    // The guest may be off before its agent has answered.
    let _ = libvirt.try_virsh(&["shutdown", "one", "--mode", "agent"]);
    let begun = Instant::now();
    while libvirt.virsh(&["domstate", "one"]).trim() != "shut off" {
        assert!(begun.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut resource = machine(&libvirt, "one");
    resource.excludes = vec!["vda".into()];
    let (_own, into) = directory();
    let taken = captured(&resource, None, &into);
    // libvirt says "shutdown" of every end from within, also of one without anything written back.
    assert_eq!(taken.consistency, Consistency::Crash);
    assert!(taken.why_not_more.unwrap().contains("cleanly"));
    assert_eq!(taken.changed.keys().collect::<Vec<_>>(), ["disks/vdb.img"]);
    assert!(sequence(&into.join("disks/vdb.img")) > 0);
}
