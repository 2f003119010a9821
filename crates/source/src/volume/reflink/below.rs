//! Whether a file system can be frozen and shared one level below, and what that is.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstatfs;
use tintype_model::{Error, Result};

use crate::volume::layers::{self, Loop};
use crate::volume::mounts::{self, Mount};
use crate::volume::place::Place;
use crate::volume::{ioctl, opened, place};

/// Kinds that can be read from a copy taken while they were frozen, and the options that keep the
/// mount from writing to it. A freeze leaves no journal that would have to be replayed.
const KINDS: [(&str, &[&str]); 4] = [
    ("ext2", &[]),
    ("ext3", &["noload"]),
    ("ext4", &["noload"]),
    ("xfs", &["norecovery", "nouuid"]),
];

/// `statfs` of the file systems that share: xfs, btrfs, bcachefs.
const SHARING: [u32; 3] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e];

/// Options of a file system of which a part lies elsewhere.
const ELSEWHERE: [&str; 4] = ["logdev=", "rtdev=", "journal_dev=", "journal_path="];

/// A file system and the image that it lies on.
#[derive(Debug)]
pub(super) struct Below {
    pub mount: Mount,
    /// Path of the volume in its file system.
    pub inside: Vec<u8>,
    pub path: PathBuf,
    pub device: u64,
    pub loop_device: Loop,
    /// Where the file system begins in the image, and its length; zero: to the end.
    pub start: u64,
    pub length: u64,
    pub image: File,
    pub image_inode: u64,
    pub options: &'static [&'static str],
}

impl Below {
    /// Opens what there is; changes nothing. The error is why it cannot be done, and what helps.
    pub(super) fn find(name: &str, place: &Place, written_devices: &[u64]) -> Result<Self> {
        let path = &place.path;
        let shown = path.display();
        let refuse =
            |why: String| Err(Error::unsupported(format!("volume {name}: {shown}: {why}")));
        let mount = mounts::of(&place.directory, path)?;
        let options =
            KINDS.iter().find(|(kind, _)| *kind == mount.kind).map(|(_, options)| options);
        let Some(options) = options else {
            let kind = &mount.kind;
            return refuse(format!("{kind} is not ext4 or xfs; use the connector files"));
        };
        let device = device_of(Path::new("/"))?;
        if mount.device == device {
            return refuse(
                "lies on the root file system, whose freeze would stop this machine; use the \
                 connector files"
                    .into(),
            );
        }
        let elsewhere = |option: &&str| ELSEWHERE.iter().any(|prefix| option.starts_with(prefix));
        if let Some(option) = mount.super_options.split(',').find(elsewhere) {
            return refuse(format!(
                "a part of it lies on another device ({option}), which would not be in the copy; \
                 use the connector files"
            ));
        }
        let Some(loop_device) = layers::loop_of(mount.device) else {
            return refuse(format!(
                "{} does not lie on an image, so there is nothing that could be shared; put it on \
                 btrfs, or use the connector files",
                mount.source.display()
            ));
        };
        nothing_of_ours(name, path, &mount, written_devices)?;
        let (image, image_inode) = image_of(name, path, &loop_device)?;
        let state = File::open(&loop_device.device)
            .and_then(|device| Ok(ioctl::loop_state(device)?))
            .map_err(|error| Error::io(error, loop_device.device.display()))?;
        let length = if loop_device.length > 0 { loop_device.length } else { state.size_limit };
        let inside = mounts::path_in(&mount, path)
            .ok_or_else(|| Error::internal("a path is not below its mount"))?;
        Ok(Self {
            inside,
            path: path.clone(),
            device: mount.device,
            start: state.offset + loop_device.start,
            length,
            loop_device,
            image,
            image_inode,
            options,
            mount,
        })
    }

    pub(super) fn directory(&self) -> Result<OwnedFd> {
        place::open(&self.mount.point)
            .map_err(|errno| Error::io(errno.into(), self.mount.point.display()))
    }

    /// Opens the volume in a copy of its file system.
    pub(super) fn open_in(&self, top: &OwnedFd) -> Result<OwnedFd> {
        opened::below(top, &self.inside).map_err(|errno| {
            Error::io(errno.into(), format_args!("copy of {}", self.path.display()))
        })
    }
}

/// Whoever writes to a frozen file system waits, and so does whoever writes to one that lies on it.
/// What the image itself lies on is not frozen: we may write there.
fn nothing_of_ours(name: &str, path: &Path, mount: &Mount, written_devices: &[u64]) -> Result<()> {
    let mounts = mounts::all()?;
    for written in written_devices {
        if layers::at_and_below(*written, &mounts).contains(&mount.device) {
            return Err(Error::unsupported(format!(
                "volume {name}: {}: the repository, the cache or the scratch space lies on it, so \
                 that freezing it would stop the snapshot itself; move that elsewhere, or use the \
                 connector files",
                path.display()
            )));
        }
    }
    Ok(())
}

fn image_of(name: &str, path: &Path, loop_device: &Loop) -> Result<(File, u64)> {
    let image = &loop_device.image;
    let what = || format!("volume {name}: {}: its image {}", path.display(), image.display());
    let file = File::open(image).map_err(|error| Error::io(error, what()))?;
    let found = file.metadata().map_err(|error| Error::io(error, what()))?;
    let state = File::open(&loop_device.device)
        .and_then(|device| Ok(ioctl::loop_state(device)?))
        .map_err(|error| Error::io(error, loop_device.device.display()))?;
    if !found.is_file() || found.ino() != state.inode {
        return Err(Error::unsupported(format!(
            "{} was replaced since it was attached; attach it again, or use the connector files",
            what()
        )));
    }
    let kind = fstatfs(&file).map_err(|errno| Error::io(errno.into(), what()))?.f_type as u32;
    if !SHARING.contains(&kind) {
        return Err(Error::unsupported(format!(
            "{} lies on a file system without reflinks (xfs and btrfs have them); move it there, \
             or use the connector files",
            what()
        )));
    }
    Ok((file, found.ino()))
}

fn device_of(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(|error| Error::io(error, path.display()))?.dev())
}
