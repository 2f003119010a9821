//! What a machine is, beside its disks: how QEMU was started, and what it had.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::Result;

use super::machine::Disk;
use super::plan::Running;
use crate::connector::Stored;
use crate::host::space::Need;

/// Where the parts of a machine lie.
pub(crate) const DEFINITION: &str = "definition.json";
pub(crate) const NVRAM: &str = "nvram";
pub(crate) const DISKS: &str = "disks";

/// `definition.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub format: u32,
    pub name: Option<String>,
    pub uuid: Option<String>,
    /// Version of QEMU.
    pub qemu: String,
    /// How it was started; empty if that could not be read.
    pub command: Vec<String>,
    pub directory: PathBuf,
    /// What the agent said of the guest.
    pub system: Value,
    /// The block graph, for people.
    pub block: Value,
}

pub(crate) fn read(running: &mut Running) -> Result<Definition> {
    let text = |value: &Value, field: &str| {
        value[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let nothing = || json!({});
    let name = running.qmp.execute("query-name", nothing())?;
    let uuid = running.qmp.execute("query-uuid", nothing())?;
    let block = running.qmp.execute("query-named-block-nodes", json!({ "flat": true }))?;
    let (major, minor) = running.qmp.version();
    let none = "00000000-0000-0000-0000-000000000000";
    Ok(Definition {
        format: 1,
        name: text(&name, "name"),
        uuid: text(&uuid, "UUID").filter(|uuid| uuid != none),
        qemu: format!("{major}.{minor}"),
        command: running.command.clone(),
        directory: running.directory.clone(),
        system: running.system.clone(),
        block: without_ours(block),
    })
}

/// The graph as it is without a capture at work.
fn without_ours(mut block: Value) -> Value {
    if let Some(nodes) = block.as_array_mut() {
        let ours = |node: &Value| {
            node["node-name"].as_str().is_some_and(|name| name.starts_with(crate::connector::LABEL))
        };
        nodes.retain(|node| !ours(node));
        for node in nodes.iter_mut().filter_map(Value::as_object_mut) {
            node.remove("dirty-bitmaps");
        }
    }
    block
}

/// What a restore must know of a machine.
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

impl DiskFacts {
    pub(crate) fn of(disk: &Disk) -> Self {
        Self {
            name: disk.name.clone(),
            file: disk.file.clone(),
            format: disk.format.clone(),
            size_bytes: disk.size_bytes,
            has_backing: disk.has_backing,
        }
    }

    /// What it takes where it is restored to: images are sparse.
    pub(crate) fn need(&self, stored: &dyn Stored, file: &Path) -> Result<Need> {
        let certain = stored.image_bytes(format!("{DISKS}/{}.img", self.name).as_bytes())?;
        Ok(Need { path: file.to_owned(), certain, most: certain.max(self.size_bytes) })
    }
}

/// In seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowFacts {
    pub agent_freeze: f64,
    pub switch: f64,
    pub agent_thaw: f64,
}
