//! Machines of QEMU that run on this host, by their processes.

use serde_json::{Map, Value, json};
use tintype_model::resource::{Consistency, Kind, Resource, check_name};

use super::at::At;
use super::plan::{Found, find};
use super::process;
use crate::connector::{Context, Discovered};

pub(crate) fn discover(context: &Context) -> Vec<Discovered> {
    let mut found = Vec::new();
    for (number, (_, command)) in process::all() {
        if command.is_managed {
            continue;
        }
        let name = command.name.clone().filter(|name| check_name(name).is_ok());
        let is_taken =
            |name: &String| found.iter().any(|other: &Discovered| other.resource.name == *name);
        let name = name.filter(|name| !is_taken(name));
        let name = name.unwrap_or_else(|| format!("vm-{number}"));
        let (at, reaches, why_not_more) = reach(&command, context);
        found.push(Discovered { resource: resource(name, at), reaches, why_not_more });
    }
    found
}

fn resource(name: String, at: Map<String, Value>) -> Resource {
    Resource {
        kind: Kind::Vm,
        name,
        connector: super::NAME.to_owned(),
        at,
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

type Reach = (Map<String, Value>, Consistency, Option<String>);

fn reach(command: &process::Command, context: &Context) -> Reach {
    let mut first: Option<Reach> = None;
    for qmp in &command.qmp {
        let mut at = Map::new();
        at.insert("qmp".into(), json!(qmp));
        if let Some(agent) = &command.agent {
            at.insert("agent".into(), json!(agent));
        }
        let parsed = At::parse(&at);
        let looked = parsed.and_then(|parsed| {
            Ok((find(&parsed, &resource("x".into(), at.clone()), context)?, parsed))
        });
        match looked {
            Ok((Found::Running(running), parsed)) => {
                for disk in &running.devices.disks {
                    // It may have been named from where QEMU was started, which it has left since.
                    let file = running.directory.join(&disk.file);
                    if !file.is_absolute() || !file.exists() {
                        continue;
                    }
                    at.entry("disks").or_insert_with(|| json!({}))[&disk.name] =
                        json!({ "file": file, "format": disk.format });
                }
                let plan = running.plan(&parsed);
                return (at, plan.reaches, plan.why_not_more);
            }
            // The next monitor may be free.
            Ok((Found::Off, _)) => {}
            Err(error) => {
                first.get_or_insert((at, Consistency::None, Some(error.to_string())));
            }
        }
    }
    let why = "it was started without a QMP monitor on a Unix socket: add \
               `-qmp unix:PATH,server=on,wait=off`";
    first.unwrap_or_else(|| (Map::new(), Consistency::None, Some(why.to_owned())))
}
