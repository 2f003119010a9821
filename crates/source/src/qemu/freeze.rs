//! The guest's file systems, held still through its agent.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tintype_model::{Error, ErrorKind, Result};

use super::machine::is_running;
use super::names::Names;
use super::process::{gone, monitor};
use super::sweep::Made;
use crate::connector::Context;
use crate::vm::agent::Agent;
use crate::vm::socket::Waits;

/// Less than a guest under load needs is not enough; more than the guard waits is of no use.
const THAW: Duration = Duration::from_secs(8);

/// What the guard must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    pub qmp: PathBuf,
    pub agent: Option<PathBuf>,
    pub label: String,
}

impl Guard {
    /// Lets the guest go on: its processors first, without which its agent cannot answer.
    pub(crate) fn thaw(&self, context: &Context) -> Result<()> {
        let resumed = self.resume(context);
        let thawed = match &self.agent {
            Some(agent) => thaw_anew(agent, context),
            None => Ok(()),
        };
        resumed.and(thawed)
    }

    fn resume(&self, context: &Context) -> Result<()> {
        // An error, too, if the one that stopped it lives and holds the monitor.
        let Some(mut qmp) = monitor(&self.qmp, Waits::stubborn(context))? else { return Ok(()) };
        let sign = Names(self.label.clone()).stop();
        if Made::read(&mut qmp)?.nodes.contains(&sign) && !is_running(&mut qmp)? {
            qmp.execute("cont", json!({}))?;
        }
        Ok(())
    }
}

/// By a connection of its own, for as long as an agent may be busy.
pub(crate) fn thaw_anew(path: &std::path::Path, context: &Context) -> Result<()> {
    let patience = Waits::stubborn(context).within(THAW);
    loop {
        let waits = Waits::stubborn(context);
        let thawed = Agent::connect(path, context, waits)
            .and_then(|mut agent| if agent.is_frozen()? { agent.thaw().map(drop) } else { Ok(()) });
        match thawed {
            // The machine ended, then nothing is frozen any more, or nobody can thaw it.
            Err(error) if error.is(ErrorKind::NotFound) => return gone(path),
            Err(error) if patience.pause().is_err() => {
                let what = "the guest's file systems may still be frozen; in the guest, end the \
                            freeze with `fsfreeze -u`, or restart it";
                return Err(Error::new(error.kind(), format!("{what}: {error}")));
            }
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
}
