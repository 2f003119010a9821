//! After a recovery: whether agents come back, and whether connectors reach what they are for from
//! where they are now. Which do not is listed, with what helps.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use tintype_api::agent::AgentSpec;
use tintype_api::connector::ConnectorSpec;
use tintype_api::object::Object;
use tintype_api::run::{LogLevel, RunKind, RunState};
use tintype_model::count::counted;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};

use super::Handle;
use super::begin::BY_HAND;
use super::dispatcher::{Ended, nothing};
use crate::catalog::objects::{self, Filter};
use crate::catalog::runs::{New, Stored};
use crate::connectors::tried;
use crate::state::State;

/// An agent looks for its manager at other addresses, and in the store, when it is silent.
const AGENTS_COME_BACK: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(250);

/// What a run of this kind is to do.
#[derive(Serialize, Deserialize)]
struct Spec {
    /// Agents may take so long.
    agents_seconds: u64,
}

/// None where there is no agent and no connector.
pub async fn wanted(
    on: &mut AnyConnection,
    id: Id,
    tenant: &Id,
    not_before: jiff::Timestamp,
) -> Result<Option<New>> {
    let one = Filter { limit: 1, ..Filter::default() };
    let agents = objects::list::<AgentSpec>(on, &one).await?;
    let connectors = objects::list::<ConnectorSpec>(on, &one).await?;
    if agents.is_empty() && connectors.is_empty() {
        return Ok(None);
    }
    let spec = Spec { agents_seconds: AGENTS_COME_BACK.as_secs() };
    Ok(Some(New {
        id,
        tenant: tenant.clone(),
        kind: RunKind::CheckConnectors,
        title: "check of all agents and connectors".to_owned(),
        by: "manager".to_owned(),
        priority: BY_HAND,
        not_before,
        storage: None,
        spec: serde_json::to_value(spec).map_err(|error| Error::internal(error.to_string()))?,
        is_planned: false,
    }))
}

pub(super) async fn check(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let spec: Spec = stored.read_spec()?;
    let mut agents: Vec<Object<AgentSpec>> = state.catalog.all(None).await?;
    agents.retain(|agent| agent.spec.is_enabled);
    let connectors: Vec<Object<ConnectorSpec>> = state.catalog.all(None).await?;
    let (of_agents, of_connectors) = (agents.len(), connectors.len());
    let mut failed = Vec::new();
    for agent in away(state, handle, agents, spec.agents_seconds).await? {
        failed.push(not_back(state, &agent));
    }
    for connector in connectors {
        handle.cancel.check()?;
        let name = &connector.name;
        handle.doing(format!("trying connector {name}"));
        match tried(state, &connector, None).await {
            Ok(tried) => {
                let line = format!("connector {name} reaches its server: {}", tried.reaches);
                handle.log(state, LogLevel::Info, line).await;
            }
            Err(error) => failed.push(format!(
                "connector {name}: {error}; when that is mended: `tintype connector check {name}`"
            )),
        }
    }
    for line in &failed {
        handle.log(state, LogLevel::Error, line).await;
    }
    let result = json!({
        "agents": of_agents, "connectors": of_connectors, "failed": failed,
    });
    let (ended, cause) = match failed.len() as u64 {
        0 => (RunState::Succeeded, None),
        n => {
            let what = counted(n, "agent or connector is", "agents and connectors are");
            let cause = format!("{what} not there: the run's log says what to do about each");
            (RunState::Incomplete, Some(cause))
        }
    };
    Ok(Ended { state: ended, result, cause, write: nothing() })
}

/// Those that are not heard of in time.
async fn away(
    state: &State,
    handle: &Handle,
    mut agents: Vec<Object<AgentSpec>>,
    seconds: u64,
) -> Result<Vec<Object<AgentSpec>>> {
    let begun = state.clock.elapsed();
    loop {
        let (here, away): (Vec<_>, Vec<_>) =
            agents.into_iter().partition(|agent| state.outbox.seen(&agent.id).is_some());
        for agent in here {
            let line = format!("agent {} is back", agent.name);
            handle.log(state, LogLevel::Info, line).await;
        }
        let waited = state.clock.elapsed().saturating_sub(begun);
        if away.is_empty() || waited >= Duration::from_secs(seconds) {
            return Ok(away);
        }
        let names: Vec<&str> = away.iter().map(|agent| &agent.name[..]).collect();
        handle.doing(format!("waiting for agents: {}", names.join(", ")));
        handle.cancel.check()?;
        tokio::time::sleep(LOOK).await;
        agents = away;
    }
}

fn not_back(state: &State, agent: &Object<AgentSpec>) -> String {
    let (name, host) = (&agent.name, &agent.spec.host);
    let to = state.addresses().into_iter().next().unwrap_or_else(|| "ADDRESS:PORT".to_owned());
    format!(
        "agent {name} was not heard of: on its host {host} see that it runs and reaches this manager \
         (`tintype agent --manager {to}`), or let it join again (`tintype agent token`)"
    )
}
