//! Machines from the command line: what is replaced can come back, and hooks run in the guest.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_engine::env::Env;
use tintype_testkit::guest::{Guest, Options};
use tintype_testkit::libvirt::Libvirt;

use crate::manager::{run, serve};
use crate::support::{Lab, Ran, is_root};

fn hook(phase: &str, script: &str, on_error: &str) -> Value {
    json!({ "phase": phase, "where": "guest", "command": ["/bin/sh", "-c", script],
            "timeout_seconds": 60, "on_error": on_error })
}

/// The machine as a user describes it who does not say where its disks are.
fn describe(lab: &Lab, guest: &Guest, excludes: &[&str], hooks: &[Value]) {
    let resource = json!({ "kind": "vm", "name": "web", "connector": "qemu", "hooks": hooks,
        "at": { "qmp": guest.qmp, "agent": guest.agent }, "excludes": excludes });
    let text = json!({ "version": 1, "resources": [resource] });
    lab.write("resources.yaml", text.to_string());
}

fn take(lab: &Lab) {
    lab.run(&["snapshot", "--resources", &lab.text("resources.yaml")]).expect(0);
}

/// What hooks of a restore did, by phase.
fn hooks(ran: &Ran) -> Vec<Value> {
    let hooks = ran.events().into_iter().filter(|event| event["event"] == "hook");
    hooks.map(|mut event| event["run"].take()).collect()
}

/// A file of the disk at `/data`, whose format is told.
pub(crate) fn on_disk(disk: &Path, path: &str) -> String {
    let raw = disk.with_extension("raw");
    let convert =
        Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(disk).arg(&raw).status();
    assert!(convert.unwrap().success());
    let ask = format!("cat {path}");
    let said = Command::new("/sbin/debugfs").args(["-R", &ask]).arg(&raw).output().unwrap();
    std::fs::remove_file(raw).unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_machine_whose_disks_are_not_named_is_replaced_and_brought_back() {
    let lab = Lab::ready();
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    guest.shell("echo before > /data/state; sync");
    let off = [hook("pre-restore", "true", "continue"), hook("post-restore", "true", "continue")];
    describe(&lab, &guest, &["vda"], &off);
    take(&lab);
    lab.run(&["restore", "latest", "--resources", "--to", &lab.text("plain"), "web"]).expect(0);
    assert_eq!(on_disk(&lab.path("plain/web/disks/vdb.img"), "/state"), "before");
    assert!(lab.path("plain/web/definition.json").exists());
    guest.shell("echo after > /data/state; sync");
    let disk: PathBuf = guest.disks[1].1.clone();
    let kept = guest.quit();
    let names = || std::fs::read_dir(disk.parent().unwrap()).unwrap().count();
    let count = names();

    let restore = ["restore", "latest", "--resources", "--in-place", "--yes", "--json"];
    let ran = lab.run(&restore).expect(0);
    assert_eq!(on_disk(&disk, "/state"), "before");
    assert_eq!(names(), count, "nothing is left beside");
    // Told with the plan, and again by what became of them.
    let ran = hooks(&ran);
    assert_eq!(ran.len(), 2, "{ran:?}");
    assert!(ran.iter().all(|run| run["failure"].as_str().is_some()), "{ran:?}");

    let point = lab.undo_point();
    lab.run(&["restore", &point, "--resources", "--in-place", "--yes"]).expect(0);
    assert_eq!(on_disk(&disk, "/state"), "after");
    drop(kept);
}

#[test]
fn hooks_of_a_restore_run_in_the_guest_or_say_why_not() {
    let lab = Lab::ready();
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    let hooks_of_it = [
        hook("pre-restore", "echo here > /data/original", "fail"),
        hook("post-restore", "ls /data; echo restored > /data/restored; sync", "fail"),
    ];
    describe(&lab, &guest, &[], &hooks_of_it);
    take(&lab);
    let place = lab.path("copy");
    let set = |field: &str, at: &str| format!("web.{field}={}", place.join(at).display());
    let original = guest.directory.display().to_string();
    let rules = [
        format!("web.directory={}", place.display()),
        "web.start=yes".to_owned(),
        format!("web.replace:{original}/={}/", place.display()),
    ];
    let sets = [set("qmp", "qmp"), set("agent", "agent")];
    let mut words =
        vec!["restore", "latest", "--resources", "--as-new", "web=copy", "--yes", "--json"];
    sets.iter().for_each(|set| words.extend(["--set", set]));
    rules.iter().for_each(|rule| words.extend(["--rule", rule]));
    let started = Started(place.join("qmp"));
    let ran = lab.run(&words).expect(0);
    let ran = hooks(&ran);
    assert!(ran.len() == 2 && ran.iter().all(|run| run["exit"] == 0), "{ran:?}");
    let seen = ran[1]["output"].as_str().unwrap();
    assert!(seen.contains("dir") && !seen.contains("original"), "{seen}");
    let here = guest.shell("cat /data/original; ls /data/restored 2>&1");
    assert!(here.starts_with("here\n") && here.contains("No such file"), "{here}");
    drop(started);
    assert_eq!(on_disk(&place.join("vdb.qcow2"), "/restored"), "restored");

    // In place nothing runs that a hook could run in.
    let kept = guest.quit();
    let refused = lab.run(&["restore", "latest", "--resources", "--in-place", "--yes"]).expect(1);
    assert!(refused.out.contains("guest-hook"), "{} {}", refused.out, refused.err);
    drop(kept);
}

/// A trial that succeeds, one that fails, and a capture.
#[test]
fn hooks_in_a_guest_are_tried_and_run_through_the_manager() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    let script = "echo in the guest >> /data/told; cat /data/told; exit $(cat /data/exit)";
    let hooks = [hook("pre-quiesce", script, "fail"), hook("post-restore", "true", "fail")];
    guest.shell("echo 0 > /data/exit; sync");
    describe(&lab, &guest, &[], &hooks);
    run(&lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    let tried = run(&lab, &["resource", "try-hook", "web", "pre-quiesce"]).expect(0);
    assert!(tried.out.contains("  in the guest"), "what it said: {}", tried.out);
    guest.shell("echo 7 > /data/exit");
    let tried = run(&lab, &["resource", "try-hook", "web", "pre-quiesce", "--json"]).expect(1);
    let trial = &tried.events()[0]["trial"];
    assert_eq!(trial["exit"], 7, "{trial}");
    guest.shell("echo 0 > /data/exit; sync");
    run(&lab, &["snapshot", "create", "--app", "web"]).expect(0);
    assert_eq!(guest.shell("wc -l < /data/told").trim(), "3");
    assert_eq!(served.stop(), 0);
}

/// It holds the guest's monitor and agent, so that nobody else could thaw.
#[test]
#[ignore = "waits for the deadline of a window: 15 s"]
fn a_run_that_is_stopped_in_its_window_does_not_keep_its_guest_frozen() {
    let lab = Lab::ready();
    let mut guest = Guest::boot(&Options { words: "nowriter hook=1".into(), ..Options::default() });
    guest
        .shell("echo '[ $1 = freeze ] && echo > /run/begun && sleep 3' >> /etc/qemu/fsfreeze-hook");
    describe(&lab, &guest, &[], &[]);
    let mut run = lab.start(&["snapshot", "--resources", &lab.text("resources.yaml")]);
    while guest.shell("ls /run/begun 2>&1").trim() != "/run/begun" {
        assert!(run.try_wait().unwrap().is_none(), "it did not freeze");
    }
    let signal = |name: &str| Command::new("kill").args([name, &run.id().to_string()]).status();
    assert!(signal("-STOP").unwrap().success());
    let clock = Env::system().clock;
    let begun = clock.elapsed();
    // Frozen for as long as the hook sleeps, and then until somebody thaws.
    clock.sleep(Duration::from_secs(4));
    let said =
        guest.shell("timeout 60 sh -c 'echo x > /data/probe && sync -d /data/probe' && echo y");
    let took = clock.elapsed().saturating_sub(begun);
    assert_eq!(said.trim(), "y");
    assert!((5..15).contains(&took.as_secs()), "{took:?}");
    assert_eq!(run.wait().unwrap().code(), Some(3), "the item failed, the run did not");
}

/// Nobody has described it.
#[test]
fn what_a_dead_run_left_in_a_machine_that_is_only_discovered_is_removed() {
    let lab = Lab::new();
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    let look = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
        lab.prepare(command.arg("discover").args(arguments));
        Ran::of(&command.output().unwrap()).expect(0)
    };
    // Whoever was at work here once left the number of those that know of each other.
    look(&[]);
    let signs = std::fs::read_dir(lab.path("runs")).unwrap();
    let mut names = signs.map(|sign| sign.unwrap().file_name().into_string().unwrap());
    let number = names.find_map(|name| Some(name.strip_prefix("of-")?.to_owned()));
    let left = &format!("tintype-{}deadbeef-lock", number.unwrap());
    let node = json!({ "driver": "null-co", "node-name": left, "size": 512 });
    guest.command("blockdev-add", node);
    let ran = look(&["--clean"]);
    assert!(ran.out.contains(&format!("block node {left}")), "{} {}", ran.out, ran.err);
    let nodes = guest.command("query-named-block-nodes", json!({ "flat": true }));
    assert!(!nodes.to_string().contains(left.as_str()));
}

/// The definition of a machine of libvirt may hold some.
#[test]
fn passwords_of_a_definition_are_not_printed_and_not_kept() {
    if !is_root() {
        return;
    }
    let lab = Lab::ready();
    let libvirt = Libvirt::start();
    let disk = libvirt.directory.join("one.raw");
    std::fs::write(&disk, vec![1; 1 << 20]).unwrap();
    let definition = format!(
        "<domain type='qemu'><name>one</name><memory unit='MiB'>64</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file'>\
         <driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>\
         <graphics type='vnc' port='-1' passwd='vsecret1'/></devices></domain>",
        disk.display()
    );
    libvirt.define_xml("define", &definition);
    let resource = json!({ "kind": "vm", "name": "one", "connector": "libvirt",
        "at": { "domain": "one", "uri": libvirt.uri } });
    lab.write("resources.yaml", json!({ "version": 1, "resources": [resource] }).to_string());
    take(&lab);
    let restore = ["restore", "latest", "--resources", "--in-place", "--json"];
    let planned = lab.run(&[&restore[..], &["--dry-run"]].concat()).expect(0);
    assert!(planned.out.contains("define the machine one"), "{}", planned.out);
    let done = lab.run(&[&restore[..], &["--yes"]].concat()).expect(0);
    for ran in [&planned, &done] {
        assert!(!ran.out.contains("vsecret1") && !ran.err.contains("vsecret1"), "{}", ran.out);
    }
    let show = libvirt.virsh(&["dumpxml", "one", "--inactive", "--security-info"]);
    assert!(show.contains("vsecret1"), "it was restored: {show}");
    let kept = std::fs::read_dir("/var/lib/tintype/restores").unwrap();
    let kept: Vec<String> = kept
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
        .collect();
    assert!(kept.iter().any(|record| record.contains(&libvirt.uri)), "there is a record");
    assert!(!kept.iter().any(|record| record.contains("vsecret1")));
}

/// A machine that a restore started, by its monitor; ended when this is dropped.
pub(crate) struct Started(pub(crate) PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        use std::io::{Read as _, Write as _};
        // It may have ended by itself, or never begun.
        let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&self.0) else { return };
        let ask = b"{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"quit\"}\n";
        let _ = stream.write_all(ask);
        let _ = stream.read_to_end(&mut Vec::new());
    }
}
