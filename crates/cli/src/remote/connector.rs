//! `connector`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tintype_api::agent::AgentSpec;
use tintype_api::client::Client;
use tintype_api::connector::ConnectorSpec;
use tintype_api::object::ChangedObject;
use tintype_engine::env::Env;

use super::noun::{self, One, Said, Shown, Usual, Verb, word};
use crate::exit::usage;
use crate::report::Report;
use crate::secret::{self, Sources};
use crate::show;

pub(crate) type Args = Said<Command>;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  tintype connector add orders --connector postgres --set host=db.example.com --set user=tintype \\
      --set sslmode=verify-full --password-file db.password
  tintype connector add hall --connector libvirt --set uri=qemu:///session --agent web1
  tintype resource apply orders.yaml --through orders
  tintype connector check orders
  tintype connector change orders --password-file new.password
  tintype connector list
  tintype connector delete orders

A connector is how a server is reached, and the password for it, which lies sealed in the manager.
Resources go through it. It is tried out before it is accepted.")]
#[command(mut_subcommand("delete", |it| it.about("Delete one through which no resource goes")))]
pub(crate) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Add one, after it was tried out
    Add {
        #[command(flatten)]
        one: One,
        /// What it speaks: postgres, mariadb, redis, libvirt
        #[arg(long, value_name = "NAME")]
        connector: String,
        #[command(flatten)]
        place: Place,
        /// From the host of this agent; default: from the manager's own
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// Change where it leads, or its password, after it was tried out
    Change {
        #[command(flatten)]
        one: One,
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[command(flatten)]
        place: Place,
        /// From now on it needs none
        #[arg(long, conflicts_with = "password_file")]
        without_password: bool,
    },
    /// Try it out now
    Check(One),
}

// Where it leads.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// A field of `at`, as `tintype discover --schema` describes them (repeatable)
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// File with the password (one line); else it comes from TINTYPE_CONNECTOR_PASSWORD, if that is set
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Place {
    fn put(&self, at: &mut Map<String, Value>) -> anyhow::Result<()> {
        for pair in &self.set {
            let parts = pair.split_once('=');
            let (field, value) =
                parts.ok_or_else(|| usage(format!("--set {pair}: write it FIELD=VALUE")))?;
            let value = serde_norway::from_str(value)
                .map_err(|error| usage(format!("--set {field}: {error}")))?;
            at.insert(field.to_owned(), value);
        }
        Ok(())
    }

    fn password(&self, report: &Report) -> anyhow::Result<Option<String>> {
        let sources = Sources {
            file: self.password_file.as_deref(),
            variable: "TINTYPE_CONNECTOR_PASSWORD",
            options: "--password-file or TINTYPE_CONNECTOR_PASSWORD",
            ..Sources::default()
        };
        Ok(secret::given(&sources, report)?.map(|text| text.to_string()))
    }
}

impl Verb for Command {
    fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::Usual(usual) => usual.run::<ConnectorSpec>(client, report),
            Self::Add { one, connector, place, agent } => {
                let agent = agent.map(|name| noun::find::<AgentSpec>(client, &name, None));
                let agent = agent.transpose()?.map(|agent| agent.id);
                let password = place.password(report)?;
                let mut at = Map::new();
                place.put(&mut at)?;
                let has_password = password.is_some();
                let spec = ConnectorSpec { connector, at, agent, password, has_password };
                one.create(client, report, spec)
            }
            Self::Change { one, rename, place, without_password } => {
                let password = place.password(report)?;
                let connector = one.find::<ConnectorSpec>(client)?;
                let mut spec = connector.spec;
                place.put(&mut spec.at)?;
                let keeps = spec.has_password && !without_password;
                spec.has_password = keeps || password.is_some();
                spec.password = password;
                let changed = ChangedObject { name: rename, spec: Some(spec) };
                let after = client.change(&connector.id, Some(connector.version), &changed)?;
                noun::told(report, "changed", &after)
            }
            Self::Check(one) => {
                let connector = one.find::<ConnectorSpec>(client)?;
                let tried = client.check_connector(&connector.id)?;
                report.event("tried", json!({ "connector": connector.id, "tried": tried }))?;
                let now = show::time(Env::system().clock.now());
                let why = tried.why_not_more.map(|why| format!(" ({why})")).unwrap_or_default();
                let reaches = tried.reaches;
                report.text(format!("tried at {now}: a capture would reach {reaches}{why}"))
            }
        }
    }
}

impl Shown for ConnectorSpec {
    const COLUMNS: &'static [&'static str] = &["speaks", "at", "password"];

    fn cells(&self) -> Vec<String> {
        let at: Vec<String> = self
            .at
            .iter()
            .map(|(field, value)| match value.as_str() {
                Some(text) => format!("{field}={text}"),
                None => format!("{field}={value}"),
            })
            .collect();
        vec![self.connector.clone(), at.join(" "), word(self.has_password)]
    }
}
