//! What captures left in machines of libvirt when they were killed.

use tintype_model::resource::{Kind, Resource};
use tintype_model::{Error, Result};

use super::at::At;
use super::canary::Monitor;
use super::job::{end_job, let_go_on, look};
use super::sign;
use super::source::Guard;
use super::virsh::Virsh;

use crate::connector::Context;
use crate::vm::server;

pub(crate) fn clean(
    resources: &[&Resource],
    context: &Context,
    done: &mut Vec<String>,
) -> Result<()> {
    let mut first = server::clean(context, done);
    for (sign, guard) in sign::left_behind(context) {
        let domain = &guard.domain;
        let thawed = guard.thaw(context).and_then(|()| {
            std::fs::remove_file(&sign).map_err(|error| Error::io(error, sign.display()))
        });
        match thawed {
            Ok(()) => done.push(format!("vm {domain}: a freeze of a session that is no more")),
            Err(error) => first = first.and(Err(error.context(format!("vm {domain}")))),
        }
    }
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
    first
}

/// What the checkpoint of a job recorded is part of what the next snapshot asks for, so it stays
/// until that is committed.
fn clean_one(uri: &str, domain: &str, context: &Context) -> Result<Option<String>> {
    let virsh = Virsh::stubborn(uri, context);
    let Some(job) = look(&virsh, domain)? else { return Ok(None) };
    let monitor = Monitor { virsh: &virsh, domain };
    if job.files.iter().any(|name| context.is_dead(name))
        && let Err(error) = monitor.take_out(|name| context.is_dead(name))
    {
        // The job goes all the same.
        tracing::warn!(machine = domain, %error, "a block node may be left");
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
