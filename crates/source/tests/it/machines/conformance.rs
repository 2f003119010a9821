//! The suites: captures of a guest that runs, restores of a machine that is off.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};
use tintype_model::resource::{Kind, Resource};
use tintype_source::connector::{Destination, Released};
use tintype_source::disk::{open, partitions};
use tintype_testkit::guest::{Guest, Options, Shell};
use tintype_testkit::libvirt::Libvirt;

use super::support::leftovers;
use crate::conformance::{
    AsNew, Held, Session, World, capture, connector, path_at, resource, sources_conform,
    targets_conform, was_killed,
};
use crate::disk::{FileImage, content};
use crate::support::skipped_without_root;

fn number_in(image: &std::path::Path) -> u64 {
    let image = FileImage::open(image);
    let partition = &partitions(&*image).unwrap()[0];
    let text = content(&*open(image.clone(), partition).unwrap(), "number");
    String::from_utf8(text).unwrap().trim().parse().unwrap()
}

fn writing(number: u64) -> String {
    format!("echo {number} > /data/next; sync -d /data/next; mv /data/next /data/number; sync")
}

struct Running {
    guest: Mutex<Guest>,
    resource: Resource,
}

impl World for Running {
    fn resource(&self) -> Resource {
        self.resource.clone()
    }

    fn write(&self, number: u64) {
        self.guest.lock().unwrap().shell(&writing(number));
    }

    fn now(&self) -> u64 {
        self.guest.lock().unwrap().shell("cat /data/number").trim().parse().unwrap()
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&held.path(b"disks/vdb.img"))
    }

    fn state(&self) -> String {
        self.now().to_string()
    }

    fn leftovers(&self) -> Vec<String> {
        leftovers(&mut self.guest.lock().unwrap())
    }

    fn one_at_a_time(&self) -> bool {
        true
    }
}

#[test]
fn a_guest_that_runs() {
    let guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    let at = [("qmp", path_at(&guest.qmp)), ("agent", path_at(&guest.agent))];
    let mut resource = resource(Kind::Vm, "guest", "qemu", &at);
    resource.excludes = vec!["vda".to_owned()];
    let world = Running { guest: Mutex::new(guest), resource };
    world.write(1);
    sources_conform(&world);
}

/// As [`Running`], with libvirt between; a freeze is refused only by the guest's agent.
struct OfLibvirt {
    line: Mutex<Shell>,
    libvirt: Libvirt,
}

impl World for OfLibvirt {
    fn resource(&self) -> Resource {
        let at = [("domain", json!("one")), ("uri", json!(self.libvirt.uri))];
        let mut resource = resource(Kind::Vm, "guest", "libvirt", &at);
        resource.excludes = vec!["vda".to_owned()];
        resource
    }

    fn write(&self, number: u64) {
        self.line.lock().unwrap().run(&writing(number));
    }

    fn now(&self) -> u64 {
        self.line.lock().unwrap().run("cat /data/number").trim().parse().unwrap()
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&held.path(b"disks/vdb.img"))
    }

    fn state(&self) -> String {
        self.now().to_string()
    }

    /// Without checkpoints: what one of a killed session recorded belongs to what the next snapshot
    /// asks for, which removes it.
    fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<String> =
            self.libvirt.try_virsh(&["backup-dumpxml", "one"]).into_iter().collect();
        let state = self.libvirt.virsh(&["domstate", "one"]);
        left.extend((state.trim() != "running").then_some(state));
        left
    }

    fn one_at_a_time(&self) -> bool {
        true
    }
}

#[test]
fn a_guest_of_libvirt_that_runs() {
    if skipped_without_root("libvirt") {
        return;
    }
    let libvirt = Libvirt::start();
    libvirt.define("one", "nowriter", "");
    libvirt.start_and_wait("one");
    let world = OfLibvirt { line: Mutex::new(libvirt.line_into("one")), libvirt };
    world.write(1);
    sources_conform(&world);
    let session = Session::of(&world);
    let mut source = connector("libvirt").source(&world.resource(), &session.context).unwrap();
    capture(&mut *source, None, Released::Committed).unwrap();
    let list = world.libvirt.virsh(&["checkpoint-list", "one", "--name"]);
    let killed: Vec<&str> = list.lines().filter(|name| was_killed(name)).collect();
    assert!(killed.len() <= 8, "of series that never went on: {killed:?}");
}

/// The disk of a machine that is off: a file with one file in it.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { directory: tempfile::tempdir().unwrap() };
        let words = ["-q", "-t", "ext4", &disk.file().display().to_string(), "16M"];
        crate::support::run("/sbin/mke2fs", &words.map(std::ffi::OsStr::new));
        disk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.at("disk.raw")
    }

    fn write(&self, number: u64) {
        let text = self.at("number");
        std::fs::write(&text, format!("{number}\n")).unwrap();
        for ask in ["rm /number".to_owned(), format!("write {} number", text.display())] {
            let done =
                Command::new("/sbin/debugfs").args(["-w", "-R", &ask]).arg(self.file()).output();
            assert!(done.unwrap().status.success());
        }
        std::fs::remove_file(text).unwrap();
    }

    fn now(&self) -> u64 {
        number_in(&self.file())
    }

    fn state(&self) -> String {
        super::support::file_hash(&self.file())
    }

    fn leftovers(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<String> = names.filter(|name| name.starts_with("tintype-")).collect();
        // Who serves it keeps its machine from being started.
        let ps = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
        let ps = String::from_utf8_lossy(&ps).into_owned();
        let file = self.file().display().to_string();
        let servers = ps.lines().filter(|line| line.starts_with("qemu-nbd"));
        left.extend(servers.filter(|line| line.contains(&file)).map(str::to_owned));
        left
    }

    /// Beside it, in a directory of its own.
    fn copy(&self, at: &Value, rules: &[(&str, &str)], file: &str) -> AsNew {
        let directory = self.at("copy").display().to_string();
        let mut all = BTreeMap::from([("directory".to_owned(), directory)]);
        all.extend(rules.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned())));
        let at = at.as_object().unwrap().clone();
        let file = self.at("copy").join(file);
        let destination = Destination::AsNew { name: "copy".into(), at, rules: all };
        AsNew { destination, now: Box::new(move || number_in(&file)) }
    }
}

/// Without any QEMU.
struct Off(Disk);

impl World for Off {
    fn resource(&self) -> Resource {
        let disks = json!({ "vda": { "file": self.0.file(), "format": "raw" } });
        let at = [("qmp", path_at(self.0.at("qmp"))), ("disks", disks)];
        resource(Kind::Vm, "off", "qemu", &at)
    }

    fn write(&self, number: u64) {
        self.0.write(number);
    }

    fn now(&self) -> u64 {
        self.0.now()
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&held.path(b"disks/vda.img"))
    }

    fn state(&self) -> String {
        self.0.state()
    }

    fn leftovers(&self) -> Vec<String> {
        self.0.leftovers()
    }

    fn writes_meanwhile(&self) -> bool {
        false
    }

    fn as_new(&self) -> Option<AsNew> {
        let at = json!({ "qmp": self.0.at("copy/qmp") });
        std::fs::create_dir_all(self.0.at("copy")).unwrap();
        Some(self.0.copy(&at, &[("format:vda", "raw")], "vda.raw"))
    }
}

#[test]
fn a_machine_that_is_off() {
    let world = Off(Disk::new());
    world.write(1);
    sources_conform(&world);
    targets_conform(&world);
}

/// Defined, never started.
struct OffOfLibvirt {
    disk: Disk,
    libvirt: Libvirt,
}

impl World for OffOfLibvirt {
    fn resource(&self) -> Resource {
        let at = [("domain", json!("one")), ("uri", json!(self.libvirt.uri))];
        resource(Kind::Vm, "off", "libvirt", &at)
    }

    fn write(&self, number: u64) {
        self.disk.write(number);
    }

    fn now(&self) -> u64 {
        self.disk.now()
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&held.path(b"disks/vda.img"))
    }

    fn state(&self) -> String {
        self.disk.state() + &self.libvirt.virsh(&["dumpxml", "one", "--inactive"])
    }

    fn leftovers(&self) -> Vec<String> {
        self.disk.leftovers()
    }

    fn writes_meanwhile(&self) -> bool {
        false
    }

    fn as_new(&self) -> Option<AsNew> {
        let at = json!({ "domain": "copy", "uri": self.libvirt.uri });
        Some(self.disk.copy(&at, &[], "copy-vda.raw"))
    }
}

#[test]
fn a_machine_of_libvirt_that_is_off() {
    if skipped_without_root("libvirt") {
        return;
    }
    let libvirt = Libvirt::start();
    let disk = Disk::new();
    let file = disk.file();
    libvirt.define_xml(
        "define",
        &format!(
            "<domain type='qemu'><name>one</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='raw'/>\
             <source file='{}'/><target dev='vda' bus='virtio'/></disk></devices></domain>",
            file.display()
        ),
    );
    let world = OffOfLibvirt { disk, libvirt };
    world.write(1);
    sources_conform(&world);
    targets_conform(&world);
}
