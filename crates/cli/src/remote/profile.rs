//! `profile`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::Object;
use tintype_api::profile::{Going, NewPreview, ProfileSpec};
use tintype_model::profile::{Profile, Scope};
use tintype_model::reading::plain;

use super::noun::{self, One, Said, Shown, Usual, Verb, loud};
use super::snapshot::short;
use crate::document;
use crate::exit::usage;
use crate::report::Report;
use crate::show::{self, Table};

/// A longer file is not one of ours.
const FILE_BYTES: u64 = 1 << 20;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype profile ready-made                what there is to begin with
  tintype profile ready-made sox > sox.yaml
  tintype profile apply nightly.yaml        make or change it (docs/schedules.md)
  tintype profile next nightly              in plain words, and the next ten runs
  tintype profile preview nightly --file changed.yaml --on 2031-12-24
  tintype profile disable nightly
  tintype profile list --watch

nightly.yaml:
  name: nightly
  scope: full
  periods:
    - { name: daily, frequency: { daily: { time: \"02:30\" } }, time_zone: Europe/Berlin }")]
#[command(mut_subcommand("show", |it| it.about("One, as a file that `apply` reads")))]
#[command(mut_subcommand("delete", |it| it.about("Delete one; what it took stays as long as it would")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Profiles to begin with; one, by its name, as a file that `apply` reads
    ReadyMade {
        name: Option<String>,
        /// In which its times are, like Europe/Berlin
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
    },
    /// Make or change the one that a file describes; `-` is standard input
    Apply {
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Say in plain words when it runs, and the next ten times
    Next(One),
    /// Let it run
    Enable(One),
    /// Let it run no longer; what it took stays as long as it would
    Disable(One),
    /// What a changed retention would do to what it took, and what is there on a day
    Preview {
        #[command(flatten)]
        one: One,
        /// The profile as it is to become (YAML); default: as it is
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Tell also what there is then: 2031-12-24
        #[arg(long, value_name = "WHEN", value_parser = crate::when::parse)]
        on: Option<jiff::Timestamp>,
    },
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<ProfileSpec>(client, report),
            Self::ReadyMade { name, time_zone } => {
                ready_made(client, report, name.as_deref(), &time_zone)
            }
            Self::Apply { file, tenant } => apply(client, report, &file, tenant.as_deref()),
            Self::Next(one) => next(client, report, &one),
            Self::Enable(one) => enable(client, report, &one, true),
            Self::Disable(one) => enable(client, report, &one, false),
            Self::Preview { one, file, on } => preview(client, report, &one, file.as_deref(), on),
        }
    }
}

impl Shown for ProfileSpec {
    const COLUMNS: &'static [&'static str] = &["enabled", "scope", "periods", "storage"];

    fn cells(&self) -> Vec<String> {
        let scope = match self.scope {
            Scope::Full => "full",
            Scope::Manager => "manager",
            Scope::Partial { .. } => "partial",
        };
        let periods: Vec<&str> = self.periods.iter().map(|p| &p.name[..]).collect();
        let storage = self.storage.clone().unwrap_or_else(|| "default".to_owned());
        vec![loud(self.enabled), scope.to_owned(), periods.join(", "), storage]
    }

    fn document(profile: &Object<Self>) -> Value {
        json!(profile.spec.named(&profile.name))
    }
}

fn ready_made(
    client: &Client,
    report: &Report,
    wanted: Option<&str>,
    time_zone: &str,
) -> anyhow::Result<()> {
    let mut all = client.ready_made_profiles(time_zone)?;
    if let Some(wanted) = wanted {
        all.retain(|profile| profile.name == wanted);
        let Some(profile) = all.first() else {
            return Err(usage(format!("there is no ready-made profile {wanted}")));
        };
        return match report.is_json() {
            true => report.event("profile", json!(profile)),
            false => noun::document(report, &profile.spec.named(&profile.name)),
        };
    }
    if report.is_json() {
        return all.iter().try_for_each(|profile| report.event("profile", json!(profile)));
    }
    let mut table = show::Table::new(["name", "what it takes"], &[]);
    for profile in all {
        table.row([profile.name, profile.spec.note]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))
}

fn enable(client: &Client, report: &Report, one: &One, enabled: bool) -> anyhow::Result<()> {
    one.change(client, report, None, |spec: &mut ProfileSpec| spec.enabled = enabled)
}

fn load(file: &Path) -> anyhow::Result<Profile> {
    let (name, text) = (file.display(), document::read(file, FILE_BYTES)?);
    // By way of JSON, in which a choice is an object with one field.
    let value = serde_norway::from_str::<serde_json::Value>(&text);
    let wrong = |error: &dyn std::fmt::Display| {
        usage(format!("{name} describes no profile: {}", plain(&error.to_string())))
    };
    serde_json::from_value(value.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))
}

fn apply(
    client: &Client,
    report: &Report,
    file: &Path,
    tenant: Option<&str>,
) -> anyhow::Result<()> {
    let profile = load(file)?;
    let name = profile.name.clone();
    noun::apply(client, report, name, ProfileSpec::from(profile), tenant)
}

fn next(client: &Client, report: &Report, one: &One) -> anyhow::Result<()> {
    let profile = one.find::<ProfileSpec>(client)?;
    let reading = client.read_profile(&profile.spec)?;
    report.event("reading", json!(reading))?;
    for period in reading.periods {
        report.text(format!("{}: {}", period.name, period.words))?;
        for moment in period.next {
            report.text(format!("  {}", show::time_with_zone(moment)))?;
        }
    }
    if !profile.spec.enabled {
        report.note("it is disabled: `tintype profile enable` lets it run");
    }
    Ok(())
}

fn preview(
    client: &Client,
    report: &Report,
    one: &One,
    file: Option<&Path>,
    on: Option<jiff::Timestamp>,
) -> anyhow::Result<()> {
    let profile = one.find::<ProfileSpec>(client)?.id;
    let spec = file.map(|file| anyhow::Ok(ProfileSpec::from(load(file)?))).transpose()?;
    let preview = client.preview_profile(&NewPreview { profile, spec, on })?;
    report.event("preview", json!(preview))?;
    for period in preview.periods {
        report.text(format!("{}: {} would go at once", period.name, period.would_go_now))?;
        let mut columns = vec!["snapshot", "time", "goes", "would go", "waits for"];
        columns.extend(on.map(|_| "there then"));
        let mut table = Table::new(columns, &[]);
        for one in period.snapshots {
            let at = |going: &Going| going.at.map_or_else(|| "never".to_owned(), show::time);
            let there = one.after.is_there.map(|is| if is { "yes" } else { "no" }.to_owned());
            let row = [
                short(&one.id).to_owned(),
                show::time(one.time),
                at(&one.before),
                at(&one.after),
                one.after.waits_for.join("; "),
            ];
            table.row(row.into_iter().chain(there));
        }
        table.lines().into_iter().try_for_each(|line| report.text(line))?;
    }
    Ok(())
}
