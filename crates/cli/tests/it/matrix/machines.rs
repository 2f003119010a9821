//! Machines of bare QEMU and of libvirt: the number is in a file of the guest, beside another that
//! must be whole.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tintype_testkit::guest::{Guest, Options, Shell};
use tintype_testkit::libvirt::Libvirt;

use super::networks::{interface, network};
use super::{Holder, every_restore, needs_root, set, text};
use crate::machines::{Started, on_disk};
use crate::support::Lab;

const READ: &str = "seq 1 20000 | cmp - /data/dir/sub/numbers.txt && cat /data/number";
const UUID: &str = "11111111-2222-4333-8444-555555555555";
const MAC: &str = "52:54:00:0a:0b:0c";

fn writing(number: u32) -> String {
    format!("echo {number} > /data/number; sync")
}

fn number(said: &str) -> u32 {
    said.trim().parse().unwrap_or_else(|_| panic!("the guest said: {said}"))
}

fn rule(rule: &str, value: &str) -> [String; 2] {
    ["--rule".to_owned(), format!("it.{rule}={value}")]
}

fn directory(prefix: &str) -> TempDir {
    tempfile::Builder::new().prefix(prefix).tempdir().unwrap()
}

/// Disks as files, and files out of a disk in the snapshot.
fn disks(lab: &Lab) {
    let plain = lab.path("plain/it/disks");
    assert_eq!(on_disk(&plain.join("vdb.img"), "/number"), "1");
    assert!(on_disk(&plain.join("vda.img"), "/etc/passwd").starts_with("root:"));
    let place = "latest:/tenants/system/vms/it/disks/vdb.img";
    assert_eq!(lab.run(&["disk", "cat", place, "/number"]).expect(0).out, "1\n");
    lab.run(&["disk", "restore", place, "/dir", "--to", &lab.text("dir")]).expect(0);
    let numbers: Vec<String> = (1..=20000).map(|number: u32| number.to_string()).collect();
    assert!(lab.read("dir/sub/numbers.txt") == (numbers.join("\n") + "\n").as_bytes());
}

/// One disk alone, as a new one.
fn one_disk(lab: &Lab, options: &[[String; 2]], disk: &Path) {
    let mut words = vec!["restore", "latest", "--resources", "--yes", "--as-new", "it=disk"];
    words.extend(options.iter().flatten().map(String::as_str));
    lab.run(&words).expect(0);
    assert_eq!(on_disk(disk, "/number"), "1");
}

struct Qemu {
    guest: Option<Guest>,
    place: TempDir,
    copy: TempDir,
}

impl Qemu {
    fn new() -> Self {
        let mut machine = Self { guest: None, place: directory("guest"), copy: directory("copy") };
        machine.start();
        machine
    }

    fn guest(&mut self) -> &mut Guest {
        self.guest.as_mut().unwrap()
    }

    fn at(&self, name: &str) -> String {
        text(&self.place.path().join(name))
    }

    fn copy_at(&self, name: &str) -> PathBuf {
        self.copy.path().join(name)
    }
}

impl Holder for Qemu {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("vm", "qemu", json!({ "qmp": self.at("qmp"), "agent": self.at("agent") }))
    }

    fn write(&mut self, number: u32) {
        self.guest().shell(&writing(number));
    }

    fn read(&mut self) -> u32 {
        number(&self.guest().shell(READ))
    }

    fn stop(&mut self) {
        self.guest.take().unwrap().quit();
    }

    fn start(&mut self) {
        let device = format!("virtio-net-pci,netdev=n0,mac={MAC}");
        let identity = ["-name", "original", "-uuid", UUID];
        let network = ["-netdev", "user,id=n0,restrict=on", "-device", &device];
        let arguments = identity.iter().chain(&network).map(|word| (*word).to_owned()).collect();
        let options = Options { words: "nowriter".into(), arguments, ..Options::default() };
        self.guest = Some(Guest::boot_in(self.place.path(), &options));
    }

    fn options(&mut self) -> Vec<String> {
        let [old, new] = [&self.place, &self.copy].map(|place| text(place.path()));
        let sockets = ["qmp", "agent"].map(|name| set(name, text(&self.copy_at(name))));
        let places = rule(&format!("replace:{old}/"), &format!("{new}/"));
        let rules = [rule("directory", &new), rule("start", "yes"), places];
        sockets.into_iter().chain(rules).flatten().collect()
    }

    fn read_copy(&mut self) -> u32 {
        let _started = Started(self.copy_at("qmp"));
        let found = number(&Shell::connect(&self.copy_at("lab-agent")).run(READ));
        let definition = std::fs::read(self.copy_at("definition.json")).unwrap();
        let definition: Value = serde_json::from_slice(&definition).unwrap();
        assert_eq!(definition["name"], "copy");
        let words = definition["command"].to_string();
        let originals = [UUID, MAC, &self.at("")];
        assert!(!originals.iter().any(|original| words.contains(original)), "{words}");
        found
    }

    fn of_its_kind(&mut self, lab: &Lab) {
        disks(lab);
        let file = lab.path("one.qcow2");
        let named = json!({ "vdb": { "file": file, "format": "qcow2" } });
        one_disk(lab, &[set("disks", named), rule("disks", "vdb")], &file);
    }
}

struct Virtual {
    libvirt: Libvirt,
    definition: String,
}

impl Virtual {
    fn new() -> Self {
        let libvirt = Libvirt::start();
        for (name, bridge, subnet) in [("lan", "tt0", 211), ("other", "tt1", 212)] {
            libvirt.define_xml("net-define", &network(name, bridge, subnet));
            libvirt.virsh(&["net-start", name]);
        }
        libvirt.define("one", "nowriter", &interface(MAC, "lan"));
        libvirt.start_and_wait("one");
        let mut machine = Self { libvirt, definition: String::new() };
        machine.definition = machine.defined("one");
        machine
    }

    fn defined(&self, name: &str) -> String {
        self.libvirt.virsh(&["dumpxml", name, "--inactive", "--security-info"])
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.libvirt.directory.join(name)
    }
}

impl Holder for Virtual {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("vm", "libvirt", json!({ "domain": "one", "uri": self.libvirt.uri }))
    }

    fn write(&mut self, number: u32) {
        self.libvirt.shell("one", &writing(number));
    }

    fn read(&mut self) -> u32 {
        number(&self.libvirt.shell("one", READ))
    }

    fn stop(&mut self) {
        self.libvirt.virsh(&["destroy", "one"]);
    }

    fn start(&mut self) {
        assert_eq!(self.defined("one"), self.definition, "it is defined as it was");
        self.libvirt.start_and_wait("one");
    }

    fn options(&mut self) -> Vec<String> {
        let directory = text(&self.directory("copy"));
        let options = [set("domain", "copy"), rule("directory", &directory)];
        let rules = [rule("start", "yes"), rule("network:lan", "other")];
        options.into_iter().chain(rules).flatten().collect()
    }

    fn read_copy(&mut self) -> u32 {
        let found = number(&self.libvirt.shell("copy", READ));
        let copy = self.defined("copy");
        let uuid = self.libvirt.virsh(&["domuuid", "one"]);
        let disks = ["vda", "vdb"].map(|disk| text(&self.directory(&format!("one-{disk}"))));
        let originals = [MAC, uuid.trim(), "network='lan'", &disks[0], &disks[1]];
        assert!(!originals.iter().any(|original| copy.contains(original)), "{copy}");
        assert!(copy.contains("network='other'"), "{copy}");
        self.libvirt.virsh(&["destroy", "copy"]);
        self.libvirt.virsh(&["undefine", "copy"]);
        found
    }

    fn of_its_kind(&mut self, lab: &Lab) {
        disks(lab);
        let directory = self.directory("disk");
        let options =
            [set("domain", "disk"), rule("directory", &text(&directory)), rule("disks", "vdb")];
        one_disk(lab, &options, &directory.join("disk-vdb.qcow2"));
        let defined = self.defined("disk");
        assert!(defined.contains("dev='vdb'") && !defined.contains("dev='vda'"), "{defined}");
        self.libvirt.virsh(&["undefine", "disk"]);
    }
}

#[test]
#[ignore = "a minute: a machine of QEMU with every restore"]
fn machines_of_qemu_with_every_restore() {
    every_restore(&mut Qemu::new());
}

#[test]
#[ignore = "a minute: a machine of libvirt with every restore"]
fn machines_of_libvirt_with_every_restore() {
    if needs_root() {
        every_restore(&mut Virtual::new());
    }
}
