//! Proof that nobody cleared the bitmaps of a checkpoint.
//!
//! libvirt knows its checkpoints, and not whether their bitmaps in QEMU are what they were: one that
//! another program cleared (`block-dirty-bitmap-clear`) has forgotten changes, and says nothing. So
//! some blocks are marked as changed in each, as [`crate::qemu::capture`] does it, and must still be.
//! libvirt has no call for that; it is done through its passage to QEMU's monitor, while the server
//! of a backup job is there.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tintype_model::{Error, Result};

use super::virsh::Virsh;
use crate::connector::Context;
use crate::qemu::capture::canaries;
use crate::qemu::mark::GRANULE_BYTES;
use crate::vm::agent::reply;
use crate::vm::nbd::Nbd;
use crate::vm::socket::Waits;

const EXPORT_ENDS: Duration = Duration::from_secs(20);

/// QEMU's monitor, through libvirt.
pub(crate) struct Monitor<'m> {
    pub virsh: &'m Virsh,
    pub domain: &'m str,
}

impl Monitor<'_> {
    fn execute(&self, command: &str, arguments: Value) -> Result<Value> {
        let mut ask = json!({ "execute": command });
        if !arguments.is_null() {
            ask["arguments"] = arguments;
        }
        let said = self.virsh.call(&["qemu-monitor-command", self.domain, &ask.to_string()])?;
        reply(said.trim().as_bytes()).map_err(|error| error.context(format!("QEMU, {command}")))
    }

    /// Marks blocks as changed in all bitmaps of this name. `socket`: of the job that is at work.
    pub(crate) fn prove(
        &self,
        record: &str,
        label: &str,
        socket: &Path,
        context: &Context,
    ) -> Result<()> {
        let mut number = 0;
        let nodes = self.execute("query-named-block-nodes", json!({ "flat": true }))?;
        for node in nodes.as_array().into_iter().flatten() {
            let mut bitmaps = node["dirty-bitmaps"].as_array().into_iter().flatten();
            let size = node["image"]["virtual-size"].as_u64();
            let (Some(_), Some(size)) = (bitmaps.find(|bitmap| bitmap["name"] == record), size)
            else {
                continue;
            };
            let name = format!("{label}-n{number}");
            let own = node["node-name"].as_str().unwrap_or_default();
            let proven = self.prove_one((record, own, size), &name, socket, context);
            if proven.is_err() {
                // The first error is told.
                let _ = self.take_out(|other| other == name);
            }
            proven?;
            number += 1;
        }
        Ok(())
    }

    /// From a bitmap of a disk of nothing, to which the blocks are written.
    fn prove_one(
        &self,
        (record, disk, size_bytes): (&str, &str, u64),
        name: &str,
        socket: &Path,
        context: &Context,
    ) -> Result<()> {
        let nothing = json!({ "driver": "null-co", "node-name": name, "size": size_bytes });
        self.execute("blockdev-add", nothing)?;
        let bitmap = json!({ "node": name, "name": "canary", "granularity": GRANULE_BYTES });
        self.execute("block-dirty-bitmap-add", bitmap)?;
        let export = json!({ "type": "nbd", "id": name, "node-name": name, "name": name,
            "writable": true });
        self.execute("block-export-add", export)?;
        let mut nbd = Nbd::connect(socket, name, None, Waits::of(context))?;
        for at in canaries(record, size_bytes) {
            nbd.write(at, &[0; 512])?;
        }
        drop(nbd);
        let from = json!([{ "node": name, "name": "canary" }]);
        let merge = json!({ "node": disk, "target": record, "bitmaps": from });
        self.execute("block-dirty-bitmap-merge", merge)?;
        self.take_out(|other| other == name)
    }

    /// Removes what one that was killed left.
    pub(crate) fn take_out(&self, ours: impl Fn(&str) -> bool) -> Result<()> {
        let names = |list: &Value, field: &str| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            let names = list.filter_map(|entry| entry[field].as_str());
            names.filter(|name| ours(name)).map(str::to_owned).collect()
        };
        let patience = self.virsh.patience(EXPORT_ENDS);
        loop {
            let exports = names(&self.execute("query-block-exports", Value::Null)?, "id");
            if exports.is_empty() {
                break;
            }
            for id in exports {
                // It may be ending already.
                let _ = self.execute("block-export-del", json!({ "id": id, "mode": "hard" }));
            }
            patience.pause().map_err(|error| error.context("an export does not end"))?;
        }
        let nodes = self.execute("query-named-block-nodes", json!({ "flat": true }))?;
        for name in names(&nodes, "node-name") {
            self.execute("blockdev-del", json!({ "node-name": name }))?;
        }
        Ok(())
    }
}

/// Why what changed on a disk cannot be told by a checkpoint's bitmap; none if it can.
pub(crate) fn doubt(
    checkpoint: &str,
    size_bytes: u64,
    is_changed: impl Fn(u64) -> bool,
) -> Result<()> {
    if canaries(checkpoint, size_bytes).into_iter().all(is_changed) {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "its record of changes ({checkpoint}) was cleared by another program"
    )))
}
