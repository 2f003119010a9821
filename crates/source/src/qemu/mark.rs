//! What a snapshot leaves for the next one: a bitmap on each disk, and what the disk was.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::machine::{Bitmap, Disk};

/// Granularity of bitmaps.
pub(crate) const GRANULE_BYTES: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Name of the bitmap on each disk. It holds a session's number, so that no other chain of
    /// snapshots has the same.
    pub bitmap: String,
    pub disks: BTreeMap<String, MarkedDisk>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MarkedDisk {
    pub size_bytes: u64,
    pub file: String,
    /// Device and inode of the file, where it is one.
    pub identity: Option<(u64, u64)>,
}

impl MarkedDisk {
    pub(crate) fn of(disk: &Disk) -> Self {
        Self::new(disk.size_bytes, disk.file.clone())
    }

    pub(crate) fn new(size_bytes: u64, file: String) -> Self {
        let identity = std::fs::metadata(&file).ok().map(|file| (file.dev(), file.ino()));
        Self { size_bytes, file, identity }
    }
}

impl Mark {
    /// Whether what changed on a disk since the mark can be told; else why not.
    pub(crate) fn fits(&self, disk: &Disk) -> Result<(), &'static str> {
        let marked = self.disks.get(&disk.name).ok_or("the disk is new")?;
        let now = MarkedDisk::of(disk);
        if marked.size_bytes != now.size_bytes {
            return Err("the disk has another size");
        }
        if *marked != now {
            return Err("the disk is another file");
        }
        let bitmap = disk.bitmaps.iter().find(|bitmap| bitmap.name == self.bitmap);
        let bitmap = bitmap.ok_or(
            "its record of changes is gone: QEMU was killed, or the record was removed by another \
             program",
        )?;
        match bitmap {
            Bitmap { inconsistent: true, .. } => {
                Err("its record of changes was cut: QEMU was killed")
            }
            Bitmap { busy: true, .. } => Err("its record of changes is used by another program"),
            Bitmap { recording: false, .. } => Err("its record of changes was switched off"),
            Bitmap { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let bitmap = Bitmap {
            name: "m".into(),
            recording: true,
            busy: false,
            inconsistent: false,
            granularity: GRANULE_BYTES,
        };
        Disk {
            name: "vda".into(),
            device: "/machine/peripheral/vda".into(),
            node: "n".into(),
            size_bytes: 1 << 20,
            format: "qcow2".into(),
            file: "/nowhere/disk".into(),
            has_backing: false,
            read_only: false,
            bitmaps: vec![bitmap],
        }
    }

    #[test]
    fn only_what_fits_exactly_is_trusted() {
        let marked = disk();
        let disks = BTreeMap::from([("vda".to_owned(), MarkedDisk::of(&marked))]);
        let mark = Mark { bitmap: "m".into(), disks };
        assert_eq!(mark.fits(&marked), Ok(()));
        let changes: [fn(&mut Disk); 7] = [
            |disk| disk.name = "vdb".into(),
            |disk| disk.size_bytes += 512,
            |disk| disk.file = "/nowhere/other".into(),
            |disk| disk.bitmaps.clear(),
            |disk| disk.bitmaps[0].inconsistent = true,
            |disk| disk.bitmaps[0].busy = true,
            |disk| disk.bitmaps[0].recording = false,
        ];
        for change in changes {
            let mut other = disk();
            change(&mut other);
            assert!(mark.fits(&other).is_err(), "{other:?}");
        }
    }
}
