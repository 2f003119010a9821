//! What a snapshot of a machine holds, whoever runs it, and what a restore must know of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tintype_model::item::Item;
use tintype_model::plan::Need;
use tintype_model::{Error, Result};

use crate::connector::Stored;

/// Where the parts of a machine lie.
pub(crate) const NVRAM: &str = "nvram";
pub(crate) const DISKS: &str = "disks";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub disks: Vec<DiskFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvram: Option<DiskFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Whether the guest ran.
    pub running: bool,
    /// Whether it is started with the host, where somebody does that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autostart: bool,
    /// Why disks were read whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_whole: Vec<String>,
    /// How long each step of the window took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowFacts>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiskFacts {
    pub name: String,
    pub file: String,
    pub format: String,
    pub size_bytes: u64,
    pub has_backing: bool,
}

impl Facts {
    pub(crate) fn of(item: &Item) -> Result<Self> {
        serde_json::from_value(item.facts.clone()).map_err(|error| {
            Error::invalid(format!("the snapshot does not say what it holds: {error}"))
        })
    }
}

impl DiskFacts {
    /// What it takes where it is restored to: images are sparse.
    pub(crate) fn need(&self, stored: &dyn Stored, file: &Path) -> Result<Need> {
        let certain = stored.image_bytes(self.place().as_bytes())?;
        Ok(Need { path: file.to_owned(), certain, most: certain.max(self.size_bytes) })
    }

    /// Where it lies in the snapshot.
    pub(crate) fn place(&self) -> String {
        format!("{DISKS}/{}.img", self.name)
    }
}

/// In seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowFacts {
    pub agent_freeze: f64,
    pub switch: f64,
    pub agent_thaw: f64,
}
