//! Where a restore stages what it restores, and what is exchanged with what.
//!
//! ```text
//! whole:     /srv/tintype-<session>-restore-<item>/new/data    <->   /srv/data
//! children:  /srv/data/tintype-<session>-restore/new/<each>    <->   /srv/data/<each>
//! ```
//!
//! As a whole if it can be: one rename shows all that is new. One by one where the directory itself
//! must stay: it is a mount point or the top of a subvolume, or clients of Samba or NFS hold it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// What is made for the restore, with the journal; on the file system of the volume.
    pub container: PathBuf,
    /// The directory of which entries are exchanged.
    pub live: PathBuf,
    /// The one entry; else all.
    pub only: Option<String>,
    /// The restored top is a subvolume of its own.
    pub subvolume: bool,
    /// What stood there is replaced.
    pub in_place: bool,
    /// What must not go with what is replaced: patterns of what no snapshot holds.
    pub excludes: Vec<String>,
}

impl Layout {
    /// Whose entries take the place of those of `live`.
    pub(super) fn staged(&self) -> PathBuf {
        self.container.join("new")
    }

    /// Where what is replaced waits between two renames, where they cannot be one.
    pub(super) fn spare(&self) -> PathBuf {
        self.container.join("spare")
    }

    /// Made right before the undo point: what is younger is in no snapshot.
    pub(super) fn moment(&self) -> PathBuf {
        self.container.join("moment")
    }

    /// Made right before the switch: what is younger of what was restored, others wrote.
    pub(super) fn switched(&self) -> PathBuf {
        self.container.join("switched")
    }

    /// Made right after it, where entries are exchanged one by one.
    pub(super) fn shown(&self) -> PathBuf {
        self.container.join("shown")
    }

    /// What was restored, where it stays because it was written to before it was taken back.
    pub(super) fn written(&self) -> PathBuf {
        self.container.join("written")
    }

    /// What was replaced, where it stays because it changed after the undo point.
    pub(super) fn kept(&self) -> PathBuf {
        self.container.join("replaced")
    }

    /// Directories with the metadata of the replaced top and of the restored one: theirs tell of
    /// the exchange.
    pub(super) fn tops(&self) -> (PathBuf, PathBuf) {
        (self.container.join("old-top"), self.container.join("new-top"))
    }

    /// The volume's top.
    pub(super) fn volume(&self) -> PathBuf {
        self.top(&self.live)
    }

    /// What is restored goes here.
    pub(super) fn restored(&self) -> PathBuf {
        self.top(&self.staged())
    }

    fn top(&self, dir: &Path) -> PathBuf {
        self.only.as_ref().map_or_else(|| dir.to_owned(), |name| dir.join(name))
    }
}
