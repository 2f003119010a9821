//! Images of block devices go back onto the device, and never become files in `/dev`, which would
//! be files in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tintype_model::entry::{Kind, Node};

use super::super::{Action, Destination, Overwrite};
use super::Planner;

const DEVICES: &str = "/dev";

impl Planner<'_> {
    /// None: it is restored like any file.
    pub(super) fn image(&mut self, path: &[u8], standing: Option<&Node>) -> Option<Action> {
        let device = match standing.map(|standing| standing.kind) {
            Some(Kind::BlockDevice) => Some(path.to_vec()),
            Some(Kind::Symlink) => self.device_behind(path),
            _ => None,
        };
        if let Some(device) = device {
            // Nothing tells whether it holds the same.
            if self.request.overwrite != Overwrite::Always {
                return Some(Action::Keep);
            }
            self.devices.insert(path.to_vec(), device);
            return Some(Action::Replace);
        }
        let full = self.full(path);
        is_among_devices(&full).then(|| {
            let why = format!(
                "no block device stands at {}, and a file there would lie in memory; make the \
                 device first (activate the volume, attach the disk), or restore the image as a \
                 file with --to",
                full.display()
            );
            self.refuse(path, why)
        })
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.base.join(OsStr::from_bytes(path))
    }

    /// The device that a symlink names, as a path in the target. Only in place: there the name
    /// is the one by which the device was captured (`/dev/vg0/root`).
    fn device_behind(&self, path: &[u8]) -> Option<Vec<u8>> {
        if !matches!(self.request.destination, Destination::InPlace) {
            return None;
        }
        let device = self.full(path).canonicalize().ok()?;
        let is_device = device.metadata().is_ok_and(|found| found.file_type().is_block_device());
        let inside = device.strip_prefix(&self.base).ok().filter(|_| is_device)?;
        Some(inside.as_os_str().as_bytes().to_vec())
    }
}

/// Whether something there would lie in the file system of `/dev`. (`/dev/shm` is another one.)
fn is_among_devices(path: &Path) -> bool {
    let above = path.ancestors().skip(1).find_map(|above| above.canonicalize().ok());
    let device = |path: &Path| path.metadata().ok().map(|found| found.dev());
    above.is_some_and(|above| {
        above.starts_with(DEVICES) && device(&above) == device(Path::new(DEVICES))
    })
}
