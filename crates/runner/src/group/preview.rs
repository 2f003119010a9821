//! What a snapshot would do, without one.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tintype_model::resource::{
    Consistency, HookPlace, OnError, Phase, Resource, Resources, Version,
};
use tintype_model::{Error, Result};
use tintype_source::connector::{CapturePlan, Connector, Context};

use super::member;

/// A resource, and what a capture of it would reach and hold up; or why it would fail.
pub type Preview = (String, Result<CapturePlan>);

/// Looks at the resources that `names` selects; changes nothing.
pub fn preview(
    connectors: &[Box<dyn Connector>],
    resources: &Resources,
    names: &[String],
    context: &Context,
) -> Result<Vec<Preview>> {
    resources.check()?;
    let look = |resource| member::planned(connectors, resource, context).map(|(_, plan)| plan);
    let selected = member::select(resources, names)?.into_iter();
    selected
        .map(|resource| {
            context.cancel.check()?;
            Ok((resource.name.clone(), look(resource)))
        })
        .collect::<Result<_, Error>>()
}

/// A command of a description that would not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The resource, or the application.
    pub of: String,
    /// The phase of a hook, or `version`.
    pub when: String,
    pub command: String,
    pub why: String,
    /// The snapshot would be incomplete without it.
    pub fails: bool,
}

/// Which hooks of what `names` selects, and which commands that print a version, would not run;
/// runs none. `found`: what [`preview`] said of the same.
pub fn missing_commands(
    resources: &Resources,
    names: &[String],
    found: &[Preview],
) -> Result<Vec<Missing>> {
    let selected = member::select(resources, names)?;
    let is_its = |application: &&Resource| {
        application.components.iter().any(|c| selected.iter().any(|own| own.name == c.resource))
    };
    let applications = resources.resources.iter().filter(is_its);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut missing = Vec::new();
    for resource in selected.iter().copied().chain(applications) {
        let mut add = |when: String, command: &str, why: Option<String>, fails: bool| {
            let (of, command) = (resource.name.clone(), command.to_owned());
            missing.extend(why.map(|why| Missing { of, when, command, why, fails }));
        };
        for hook in &resource.hooks {
            let why = match hook.place {
                HookPlace::Host => not_here(&hook.command[0], &directories),
                HookPlace::Guest => no_agent(&resource.name, found),
            };
            // Those of a restore stop no snapshot; of an agent nothing is certain.
            let is_of_snapshot = !matches!(hook.phase, Phase::PreRestore | Phase::PostRestore);
            let is_certain = hook.place == HookPlace::Host && hook.on_error == OnError::Fail;
            add(hook.phase.to_string(), &hook.command[0], why, is_of_snapshot && is_certain);
        }
        if let Some([program, ..]) = resource.version.as_ref().and_then(Version::command) {
            add("version".to_owned(), program, not_here(program, &directories), false);
        }
    }
    Ok(missing)
}

/// Why a program cannot be started, as a hook finds it.
fn not_here(program: &str, directories: &[PathBuf]) -> Option<String> {
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let path = Path::new(program);
    if path.as_os_str().as_bytes().contains(&b'/') {
        return match (path.exists(), runs(path)) {
            (false, _) => Some(format!("there is no {program} on this host")),
            (true, false) => Some(format!("{program} cannot be executed; chmod +x helps")),
            (true, true) => None,
        };
    }
    let is_found = directories.iter().any(|directory| runs(&directory.join(program)));
    (!is_found).then(|| format!("there is no {program} in PATH; write its whole path"))
}

/// Why a hook may not run in a guest.
fn no_agent(machine: &str, found: &[Preview]) -> Option<String> {
    let (_, plan) = found.iter().find(|(name, _)| name == machine)?;
    let plan = plan.as_ref().ok().filter(|plan| plan.reaches < Consistency::Filesystem)?;
    let why = plan.why_not_more.clone().unwrap_or_default();
    Some(format!("a hook in the guest needs its guest agent: {why}"))
}
