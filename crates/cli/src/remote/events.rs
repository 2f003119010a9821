//! `events`.

use serde_json::{Value, json};
use tintype_api::change::ChangesQuery;
use tintype_api::client::Client;

use super::Common;
use super::noun::Tenants;
use crate::exit::Exit;
use crate::report::Report;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype events                 what changes, as it changes, until Ctrl-C
  tintype events --tenant acme --json
  tintype events --once --after 3f2a9c0d1b7e-120    what came since; then the end

With --json each has the id to go on behind. `reset`: more happened than the manager remembers.")]
pub(crate) struct Args {
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Go on behind this event
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Only what came until now
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| follow(&self, client, report))
    }
}

fn follow(args: &Args, client: &Client, report: &Report) -> anyhow::Result<()> {
    let tenants = Tenants::of(client)?;
    let tenant = args.tenant.as_deref().map(|name| tenants.id(name)).transpose()?;
    let query = ChangesQuery {
        tenant: tenant.map(|id| id.to_string()),
        after: args.after.clone(),
        follow: Some(!args.once),
    };
    let mut events = client.changes(&query)?;
    while let Some(event) = events.next().transpose()? {
        let id = events.last_id.clone();
        let of: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if event.name == "reset" {
            report.event("reset", json!({ "id": id }))?;
            report.text("more happened than the manager remembers: look at everything again")?;
            continue;
        }
        report.event("change", json!({ "id": id, "of": of }))?;
        let word = |field: &str| of[field].as_str().unwrap_or_default().to_owned();
        report.text(format!("{} {} {}", word("kind"), word("id"), word("change")))?;
    }
    if args.once {
        report.event("until", json!({ "id": events.last_id }))?;
    }
    Ok(())
}
