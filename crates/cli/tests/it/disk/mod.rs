//! Disk images of snapshots, looked into: files out of them, and disks for other programs.

mod files;
mod hostile;
mod served;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};

use serde_json::json;
use tintype_testkit::debian::need;

use crate::support::{Lab, noise};

const MIB: u64 = 1 << 20;

#[track_caller]
fn tool(lab: &Lab, program: &str, words: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program)
        .args(words)
        .env("PATH", path)
        .env("TZ", "UTC")
        .current_dir(lab.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn need_tools() {
    need(&["mkfs.vfat"], &["dosfstools"]);
    need(&["mcopy"], &["mtools"]);
    need(&["mke2fs", "debugfs"], &["e2fsprogs"]);
    need(&["sfdisk"], &["fdisk"]);
    need(&["qemu-img", "qemu-nbd"], &["qemu-utils"]);
}

/// A sparse file.
fn empty(lab: &Lab, name: &str, bytes: u64) -> File {
    let file = File::options().create(true).truncate(false).write(true).open(lab.path(name));
    let file = file.unwrap();
    file.set_len(bytes).unwrap();
    file
}

/// ext4 with what is in a directory.
fn ext4(lab: &Lab, name: &str, from: &str, bytes: u64) {
    empty(lab, name, bytes);
    tool(lab, "mke2fs", &["-q", "-t", "ext4", "-d", from, name]);
}

/// A disk with a table, and an image in each of some partitions: sectors, and what lies there.
fn disk(lab: &Lab, name: &str, bytes: u64, table: &str, parts: &[(u64, &str)]) {
    let file = empty(lab, name, bytes);
    let mut sfdisk = Command::new("/usr/sbin/sfdisk");
    let mut child = sfdisk.arg("-q").arg(lab.path(name)).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), table.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    for (sector, part) in parts {
        for (number, piece) in (0..).zip(lab.read(part).chunks(MIB as usize)) {
            if piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, sector * 512 + number * MIB).unwrap();
            }
        }
    }
}

/// Disk images as those of a machine that is off; gives what to call one in a command.
fn machine(lab: &Lab, images: &[&str]) -> impl Fn(&str) -> String + use<> {
    let disks = images
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "file": lab.path(name), "format": "raw" })));
    let disks: serde_json::Map<_, _> = disks.collect();
    let vm = json!({ "kind": "vm", "name": "shop", "connector": "qemu",
                     "at": { "qmp": lab.path("none.sock"), "disks": disks } });
    lab.write("vm.json", json!({ "version": 1, "resources": [vm] }).to_string());
    lab.run(&["snapshot", "--quiet", "--resources", &lab.text("vm.json")]).expect(0);
    |name| format!("latest:/tenants/system/vms/shop/disks/{name}.img")
}

/// What a tree holds that is put on disks.
fn tree(lab: &Lab) {
    lab.write("tree/etc/fstab", "/dev/vda2 / ext4 defaults 0 1\n");
    lab.write("tree/etc/deep/er/file", noise(300_000, "deep"));
    lab.write("tree/big", noise(6_000_000, "big"));
    lab.write("tree/empty", "");
    lab.write("tree/name with\nnewline", "odd");
}

const GPT: &str = "label: gpt\nstart=2048, size=81920, type=U\nstart=83968, size=81920, type=L\n\
                   start=165888, size=16384, type=L\n";
