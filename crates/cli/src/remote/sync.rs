//! `sync`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::Object;
use tintype_api::sync::SyncSpec;
use tintype_model::reading::plain;

use super::noun::{self, One, Said, Shown, Usual, Verb, loud};
use super::run;
use crate::document;
use crate::exit::usage;
use crate::report::Report;
use crate::show;

/// A longer file is not one of ours.
const FILE_BYTES: u64 = 1 << 20;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype sync apply off-site.yaml          make or change a rule
  tintype sync run off-site                 copy what is missing, now
  tintype sync list
  tintype sync disable off-site             what it copied stays as long as it would

off-site.yaml:
  name: off-site
  to: cloud
  period:
    name: nightly
    frequency: { daily: { time: \"04:30\" } }
    time_zone: Europe/Berlin
    retention: 1y

A rule keeps a second copy of a tenant's snapshots in another storage, under that storage's own key.
Copies are snapshots: `tintype snapshot list` names their storage, and all or one file of them comes
back also when the first storage is gone. What is deleted in the first stays in the second.")]
#[command(mut_subcommand("show", |it| it.about("One, as a file that `apply` reads")))]
#[command(mut_subcommand("delete", |it| it.about("Delete one; what it copied stays as long as it would")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Make or change the one that a file describes; `-` is standard input
    Apply {
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Copy what is missing, now
    Run {
        #[command(flatten)]
        one: One,
        /// Do not wait for its end
        #[arg(long)]
        no_wait: bool,
    },
    /// Let it copy by itself
    Enable(One),
    /// Let it copy nothing by itself; what it copied stays as long as it would
    Disable(One),
}

/// A rule as a file has it.
#[derive(Serialize, Deserialize)]
struct Rule {
    name: String,
    #[serde(flatten)]
    spec: serde_json::Map<String, serde_json::Value>,
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<SyncSpec>(client, report),
            Self::Apply { file, tenant } => {
                let (name, spec) = load(&file)?;
                noun::apply(client, report, name, spec, tenant.as_deref())
            }
            Self::Run { one, no_wait } => {
                let begun = client.run_sync(&one.find::<SyncSpec>(client)?.id)?;
                if no_wait {
                    report.event("run", json!(begun))?;
                    return report.text(format!("run {} is queued", begun.id));
                }
                let run = run::follow(client, report, &begun)?;
                let count = |name: &str| run.result[name].as_u64().unwrap_or_default();
                report.text(format!(
                    "{} copied, {} there already, {} stored",
                    show::counted(count("copied"), "snapshot", "snapshots"),
                    show::count(count("there")),
                    show::bytes(count("stored_bytes"))
                ))
            }
            Self::Enable(one) => enable(client, report, &one, true),
            Self::Disable(one) => enable(client, report, &one, false),
        }
    }
}

impl Shown for SyncSpec {
    const COLUMNS: &'static [&'static str] = &["enabled", "from", "to", "when", "kept"];

    fn cells(&self) -> Vec<String> {
        let from = self.from.clone().unwrap_or_else(|| "all others".to_owned());
        let when = self.period.words().unwrap_or_default();
        let kept = self.period.retention.to_string();
        vec![loud(self.enabled), from, self.to.clone(), when, kept]
    }

    fn document(rule: &Object<Self>) -> Value {
        let spec = json!(rule.spec).as_object().cloned().unwrap_or_default();
        json!(Rule { name: rule.name.clone(), spec })
    }
}

fn enable(client: &Client, report: &Report, one: &One, enabled: bool) -> anyhow::Result<()> {
    one.change(client, report, None, |spec: &mut SyncSpec| spec.enabled = enabled)
}

fn load(file: &std::path::Path) -> anyhow::Result<(String, SyncSpec)> {
    let (name, text) = (file.display(), document::read(file, FILE_BYTES)?);
    let wrong = |error: &dyn std::fmt::Display| {
        usage(format!("{name} describes no sync rule: {}", plain(&error.to_string())))
    };
    let value = serde_norway::from_str::<serde_json::Value>(&text);
    let rule: Rule = serde_json::from_value(value.map_err(|error| wrong(&error))?)
        .map_err(|error| wrong(&error))?;
    let spec = serde_json::from_value(rule.spec.into()).map_err(|error| wrong(&error))?;
    Ok((rule.name, spec))
}
