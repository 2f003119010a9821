//! Restore of a machine: over what is there while it is off, or as a new one.

mod health;
mod plan;
pub(crate) mod renew;

pub(crate) use plan::shared_words;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::Result;
use tintype_model::item::Item;
use tintype_model::plan::Step;
use tintype_model::resource::Resource;

use crate::connector::{Context, Destination, Stored, Target, TargetPlan, action};
use crate::vm::steps::FileStep;

pub(crate) struct QemuTarget {
    pub(crate) context: Context,
}

/// What steps do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Action {
    File(FileStep),
    Machine(MachineStep),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
enum MachineStep {
    Start { script: PathBuf, directory: PathBuf, qmp: PathBuf },
    Health { qmp: PathBuf, agent: Option<PathBuf> },
}

impl Target for QemuTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        plan::plan(item, resource, destination, stored, &self.context)
            .map_err(|error| error.context(format!("vm {}", item.name)))
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action::<Action>(step)? {
            Action::File(file) => return file.apply(stored, &self.context),
            Action::Machine(MachineStep::Start { script, directory, qmp }) => {
                health::start(&script, &directory, &qmp, &self.context)?;
            }
            Action::Machine(MachineStep::Health { qmp, agent }) => {
                health::check(&qmp, agent.as_deref(), &self.context)?;
            }
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _done: &Value) -> Result<Value> {
        match action::<Action>(step)? {
            Action::File(file) => return file.undo(&self.context),
            Action::Machine(MachineStep::Start { qmp, .. }) => health::stop(&qmp, &self.context),
            Action::Machine(MachineStep::Health { .. }) => Ok(()),
        }
        .map(|()| Value::Null)
    }
}
