//! What captures left in machines of libvirt when they were killed.

use tintype_model::resource::{Kind, Resource};
use tintype_model::{ErrorKind, Result};

use super::at::At;
use super::source::{Guard, end_job};
use super::virsh::Virsh;
use super::xml::{children, of_child, parse};
use crate::connector::Context;

pub(crate) fn clean(resources: &[&Resource], context: &Context) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut first = Ok(());
    let ours =
        |resource: &&&Resource| resource.connector == super::NAME && resource.kind == Kind::Vm;
    for resource in resources.iter().filter(ours) {
        // What is wrong with `at` is told by the capture.
        let Ok(at) = At::parse(&resource.at) else { continue };
        let Some(domain) = &at.domain else { continue };
        match clean_one(&at.uri, domain, context) {
            Ok(removed) => done.extend(removed),
            Err(error) => first = first.and(Err(error.context(format!("vm {}", resource.name)))),
        }
    }
    first.map(|()| done)
}

/// The job is found by its scratch files, which bear the session's name. What its checkpoint
/// recorded is part of what the next snapshot asks for, so it stays until that is committed.
fn clean_one(uri: &str, domain: &str, context: &Context) -> Result<Option<String>> {
    let virsh = Virsh::stubborn(uri, context);
    let job = match virsh.call(&["backup-dumpxml", domain]) {
        // No job, no machine, no libvirt.
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {
            return Ok(None);
        }
        job => job?,
    };
    let job = parse(&job)?;
    let disks = children(&job, "disks").flat_map(|disks| children(disks, "disk"));
    let mut scratch = disks.filter_map(|disk| of_child(disk, "scratch", "file"));
    let is_dead = |file: String| file.rsplit('/').next().is_some_and(|name| context.is_dead(name));
    if !scratch.any(is_dead) {
        return Ok(None);
    }
    end_job(&virsh, domain)?;
    Guard { uri: uri.to_owned(), domain: domain.to_owned() }.thaw(context)?;
    Ok(Some(format!("vm {domain}: a backup job of a session that is no more")))
}
