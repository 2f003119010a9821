//! A run that is killed (SIGKILL) while it reads: within seconds nothing of it is left, and nobody
//! has to start another.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tintype_engine::env::Env;
use tintype_testkit::guest::{Guest, Options};
use tintype_testkit::libvirt::Libvirt;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, Ran, is_root, noise};

const NOTHING: Vec<String> = Vec::new();

/// Block nodes, exports and bitmaps of ours.
pub(crate) fn in_machine(guest: &mut Guest) -> Vec<String> {
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
    let runs = lab.text("runs");
    let places = [places[0], places[1], "/var/tmp", &runs];
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

/// A snapshot that reads slowly, by runs that know of each other in a directory of their own, and the
/// session it has.
fn reading(lab: &Lab, runs: &str, guest: &mut Guest) -> (Child, String) {
    let words = ["snapshot", "--resources", "resources.yaml", "--limit-upload", "64KiB/s"];
    let mut command = lab.command(&words);
    command.env("TINTYPE_RUNTIME_DIR", lab.path(runs)).env("TINTYPE_CACHE_DIR", lab.path("slow"));
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let clock = Env::system().clock;
    while guest.command("query-block-exports", Value::Null).as_array().unwrap().len() < 2 {
        assert!(run.try_wait().unwrap().is_none(), "it is read");
        clock.sleep(Duration::from_millis(20));
    }
    let names = in_machine(guest);
    let lock = names.iter().find_map(|name| name.strip_suffix("-lock")).unwrap();
    (run, lock.trim_start_matches("tintype-").to_owned())
}

/// With the guard, which would clean.
fn kill_all(mut run: Child) {
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let children = std::fs::read_to_string(children).unwrap();
    for child in children.split_whitespace() {
        Command::new("kill").args(["-9", child]).status().unwrap();
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

/// As in containers that share a file system, or suites of tests at once.
#[test]
fn runs_that_know_nothing_of_each_other_take_nothing_from_each_other() {
    if !is_root() {
        return;
    }
    let lab = Lab::ready();
    let btrfs = Mounted::new("btrfs");
    let subvolume = btrfs.path.join("data");
    let made = Command::new("btrfs").args(["subvolume", "create"]).arg(&subvolume).output();
    assert!(made.unwrap().status.success());
    std::fs::write(subvolume.join("noise"), noise(4 << 20, "registries")).unwrap();
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    let resources = json!([
        { "kind": "volume", "name": "data", "connector": "btrfs", "at": { "path": subvolume } },
        { "kind": "vm", "name": "web", "connector": "qemu",
            "at": { "qmp": guest.qmp, "agent": guest.agent } },
    ]);
    lab.write("resources.yaml", json!({ "version": 1, "resources": resources }).to_string());
    let snapshot = |runs: &str| {
        let mut command = lab.command(&["snapshot", "--resources", "resources.yaml"]);
        Ran::of(&command.env("TINTYPE_RUNTIME_DIR", lab.path(runs)).output().unwrap())
    };
    let shelf = btrfs.path.join(".tintype-snapshots");
    let left = |guest: &mut Guest, session: &str| {
        let mut left = in_machine(guest);
        left.extend(naming(session, "ls", &[shelf.to_str().unwrap()]));
        left.retain(|name| name.contains(session));
        left
    };
    let (mut run, session) = reading(&lab, "runs", &mut guest);
    let at_work = left(&mut guest, &session);
    // The volume is captured beside; of the machine there is one at a time.
    let beside = snapshot("others").expect(3);
    assert!(beside.out.contains("vm web: FAILED") && beside.out.contains("volume data: "));
    assert!(!beside.out.contains("volume data: FAILED"), "{}", beside.out);
    assert_eq!(left(&mut guest, &session), at_work);
    assert!(run.try_wait().unwrap().is_none(), "it goes on");
    kill_all(run);
    // Nobody else cleans, also when it is dead; who shares its directory does, also if that is lost.
    snapshot("others").expect(3);
    assert_eq!(left(&mut guest, &session), at_work);
    std::fs::remove_dir_all(lab.path("runs")).unwrap();
    let after = snapshot("runs").expect(0);
    assert!(after.err.contains("left by a run that was killed"), "{}", after.err);
    assert_eq!(left(&mut guest, &session), NOTHING);
}

/// In namespaces of its own, where nothing else on this host can be cleaned.
#[test]
fn what_other_installations_left_goes_on_demand() {
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    let script = "
        set -e
        for at in $(findmnt -rn -t btrfs -o TARGET); do umount -l \"$at\" || :; done
        mount -t tmpfs tmpfs /var/tmp
        mkdir /var/tmp/tintype-0123456789abcdef
        \"$0\" discover --clean
        ls /var/tmp
        \"$0\" discover --clean --all
        ls /var/tmp";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "--", "sh", "-c", script]);
    lab.prepare(command.arg(env!("CARGO_BIN_EXE_tintype")));
    command.env("TINTYPE_RUNTIME_DIR", lab.path("runs"));
    let ran = Ran::of(&command.output().unwrap()).expect(0);
    let what = "removed: scratch directory /var/tmp/tintype-0123456789abcdef";
    let none =
        "nothing was found to remove: no killed run of this installation has left anything here";
    assert_eq!(ran.out, format!("{none}\ntintype-0123456789abcdef\n{what}\n"), "{}", ran.err);
}
