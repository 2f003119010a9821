//! What is found of a machine before anything is made: what it can reach, and what refuses it.

use std::path::PathBuf;

use serde_json::json;
use tintype_model::resource::Resource;
use tintype_model::{Error, ErrorKind, Result};

use super::at::At;
use super::machine::{Devices, agent_listens, command_of, devices, is_running};
use super::process::gone;
use crate::connector::{CapturePlan, Context};
use crate::vm::agent::Agent;
use crate::vm::freeze::frozen_already;
use crate::vm::level::{self, FREEZES, Level, NOT_QUIESCED, PAUSED};
use crate::vm::qmp::Qmp;
use crate::vm::socket::Waits;

/// From this version on a disk's old content can be kept aside without ever holding up the guest.
const VERSION: (u64, u64) = (7, 2);

/// A machine that runs, or is paused.
pub(crate) struct Running {
    pub qmp: Qmp,
    pub devices: Devices,
    /// Its processors, not only QEMU.
    pub is_going: bool,
    pub agent: Option<Agent>,
    /// What the agent says of the guest.
    pub system: serde_json::Value,
    pub why_no_agent: Option<String>,
    pub command: Vec<String>,
    pub directory: PathBuf,
}

pub(crate) enum Found {
    Running(Box<Running>),
    /// Its disks are what `at` says.
    Off,
}

pub(crate) fn find(at: &At, resource: &Resource, context: &Context) -> Result<Found> {
    let qmp = match Qmp::connect(&at.qmp, Waits::of(context)) {
        Err(error) if error.is(ErrorKind::NotFound) => {
            gone(&at.qmp)?;
            if at.disks.is_empty() {
                return Err(Error::not_found(format!(
                    "no QEMU listens at {}: start the machine, or name its `disks` in `at`, so \
                     that they are read while it is off",
                    at.qmp.display()
                )));
            }
            return Ok(Found::Off);
        }
        qmp => qmp?,
    };
    let running = running(qmp, at, resource, context)?;
    Ok(Found::Running(Box::new(running)))
}

fn running(mut qmp: Qmp, at: &At, resource: &Resource, context: &Context) -> Result<Running> {
    let (major, minor) = qmp.version();
    if (major, minor) < VERSION {
        return Err(Error::unsupported(format!(
            "QEMU {major}.{minor} cannot keep old content aside without holding up its guest when \
             space runs out; QEMU 7.2 or later can"
        )));
    }
    let mut devices = devices(&mut qmp)?;
    devices.disks.retain(|disk| !resource.excludes.contains(&disk.name));
    if let Some(disk) = with_thread(&mut qmp, &devices)? {
        return Err(Error::unsupported(format!(
            "disk {disk} is served by a thread of its own (iothread): QEMU 7.2 ends, with its \
             guest, when an export of such a disk is closed; take the iothread from the device, or \
             exclude the disk"
        )));
    }
    if devices.disks.len() > 900 {
        return Err(Error::unsupported("more than 900 disks"));
    }
    let (command, directory) =
        qmp.process().and_then(|process| command_of(process).ok()).unwrap_or_default();
    let is_going = is_running(&mut qmp)?;
    let mut running = Running {
        qmp,
        devices,
        is_going,
        agent: None,
        system: serde_json::Value::Null,
        why_no_agent: None,
        command,
        directory,
    };
    match running.find_agent(at, context)? {
        Ok(agent) => {
            running.agent = Some(agent);
            running.why_no_agent = (!context.quiesce).then(|| NOT_QUIESCED.to_owned());
        }
        Err(why) => running.why_no_agent = Some(why),
    }
    Ok(running)
}

/// A disk that is, or may be, served by an iothread.
fn with_thread(qmp: &mut Qmp, devices: &Devices) -> Result<Option<String>> {
    let threads = qmp.execute("query-iothreads", json!({}))?;
    if threads.as_array().is_none_or(Vec::is_empty) {
        return Ok(None);
    }
    for disk in &devices.disks {
        let property = json!({ "path": disk.device, "property": "iothread" });
        let thread = qmp.execute("qom-get", property);
        // Where it belongs to a controller, the device does not tell.
        if !thread.is_ok_and(|thread| thread.as_str() == Some("")) {
            return Ok(Some(disk.name.clone()));
        }
    }
    Ok(None)
}

impl Running {
    /// The agent, or why there is none.
    fn find_agent(&mut self, at: &At, context: &Context) -> Result<Result<Agent, String>> {
        let Some(path) = &at.agent else {
            return Ok(Err(
                "no guest agent is named: install qemu-guest-agent in the guest, give \
                           the machine a port `org.qemu.guest_agent.0` and set `agent` in `at`"
                    .to_owned(),
            ));
        };
        if !self.is_going {
            return Ok(Err(PAUSED.to_owned()));
        }
        if !agent_listens(&mut self.qmp, path)? {
            let path = path.display();
            return Ok(Err(format!(
                "no guest agent runs in the guest ({path}): install and start qemu-guest-agent"
            )));
        }
        let mut agent = match Agent::connect(path, context, Waits::of(context)) {
            Ok(agent) => agent,
            Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if context.quiesce {
            let is_frozen = agent.is_frozen();
            if matches!(is_frozen, Ok(true)) {
                return Err(frozen_already("guest-fsfreeze-thaw"));
            }
            if let Err(why) = level::freezes(is_frozen.map(drop))? {
                return Ok(Err(why));
            }
        }
        // Old agents cannot tell.
        self.system = agent.system().unwrap_or_default();
        Ok(Ok(agent))
    }

    /// The level that a freeze by the agent gives, and why not more.
    pub(crate) fn with_agent(&self, at: &At) -> Level {
        // The agent of Windows freezes by its shadow copy service, in which applications take part.
        level::frozen(at.application_hooks || self.system["id"] == "mswindows")
    }

    pub(crate) fn plan(&self, at: &At) -> CapturePlan {
        let (reaches, why_not_more) = match &self.why_no_agent {
            None => self.with_agent(at),
            Some(why) => level::crash(why),
        };
        let freezes = match (self.is_going, &self.why_no_agent) {
            (true, None) => Some(FREEZES.to_owned()),
            (true, Some(_)) => Some("stops the guest for some milliseconds".to_owned()),
            (false, _) => None,
        };
        CapturePlan { reaches, why_not_more, freezes }
    }
}
