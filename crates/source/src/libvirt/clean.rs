//! What captures left in machines of libvirt when they were killed.

use std::collections::BTreeSet;

use tintype_model::Result;
use tintype_model::resource::{Kind, Resource};

use super::at::At;
use super::canary::Monitor;
use super::job::{Job, end_job, let_go_on, look};
use super::pull::checkpoints;
use super::source::Guard;
use super::virsh::Virsh;
use crate::connector::{Context, LABEL, session_of};
use crate::vm::server;

pub(crate) fn clean(resources: &[&Resource], context: &Context) -> Result<Vec<String>> {
    let mut done = server::clean(context)?;
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

/// What the checkpoint of a job recorded is part of what the next snapshot asks for, so it stays
/// until that is committed.
fn clean_one(uri: &str, domain: &str, context: &Context) -> Result<Option<String>> {
    let virsh = Virsh::stubborn(uri, context);
    if let Some(job) = look(&virsh, domain)?
        && job.files.iter().any(|name| context.is_dead(name))
        && let Err(error) = prove(&virsh, domain, &job, context)
    {
        tracing::warn!(machine = domain, %error, "the next snapshot reads all");
    }
    if !end_job(&virsh, domain, |name| context.is_dead(name))? {
        return Ok(None);
    }
    // It may have stopped for want of space: nobody looked any more.
    let_go_on(&virsh, domain)?;
    // Its agent answers when its owner lets it go on.
    if virsh.call(&["domstate", domain])?.trim() != "paused" {
        Guard { uri: uri.to_owned(), domain: domain.to_owned() }.thaw(context)?;
    }
    Ok(Some(format!("vm {domain}: a backup job of a session that is no more")))
}

/// It may have been killed before it had marked what it recorded as its own.
fn prove(virsh: &Virsh, domain: &str, job: &Job, context: &Context) -> Result<()> {
    let monitor = Monitor { virsh, domain };
    monitor.take_out(|name| context.is_dead(name))?;
    let sessions: BTreeSet<&str> = job.files.iter().filter_map(|name| session_of(name)).collect();
    for name in checkpoints(virsh, domain)? {
        let Some(session) = session_of(&name).filter(|session| sessions.contains(session)) else {
            continue;
        };
        monitor.prove(&name, &format!("{LABEL}{session}"), &job.socket, context)?;
    }
    Ok(())
}
