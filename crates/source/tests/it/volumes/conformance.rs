//! The suites, on each kind of volume.

use std::fs;

use super::world::{VolumeWorld, subvolume};
use crate::conformance::{World, sources_conform, targets_conform};
use crate::support::{Mounted, skipped_without_root};

fn conform(world: &VolumeWorld) {
    sources_conform(world);
    targets_conform(world);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_live_directory() {
    if skipped_without_root("volumes") {
        return;
    }
    let ext4 = Mounted::new("ext4");
    let path = ext4.path.join("volume");
    fs::create_dir(&path).unwrap();
    conform(&VolumeWorld::new("files", &path, vec![ext4]));
}

#[test]
fn a_live_mount_point_and_what_is_exchanged_one_by_one() {
    if skipped_without_root("volumes") {
        return;
    }
    let ext4 = Mounted::new("ext4");
    let path = ext4.path.clone();
    let mut world = VolumeWorld::new("files", &path, vec![ext4, Mounted::new("ext4")]);
    // A copy beside it must not be part of it.
    world.mounts.reverse();
    conform(&world);
}

#[test]
fn a_subvolume_that_is_mounted() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.clone();
    let mut world = VolumeWorld::new("btrfs", &path, vec![btrfs, Mounted::new("ext4")]);
    world.mounts.reverse();
    conform(&world);
}

#[test]
fn a_subvolume_with_another_one_inside() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("sub volume");
    subvolume(&path);
    fs::create_dir(path.join("way")).unwrap();
    let nested = path.join("way/nested");
    subvolume(&nested);
    fs::write(nested.join("c"), b"1").unwrap();
    let mut world = VolumeWorld::new("btrfs", &path, vec![btrfs]);
    world.nested = Some(nested);
    conform(&world);
}

#[test]
fn a_directory_in_a_subvolume() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let path = btrfs.path.join("some/directory");
    fs::create_dir_all(&path).unwrap();
    conform(&VolumeWorld::new("btrfs", &path, vec![btrfs]));
}

#[test]
fn ext4_on_an_image_on_xfs() {
    if skipped_without_root("volumes") {
        return;
    }
    let xfs = Mounted::new("xfs");
    let ext4 = xfs.stack("ext4");
    let path = ext4.path.join("volume");
    fs::create_dir(&path).unwrap();
    conform(&VolumeWorld::new("reflink", &path, vec![ext4, xfs]));
}

#[test]
fn xfs_on_an_image_on_btrfs() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let xfs = btrfs.stack("xfs");
    let path = xfs.path.join("volume");
    fs::create_dir(&path).unwrap();
    conform(&VolumeWorld::new("reflink", &path, vec![xfs, btrfs]));
}
