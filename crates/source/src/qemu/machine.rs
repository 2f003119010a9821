//! What a machine that runs has: disks, firmware variables, state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tintype_model::{Error, Result};

use crate::vm::facts::DiskFacts;
use crate::vm::qmp::Qmp;

/// A block device that the guest writes to or reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Disk {
    /// For people and paths.
    pub name: String,
    /// Path of the device in QEMU's object tree; its property `drive` says what it is on.
    pub device: String,
    /// The node that the device is on.
    pub node: String,
    pub size_bytes: u64,
    pub format: String,
    /// As QEMU names it: a path, or something else.
    pub file: String,
    /// Whether the image has another below it.
    pub has_backing: bool,
    pub read_only: bool,
    pub bitmaps: Vec<Bitmap>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Bitmap {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub recording: bool,
    #[serde(default)]
    pub busy: bool,
    #[serde(default)]
    pub inconsistent: bool,
    #[serde(default)]
    pub granularity: u64,
}

/// The block devices of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Devices {
    pub disks: Vec<Disk>,
    /// Variables of the firmware, where they can be written.
    pub nvram: Option<Disk>,
}

pub(crate) fn devices(qmp: &mut Qmp) -> Result<Devices> {
    Ok(read(&qmp.execute("query-block", json!({}))?))
}

/// Reads an answer to `query-block`.
pub(crate) fn read(answer: &Value) -> Devices {
    let mut devices = Devices::default();
    let mut names = BTreeSet::new();
    for entry in answer.as_array().into_iter().flatten() {
        let Some(mut disk) = disk(entry) else { continue };
        if is_firmware(entry) {
            devices.nvram = (!disk.read_only).then_some(disk).or(devices.nvram);
            continue;
        }
        let mut number = 2;
        let name = disk.name.clone();
        while !names.insert(disk.name.clone()) {
            disk.name = format!("{name}-{number}");
            number += 1;
        }
        devices.disks.push(disk);
    }
    devices
}

fn is_firmware(entry: &Value) -> bool {
    let has = |field: &str, text: &str| entry[field].as_str().unwrap_or_default().contains(text);
    has("device", "pflash") || has("qdev", "system.flash")
}

/// None for drives that are empty or take media: these belong to nobody's machine.
fn disk(entry: &Value) -> Option<Disk> {
    let inserted = entry.get("inserted")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let qdev = text(&entry["qdev"]);
    if entry["removable"] == true || qdev.is_empty() {
        return None;
    }
    let node = text(&inserted["node-name"]);
    let image = &inserted["image"];
    let device =
        if qdev.starts_with('/') { qdev.clone() } else { format!("/machine/peripheral/{qdev}") };
    let bitmaps = inserted["dirty-bitmaps"].as_array().into_iter().flatten();
    let bitmaps = bitmaps.filter_map(|value| Bitmap::deserialize(value).ok());
    Some(Disk {
        name: name(&text(&entry["device"]), &qdev, &node),
        device,
        size_bytes: image["virtual-size"].as_u64()?,
        format: text(&inserted["drv"]),
        file: text(&image["filename"]),
        has_backing: image.get("backing-image").is_some(),
        read_only: inserted["ro"] == true,
        bitmaps: bitmaps.collect(),
        node,
    })
}

/// The name of an old `-drive`, else the device's own, else that of the node.
fn name(drive: &str, qdev: &str, node: &str) -> String {
    let of_device = match qdev.strip_prefix("/machine/peripheral/") {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None if qdev.starts_with('/') => "",
        None => qdev,
    };
    let choices = [drive, of_device, node.trim_start_matches('#'), "disk"];
    let chosen = choices.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = chosen.chars().take(100).map(plain).collect();
    if name.starts_with(['.', '-']) { format!("_{name}") } else { name }
}

/// Whether the guest's processors run.
pub(crate) fn is_running(qmp: &mut Qmp) -> Result<bool> {
    Ok(qmp.execute("query-status", json!({}))?["running"] == true)
}

/// Whether something in the guest has opened the port of the agent; true if QEMU cannot tell.
pub(crate) fn agent_listens(qmp: &mut Qmp, agent: &Path) -> Result<bool> {
    let devices = qmp.execute("query-chardev", json!({}))?;
    let mut devices = devices.as_array().into_iter().flatten();
    let path = format!("unix:{}", agent.display());
    let is_it = |device: &&Value| {
        let name = device["filename"].as_str().unwrap_or_default();
        let after = name.split_once(&path).map(|(_, after)| after);
        after.is_some_and(|after| after.is_empty() || after.starts_with([',', ' ']))
    };
    Ok(devices.find(is_it).is_none_or(|device| device["frontend-open"] != false))
}

/// Makes a device use another node; both show the same content, to the guest nothing happens.
pub(crate) fn put_on(qmp: &mut Qmp, device: &str, node: &str) -> Result<()> {
    let property = json!({ "path": device, "property": "drive", "value": node });
    qmp.execute("qom-set", property).map(drop)
}

/// Command line and directory of a process.
pub(crate) fn command_of(process: i32) -> Result<(Vec<String>, PathBuf)> {
    let place = PathBuf::from(format!("/proc/{process}"));
    let failed = |error: std::io::Error| Error::io(error, place.display());
    let line = std::fs::read(place.join("cmdline")).map_err(failed)?;
    let words =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    words.pop();
    Ok((words, std::fs::read_link(place.join("cwd")).map_err(failed)?))
}

impl From<&Disk> for DiskFacts {
    fn from(disk: &Disk) -> Self {
        Self {
            name: disk.name.clone(),
            file: disk.file.clone(),
            format: disk.format.clone(),
            size_bytes: disk.size_bytes,
            has_backing: disk.has_backing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_names_that_are_stable_and_plain() {
        assert_eq!(name("virtio0", "/machine/peripheral-anon/device[1]/x", "#block1"), "virtio0");
        assert_eq!(name("", "/machine/peripheral/vdb/virtio-backend", "data"), "vdb");
        assert_eq!(name("", "scsi0-0", "data"), "scsi0-0");
        assert_eq!(name("", "/machine/peripheral-anon/device[1]", "da/ta"), "da_ta");
        assert_eq!(name("", "/machine/unattached/device[3]", "#block123"), "block123");
        assert_eq!(name("..", "x", "y"), "_..");
    }

    #[test]
    fn media_are_not_disks_and_firmware_is_told_apart() {
        let medium = |qdev: &str, removable: bool, read_only: bool| {
            json!({"device": "", "qdev": qdev, "removable": removable, "inserted": {
                "node-name": "n", "drv": "raw", "ro": read_only,
                "image": {"virtual-size": 512, "filename": "/f"}}})
        };
        let answer = json!([
            medium("/machine/peripheral/cd", true, true),
            medium("/machine/system.flash0", false, true),
            medium("/machine/system.flash1", false, false),
            medium("/machine/peripheral/vda", false, false),
            medium("/machine/peripheral/vda/x", false, false),
            {"device": "empty", "qdev": "x"},
        ]);
        let devices = read(&answer);
        let names: Vec<_> = devices.disks.iter().map(|disk| &disk.name[..]).collect();
        assert_eq!(names, ["vda", "vda-2"]);
        assert_eq!(devices.nvram.unwrap().device, "/machine/system.flash1");
    }
}
