//! `status`.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::status::Status;

use super::Common;
use super::noun::Tenants;
use crate::exit::Exit;
use crate::report::Report;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype status                 what can be restored as of when, and what speaks against it
  tintype status --tenant acme")]
pub(crate) struct Args {
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        self.common.ask(|client, report| told(client, report, self.tenant.as_deref()))
    }
}

fn told(client: &Client, report: &Report, tenant: Option<&str>) -> anyhow::Result<()> {
    let tenants = Tenants::of(client)?;
    let tenant = tenant.map(|name| tenants.id(name)).transpose()?;
    let of = tenant.map(|id| format!("?tenant={id}")).unwrap_or_default();
    let status: Status = client.get(&format!("/status{of}"))?;
    if report.is_json() {
        return report.event("status", json!(status));
    }
    let mut table = Table::new(["resource", "tenant", "can be restored as of"], &[]);
    for one in &status.resources {
        let as_of = match (one.last_good, one.is_protected) {
            (Some(time), true) => show::time(time),
            (Some(time), false) => format!("{} (no more are taken)", show::time(time)),
            (None, true) => "NEVER CAPTURED".to_owned(),
            (None, false) => "not protected".to_owned(),
        };
        table.row([one.name.clone(), tenants.name(&one.tenant), as_of]);
    }
    table.lines().into_iter().try_for_each(|line| report.text(line))?;
    for warning in &status.warnings {
        report.warn(format!("{}; {}", warning.what, warning.cure));
    }
    if status.warnings.is_empty() {
        report.text("nothing speaks against a restore")?;
    }
    Ok(())
}
