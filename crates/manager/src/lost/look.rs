//! Which installations have snapshots in a storage: what is known of them without a key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::{Env, Place};

use crate::catalog::objects;
use crate::state::State;
use crate::vaults::{Note, blocking};

/// An installation that has snapshots in a storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installation {
    pub id: Id,
    pub created: Timestamp,
    /// When its manager last left its own state there.
    pub written: Option<Timestamp>,
    /// Names that it gives to its storages, there and elsewhere.
    pub storages: Vec<String>,
    /// Of repositories that may hold the manager's state, newest first.
    #[serde(skip)]
    pub places: Vec<String>,
    pub repositories: usize,
}

/// Left in the storage with each snapshot that holds the manager's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Card {
    time: Timestamp,
    program: String,
    storages: Vec<String>,
}

/// Those that left a note in the storage; needs no key.
pub fn installations(place: &Place, env: &Env) -> Result<Vec<Installation>> {
    let mut found: BTreeMap<Id, Installation> = BTreeMap::new();
    for (name, text) in place.notes(env)? {
        let Ok(note) = serde_json::from_slice::<Note>(&text) else {
            tracing::warn!(name, "this note cannot be read, and is passed over");
            continue;
        };
        let one = found.entry(note.installation.clone()).or_insert_with(|| Installation {
            id: note.installation.clone(),
            created: note.created,
            written: None,
            storages: Vec::new(),
            places: Vec::new(),
            repositories: 0,
        });
        one.repositories += 1;
        one.created = one.created.min(note.created);
        if note.is_system {
            one.places.insert(0, note.place);
        }
    }
    for (id, text) in place.cards(env)? {
        let of = |one: &&mut Installation| one.id.as_str().eq_ignore_ascii_case(&id);
        let one = found.values_mut().find(of);
        let (Some(one), Ok(card)) = (one, serde_json::from_slice::<Card>(&text)) else { continue };
        if one.written.is_none_or(|written| written < card.time) {
            (one.written, one.storages) = (Some(card.time), card.storages);
        }
    }
    Ok(found.into_values().collect())
}

/// After a snapshot: a card that cannot be left harms nobody.
pub async fn leave_card(state: &State, storage: &Id) {
    if let Err(error) = try_leave_card(state, storage).await {
        tracing::warn!(%error, "the storage cannot be told when the manager wrote last");
    }
}

async fn try_leave_card(state: &State, storage: &Id) -> Result<()> {
    let mut on = state.catalog.read().await?;
    let storage = objects::get::<StorageSpec>(&mut on, storage).await?;
    let all: Vec<Object<StorageSpec>> = objects::all(&mut on, None).await?;
    drop(on);
    let time = state.now();
    let storages = all.into_iter().map(|storage| storage.name).collect();
    let card = Card { time, program: env!("CARGO_PKG_VERSION").to_owned(), storages };
    let text = serde_json::to_vec(&card).map_err(|error| Error::internal(error.to_string()))?;
    let place = state.place(&storage, None).await?;
    let (installation, env) = (state.installation.to_string(), state.host.env.clone());
    let now = format!("{:016}", time.as_millisecond());
    blocking(move || place.leave_card(&installation, &now, &text, &env)).await
}
