//! The repository that a state lies in, as the manager that comes out of it knows it.

use tintype_api::object::Object;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::vault::Vault;

use super::here::is_at;
use super::look::installations;
use super::recover::Wanted;
use crate::catalog::Change;
use crate::catalog::objects;
use crate::catalog::repositories::{self, KEY, KIND, Repository, WORDS};
use crate::catalog::secrets::{self, Of};
use crate::seal::MasterKey;
use crate::serve::Options;
use crate::vaults::blocking;

/// Gives the storage. It may be elsewhere now than when the snapshot was taken: another mount, a copy.
/// The state itself may be older than the repository, as that before an upgrade can be.
pub(super) async fn settle(
    change: &mut Change,
    vault: &Vault,
    wanted: &Wanted,
    system: &Id,
    key: &MasterKey,
    options: &Options,
) -> Result<Id> {
    let all = repositories::list(change.on(), None).await?;
    let known = all.into_iter().find(|repository| repository.engine_id == vault.id());
    let id = match &known {
        Some(known) => known.storage.clone(),
        None => remember(change, vault, wanted, system, key, options).await?,
    };
    let mut storage = objects::get::<StorageSpec>(change.on(), &id).await?;
    if is_at(&storage.spec, &wanted.place, options) {
        return Ok(id);
    }
    if storage.spec.kind == StorageKind::Internal {
        // What was inside the lost data directory lies elsewhere from now on.
        storage.spec.kind = StorageKind::Directory;
        storage.name = format!("{}-recovered", storage.name);
    }
    storage.spec.url.clone_from(&wanted.place.url);
    storage.version += 1;
    objects::update(change.on(), &storage).await?;
    Ok(id)
}

/// In the storage that lies there, or else in the default one, where it would have been made; where that
/// has another one, it is a copy's, in a storage that the state is too old to know.
async fn remember(
    change: &mut Change,
    vault: &Vault,
    wanted: &Wanted,
    system: &Id,
    key: &MasterKey,
    options: &Options,
) -> Result<Id> {
    let storages: Vec<Object<StorageSpec>> = objects::all(change.on(), Some(system)).await?;
    let there = storages.iter().find(|one| is_at(&one.spec, &wanted.place, options));
    let default = match (there, storages.iter().find(|one| one.spec.is_default)) {
        (Some(there), _) => Some(there.clone()),
        (None, Some(default)) => {
            let other = repositories::of(change.on(), &default.id, system).await?;
            other.is_none().then(|| default.clone())
        }
        (None, None) => None,
    };
    let storage = match default {
        Some(storage) => storage,
        None => add_storage(change, wanted, &storages, system, options).await?,
    };
    let (place, env) = (wanted.place.clone(), options.env.clone());
    let found = blocking(move || installations(&place, &env)).await?;
    let places = found.into_iter().flat_map(|one| one.places);
    let below = places.into_iter().find(|below| wanted.place.below(below).url == vault.place().url);
    let place = below.ok_or_else(|| {
        Error::corrupt("the manager's state does not know the repository that it lies in")
    })?;
    let (now, random) = (options.env.clock.now(), &*options.env.random);
    let name = place.rsplit('/').next().and_then(|name| name.parse().ok());
    let repository = Repository {
        id: name.unwrap_or_else(|| Id::new(now, random)),
        storage: storage.id.clone(),
        tenant: system.clone(),
        place,
        engine_id: vault.id(),
    };
    repositories::insert(change.on(), &repository, now).await?;
    let of = |name| Of { kind: KIND, id: &repository.id, name };
    secrets::put(change.on(), of(KEY), vault.key().bytes(), key, random).await?;
    if let Some(words) = &wanted.words {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        secrets::put(change.on(), of(WORDS), words.as_bytes(), key, random).await?;
    }
    Ok(repository.storage)
}

/// It is reached as the recovery reached it.
async fn add_storage(
    change: &mut Change,
    wanted: &Wanted,
    others: &[Object<StorageSpec>],
    system: &Id,
    options: &Options,
) -> Result<Object<StorageSpec>> {
    let now = options.env.clock.now();
    let is_taken = |name: &String| others.iter().any(|other| other.name == *name);
    let mut names = (2..).map(|n| format!("recovered-{n}"));
    let name = Some("recovered".to_owned()).filter(|name| !is_taken(name));
    let name = name.or_else(|| names.find(|name| !is_taken(name))).unwrap_or_default();
    let storage = Object {
        id: Id::new(now, &*options.env.random),
        tenant: system.clone(),
        name,
        version: 1,
        created: now,
        changed: now,
        spec: StorageSpec {
            kind: StorageKind::of(&wanted.place.url),
            url: wanted.place.url.clone(),
            mount_point: None,
            is_default: false,
            is_shared: false,
            access_key: None,
            agent_access_key: None,
            bandwidth: None,
        },
    };
    objects::insert(change.on(), &storage).await?;
    Ok(storage)
}
