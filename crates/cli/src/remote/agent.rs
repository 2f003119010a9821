//! The nouns of `agent`: those that have joined, and tokens for new ones.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::json;
use tintype_api::agent::{AgentSpec, AgentState, Discovered, NewJoinToken};
use tintype_api::client::Client;
use tintype_api::object::Object;
use tintype_engine::env::Env;
use tintype_runner::vault::discover::Found;

use super::noun::{One, Tenants};
use super::resource::{self, Places};
use super::view::{View, Watch};
use crate::exit::usage;
use crate::report::Report;
use crate::show::{self, Table};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// All that you may see, and which of them are away
    List(Watch),
    /// One, with what was last heard of it
    Show {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        watch: Watch,
    },
    /// Make a token with which one agent joins, once
    Token {
        /// To whom the agent will belong; one of the system works for all
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// How long it can be used: 30m, 12h; a week at most
        #[arg(long, value_name = "TIME", default_value = "1h")]
        valid: String,
        /// Where the agent reaches the manager, if not under the names that this knows of itself
        /// (repeatable)
        #[arg(long = "address", value_name = "HOST:PORT")]
        addresses: Vec<String>,
    },
    /// Rename one, or say whether it gets work
    Change {
        #[command(flatten)]
        one: One,
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
    },
    /// Delete one: its identity counts no more, at once
    Delete(One),
    /// Show what runs on its host and can be protected, as `tintype discover` does
    Discover(One),
    /// Make or change all resources that a file describes, on its host
    Apply {
        /// `-`: the manager's own host
        name: String,
        /// As `discover` writes it; `-` is standard input
        file: PathBuf,
        /// Of the resources
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
}

impl Command {
    pub(crate) fn run(self, client: &Client, report: &Report) -> anyhow::Result<()> {
        match self {
            Self::List(watch) => watch.tell(client, report, list),
            Self::Show { one, watch } => watch.tell(client, report, |client| {
                let agent = one.find::<AgentSpec>(client)?;
                let state = client.agent_state(&agent.id)?;
                let view = View::default().with("agent", json!({ "agent": agent, "state": state }));
                view.document(&agent)?.document(&json!({ "state": state }))
            }),
            Self::Token { tenant, valid, addresses } => {
                token(client, report, tenant, &valid, addresses)
            }
            Self::Change { one, rename, enabled } => {
                one.change(client, report, rename, |spec: &mut AgentSpec| {
                    spec.is_enabled = enabled.unwrap_or(spec.is_enabled);
                })
            }
            Self::Delete(one) => one.delete::<AgentSpec>(client, report),
            Self::Discover(one) => {
                let agent = one.find::<AgentSpec>(client)?;
                discovered(report, client.discover(&agent.id)?)
            }
            Self::Apply { name, file, tenant } => {
                let places = Places { agent: Some(&name), through: None };
                resource::apply(client, report, &file, tenant.as_deref(), &places)
            }
        }
    }
}

fn token(
    client: &Client,
    report: &Report,
    tenant: Option<String>,
    valid: &str,
    addresses: Vec<String>,
) -> anyhow::Result<()> {
    let tenant = tenant.map(|name| Tenants::of(client)?.id(&name)).transpose()?;
    let valid = tintype_model::duration::parse(valid)
        .map_err(|error| usage(format!("--valid {valid}: {error}")))?;
    let valid = SignedDuration::try_from(valid)?;
    let expires = Env::system().clock.now().checked_add(valid)?;
    let new = NewJoinToken { tenant, expires: Some(expires), addresses };
    let made = client.create_join_token(&new)?;
    report.event("token", json!(made))?;
    let until = show::time(made.expires);
    report.note(format!("works once, until {until}: `tintype agent --join TOKEN` on that host"));
    report.text(made.token)
}

fn list(client: &Client) -> anyhow::Result<View> {
    let agents = client.list::<AgentSpec>()?;
    let tenants = Tenants::of(client)?;
    let mut table =
        Table::new(["name", "tenant", "host", "version", "state", "last seen", "doing"], &[]);
    let mut view = View::default();
    for agent in &agents {
        let state = client.agent_state(&agent.id)?;
        view = view.with("agent", json!({ "agent": agent, "state": state }));
        let Object { name, tenant, spec, .. } = agent;
        table.row([
            name.clone(),
            tenants.name(tenant),
            spec.host.clone(),
            state.version.clone(),
            word(spec, &state).to_owned(),
            state.last_seen.map_or_else(|| "not yet".to_owned(), show::time),
            state.doing.join(", "),
        ]);
        view = match (state.refused, state.command) {
            (Some(why), _) => view.note(format!("{name}: {why}")),
            (None, Some(command)) => {
                let host = &spec.host;
                view.note(format!("{name} is away; on {host}, if it does not come back: {command}"))
            }
            (None, None) => view,
        };
    }
    Ok(view.table(&table))
}

fn word(spec: &AgentSpec, state: &AgentState) -> &'static str {
    match (spec.is_enabled, state.is_here) {
        _ if state.refused.is_some() => "REFUSED",
        (false, _) => "switched off",
        (true, true) => "here",
        (true, false) => "AWAY",
    }
}

/// As the file that `apply` reads.
pub(super) fn discovered(report: &Report, discovered: Discovered) -> anyhow::Result<()> {
    for problem in &discovered.problems {
        report.warn(problem);
    }
    let mut found = Vec::new();
    for one in discovered.found {
        report.event("resource", json!(one))?;
        let reaches = serde_json::from_value(json!(one.reaches))?;
        found.push(Found { resource: one.resource, reaches, why_not_more: one.why_not_more });
    }
    match report.is_json() {
        true => Ok(()),
        false => crate::report::raw(crate::discover::yaml(&found)?.as_bytes()),
    }
}
