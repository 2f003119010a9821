//! From a storage and twelve words to a manager: its host, its catalog and its master key are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tintype_api::snapshot::SnapshotScope;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::{Env, Place, Snapshot, Vault};

use super::import::{Head, head, import};
use super::lead;
use super::rebuild::{Rebuilt, rebuild};
use super::{STATE_BYTES, STATE_PATH};
use crate::catalog::objects::{self, Filter};
use crate::catalog::{Catalog, audit, repositories};
use crate::runs::captured::Word;
use crate::serve::{self, Options};
use crate::vaults::{Note, blocking};

/// An installation that has snapshots in a storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installation {
    pub id: Id,
    pub created: Timestamp,
    /// Of repositories that may hold the manager's state, newest first.
    #[serde(skip)]
    pub places: Vec<String>,
    pub repositories: usize,
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
            places: Vec::new(),
            repositories: 0,
        });
        one.repositories += 1;
        one.created = one.created.min(note.created);
        if note.is_system {
            one.places.insert(0, note.place);
        }
    }
    Ok(found.into_values().collect())
}

/// What is to be recovered.
pub struct Wanted {
    pub place: Place,
    /// Where there are several.
    pub installation: Option<Id>,
    /// Twelve words.
    pub words: String,
    /// The newest, if none.
    pub snapshot: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Recovered {
    pub installation: Id,
    pub snapshot: String,
    /// Of the state.
    pub time: String,
    pub tenants: usize,
    pub rebuilt: Rebuilt,
}

/// Only into a data directory and a database in which no manager has worked.
pub async fn recover(wanted: Wanted, options: &Options) -> Result<Recovered> {
    let _alone = serve::alone(&options.data)?;
    let catalog = serve::catalog(options).await?;
    refuse_used(&catalog).await?;
    let host = serve::host(options)?;
    let (place, id, env) = (wanted.place.clone(), wanted.installation, options.env.clone());
    let chosen = blocking(move || choose(&place, id.as_ref(), &env)).await?;
    let (place, words, snapshot) = (wanted.place.clone(), wanted.words, wanted.snapshot);
    let (vault, found, text) = blocking(move || {
        let vault = unlock(&place, &chosen, &words, &host)?;
        let found = newest(&vault, snapshot.as_deref())?;
        let text = vault.small(&found, STATE_PATH, STATE_BYTES)?;
        let text = text.ok_or_else(|| {
            let id = found.id.short();
            Error::not_found(format!("snapshot {id} does not hold the manager's state"))
        })?;
        let text = String::from_utf8(text);
        let text = text.map_err(|_| Error::corrupt("the manager's state is no text"))?;
        Ok((vault, found, text))
    })
    .await?;
    // Refused before anything is made.
    head(text.lines().next().unwrap_or_default())?;
    let key = serve::master_key(options, true)?;
    let mut change = catalog.change().await?;
    let random = &*options.env.random;
    let read = import(change.on(), &text, vault.key(), &key, random).await?;
    move_storage(&mut change, &vault, &wanted.place).await?;
    let before = lead::get(change.on()).await?;
    let (place, env) = (wanted.place.clone(), options.env.clone());
    let (now, installation) = (env.clock.now(), read.installation.clone());
    let manager = Id::new(now, random);
    let lead = blocking(move || lead::take(&place, &installation, &before, &manager, now, &env));
    lead::set(change.on(), &lead.await?).await?;
    let told = audit::New {
        time: options.env.clock.now(),
        tenant: &read.system,
        actor: "manager",
        action: "manager.recover",
        object: &format!("snapshot {}", found.id),
        outcome: "done",
        detail: json!({ "from": wanted.place.url }),
    };
    change.commit(&told).await?;
    let Head { installation, system, time } = read;
    let state = serve::state(catalog, key, system, options).await?;
    let rebuilt = rebuild(&state).await?;
    let filter = Filter { limit: 1_000_000, ..Filter::default() };
    let tenants: Vec<tintype_api::object::Object<tintype_api::tenant::TenantSpec>> =
        state.catalog.list(&filter).await?;
    state.catalog.close().await;
    let snapshot = found.id.to_string();
    Ok(Recovered { installation, snapshot, time, tenants: tenants.len(), rebuilt })
}

async fn refuse_used(catalog: &Catalog) -> Result<()> {
    match serve::find_system(catalog).await? {
        None => Ok(()),
        Some(_) => Err(Error::already_exists(
            "a manager has worked with this data directory and database: recover into an empty one \
             (--data, --database)",
        )),
    }
}

fn choose(place: &Place, wanted: Option<&Id>, env: &Env) -> Result<Installation> {
    let mut all = installations(place, env)?;
    if let Some(id) = wanted {
        all.retain(|one| one.id == *id);
    }
    let url = &place.url;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Error::invalid(format!(
            "{url} holds snapshots of several installations: say --installation ID"
        ))),
        (None, _) => {
            Err(Error::not_found(format!("{url} holds no snapshots of such an installation")))
        }
    }
}

fn unlock(
    place: &Place,
    installation: &Installation,
    words: &str,
    host: &tintype_runner::vault::Host,
) -> Result<Vault> {
    let mut failure = None;
    for below in &installation.places {
        match Vault::unlock(&place.below(below), words, host) {
            Ok(vault) => return Ok(vault),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::not_found("this storage holds no full snapshot: recover from another storage")
    }))
}

fn newest(vault: &Vault, wanted: Option<&str>) -> Result<Snapshot> {
    let is_full = |snapshot: &Snapshot| {
        Word::of(snapshot).is_some_and(|word| word.scope == SnapshotScope::Full)
    };
    let fits = |snapshot: &Snapshot| {
        wanted.is_none_or(|wanted| snapshot.id.to_string().starts_with(wanted))
    };
    let found = vault.snapshots()?.snapshots.into_iter().rev();
    let found = found.filter(fits).find(is_full);
    found.ok_or_else(|| match wanted {
        Some(id) => Error::not_found(format!("there is no full snapshot {id}")),
        None => Error::not_found("there is no full snapshot: only those hold the manager's state"),
    })
}

/// The storage may be elsewhere now than when the snapshot was taken: another mount, a copy.
async fn move_storage(
    change: &mut crate::catalog::Change,
    vault: &Vault,
    place: &Place,
) -> Result<()> {
    let all = repositories::list(change.on(), None).await?;
    let Some(own) = all.iter().find(|repository| repository.engine_id == vault.id()) else {
        return Err(Error::corrupt(
            "the manager's state does not know the repository that it lies in",
        ));
    };
    let mut storage = objects::get::<StorageSpec>(change.on(), &own.storage).await?;
    if storage.spec.url == place.url {
        return Ok(());
    }
    if storage.spec.kind == StorageKind::Internal {
        // What was inside the lost data directory lies elsewhere from now on.
        storage.spec.kind = StorageKind::Directory;
        storage.name = format!("{}-recovered", storage.name);
    }
    storage.spec.url.clone_from(&place.url);
    storage.version += 1;
    objects::update(change.on(), &storage).await
}

/// For those who look first.
pub async fn look(place: Place, env: Env) -> Result<Vec<Installation>> {
    let env = Arc::new(env);
    blocking(move || installations(&place, &env)).await
}
