//! Disks that come, go and grow while the guest runs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tintype_source::connector::Released;
use tintype_testkit::guest::{Guest, Options};

use super::support::{bitmaps, directory, leftovers, qemu, run, sequence, source, take};

/// What a capture that is committed says of each disk, and its mark.
fn captured(
    guest: &Guest,
    mark: Option<&Value>,
    into: &Path,
) -> (BTreeMap<String, Option<u64>>, Value, String) {
    let run = run();
    let mut source = source(&qemu(guest), &run.context);
    let taken = take(&mut *source, mark, into, Released::Committed).unwrap();
    (taken.changed, taken.mark.unwrap(), taken.facts["read_whole"].to_string())
}

fn wait_in(guest: &mut Guest, what: &str) {
    let script = format!(
        "n=0; until {what} || [ $n = 600 ]; do usleep 50000; n=$((n+1)); done; {what} && echo yes"
    );
    assert_eq!(guest.shell(&script).trim(), "yes", "{what}");
}

fn plug_in(guest: &mut Guest, file: &Path) {
    let file = json!({ "driver": "file", "node-name": "file-vdc", "filename": file });
    let disk = json!({ "driver": "qcow2", "node-name": "disk-vdc", "file": file });
    guest.command("blockdev-add", disk);
    let device = json!({ "driver": "virtio-blk-pci", "bus": "plug", "drive": "disk-vdc",
        "id": "vdc" });
    guest.command("device_add", device);
    wait_in(guest, "[ -b /dev/vdc ]");
}

fn pull_out(guest: &mut Guest) {
    guest.command("device_del", json!({ "id": "vdc" }));
    wait_in(guest, "[ ! -b /dev/vdc ]");
    // QEMU lets go of it a little later than the guest.
    let begun = std::time::Instant::now();
    while guest.command("query-block", Value::Null).to_string().contains("/vdc/") {
        assert!(begun.elapsed() < std::time::Duration::from_mins(1), "it stays");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_disk_that_comes_is_read_whole_one_that_goes_leaves_nothing_and_one_may_grow() {
    let (_own, place) = directory();
    let file = place.join("third.qcow2");
    let make = ["create", "-q", "-f", "qcow2"].map(OsStr::new);
    crate::support::run("qemu-img", &[&make[..], &[file.as_os_str(), OsStr::new("64M")]].concat());
    let arguments = ["-device", "pcie-root-port,id=plug,chassis=1,slot=1"].map(str::to_owned);
    let mut guest = Guest::boot(&Options { arguments: arguments.into(), ..Options::default() });
    let (_into, into) = directory();
    let (first, mark, _) = captured(&guest, None, &into);
    assert!(first.len() == 2 && first.values().all(Option::is_none), "{first:?}");

    plug_in(&mut guest, &file);
    guest.shell("dd if=/dev/urandom of=/dev/vdc bs=1M count=8 conv=fsync");
    let (changed, mark, why) = captured(&guest, Some(&mark), &into);
    assert_eq!(changed["disks/vdc.img"], None, "it is new");
    assert!(why.contains("vdc") && why.contains("new"), "{why}");
    assert!(changed["disks/vda.img"].is_some() && changed["disks/vdb.img"].is_some(), "{why}");

    // Grown from outside, as the guest sees it; the others go on by what changed.
    let larger: u64 = 80 << 20;
    guest.command("block_resize", json!({ "node-name": "disk-vdc", "size": larger }));
    wait_in(&mut guest, &format!("[ $(cat /sys/block/vdc/size) = {} ]", larger / 512));
    guest.shell("dd if=/dev/urandom of=/dev/vdc bs=1M seek=70 count=8 conv=fsync");
    let (changed, mark, why) = captured(&guest, Some(&mark), &into);
    assert_eq!(changed["disks/vdc.img"], None, "its record is of another size");
    assert!(why.contains("another size"), "{why}");
    assert!(changed["disks/vdb.img"].is_some(), "{why}");
    assert_eq!(into.join("disks/vdc.img").metadata().unwrap().len(), larger);

    guest.shell("dd if=/dev/urandom of=/dev/vdc bs=1M seek=3 count=1 conv=fsync");
    let (changed, mark, why) = captured(&guest, Some(&mark), &into);
    assert!(changed.values().all(|bytes| bytes.is_some_and(|bytes| bytes < 8 << 20)), "{why}");
    assert_eq!(changed.len(), 3);

    pull_out(&mut guest);
    let (changed, mark, _) = captured(&guest, Some(&mark), &into);
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["disks/vda.img", "disks/vdb.img"]);
    assert!(changed.values().all(Option::is_some), "{changed:?}");
    // QEMU still has the file open; its record is gone, and those of the others are the last.
    let kept = mark["bitmap"].as_str().unwrap();
    assert_eq!(bitmaps(&mut guest), [kept, kept]);
    assert_eq!(leftovers(&mut guest), Vec::<String>::new());
    guest.command("blockdev-del", json!({ "node-name": "disk-vdc" }));
    let mut info = Command::new("qemu-img");
    let info = info.args(["info", "--output=json"]).arg(&file).output().unwrap();
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["format-specific"]["data"].get("bitmaps"), None, "{info}");
    std::fs::remove_file(into.join("disks/vdc.img")).unwrap();
    assert!(sequence(&into.join("disks/vdb.img")) > 0);
}
