//! The copy of an image: a file beside it that shares all its blocks, and a mount of it that no
//! path leads to.
//!
//! Its name says whose it is and which image it is of. It bears that name only until the thaw: it
//! shows that something may be frozen. Then its name goes and it lives as long as it is open, so
//! that whatever happens leaves nothing.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_ficlone, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use tintype_model::{Error, Result};

use super::below::Below;
use crate::connector::{Context, session_of};
use crate::volume::{ioctl, layers, mounts, place};

/// Somebody else may take a free loop device first.
const ATTEMPTS: usize = 100;

#[derive(Debug)]
pub(super) struct Clone {
    path: PathBuf,
    file: File,
}

impl Clone {
    /// An empty file beside the image; fails if files cannot be shared there.
    pub(super) fn make(below: &Below, context: &Context) -> Result<Self> {
        let image = &below.loop_device.image;
        let folder = layers::folder_of(image)
            .ok_or_else(|| Error::unsupported(format!("{} was deleted", image.display())))?;
        let path = folder.join(format!("{}-reflink-{}", context.label(), below.image_inode));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::io(error, path.display()))?;
        let clone = Self { path, file };
        match clone.try_it(below) {
            Ok(()) => Ok(clone),
            Err(error) => {
                clone.remove_name()?;
                Err(error)
            }
        }
    }

    fn try_it(&self, below: &Below) -> Result<()> {
        // Files with and without copy-on-write share nothing.
        if let Ok(flags) = ioctl_getflags(&below.image)
            && flags.contains(IFlags::NOCOW)
        {
            let own = ioctl_getflags(&self.file).unwrap_or(IFlags::empty());
            let _ = ioctl_setflags(&self.file, own | IFlags::NOCOW);
        }
        let block = 4096;
        ioctl::clone_range(&self.file, &below.image, block).map_err(|errno| {
            Error::unsupported(format!(
                "{}: cannot be shared beside itself: {errno}; move it to a file system with \
                 reflinks, or use the connector files",
                below.loop_device.image.display()
            ))
        })
    }

    /// Shares all blocks that the image has now.
    pub(super) fn take(&self, below: &Below) -> Result<()> {
        ioctl_ficlone(&self.file, &below.image)
            .map_err(|errno| Error::io(errno.into(), self.path.display()))
    }

    pub(super) fn remove_name(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Mounts it read-only and gives the mount. It ends when that is closed, and its loop device is
    /// free then.
    pub(super) fn mount(&self, below: &Below) -> Result<OwnedFd> {
        let (device, _held) = self.attach(below)?;
        let what = || format!("copy of {} on {device}", below.loop_device.image.display());
        mount(&below.mount.kind, &device, below.options)
            .map_err(|errno| Error::io(errno.into(), what()))
    }

    fn attach(&self, below: &Below) -> Result<(String, File)> {
        let failed = |what: &str, error: std::io::Error| Error::io(error, what);
        let control = "/dev/loop-control";
        let control_file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(control)
            .map_err(|error| failed(control, error))?;
        for _ in 0..ATTEMPTS {
            let number = ioctl::free_loop(&control_file).map_err(|e| failed(control, e.into()))?;
            let name = format!("/dev/loop{number}");
            let device = File::open(&name).map_err(|error| failed(&name, error))?;
            let block_size = below.loop_device.block_size;
            let set = ioctl::set_loop(&device, &self.file, below.start, below.length, block_size);
            match set {
                Ok(()) => return Ok((name, device)),
                Err(Errno::BUSY) => {}
                Err(errno) => return Err(failed(&name, errno.into())),
            }
        }
        Err(Error::unavailable("no loop device is free; others take them all"))
    }
}

/// A mount that hangs nowhere.
fn mount(kind: &str, device: &str, options: &[&str]) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", device)?;
    fsconfig_set_flag(context.as_fd(), "ro")?;
    for option in options {
        fsconfig_set_flag(context.as_fd(), *option)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOSUID;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Removes what dead sessions left beside images. One of them may have died while it had frozen
/// what lies on the image, and its guard with it: that is thawed first. Who else freezes a file
/// system at that moment loses that, which is better than one that is frozen for ever.
pub(super) fn clean(context: &Context, said: &mut Vec<String>) -> Result<()> {
    for folder in layers::image_folders() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| context.is_dead(name)) else { continue };
            let Some(inode) = image_inode(name) else { continue };
            for point in mounts_of_image(&folder, inode)? {
                let thawed = place::open(&point).and_then(ioctl::thaw);
                if thawed.is_ok() {
                    said.push(format!("thawed {}", point.display()));
                }
            }
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|error| Error::io(error, path.display()))?;
            said.push(format!("removed {}", path.display()));
        }
    }
    Ok(())
}

fn image_inode(name: &str) -> Option<u64> {
    session_of(name)?;
    name.split_once("-reflink-")?.1.parse().ok()
}

/// Where what lies on an image is mounted.
fn mounts_of_image(folder: &Path, inode: u64) -> Result<Vec<PathBuf>> {
    let lies_there = |device: u64| {
        let shown = layers::loop_of(device)?;
        let state = ioctl::loop_state(File::open(&shown.device).ok()?).ok()?;
        let same = shown.image.as_os_str().as_bytes().starts_with(folder.as_os_str().as_bytes());
        (same && state.inode == inode).then_some(())
    };
    let mounts = mounts::all()?.into_iter();
    Ok(mounts.filter(|mount| lies_there(mount.device).is_some()).map(|m| m.point).collect())
}
