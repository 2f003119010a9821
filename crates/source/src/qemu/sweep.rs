//! Takes out of QEMU what a session put in, found by its name: at the end of a capture, and when
//! nobody is left who made it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tintype_model::{ErrorKind, Result};

use super::machine::{Bitmap, is_running, put_on};
use super::mark::outdated;
use super::names::{Names, is_new_bitmap};
use crate::connector::{Context, LABEL};
use crate::vm::qmp::Qmp;

const EXPORT_ENDS: Duration = Duration::from_secs(20);

/// What becomes of the record of changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// The new one counts, under this name; those before it in its series go.
    Committed { record: String },
    /// The old one counts, with what the new one recorded.
    Failed,
}

/// What QEMU holds that bears our label.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub nodes: BTreeSet<String>,
    pub exports: BTreeSet<String>,
    /// With the node that it is on.
    pub bitmaps: Vec<(String, Bitmap)>,
    /// Exports of others.
    foreign_exports: usize,
}

impl Made {
    pub(crate) fn read(qmp: &mut Qmp) -> Result<Self> {
        let mut made = Self::default();
        let ours = |value: &Value| {
            let name = value.as_str().unwrap_or_default();
            name.starts_with(LABEL).then(|| name.to_owned())
        };
        let nodes = qmp.execute("query-named-block-nodes", json!({ "flat": true }))?;
        for node in nodes.as_array().into_iter().flatten() {
            made.nodes.extend(ours(&node["node-name"]));
            let name = node["node-name"].as_str().unwrap_or_default();
            for bitmap in node["dirty-bitmaps"].as_array().into_iter().flatten() {
                let bitmap = Bitmap::deserialize(bitmap).ok();
                let bitmap = bitmap.filter(|bitmap| bitmap.name.starts_with(LABEL));
                made.bitmaps.extend(bitmap.map(|bitmap| (name.to_owned(), bitmap)));
            }
        }
        let exports = qmp.execute("query-block-exports", json!({}))?;
        for export in exports.as_array().into_iter().flatten() {
            match ours(&export["id"]) {
                Some(id) => drop(made.exports.insert(id)),
                None => made.foreign_exports += 1,
            }
        }
        Ok(made)
    }

    /// Names of all that a capture holds while it is at work; a mark's bitmap is not of these.
    pub(crate) fn at_work(&self) -> impl Iterator<Item = &str> {
        let bitmaps = self.bitmaps.iter().map(|(_, bitmap)| &bitmap.name[..]);
        let bitmaps = bitmaps.filter(|name| is_new_bitmap(name));
        self.nodes.iter().chain(&self.exports).map(|name| &name[..]).chain(bitmaps)
    }
}

/// Takes out all that bears a label. Says what it was.
pub(crate) fn sweep(
    qmp: &mut Qmp,
    names: &Names,
    fate: &Fate,
    context: &Context,
) -> Result<Vec<String>> {
    let made = Made::read(qmp)?;
    let ours = |name: &&String| name.strip_prefix(&names.0[..]).is_some_and(|r| r.starts_with('-'));
    let mut done = Vec::new();
    for id in made.exports.iter().filter(ours) {
        end_export(qmp, id)?;
        done.push(format!("export {id}"));
    }
    let nodes: Vec<&String> = made.nodes.iter().filter(ours).collect();
    let kind = |name: &String| name[names.0.len() + 1..].chars().next().unwrap_or_default();
    let (lock, stop) = (names.lock(), names.stop());
    let is_sign = |name: &String| *name == lock || *name == stop;
    if nodes.contains(&&stop) {
        if !is_running(qmp)? && was_stopped(qmp)? {
            qmp.execute("cont", json!({}))?;
            done.push("the stop of the machine".to_owned());
        }
        qmp.execute("blockdev-del", json!({ "node-name": stop }))?;
    }
    let mut remove = |qmp: &mut Qmp, letter: char| -> Result<()> {
        for name in nodes.iter().filter(|name| kind(name) == letter && !is_sign(name)) {
            qmp.execute("blockdev-del", json!({ "node-name": name }))?;
            done.push(format!("block node {name}"));
        }
        Ok(())
    };
    remove(qmp, 'a')?;
    take_out_filters(qmp, names)?;
    for letter in ['c', 'f', 'n'] {
        remove(qmp, letter)?;
    }
    // What cannot be settled keeps nothing else: the lock and the server go.
    let settled = settle_bitmaps(qmp, &made, names, fate, context);
    if nodes.contains(&&lock) {
        let others = made.nodes.iter().any(|name| !ours(&name));
        if made.foreign_exports == 0 && !others {
            stop_server(qmp)?;
        }
        qmp.execute("blockdev-del", json!({ "node-name": lock }))?;
        done.push(format!("block node {lock}"));
    }
    done.extend(settled?);
    Ok(done)
}

pub(crate) fn end_export(qmp: &mut Qmp, id: &str) -> Result<()> {
    qmp.execute("block-export-del", json!({ "id": id, "mode": "hard" }))?;
    qmp.event("BLOCK_EXPORT_DELETED", EXPORT_ENDS, |data| data["id"] == id).map(drop)
}

/// It may not run, if a capture ended before it started it.
fn stop_server(qmp: &mut Qmp) -> Result<()> {
    match qmp.execute("nbd-server-stop", json!({})) {
        Err(error) if !error.is(ErrorKind::Invalid) => Err(error),
        _ => Ok(()),
    }
}

/// Stopped by a command; not by an error of a disk, not because it ended.
fn was_stopped(qmp: &mut Qmp) -> Result<bool> {
    Ok(qmp.execute("query-status", json!({}))?["status"] == "paused")
}

/// Puts devices that are on a filter of ours back on what is below it.
fn take_out_filters(qmp: &mut Qmp, names: &Names) -> Result<()> {
    let blocks = qmp.execute("query-block", json!({}))?;
    let prefix = format!("{}-c", names.0);
    for block in blocks.as_array().into_iter().flatten() {
        let node = block["inserted"]["node-name"].as_str().unwrap_or_default();
        let Some(qdev) = block["qdev"].as_str().filter(|_| node.starts_with(&prefix)) else {
            continue;
        };
        let graph = qmp.execute("x-debug-query-block-graph", json!({}))?;
        let Some(below) = file_of(&graph, node) else { continue };
        let device = if qdev.starts_with('/') {
            qdev.to_owned()
        } else {
            format!("/machine/peripheral/{qdev}")
        };
        put_on(qmp, &device, &below)?;
    }
    Ok(())
}

/// The node below another.
fn file_of(graph: &Value, node: &str) -> Option<String> {
    let list = |name: &str| graph[name].as_array().into_iter().flatten();
    let id = &list("nodes").find(|found| found["name"] == node)?["id"];
    let edge = list("edges").find(|edge| edge["parent"] == *id && edge["name"] == "file")?;
    let below = list("nodes").find(|found| found["id"] == edge["child"])?;
    below["name"].as_str().map(str::to_owned)
}

/// All are tried; the first error is told.
fn settle_bitmaps(
    qmp: &mut Qmp,
    made: &Made,
    names: &Names,
    fate: &Fate,
    context: &Context,
) -> Result<Vec<String>> {
    let (mut done, mut first) = (Vec::new(), Ok(()));
    let new = names.new_bitmap();
    let goes = match fate {
        Fate::Committed { record } => {
            let all = made.bitmaps.iter().map(|(_, bitmap)| &bitmap.name[..]);
            outdated(all, record, |name| context.is_alive(name))
        }
        Fate::Failed => BTreeSet::new(),
    };
    for (node, bitmap) in &made.bitmaps {
        if bitmap.name == new && !bitmap.inconsistent {
            let settled = match fate {
                Fate::Committed { record } => keep(qmp, node, &new, record),
                Fate::Failed => give_back(qmp, node, made, &new),
            };
            // What it recorded belongs to a record that is not whole without it.
            if settled.is_err() {
                first = first.and(settled);
                continue;
            }
        }
        let gone = bitmap.inconsistent || bitmap.name == new || goes.contains(&bitmap.name[..]);
        if gone && !made.nodes.contains(node) {
            let removed = remove_bitmap(qmp, node, &bitmap.name);
            done.extend(removed.is_ok().then(|| format!("bitmap {} of {node}", bitmap.name)));
            first = first.and(removed);
        }
    }
    first.map(|()| done)
}

/// Makes the bitmap that the mark names, with all that the new one recorded.
fn keep(qmp: &mut Qmp, node: &str, new: &str, record: &str) -> Result<()> {
    add_bitmap(qmp, node, record)?;
    merge(qmp, node, record, &[json!(new)])
}

/// What was switched off for a capture that came to nothing goes on, with nothing lost.
fn give_back(qmp: &mut Qmp, node: &str, made: &Made, new: &str) -> Result<()> {
    let here = made.bitmaps.iter().filter(|(place, _)| place == node);
    for (_, old) in here.filter(|(_, old)| !old.recording && !old.inconsistent && old.name != new) {
        let target = json!({ "node": node, "name": old.name });
        let merge = json!({ "node": node, "target": old.name, "bitmaps": [new] });
        let actions = json!([
            { "type": "block-dirty-bitmap-enable", "data": target },
            { "type": "block-dirty-bitmap-merge", "data": merge },
        ]);
        qmp.execute("transaction", json!({ "actions": actions }))?;
    }
    Ok(())
}

/// Stored with the disk where its format can.
pub(crate) fn add_bitmap(qmp: &mut Qmp, node: &str, name: &str) -> Result<()> {
    let granularity = super::mark::GRANULE_BYTES;
    let mut ask = json!({ "node": node, "name": name, "granularity": granularity });
    ask["persistent"] = json!(true);
    match qmp.execute("block-dirty-bitmap-add", ask.clone()) {
        Err(error) if error.is(ErrorKind::Invalid) => {
            ask["persistent"] = json!(false);
            qmp.execute("block-dirty-bitmap-add", ask).map(drop)
        }
        result => result.map(drop),
    }
}

pub(crate) fn merge(qmp: &mut Qmp, node: &str, target: &str, from: &[Value]) -> Result<()> {
    let ask = json!({ "node": node, "target": target, "bitmaps": from });
    qmp.execute("block-dirty-bitmap-merge", ask).map(drop)
}

pub(crate) fn remove_bitmap(qmp: &mut Qmp, node: &str, name: &str) -> Result<()> {
    qmp.execute("block-dirty-bitmap-remove", json!({ "node": node, "name": name })).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_filter_is_found_in_the_graph() {
        let graph = json!({
            "nodes": [{"id": 1, "name": "disk"}, {"id": 2, "name": "filter"}, {"id": 3, "name": "s"}],
            "edges": [
                {"parent": 2, "child": 3, "name": "target"},
                {"parent": 2, "child": 1, "name": "file"},
            ],
        });
        assert_eq!(file_of(&graph, "filter").as_deref(), Some("disk"));
        assert_eq!(file_of(&graph, "disk"), None);
    }
}
