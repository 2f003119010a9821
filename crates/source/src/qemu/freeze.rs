//! The guest's file systems, held still through its agent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tintype_model::{ErrorKind, Result};

use super::machine::is_running;
use super::names::Names;
use super::process::{gone, monitor};
use super::sweep::Made;
use crate::connector::Context;
use crate::vm::agent::Agent;
use crate::vm::freeze::until_thawed;
use crate::vm::socket::Waits;

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

/// By a connection of its own.
pub(crate) fn thaw_anew(path: &std::path::Path, context: &Context) -> Result<()> {
    until_thawed(context, || {
        let thawed = Agent::connect(path, context, Waits::stubborn(context))
            .and_then(|mut agent| if agent.is_frozen()? { agent.thaw().map(drop) } else { Ok(()) });
        match thawed {
            // The machine ended, then nothing is frozen any more, or nobody can thaw it.
            Err(error) if error.is(ErrorKind::NotFound) => gone(path).map(Ok),
            thawed => Ok(thawed),
        }
    })
}
