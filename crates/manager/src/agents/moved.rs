//! When the manager has moved: a notice in each storage, signed by the authority that agents pin, says
//! where it is. Agents that reach none of its addresses look there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tintype_api::agent::{AgentSpec, Move, Notice};
use tintype_api::object::Object;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::{Error, Result};
use tokio::sync::watch;

use crate::catalog::facts;
use crate::catalog::objects::Filter;
use crate::state::State;
use crate::vaults::blocking;

/// Of the facts: the addresses that agents were told last. It travels with the manager's state, and
/// is how a recovered manager sees that it is elsewhere.
const FACT: &str = "agents-addresses";
const MOST: i64 = 100_000;
/// A storage that could not be written to is tried again.
const AGAIN: Duration = Duration::from_mins(1);

/// Leaves the notices that are due, until it has succeeded or the manager ends.
pub async fn run(state: State, mut end: watch::Receiver<bool>) {
    while let Err(error) = tell(&state).await {
        tracing::warn!(%error, "agents cannot be told yet where the manager is now; trying again");
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = end.changed() => return,
        }
    }
}

async fn tell(state: &State) -> Result<()> {
    let addresses = state.addresses();
    let now = serde_json::to_string(&addresses).map_err(|e| Error::internal(e.to_string()))?;
    let before = facts::get(&mut *state.catalog.read().await?, FACT).await?;
    if before.as_ref() == Some(&now) {
        return Ok(());
    }
    let all = Filter { limit: MOST, ..Filter::default() };
    let agents: Vec<Object<AgentSpec>> = state.catalog.list(&all).await?;
    // Before there is an agent nobody must be told.
    if !agents.is_empty() {
        let (name, text) = notice(state, addresses)?;
        let storages: Vec<Object<StorageSpec>> = state.catalog.list(&all).await?;
        let reached = storages
            .into_iter()
            .filter(|s| s.spec.kind == StorageKind::Mounted || s.spec.kind.scheme().is_some());
        for storage in reached {
            leave(state, &storage, &name, &text)
                .await
                .map_err(|error| error.context(format!("storage {}", storage.name)))?;
        }
    }
    let mut change = state.catalog.change().await?;
    facts::set(change.on(), FACT, &now).await?;
    change.commit_own_books().await
}

fn notice(state: &State, addresses: Vec<String>) -> Result<(String, Vec<u8>)> {
    let moved = Move { time: state.now(), addresses };
    let text = json!(moved).to_string();
    let signature = STANDARD.encode(state.authority.sign(text.as_bytes())?);
    let notice = json!(Notice { text, signature }).to_string();
    let name = format!("{}/{:016}", state.installation, moved.time.as_millisecond());
    Ok((name, notice.into_bytes()))
}

async fn leave(
    state: &State,
    storage: &Object<StorageSpec>,
    name: &str,
    text: &[u8],
) -> Result<()> {
    // One that was replaced must not call the agents back.
    state.still_leads(storage).await?;
    let place = state.place(storage, None).await?;
    let expected = crate::state::Shared::expected(&storage.spec);
    let (name, text, env) = (name.to_owned(), text.to_owned(), state.host.env.clone());
    blocking(move || {
        tintype_runner::vault::check_mount(&expected, &place)?;
        place.leave_notice(&name, &text, &env)
    })
    .await
}
