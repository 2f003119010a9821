//! `run`, and how other commands follow one.

use std::time::Duration;

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::run::{LogLevel, Run, RunState};
use tintype_engine::env::Env;
use tintype_model::identifier::Id;

use super::Common;
use super::noun::{self, Tenants};
use crate::exit::{Ended, Exit};
use crate::report::Report;
use crate::show::{self, Table};

/// It is asked so often how far a run is.
const LOOK: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype run list
  tintype run show 01h…
  tintype run follow 01h…         its log as it comes, until it is over
  tintype run cancel 01h…")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The newest first
    List {
        #[arg(long, value_name = "N", default_value_t = 50)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// How far it is, or what came of it
    Show { id: Id },
    /// Its log as it comes, until it is over
    Follow { id: Id },
    /// Stop it
    Cancel { id: Id },
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.command.run(client, report))
    }
}

impl Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List { limit } => list(client, report, limit),
            Self::Show { id } => show_run(report, &client.run(&id)?),
            Self::Follow { id } => follow(client, report, &client.run(&id)?).map(drop),
            Self::Cancel { id } => {
                let run = client.cancel_run(&id)?;
                report.event("run", json!(run))?;
                match run.state.is_over() {
                    true => report.text(format!("{} is cancelled", run.title)),
                    false => report.text(format!("{} stops at the next safe point", run.title)),
                }
            }
        }
    }
}

fn list(client: &Client, report: &Report, limit: u32) -> anyhow::Result<()> {
    let page: Page<Run> = client.get(&format!("/runs?limit={limit}"))?;
    if report.is_json() {
        return page.items.iter().try_for_each(|run| report.event("run", json!(run)));
    }
    let tenants = Tenants::of(client)?;
    let mut table = Table::new(["run", "kind", "state", "begun", "tenant", "by", "what"], &[]);
    for run in page.items {
        let begun = run.started.map_or_else(|| "–".to_owned(), show::time);
        table.row([
            run.id.to_string(),
            run.kind.name().to_owned(),
            run.state.name().to_owned(),
            begun,
            tenants.name(&run.tenant),
            run.by,
            run.title,
        ]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))
}

fn show_run(report: &Report, run: &Run) -> anyhow::Result<()> {
    if report.is_json() {
        return report.event("run", json!(run));
    }
    noun::document(report, run)
}

/// Tells its log until it is over. Not all of it well: an error with the exit code of that.
pub(super) fn follow(client: &Client, report: &Report, run: &Run) -> anyhow::Result<Run> {
    let clock = Env::system().clock;
    let mut after = 0;
    loop {
        let now = client.run(&run.id)?;
        let lines = client.run_log(&run.id, after)?;
        for line in &lines {
            report.event("log", json!(line))?;
            let word = match line.level {
                LogLevel::Info => "",
                LogLevel::Warning => "warning: ",
                LogLevel::Error => "error: ",
            };
            report.text(format!("{word}{}", line.text))?;
            after = line.n;
        }
        if now.state.is_over() && lines.is_empty() {
            report.event("run", json!(now))?;
            return ended(now);
        }
        clock.sleep(LOOK);
    }
}

fn ended(run: Run) -> anyhow::Result<Run> {
    let cause = run.cause.clone().unwrap_or_else(|| run.state.name().to_owned());
    let ended = |exit| Err(Ended { exit, what: cause.clone() }.into());
    match run.state {
        RunState::Incomplete => ended(Exit::Incomplete),
        RunState::Failed => ended(Exit::Failed),
        RunState::Canceled => ended(Exit::Interrupted),
        _ => Ok(run),
    }
}
