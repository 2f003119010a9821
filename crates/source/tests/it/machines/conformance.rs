//! The suites: captures of a guest that runs, restores of a machine that is off.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use serde_json::json;
use tintype_model::resource::{Kind, Resource};
use tintype_source::disk::{open, partitions};
use tintype_testkit::guest::{Guest, Options, parts};

use super::support::leftovers;
use crate::conformance::{Held, World, path_at, resource, sources_conform, targets_conform};
use crate::disk::{FileImage, content};

fn number_in(image: &std::path::Path) -> u64 {
    let image = FileImage::open(image);
    let partition = &partitions(&*image).unwrap()[0];
    let text = content(&*open(image.clone(), partition).unwrap(), "number");
    String::from_utf8(text).unwrap().trim().parse().unwrap()
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
        let script = format!(
            "echo {number} > /data/next; sync -d /data/next; mv /data/next /data/number; sync"
        );
        self.guest.lock().unwrap().shell(&script);
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

/// Without any QEMU: its disk is a file.
struct Off {
    directory: tempfile::TempDir,
}

impl Off {
    fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap() };
        let disk = world.disk().display().to_string();
        let from = parts().data.display().to_string();
        let words = ["convert", "-O", "raw", &from, &disk].map(std::ffi::OsStr::new);
        crate::support::run("qemu-img", &words);
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn disk(&self) -> PathBuf {
        self.at("disk.raw")
    }
}

impl World for Off {
    fn resource(&self) -> Resource {
        let disks = json!({ "vda": { "file": self.disk(), "format": "raw" } });
        let at = [("qmp", path_at(self.at("qmp"))), ("disks", disks)];
        resource(Kind::Vm, "off", "qemu", &at)
    }

    fn write(&self, number: u64) {
        let text = self.at("number");
        std::fs::write(&text, format!("{number}\n")).unwrap();
        for ask in ["rm /number".to_owned(), format!("write {} number", text.display())] {
            let done =
                Command::new("/sbin/debugfs").args(["-w", "-R", &ask]).arg(self.disk()).output();
            assert!(done.unwrap().status.success());
        }
        std::fs::remove_file(text).unwrap();
    }

    fn now(&self) -> u64 {
        number_in(&self.disk())
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&held.path(b"disks/vda.img"))
    }

    fn state(&self) -> String {
        super::support::file_hash(&self.disk())
    }

    fn leftovers(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tintype-")).collect()
    }
}

#[test]
fn a_machine_that_is_off() {
    let world = Off::new();
    world.write(1);
    targets_conform(&world);
}
