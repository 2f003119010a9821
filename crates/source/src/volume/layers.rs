//! What lies on what: a file system on a loop device whose image lies on another file system, and
//! so on. Whoever freezes one holds up all that lies on it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{major, minor};
use tintype_model::{Error, Result};

use super::mounts::Mount;
use crate::files::handles::lock;

/// Devices may be stacked this deep.
const MOST_LAYERS: usize = 64;

/// The loop device that shows (a part of) a file, as the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// `/dev/loop3`
    pub device: PathBuf,
    /// As it was called when the device was made.
    pub image: PathBuf,
    /// Where the partition begins that is meant, and its length; zeros for the whole device.
    pub start: u64,
    pub length: u64,
    pub block_size: u32,
}

fn sysfs(device: u64) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)))
}

/// None if the device is none that shows a file.
pub(super) fn loop_of(device: u64) -> Option<Loop> {
    let here = sysfs(device).canonicalize().ok()?;
    let number =
        |path: PathBuf| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let (disk, start, length) = if here.join("partition").exists() {
        let sectors = |name| number(here.join(name)).map(|sectors| sectors.saturating_mul(512));
        (here.parent()?.to_owned(), sectors("start")?, sectors("size")?)
    } else {
        (here, 0, 0)
    };
    let mut image = fs::read(disk.join("loop/backing_file")).ok()?;
    while image.last() == Some(&b'\n') {
        image.pop();
    }
    let block_size = number(disk.join("queue/logical_block_size"))? as u32;
    let device = Path::new("/dev").join(disk.file_name()?);
    let image = std::ffi::OsString::from_vec(image).into();
    Some(Loop { device, image, start, length, block_size })
}

/// A device and all that it lies on: block devices, and file systems by their device numbers.
pub(super) fn at_and_below(device: u64, mounts: &[Mount]) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut left = vec![device];
    while let Some(device) = left.pop() {
        if found.len() < MOST_LAYERS && found.insert(device) {
            left.extend(directly_below(device, mounts));
        }
    }
    found
}

fn directly_below(device: u64, mounts: &[Mount]) -> Vec<u64> {
    if let Some(shown) = loop_of(device) {
        return device_of(&shown.image).into_iter().collect();
    }
    let dir = sysfs(device);
    if !dir.exists() {
        return sources_of(device, mounts);
    }
    let mut below = Vec::new();
    if let Ok(slaves) = fs::read_dir(dir.join("slaves")) {
        below.extend(slaves.flatten().filter_map(|slave| number_in(&slave.path())));
    }
    if dir.join("partition").exists()
        && let Ok(here) = dir.canonicalize()
    {
        below.extend(here.parent().and_then(number_in));
    }
    below
}

/// `MAJOR:MINOR` in a folder of sysfs.
fn number_in(dir: &Path) -> Option<u64> {
    let text = fs::read_to_string(dir.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn device_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.dev())
}

/// Block devices of a file system whose own number is none of a block device: btrfs, which has
/// one number for each subvolume.
fn sources_of(device: u64, mounts: &[Mount]) -> Vec<u64> {
    let has = |mount: &&Mount| {
        mount.device == device || (mount.kind == "btrfs" && device_of(&mount.point) == Some(device))
    };
    let Some(mount) = mounts.iter().find(has) else { return Vec::new() };
    let Ok(source) = fs::metadata(&mount.source) else { return Vec::new() };
    if !source.file_type().is_block_device() {
        return Vec::new();
    }
    let mut devices = vec![source.rdev()];
    if mount.kind == "btrfs" {
        devices.extend(companions(&mount.source));
    }
    devices
}

/// The other devices of a btrfs.
fn companions(source: &Path) -> Vec<u64> {
    let Ok(source) = source.canonicalize() else { return Vec::new() };
    let (Some(name), Ok(all)) = (source.file_name(), fs::read_dir("/sys/fs/btrfs")) else {
        return Vec::new();
    };
    let devices = all.flatten().map(|found| found.path().join("devices"));
    let Some(devices) = devices.into_iter().find(|devices| devices.join(name).exists()) else {
        return Vec::new();
    };
    let devices = fs::read_dir(devices).into_iter().flatten().flatten();
    devices.filter_map(|device| number_in(&device.path())).collect()
}

/// What is being frozen in this process, by the volume's name, with its device and what that lies
/// on. Members of a group freeze side by side and thaw together: if one lies on another, the upper
/// would wait for the lower and the lower for the group, until the guard ends it.
static FREEZING: Mutex<Vec<(String, u64, BTreeSet<u64>)>> = Mutex::new(Vec::new());

/// For as long as it lives.
#[derive(Debug)]
pub(super) struct Freezing(u64);

pub(super) fn begin_freezing(name: &str, device: u64, below: &BTreeSet<u64>) -> Result<Freezing> {
    let mut all = lock(&FREEZING);
    for (other, its_device, its_below) in &*all {
        if *its_device == device {
            return Err(Error::locked(format!(
                "volume {name}: its file system is being frozen for volume {other}; give the two \
                 different groups"
            )));
        }
        if its_below.contains(&device) || below.contains(its_device) {
            return Err(Error::unsupported(format!(
                "volume {name} cannot be frozen together with volume {other}, because one lies on \
                 the other; give them different groups"
            )));
        }
    }
    all.push((name.to_owned(), device, below.clone()));
    Ok(Freezing(device))
}

impl Drop for Freezing {
    fn drop(&mut self) {
        lock(&FREEZING).retain(|(_, device, _)| *device != self.0);
    }
}

/// Fails if something that lies at or below `below` is being frozen: it would have to wait.
pub(super) fn nothing_frozen_below(name: &str, below: &BTreeSet<u64>) -> Result<()> {
    let all = lock(&FREEZING);
    match all.iter().find(|(_, device, _)| below.contains(device)) {
        None => Ok(()),
        Some((other, ..)) => Err(Error::unsupported(format!(
            "volume {name} lies on volume {other}, which is frozen with it; give them different \
             groups"
        ))),
    }
}

/// The directory that an image lies in.
pub(super) fn folder_of(image: &Path) -> Option<PathBuf> {
    // A deleted one is told as `/path/name (deleted)`.
    let parent = image.parent()?;
    (!image.as_os_str().as_bytes().ends_with(b" (deleted)")).then(|| parent.to_owned())
}

/// Folders of all images that loop devices show now.
pub(super) fn image_folders() -> BTreeSet<PathBuf> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return BTreeSet::new() };
    let device = |entry: fs::DirEntry| number_in(&entry.path()).and_then(loop_of);
    let images = devices.flatten().filter_map(device);
    images.filter_map(|shown| folder_of(&shown.image)).collect()
}
