//! What `at:` says of a machine of QEMU.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

/// Where a machine of QEMU is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    /// Unix socket of a QMP monitor that no other program uses (`-qmp unix:PATH,server=on,wait=off`).
    pub qmp: PathBuf,
    /// Unix socket of the guest agent, which no other program uses. Without it a snapshot is
    /// crash-consistent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
    /// The guest's freeze hooks make its applications consistent. Nobody else can know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub application_hooks: bool,
    /// Disks by name, for a machine that is off, and for one that is restored as new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<String, DiskAt>,
}

/// A disk that is a file or a block device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiskAt {
    pub file: PathBuf,
    /// As QEMU names it: `qcow2`, `raw`, …
    pub format: String,
}

impl At {
    pub(crate) fn of(resource: &Resource) -> Result<Self> {
        Self::parse(&resource.at).map_err(|error| error.context(format!("vm {}", resource.name)))
    }

    pub(crate) fn parse(at: &Map<String, Value>) -> Result<Self> {
        let at: Self = serde_json::from_value(Value::Object(at.clone()))
            .map_err(|error| Error::invalid(format!("`at` of connector qemu: {error}")))?;
        for path in [Some(&at.qmp), at.agent.as_ref()].into_iter().flatten() {
            check_path(path)?;
        }
        check_disks(&at.disks)?;
        Ok(at)
    }

    pub(crate) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

fn check_path(path: &Path) -> Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    let path = path.display();
    Err(Error::invalid(format!("{path}: give the whole path, from `/` on")))
}

pub(crate) fn check_disks(disks: &BTreeMap<String, DiskAt>) -> Result<()> {
    for (name, disk) in disks {
        check_path(&disk.file)?;
        let plain = |text: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !text.is_empty() && !text.starts_with(['.', '-']) && text.chars().all(is_plain)
        };
        if !plain(name) || !plain(&disk.format) {
            return Err(Error::invalid(format!("disk {name:?}: no name of a disk or format")));
        }
    }
    Ok(())
}
