//! What captures left in machines when they were killed.

use std::collections::BTreeSet;

use tintype_model::resource::Resource;
use tintype_model::{ErrorKind, Result};

use super::at::At;
use super::freeze::thaw_anew;
use super::names::Names;
use super::process::gone;
use super::sweep::{Fate, Made, sweep};
use crate::connector::{Context, LABEL, session_of};
use crate::vm::qmp::Qmp;
use crate::vm::server;
use crate::vm::socket::Waits;

pub(crate) fn clean(
    resources: &[&Resource],
    context: &Context,
    done: &mut Vec<String>,
) -> Result<()> {
    let mut first = server::clean(context, done);
    for resource in resources.iter().filter(|resource| resource.connector == super::NAME) {
        // What is wrong with `at` is told by the capture.
        let Ok(at) = At::of(resource) else { continue };
        match clean_one(&at, context) {
            Ok(removed) => {
                let name = &resource.name;
                done.extend(removed.into_iter().map(|what| format!("vm {name}: {what}")));
            }
            Err(error) => first = first.and(Err(error.context(format!("vm {}", resource.name)))),
        }
    }
    first
}

fn clean_one(at: &At, context: &Context) -> Result<Vec<String>> {
    let mut qmp = match Qmp::connect(&at.qmp, Waits::of(context)) {
        // Another program holds the monitor: a run that lives, if none is dead.
        Err(error) if error.is(ErrorKind::Unavailable) && context.dead_scratch().is_empty() => {
            return Ok(Vec::new());
        }
        Err(error) if error.is(ErrorKind::NotFound) => return gone(&at.qmp).map(|()| Vec::new()),
        qmp => qmp?,
    };
    let made = Made::read(&mut qmp)?;
    let dead = |name: &&str| context.is_dead(name);
    let sessions: BTreeSet<&str> = made.at_work().filter(dead).filter_map(session_of).collect();
    let mut done = Vec::new();
    for session in sessions {
        let names = Names(format!("{LABEL}{session}"));
        done.extend(sweep(&mut qmp, &names, &Fate::Failed, context)?);
    }
    // After its processors run again; the agent answers only then.
    if !done.is_empty()
        && let Some(agent) = &at.agent
    {
        thaw_anew(agent, context)?;
    }
    Ok(done)
}
