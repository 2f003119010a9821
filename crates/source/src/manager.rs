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
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_model::{Error, Result};

use crate::connector::{
    CapturePlan, Connector, Content, Context, Discovered, Part, Released, Source, Target, View,
};
use crate::host::{NotPutBack, at};

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
        Ok(Box::new(NotPutBack {
            check: NAME,
            why: |name| format!("{name} is the state of a manager, which no restore puts back"),
            cure: "`tintype recover --from URL` makes a manager of it",
        }))
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
        let content = Content::directory(self.0.clone(), Arc::default());
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
