//! When the manager has moved: a notice in each storage, signed by the authority that agents pin, says
//! where it is. Agents that reach none of its addresses look there.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tintype_api::agent::{AgentSpec, Move, Notice};
use tintype_api::object::Object;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::Result;
use tintype_model::identifier::Id;
use tokio::sync::watch;

use crate::catalog::facts;
use crate::state::State;
use crate::vaults::blocking;

/// Of the facts: the addresses that agents were told last. It travels with the manager's state, and
/// is how a recovered manager sees that it is elsewhere.
const FACT: &str = "agents-addresses";
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

/// What was told of where the manager is, and in which storages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// The notice's: one that is left later is the same.
    moved: Move,
    storages: BTreeSet<Id>,
}

/// What of what was told before still counts; none: everybody is told anew.
fn before(fact: Option<&str>, addresses: &[String]) -> Option<Told> {
    let told: Told = serde_json::from_str(fact?).ok()?;
    (told.moved.addresses == addresses).then_some(told)
}

/// Leaves it where it is not yet; one that cannot be told keeps no other from it.
pub async fn tell(state: &State) -> Result<()> {
    let addresses = state.addresses();
    let fact = facts::get(&mut *state.catalog.read().await?, FACT).await?;
    // As it was written before there were several to keep apart.
    let told_before = json!(addresses).to_string();
    if fact.as_ref() == Some(&told_before) {
        return Ok(());
    }
    let agents: Vec<Object<AgentSpec>> = state.catalog.all(None).await?;
    let storages: Vec<Object<StorageSpec>> = state.catalog.all(None).await?;
    let reached = storages
        .into_iter()
        .filter(|s| s.spec.kind == StorageKind::Mounted || s.spec.kind.scheme().is_some());
    let known = before(fact.as_deref(), &addresses);
    let mut told = known.clone().unwrap_or_else(|| Told {
        moved: Move { time: state.now(), addresses },
        storages: BTreeSet::new(),
    });
    let (name, text) = notice(state, &told.moved)?;
    let mut failure = None;
    for storage in reached {
        if told.storages.contains(&storage.id) {
            continue;
        }
        // Before there is an agent nobody must be told.
        if !agents.is_empty()
            && let Err(error) = leave(state, &storage, &name, &text).await
        {
            // The others may be those that agents look into.
            failure = failure.or(Some(error.context(format!("storage {}", storage.name))));
            continue;
        }
        told.storages.insert(storage.id);
    }
    if known.as_ref() != Some(&told) {
        let text = json!(told).to_string();
        let mut change = state.catalog.change().await?;
        facts::set(change.on(), FACT, &text).await?;
        change.commit_own_books().await?;
    }
    failure.map_or(Ok(()), Err)
}

fn notice(state: &State, moved: &Move) -> Result<(String, Vec<u8>)> {
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
