//! Machines and networks that libvirt manages, reached by `virsh`.

mod at;
mod canary;
mod clean;
mod discover;
mod domain;
mod job;
mod network;
mod pull;
mod sign;
mod source;
mod target;
mod virsh;
mod watch;
mod xml;

use serde_json::Value;
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_model::{Error, Result};

use crate::connector::{CapturePlan, Connector, Context, Discovered, Source, Target};
use virsh::Virsh;

pub(crate) const NAME: &str = "libvirt";

/// Machines and networks of libvirt 7.2 or later.
#[derive(Clone, Copy, Debug)]
pub struct LibvirtConnector;

impl Connector for LibvirtConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        at::At::schema()
    }

    fn discover(&self, context: &Context) -> Result<Vec<Discovered>> {
        discover::discover(context)
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        described(resource).map(drop)
    }

    /// libvirt itself; what a machine reaches is known of that machine alone.
    fn reach(&self, resource: &Resource, context: &Context) -> Result<CapturePlan> {
        let at = described(resource)?;
        Virsh::new(&at.uri, context).call(&["version"])?;
        let why_not_more = Some("it depends on each machine, and its guest agent".to_owned());
        Ok(CapturePlan { reaches: Consistency::Crash, why_not_more, freezes: None })
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let at = described(resource)?;
        match resource.kind {
            Kind::Vm => Ok(Box::new(source::DomainSource::new(at, resource, context)?)),
            Kind::Network => Ok(Box::new(network::NetworkSource::new(&at, context)?)),
            kind => Err(Error::invalid(format!("connector libvirt captures no {kind}"))),
        }
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(target::LibvirtTarget { context: context.clone() }))
    }

    fn thaw(&self, guarded: &Value, context: &Context) -> Result<()> {
        let guard: source::Guard = serde_json::from_value(guarded.clone())
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

fn described(resource: &Resource) -> Result<at::At> {
    at::At::parse(&resource.at)
        .map_err(|error| error.context(format!("{} {}", resource.kind, resource.name)))
}
