//! `status`.

use serde_json::json;
use tintype_api::client::Client;
use tintype_api::status::Status;

use super::Common;
use super::noun::Tenants;
use super::view::{View, Watch};
use crate::exit::Exit;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype status                 what can be restored as of when, and what speaks against it
  tintype status --tenant acme
  tintype status --watch")]
pub(crate) struct Args {
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        let tenant = self.tenant.as_deref();
        self.common
            .ask(|client, report| self.watch.tell(client, report, |client| seen(client, tenant)))
    }
}

fn seen(client: &Client, tenant: Option<&str>) -> anyhow::Result<View> {
    let tenants = Tenants::of(client)?;
    let tenant = tenant.map(|name| tenants.id(name)).transpose()?;
    let of = tenant.map(|id| format!("?tenant={id}")).unwrap_or_default();
    let status: Status = client.get(&format!("/status{of}"))?;
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
    let mut view = View::default().with("status", json!(status)).table(&table);
    for warning in &status.warnings {
        view = view.warning(format!("{}; {}", warning.what, warning.cure));
    }
    Ok(match status.warnings.is_empty() {
        true => view.line("nothing speaks against a restore"),
        false => view,
    })
}
