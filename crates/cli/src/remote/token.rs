//! `token`.

use jiff::Timestamp;
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::token::TokenSpec;
use tintype_model::rights::Role;

use super::noun::Tenants;
use super::{Common, noun};
use crate::exit::Exit;
use crate::report::Report;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype token create ci --role operator --tenant acme --expires 2027-01-01T00:00:00Z
  TINTYPE_URL=https://backup.example.com TINTYPE_TOKEN=tintype_… tintype tenant list
  tintype token delete ci

The secret is printed once, at creation.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All that you may see, without their secrets
    List,
    /// Make one, that may at most what you may; it goes with you
    Create {
        name: String,
        /// At most one's own
        #[arg(long, value_parser = super::user::role)]
        role: Role,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Not valid from then on
        #[arg(long, value_name = "TIME")]
        expires: Option<Timestamp>,
    },
    /// Delete one: whoever has its secret is out at once
    Delete {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
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
                let columns = ["role", "expires", "last used"];
                noun::list::<TokenSpec>(client, report, &columns, |token| {
                    let TokenSpec { role, expires, last_used, .. } = &token.spec;
                    let time = |time: &Option<Timestamp>| time.map_or("never".into(), show::time);
                    vec![role.to_string(), time(expires), time(last_used)]
                })
            }
            Self::Create { name, role, tenant, expires } => {
                let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
                let spec = TokenSpec::new(role, expires);
                let made = client.create_token(&NewObject { name, tenant, spec })?;
                report.event("token", json!(made))?;
                report.note(format!("token {} made; its secret, told this once:", made.token.name));
                report.text(made.secret)
            }
            Self::Delete { name, tenant } => {
                noun::delete::<TokenSpec>(client, report, &name, tenant.as_deref())
            }
        }
    }
}
