//! `audit`.

use serde_json::json;
use tintype_api::client::Client;

use super::Common;
use crate::exit::Exit;
use crate::report::Report;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype audit list
  tintype audit list --limit 1000 --json > audit.jsonl
  tintype audit check                              reads the whole log, and computes every hash again")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The newest entries
    List {
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Whether nothing was changed, taken out or cut off
    Check,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| self.command.run(client, report))
    }
}

impl Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List { limit } => {
                let entries = client.audit(limit)?.items;
                let mut table = Table::new(["time", "who", "what", "to", "outcome"], &[]);
                for entry in entries.iter().rev() {
                    report.event("audit", json!(entry))?;
                    table.row([
                        show::time(entry.time),
                        entry.actor.clone(),
                        entry.action.clone(),
                        entry.object.clone(),
                        entry.outcome.clone(),
                    ]);
                }
                for line in table.lines() {
                    report.text(line)?;
                }
                Ok(())
            }
            Self::Check => {
                let check = client.check_audit()?;
                report.event("audit-check", json!(check))?;
                if let Some(n) = check.broken_at {
                    let what = format!("the audit log is not whole: entry {n} does not fit");
                    return Err(tintype_engine::Error::corrupt(what).into());
                }
                report.text(format!("{} entries, whole; head {}", check.entries, check.head))
            }
        }
    }
}
