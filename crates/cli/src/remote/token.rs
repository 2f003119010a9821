//! `token`.

use jiff::Timestamp;
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::token::TokenSpec;
use tintype_model::rights::Role;

use super::noun::{Said, Shown, Tenants, Usual, Verb};
use crate::report::Report;
use crate::show;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype token create ci --role operator --tenant acme --expires 2027-01-01T00:00:00Z
  TINTYPE_URL=https://backup.example.com TINTYPE_TOKEN=tintype_… tintype tenant list
  tintype token delete ci

The secret is printed once, at creation.")]
#[command(mut_subcommand("show", |it| it.about("One, without its secret")))]
#[command(mut_subcommand("delete", |it| it.about("Delete one: whoever has its secret is out at once")))]
#[command(mut_subcommand("list", |it| it.about("All that you may see, without their secrets")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
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
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<TokenSpec>(client, report),
            Self::Create { name, role, tenant, expires } => {
                let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
                let spec = TokenSpec::new(role, expires);
                let made = client.create_token(&NewObject { name, tenant, spec })?;
                report.event("token", json!(made))?;
                report.note(format!("token {} made; its secret, told this once:", made.token.name));
                report.text(made.secret)
            }
        }
    }
}

impl Shown for TokenSpec {
    const COLUMNS: &'static [&'static str] = &["role", "expires", "last used"];

    fn cells(&self) -> Vec<String> {
        let time = |time: &Option<Timestamp>| time.map_or("never".into(), show::time);
        vec![self.role.to_string(), time(&self.expires), time(&self.last_used)]
    }
}
