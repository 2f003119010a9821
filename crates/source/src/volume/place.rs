//! `at:` of a volume, and the directory that it names.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use crate::files::{Excludes, ExcludesBuilder};

/// Where a volume is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    /// Absolute path of a directory.
    pub path: PathBuf,
    /// Refuse the volume if nothing is mounted at its path: else an empty mount point would be
    /// taken for an empty volume.
    #[serde(default)]
    pub mounted: bool,
    /// What is mounted below belongs to other volumes (connector `files`; a snapshot never holds
    /// what is mounted).
    #[serde(default)]
    pub one_file_system: bool,
    /// Nothing is wrong if it is empty all at once. Else a volume that is empty, and of which the
    /// last snapshot held something, is not captured: perhaps its disk is not mounted.
    #[serde(default)]
    pub may_be_empty: bool,
}

impl At {
    pub(super) fn of(name: &str, at: &Map<String, Value>) -> Result<Self> {
        let at: Self = serde_json::from_value(Value::Object(at.clone())).map_err(|error| {
            Error::invalid(format!("volume {name}: at: {error} (`at: {{ path: /srv/data }}`)"))
        })?;
        if !at.path.is_absolute() {
            let path = at.path.display();
            return Err(Error::invalid(format!("volume {name}: {path}: no absolute path")));
        }
        Ok(at)
    }

    /// Of a directory that somebody named.
    pub(super) fn plain(path: &Path) -> Self {
        Self { path: path.to_owned(), mounted: false, one_file_system: false, may_be_empty: false }
    }

    pub(super) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Opens the directory. What its path says may be a symlink; what is given is not.
    pub(super) fn open(&self, name: &str) -> Result<Place> {
        let shown = self.path.display();
        let path = self
            .path
            .canonicalize()
            .map_err(|error| Error::io(error, format_args!("volume {name}: {shown}")))?;
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &path, how, Mode::empty())
            .map_err(|errno| Error::io(errno.into(), format_args!("volume {name}: {shown}")))?;
        if self.mounted && !is_mount_point(&path)? {
            return Err(Error::not_found(format!(
                "volume {name}: nothing is mounted at {shown}; mount it, or remove `mounted: true`"
            )));
        }
        Ok(Place { path, directory })
    }
}

/// An open directory and its real path.
#[derive(Debug)]
pub(super) struct Place {
    pub path: PathBuf,
    pub directory: OwnedFd,
}

pub(super) fn is_mount_point(path: &Path) -> Result<bool> {
    let of = |path: &Path| path.symlink_metadata().map_err(|e| Error::io(e, path.display()));
    let Some(parent) = path.parent() else { return Ok(true) };
    if super::mounts::all()?.iter().any(|mount| mount.point == path) {
        return Ok(true);
    }
    // A top of a subvolume has a device of its own and is no mount point.
    let (here, above) = (of(path)?, of(parent)?);
    Ok(here.dev() != above.dev() && here.ino() != super::btrfs::TOP_INODE)
}

/// Names that sources and targets use in volumes, left out of what is captured. They stand last, so
/// that no pattern of the user brings them back.
pub(super) fn excludes(resource: &Resource) -> Result<Arc<Excludes>> {
    let mut builder = ExcludesBuilder::default();
    for line in &resource.excludes {
        builder.pattern(line, &format!("volume {}: excludes", resource.name));
    }
    builder.pattern(&format!("/{}/", super::btrfs::SHELF), "own");
    builder.pattern("/tintype-????????????????-restore*/", "own");
    Ok(Arc::new(builder.build()?))
}

/// Whether its description says what is needed.
pub(super) fn check(resource: &Resource) -> Result<()> {
    At::of(&resource.name, &resource.at)?;
    excludes(resource).map(drop)
}

/// Opens a directory by its real path.
pub(super) fn open(path: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, how, Mode::empty())
}
