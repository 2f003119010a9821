//! A run that is killed (SIGKILL) while it reads: within seconds nothing of it is left, and nobody
//! has to start another.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_engine::env::Env;
use tintype_testkit::guest::{Guest, Options};
use tintype_testkit::libvirt::Libvirt;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, is_root, noise};

const NOTHING: Vec<String> = Vec::new();

/// Block nodes, exports and bitmaps of ours.
fn in_machine(guest: &mut Guest) -> Vec<String> {
    let nodes = guest.command("query-named-block-nodes", json!({ "flat": true }));
    let exports = guest.command("query-block-exports", Value::Null);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let bitmaps = list(&nodes).into_iter().flat_map(|node| list(&node["dirty-bitmaps"]));
    let mut names: Vec<Value> = bitmaps.map(|mut bitmap| bitmap["name"].take()).collect();
    names.extend(list(&nodes).into_iter().map(|mut node| node["node-name"].take()));
    names.extend(list(&exports).into_iter().map(|mut export| export["id"].take()));
    let names = names.into_iter().filter_map(|name| name.as_str().map(str::to_owned));
    names.filter(|name| name.starts_with("tintype-")).collect()
}

/// What a command prints that names a session.
fn naming(session: &str, program: &str, arguments: &[&str]) -> Vec<String> {
    let said = Command::new(program).args(arguments).output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().filter(|line| line.contains(session)).map(str::to_owned).collect()
}

/// Everything that is left of a session but what is in machines.
fn on_host(session: &str, places: &[&str]) -> Vec<String> {
    let mut left = naming(session, "losetup", &["--all"]);
    left.extend(naming(session, "findmnt", &["--list", "--noheadings"]));
    let servers = naming(session, "ps", &["-eo", "args"]);
    left.extend(servers.into_iter().filter(|line| line.starts_with("qemu-nbd")));
    for place in places {
        left.extend(naming(session, "find", &[place, "-maxdepth", "2"]));
    }
    left
}

fn described(btrfs: &Path, reflink: &Path, libvirt: &Libvirt, guest: &Guest) -> Value {
    let volume = |name: &str, path: &Path| json!({ "kind": "volume", "name": name, "connector": name, "at": { "path": path } });
    let domain = |name: &str| {
        json!({ "kind": "vm", "name": name, "connector": "libvirt",
            "at": { "domain": name, "uri": libvirt.uri } })
    };
    // The last one is opened when all others are.
    let web = json!({ "kind": "vm", "name": "web", "connector": "qemu",
        "at": { "qmp": guest.qmp, "agent": guest.agent } });
    let (btrfs, reflink) = (volume("btrfs", btrfs), volume("reflink", reflink));
    json!([btrfs, reflink, domain("off"), domain("one"), web])
}

#[test]
fn within_seconds_nothing_is_left_of_a_run_that_was_killed_while_it_read() {
    if !is_root() {
        return;
    }
    let lab = Lab::ready();
    let (btrfs, below) = (Mounted::new("btrfs"), Mounted::new("xfs"));
    let upper = below.stack("ext4");
    let subvolume = btrfs.path.join("data");
    let made = Command::new("btrfs").args(["subvolume", "create"]).arg(&subvolume).output();
    assert!(made.unwrap().status.success());
    for place in [&subvolume, &upper.path] {
        std::fs::write(place.join("noise"), noise(8 << 20, "killed")).unwrap();
    }
    let libvirt = Libvirt::start();
    libvirt.define("one", "nowriter", "");
    libvirt.define("off", "nowriter", "");
    libvirt.start_and_wait("one");
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });

    let resources = described(&subvolume, &upper.path, &libvirt, &guest);
    lab.write("resources.yaml", json!({ "version": 1, "resources": resources }).to_string());
    let file = lab.text("resources.yaml");
    let mut run = lab.start(&["snapshot", "--resources", &file, "--limit-upload", "64KiB/s"]);
    let clock = Env::system().clock;
    let is_read = |guest: &mut Guest| {
        guest.command("query-block-exports", Value::Null).as_array().unwrap().len() == 2
    };
    while !is_read(&mut guest) {
        assert!(run.try_wait().unwrap().is_none(), "it is read");
        clock.sleep(Duration::from_millis(20));
    }
    let names = in_machine(&mut guest);
    let lock = names.iter().find_map(|name| name.strip_suffix("-lock")).unwrap();
    let session = lock.trim_start_matches("tintype-").to_owned();
    let places = [&btrfs.path, &below.path].map(|path| path.to_str().unwrap());
    let places = [places[0], places[1], "/var/tmp", "/run/tintype"];
    let before = on_host(&session, &places);
    assert!(before.iter().any(|line| line.starts_with("qemu-nbd")), "{before:?}");
    assert!(libvirt.try_virsh(&["backup-dumpxml", "one"]).is_ok());
    assert!(libvirt.try_virsh(&["start", "off"]).is_err(), "its disks are held");

    run.kill().unwrap();
    run.wait().unwrap();
    let until = clock.elapsed() + Duration::from_secs(40);
    loop {
        let mut left = on_host(&session, &places);
        left.extend(in_machine(&mut guest));
        left.extend(libvirt.try_virsh(&["backup-dumpxml", "one"]));
        if left == NOTHING {
            break;
        }
        assert!(clock.elapsed() < until, "{left:#?}");
        clock.sleep(Duration::from_millis(200));
    }
    libvirt.virsh(&["start", "off"]);
    let script = "timeout 20 sh -c 'echo x > /data/probe && sync -d /data/probe' && echo yes";
    assert_eq!(guest.shell(script).trim(), "yes");
    assert_eq!(libvirt.shell("one", script).trim(), "yes");
    for place in [&subvolume, &upper.path] {
        std::fs::write(place.join("probe"), "x").unwrap();
    }
}
