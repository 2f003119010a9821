//! `audit`.

use serde_json::json;
use tintype_api::client::Client;

use super::noun::{Said, Verb};
use super::view::{Newest, View};
use crate::report::Report;
use crate::show::{self, Table};

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype audit list --watch                       each entry as it comes
  tintype audit list --limit 1000 --json > audit.jsonl
  tintype audit check                              reads the whole log, and computes every hash again")]
pub(crate) enum Command {
    /// The newest entries
    List(Newest),
    /// Whether nothing was changed, taken out or cut off
    Check,
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List(newest) => newest.tell(client, report, |client| {
                let mut table = Table::new(["time", "who", "what", "to", "outcome"], &[]);
                let mut view = View::default();
                for entry in client.audit(newest.limit)?.items.into_iter().rev() {
                    view = view.with("audit", json!(entry));
                    let time = show::time(entry.time);
                    table.row([time, entry.actor, entry.action, entry.object, entry.outcome]);
                }
                Ok(view.table(&table))
            }),
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
