//! The nouns of `agent`: those that have joined, and tokens for new ones.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::json;
use tintype_api::agent::{AgentSpec, AgentState, NewJoinToken};
use tintype_api::client::Client;
use tintype_api::object::Object;
use tintype_engine::env::Env;
use tintype_runner::vault::discover::Found;

use super::noun::{self, Tenants};
use super::resource;
use crate::exit::usage;
use crate::report::Report;
use crate::show::{self, Table};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// All that you may see, and which of them are away
    List,
    /// One, with what was last heard of it
    Show {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
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
        name: String,
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Delete one: its identity counts no more, at once
    Delete {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Show what runs on its host and can be protected, as `tintype discover` does
    Discover {
        name: String,
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
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
            Self::List => list(client, report),
            Self::Show { name, tenant } => {
                let agent = noun::find::<AgentSpec>(client, &name, tenant.as_deref())?;
                let state = client.agent_state(&agent.id)?;
                if report.is_json() {
                    return report.event("agent", json!({ "agent": agent, "state": state }));
                }
                noun::show(report, &agent)?;
                let text = serde_norway::to_string(&json!({ "state": state }))?;
                text.lines().try_for_each(|line| report.text(line))
            }
            Self::Token { tenant, valid, addresses } => {
                token(client, report, tenant, &valid, addresses)
            }
            Self::Change { name, rename, enabled, tenant } => {
                let of = (&name[..], tenant.as_deref());
                noun::change(client, report, of, rename, |spec: &mut AgentSpec| {
                    spec.is_enabled = enabled.unwrap_or(spec.is_enabled);
                })
            }
            Self::Delete { name, tenant } => {
                noun::delete::<AgentSpec>(client, report, &name, tenant.as_deref())
            }
            Self::Discover { name, tenant } => discover(client, report, &name, tenant.as_deref()),
            Self::Apply { name, file, tenant } => {
                resource::apply(client, report, &file, tenant.as_deref(), Some(&name))
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

fn list(client: &Client, report: &Report) -> anyhow::Result<()> {
    let agents = client.list::<AgentSpec>()?;
    let tenants = Tenants::of(client)?;
    let mut table =
        Table::new(["name", "tenant", "host", "version", "state", "last seen", "doing"], &[]);
    let mut away = Vec::new();
    for agent in &agents {
        let state = client.agent_state(&agent.id)?;
        report.event("agent", json!({ "agent": agent, "state": state }))?;
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
        away.extend(state.command.map(|command| (name.clone(), spec.host.clone(), command)));
    }
    if report.is_json() {
        return Ok(());
    }
    for line in table.lines() {
        report.text(line)?;
    }
    for (name, host, command) in away {
        report.note(format!("{name} is away; on {host}, if it does not come back: {command}"));
    }
    Ok(())
}

fn word(spec: &AgentSpec, state: &AgentState) -> &'static str {
    match (spec.is_enabled, state.is_here) {
        (false, _) => "switched off",
        (true, true) => "here",
        (true, false) => "AWAY",
    }
}

fn discover(
    client: &Client,
    report: &Report,
    name: &str,
    tenant: Option<&str>,
) -> anyhow::Result<()> {
    let agent = noun::find::<AgentSpec>(client, name, tenant)?;
    let discovered = client.discover(&agent.id)?;
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
