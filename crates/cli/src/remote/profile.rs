//! `profile`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::{ChangedObject, NewObject};
use tintype_api::profile::ProfileSpec;
use tintype_model::profile::{Profile, Scope};

use super::noun::Tenants;
use super::{Common, noun};
use crate::exit::{Exit, usage};
use crate::report::Report;
use crate::show;

/// A longer file is not one of ours.
const FILE_BYTES: u64 = 1 << 20;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype profile apply nightly.yaml        make or change it (docs/schedules.md)
  tintype profile next nightly              in plain words, and the next ten runs
  tintype profile disable nightly
  tintype profile list

nightly.yaml:
  name: nightly
  scope: full
  periods:
    - { name: daily, frequency: { daily: { time: \"02:30\" } }, time_zone: Europe/Berlin }")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All that you may see
    List,
    /// One, with everything that is set
    Show {
        name: String,
    },
    /// Make or change the one that a file describes; `-` is standard input
    Apply {
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Say in plain words when it runs, and the next ten times
    Next {
        name: String,
    },
    Enable {
        name: String,
    },
    Disable {
        name: String,
    },
    /// Delete one; what it took stays as long as it would
    Delete {
        name: String,
    },
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.command.run(client, report))
    }
}

impl Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let columns = ["enabled", "scope", "periods", "storage"];
                noun::list::<ProfileSpec>(client, report, &columns, |profile| {
                    let ProfileSpec { enabled, scope, periods, storage, .. } = &profile.spec;
                    let scope = if *scope == Scope::Full { "full" } else { "partial" };
                    let periods: Vec<&str> = periods.iter().map(|p| &p.name[..]).collect();
                    let enabled = if *enabled { "yes" } else { "NO" };
                    let storage = storage.clone().unwrap_or_else(|| "default".to_owned());
                    vec![enabled.to_owned(), scope.to_owned(), periods.join(", "), storage]
                })
            }
            Self::Show { name } => {
                noun::show::<ProfileSpec>(report, &noun::find(client, &name, None)?)
            }
            Self::Apply { file, tenant } => apply(client, report, &file, tenant.as_deref()),
            Self::Next { name } => next(client, report, &name),
            Self::Enable { name } => enable(client, report, &name, true),
            Self::Disable { name } => enable(client, report, &name, false),
            Self::Delete { name } => noun::delete::<ProfileSpec>(client, report, &name, None),
        }
    }
}

fn enable(client: &Client, report: &Report, name: &str, enabled: bool) -> anyhow::Result<()> {
    noun::change(client, report, (name, None), None, |spec: &mut ProfileSpec| {
        spec.enabled = enabled;
    })
}

fn load(file: &Path) -> anyhow::Result<Profile> {
    use std::io::Read as _;
    let name = file.display();
    let mut text = String::new();
    let read: Box<dyn std::io::Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => {
            Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {name}"))?)
        }
    };
    read.take(FILE_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {name}"))?;
    // By way of JSON, in which a choice is an object with one field.
    let value = serde_norway::from_str::<serde_json::Value>(&text);
    let wrong =
        |error: &dyn std::fmt::Display| usage(format!("{name} describes no profile: {error}"));
    serde_json::from_value(value.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))
}

fn apply(
    client: &Client,
    report: &Report,
    file: &Path,
    tenant: Option<&str>,
) -> anyhow::Result<()> {
    let profile = load(file)?;
    let tenant = match tenant {
        Some(name) => Tenants::of(client)?.id(name)?,
        None => client.whoami()?.tenant,
    };
    let name = profile.name.clone();
    let spec = ProfileSpec::from(profile);
    let known = client.list::<ProfileSpec>()?;
    match known.iter().find(|known| known.tenant == tenant && known.name == name) {
        None => {
            let tenant = Some(tenant);
            noun::told(report, "made", &client.create(&NewObject { name, tenant, spec })?)
        }
        Some(known) => {
            let changed = ChangedObject { name: None, spec: Some(spec) };
            let after = client.change(&known.id, Some(known.version), &changed)?;
            noun::told(report, "changed", &after)
        }
    }
}

fn next(client: &Client, report: &Report, name: &str) -> anyhow::Result<()> {
    let profile = noun::find::<ProfileSpec>(client, name, None)?;
    let reading = client.read_profile(&profile.spec)?;
    report.event("reading", json!(reading))?;
    for period in reading.periods {
        report.text(format!("{}: {}", period.name, period.words))?;
        for moment in period.next {
            report.text(format!("  {}", show::time(moment)))?;
        }
    }
    if !profile.spec.enabled {
        report.note("it is disabled: `tintype profile enable` lets it run");
    }
    Ok(())
}
