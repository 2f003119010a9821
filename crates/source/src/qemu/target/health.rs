//! A machine that was restored is started and looked at.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tintype_model::{Error, ErrorKind, Result};

use crate::connector::Context;
use crate::host;
use crate::qemu::machine::{agent_listens, is_running};
use crate::vm::agent::Agent;
use crate::vm::qmp::Qmp;
use crate::vm::socket::Waits;

/// Until QEMU listens.
const START: Duration = Duration::from_secs(30);
/// Until the guest has come up.
const BOOT: Duration = Duration::from_mins(5);

/// It belongs to nobody then, and goes on when this process ends.
pub(super) fn start(script: &Path, directory: &Path, qmp: &Path, context: &Context) -> Result<()> {
    if Qmp::connect(qmp, Waits::of(context)).is_ok() {
        return Ok(());
    }
    let said = script.with_extension("log");
    let log = std::fs::File::create(&said).map_err(|error| Error::io(error, said.display()))?;
    let errors = log.try_clone().map_err(|error| Error::io(error, said.display()))?;
    let mut command = host::command("setsid");
    command.arg("--").arg(script).current_dir(directory);
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let mut child = child.map_err(|error| Error::io(error, script.display()))?;
    let opened = opens(&mut child, qmp, &said, context);
    if opened.is_err() {
        end(&mut child);
    }
    opened
}

fn opens(child: &mut Child, qmp: &Path, said: &Path, context: &Context) -> Result<()> {
    let patience = Waits::of(context).within(START);
    while !qmp.exists() || Qmp::connect(qmp, Waits::of(context)).is_err() {
        let ended = child.try_wait().map_err(|error| Error::io(error, "QEMU"))?;
        // One that goes into the background ends well at once.
        if ended.is_some_and(|status| !status.success()) {
            let said = std::fs::read_to_string(said).unwrap_or_default();
            let said: String = said.chars().take(2000).collect();
            return Err(Error::invalid(format!("QEMU does not start: {}", said.trim())));
        }
        patience.pause().map_err(|error| error.context("QEMU does not open its monitor"))?;
    }
    Ok(())
}

/// All of the session that is its own: what cannot be reached must not run, on disks that an undo
/// takes away.
fn end(child: &mut Child) {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // What ended by itself is not there to be ended.
    let _ = process.map(|process| kill_process_group(process, Signal::KILL));
    // It may not have begun its session.
    let _ = child.kill();
    let _ = child.wait();
}

/// Its processors run and, where it has one, its agent answers.
pub(super) fn check(qmp: &Path, agent: Option<&Path>, context: &Context) -> Result<()> {
    let mut monitor = Qmp::connect(qmp, Waits::of(context))?;
    if !is_running(&mut monitor)? {
        return Err(Error::unavailable("the machine was started and does not run"));
    }
    let Some(agent) = agent else { return Ok(()) };
    let patience = Waits::of(context).within(BOOT);
    while !agent_listens(&mut monitor, agent)? {
        patience.pause().map_err(|error| error.context("no guest agent comes up"))?;
    }
    Agent::connect(agent, context, Waits::of(context)).map(drop)
}

/// It was only just started: nothing of it is kept.
pub(super) fn stop(qmp: &Path, context: &Context) -> Result<()> {
    let mut monitor = match Qmp::connect(qmp, Waits::stubborn(context)) {
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(()),
        monitor => monitor?,
    };
    // It may close before it has answered.
    let _ = monitor.execute("quit", json!({}));
    let patience = Waits::stubborn(context).within(START);
    while Qmp::connect(qmp, Waits::stubborn(context)).is_ok_and(|_| true) {
        patience.pause().map_err(|error| error.context("QEMU does not end"))?;
    }
    Ok(())
}
