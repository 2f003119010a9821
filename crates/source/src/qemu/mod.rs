//! Machines that QEMU runs without a manager, reached by QMP.

pub(crate) mod at;
pub(crate) mod capture;
mod clean;
pub(crate) mod definition;
mod discover;
mod freeze;
mod machine;
pub(crate) mod mark;
mod names;
pub(crate) mod off;
mod plan;
pub(crate) mod process;
mod source;
mod sweep;
pub(crate) mod target;

use serde_json::Value;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use crate::connector::{Connector, Context, Discovered, Source, Target};

pub(crate) const NAME: &str = "qemu";

/// Machines of QEMU 7.2 or later.
#[derive(Clone, Copy, Debug)]
pub struct QemuConnector;

impl Connector for QemuConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        at::At::schema()
    }

    fn discover(&self, context: &Context) -> Result<Vec<Discovered>> {
        Ok(discover::discover(context))
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        at::At::of(resource).map(drop)
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(source::QemuSource::new(resource, context)?))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(target::QemuTarget { context: context.clone() }))
    }

    fn thaw(&self, guarded: &Value, context: &Context) -> Result<()> {
        let guard: freeze::Guard = serde_json::from_value(guarded.clone())
            .map_err(|error| Error::internal(format!("what the guard was given: {error}")))?;
        guard.thaw(context)
    }

    fn outlives(&self) -> bool {
        true
    }

    fn clean(
        &self,
        resources: &[&Resource],
        context: &Context,
        removed: &mut Vec<String>,
    ) -> Result<()> {
        clean::clean(resources, context, removed)
    }
}
