//! What a switch is about to exchange, written before it begins. Where each thing lies now is told
//! by the things themselves: by inode, or by uuid if it is a subvolume. So a switch that was
//! interrupted at any point can be ended or taken back.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

use super::layout::Layout;
use crate::volume::{btrfs, ioctl, place};

const NAME: &str = "journal.json";
/// A longer one is not read.
const MOST_BYTES: u64 = 1 << 30;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Restored entries: name, escaped, and what it is known by.
    pub entries: Vec<(String, Identity)>,
    /// Paths below the volume's top, escaped, of what is carried over from what is replaced.
    pub carried: Vec<String>,
    /// See [`later::settled`](super::later::settled).
    #[serde(default)]
    pub settled: Vec<u64>,
    /// The same of what was restored, once it is taken back.
    #[serde(default)]
    pub settled_back: Option<Vec<u64>>,
    /// What others made at the top, beside the restored entries or in their places: name, escaped,
    /// and what it is known by.
    #[serde(default)]
    pub others: Vec<(String, Identity)>,
    /// What was there before is back.
    #[serde(default)]
    pub is_back: bool,
    /// What was replaced is being removed: there is no way back.
    pub is_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Identity {
    Inode(u64),
    Subvolume([u8; 16]),
}

/// None if there is nothing.
pub(super) fn identity(path: &Path) -> Result<Option<Identity>> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(error, path.display())),
    };
    if found.is_dir()
        && found.ino() == btrfs::TOP_INODE
        && let Ok(directory) = place::open(path)
        && let Ok(subvolume) = ioctl::subvolume(&directory)
    {
        return Ok(Some(Identity::Subvolume(subvolume.uuid)));
    }
    Ok(Some(Identity::Inode(found.ino())))
}

impl Journal {
    /// None if no switch has begun.
    pub(super) fn read(layout: &Layout) -> Result<Option<Self>> {
        use std::io::Read as _;
        let path = layout.container.join(NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(error, path.display())),
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(error, path.display()))?;
        let journal = serde_json::from_slice(&bytes);
        journal.map(Some).map_err(|error| Error::corrupt(format!("{}: {error}", path.display())))
    }

    /// At once or not at all, and on its disk.
    pub(super) fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.container.join(NAME);
        let unfinished = layout.container.join("journal.unfinished");
        let failed = |error| Error::io(error, path.display());
        let bytes = serde_json::to_vec(self).map_err(|e| Error::internal(e.to_string()))?;
        let mut file = File::create(&unfinished).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&unfinished, &path).map_err(failed)?;
        File::open(&layout.container).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    pub(super) fn remove(layout: &Layout) -> Result<()> {
        let path = layout.container.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, path.display()))
            }
            _ => Ok(()),
        }
    }
}
