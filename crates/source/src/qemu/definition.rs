//! What a machine is, beside its disks: how QEMU was started, and what it had.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::Result;

use super::plan::Running;

/// Where it lies.
pub(crate) const DEFINITION: &str = "definition.json";

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
