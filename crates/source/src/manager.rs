//! `manager`: the state of a manager, as its run has written it into a directory of its own before it
//! is captured: an export of one moment, which nobody writes to any more.
//!
//! Nobody describes such a resource but a manager itself, and none is put back by a restore: `tintype
//! recover` makes a manager of it.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Step};
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_model::{Error, Result};

use crate::connector::{
    CapturePlan, Changed, Connector, Content, Context, Destination, Discovered, Part, Released,
    Source, Stored, Target, TargetPlan, View,
};
use crate::files::Excludes;
use crate::host::at;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Manager;

const NAME: &str = "manager";

/// What is captured.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// The directory of the export.
    path: PathBuf,
}

fn at_of(resource: &Resource) -> Result<At> {
    match resource.kind {
        Kind::Manager => at::of(resource),
        kind => Err(Error::invalid(format!(
            "{kind} {}: the connector {NAME} is for the state of a manager alone",
            resource.name
        ))),
    }
}

impl Connector for Manager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(At).to_value()
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(Vec::new())
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        at_of(resource).map(drop)
    }

    fn source(&self, resource: &Resource, _: &Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(Exported(at_of(resource)?.path)))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(Recovered))
    }
}

struct Exported(PathBuf);

impl Source for Exported {
    fn plan(&mut self) -> Result<CapturePlan> {
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let content = Content::Files {
            root: self.0.clone(),
            excludes: Arc::new(Excludes::default()),
            one_file_system: true,
            never_enter: Vec::new(),
            grafts: Vec::new(),
            changed: Changed::Unknown,
        };
        Ok(View {
            parts: vec![Part { at: Vec::new(), content }],
            consistency: Consistency::Application,
            why_not_more: None,
            mark: None,
            facts: json!({}),
            version: None,
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}

struct Recovered;

impl Target for Recovered {
    fn plan(
        &mut self,
        _: &Item,
        resource: &Resource,
        _: &Destination,
        _: &dyn Stored,
    ) -> Result<TargetPlan> {
        let check = Check::block(
            "manager",
            format!("{} is the state of a manager, which no restore puts back", resource.name),
            "`tintype recover --from URL` makes a manager of it",
        );
        Ok(TargetPlan { checks: vec![check], ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, _: &dyn Stored) -> Result<Value> {
        Err(not_ours(step))
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        Err(not_ours(step))
    }
}

fn not_ours(step: &Step) -> Error {
    Error::invalid(format!("the state of a manager has no steps: {}", step.text))
}
