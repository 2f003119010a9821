//! `discover`: what runs on this host and can be protected.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::resource::{Resource, Resources};
use tintype_runner::vault::check_described;
use tintype_runner::vault::discover::{Discovery, Found, discover};

use crate::exit::{self, Exit, usage};
use crate::platform;
use crate::report::Report;
use crate::terminal;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype discover                                 what is there, as YAML
  tintype discover > resources.yaml                edit it, then:
  tintype repo snapshot --resources resources.yaml shop-db shop-files
  tintype discover --schema                        the JSON Schema of that file
  tintype discover --clean --scratch /srv/scratch  what killed runs left, there and elsewhere

Nothing is changed, and nothing is stored. What a killed run left behind (file-system snapshots,
jobs of machines, scratch files) is removed by the next snapshot, or now by --clean. What runs of
other installations left here, of containers that are gone or with another TINTYPE_RUNTIME_DIR, only
--clean --all removes.")]
pub(crate) struct Discover {
    /// Remove what killed runs left behind, and say what it was
    #[arg(long, conflicts_with = "schema")]
    clean: bool,
    /// With --clean: also what other installations left on this host, as root and in no container, which
    /// sees too little to know who is at work
    #[arg(long, requires = "clean")]
    all: bool,
    /// With --clean: where to look, beside what is found
    #[arg(long, value_name = "FILE", requires = "clean")]
    resources: Option<PathBuf>,
    /// With --clean: where runs kept their scratch files, if not in /var/tmp
    #[arg(long, value_name = "DIR", requires = "clean")]
    scratch: Option<PathBuf>,
    /// Print the JSON Schema of resources
    #[arg(long)]
    schema: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

impl Discover {
    pub(crate) fn run(self) -> Exit {
        crate::app::log(0);
        match self.try_run() {
            Ok(()) => Exit::Complete,
            Err(error) => {
                terminal::line(&format!("error: {error:#}"));
                exit::of_error(&error)
            }
        }
    }

    fn try_run(&self) -> anyhow::Result<()> {
        let report = Report::new(self.json, false, false);
        let connectors = tintype_source::connectors();
        if self.schema {
            let schema = tintype_source::schema(&connectors);
            let text = serde_json::to_string_pretty(&schema).context("the schema")?;
            return crate::report::raw(format!("{text}\n").as_bytes());
        }
        if self.all && !rustix::process::geteuid().is_root() {
            return Err(usage("--all: only root sees which runs of others are at work"));
        }
        let run = platform::looking(&Env::system(), &Cancel::default(), self.scratch.as_deref())?;
        let run = if self.all { run.of_all() } else { run };
        if self.clean {
            let mut resources = match &self.resources {
                Some(path) => platform::load(path)?.resources,
                None => Vec::new(),
            };
            let Discovery { found, problems } = discover(&connectors, run.context());
            problems.iter().for_each(|problem| report.warn(problem));
            for Found { resource, .. } in found {
                let is_it =
                    |own: &Resource| own.connector == resource.connector && own.at == resource.at;
                if !resources.iter().any(is_it) {
                    resources.push(resource);
                }
            }
            let removed = run.clean(&connectors, &resources)?;
            for line in &removed {
                report.event("removed", json!({ "what": line }))?;
                report.text(format!("removed: {line}"))?;
            }
            if removed.is_empty() {
                report.text(format!(
                    "nothing was found to remove: no killed run of {} has left anything here",
                    if self.all { "any installation" } else { "this installation" }
                ))?;
            }
            return Ok(());
        }
        let Discovery { found, problems } = discover(&connectors, run.context());
        for problem in problems {
            report.warn(problem);
        }
        if self.json {
            for one in &found {
                let fields = json!({
                    "resource": one.resource, "reaches": one.reaches,
                    "why_not_more": one.why_not_more,
                });
                report.event("resource", fields)?;
            }
            return Ok(());
        }
        crate::report::raw(yaml(&found)?.as_bytes())
    }
}

/// A document that `--resources` reads, with what was found out as comments.
pub(crate) fn yaml(found: &[Found]) -> anyhow::Result<String> {
    let (mut text, mut is_any) = (String::new(), false);
    for Found { resource, reaches, why_not_more } in found {
        let _ = writeln!(text, "# reaches: {reaches}");
        if let Some(why) = why_not_more {
            let _ = writeln!(text, "# not more: {}", why.replace('\n', " "));
        }
        let listed = listed(resource)?;
        if let Err(error) = check_described(resource) {
            // What is missing somebody must say; all else can be captured until then.
            let _ = writeln!(text, "# left out: {}", error.to_string().replace('\n', " "));
            for line in listed.lines() {
                let _ = writeln!(text, "# {line}");
            }
            continue;
        }
        is_any = true;
        text.push_str(&listed);
    }
    let none = if is_any { "" } else { " []" };
    Ok(format!("version: {}\nresources:{none}\n{text}", Resources::VERSION))
}

fn listed(resource: &Resource) -> anyhow::Result<String> {
    serde_norway::to_string(&[resource]).context("a resource")
}

/// The guard's process.
pub(crate) fn guard() -> Exit {
    crate::app::log(0);
    // Who ends a service tells all of its processes; this one ends when there is nothing to guard.
    if let Err(error) = ctrlc::set_handler(|| {}) {
        terminal::line(&format!("error: guard: {error}"));
        return Exit::Failed;
    }
    match tintype_runner::vault::guard(&Env::system()) {
        Ok(did) if did.is_empty() => Exit::Complete,
        Ok(did) => {
            did.iter().for_each(|what| terminal::line(&format!("guard: {what}")));
            Exit::Failed
        }
        Err(error) => {
            terminal::line(&format!("error: guard: {error}"));
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use tintype_model::resource::Consistency;

    use super::*;

    #[test]
    fn what_is_found_can_be_read_again() {
        let found = |connector: &str| {
            let resource = json!({ "kind": "vm", "name": connector, "connector": connector,
                                   "at": { "domain": "web" } });
            let resource = serde_json::from_value(resource).unwrap();
            Found { resource, reaches: Consistency::Crash, why_not_more: None }
        };
        let read = |text: &str| -> Vec<String> {
            let read: Resources = serde_norway::from_str(text).unwrap();
            read.resources.into_iter().map(|resource| resource.name).collect()
        };
        let text = yaml(&[found("qemu"), found("libvirt")]).unwrap();
        assert_eq!(read(&text), ["libvirt"]);
        assert!(text.contains("# left out: vm qemu") && text.contains("#   name: qemu"), "{text}");
        assert_eq!(read(&yaml(&[found("qemu")]).unwrap()), Vec::<String>::new());
        assert_eq!(read(&yaml(&[]).unwrap()), Vec::<String>::new());
    }
}
