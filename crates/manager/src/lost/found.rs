//! Repositories that the catalog does not know: it was written before they were made.

use std::collections::BTreeSet;

use serde_json::json;
use tintype_api::object::Object;
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::{self, DataKey, Place, Vault};
use zeroize::Zeroizing;

use crate::catalog::objects;
use crate::catalog::repositories::{self, Repository};
use crate::catalog::secrets::{self, Of};
use crate::catalog::{Change, audit};
use crate::runs::captured::Word;
use crate::state::{Shared, State};
use crate::vaults::{Note, blocking};

/// One that lies in a storage and holds snapshots of this installation.
struct Unknown {
    id: Option<Id>,
    place: String,
    engine_id: String,
    key: DataKey,
    tenant: Id,
    /// Of the tenant, when the snapshots were taken.
    name: String,
}

/// Looks for them in each storage that the catalog names, and writes them into it, with tenants that
/// it does not know. Gives what could not be read, and why.
pub(super) async fn find(state: &State) -> Result<Vec<String>> {
    let storages: Vec<Object<StorageSpec>> = state.catalog.all(None).await?;
    let mut unreadable = Vec::new();
    for storage in &storages {
        if let Err(error) = in_storage(state, storage, &mut unreadable).await {
            unreadable.push(format!("storage {}: {error}", storage.name));
        }
    }
    Ok(unreadable)
}

async fn in_storage(
    state: &State,
    storage: &Object<StorageSpec>,
    unreadable: &mut Vec<String>,
) -> Result<()> {
    let place = state.place(storage, None).await?;
    let notes = notes(state, storage, &place).await?;
    let mut on = state.catalog.read().await?;
    let all = repositories::list(&mut on, Some(&storage.id)).await?;
    drop(on);
    let known: BTreeSet<&str> = all.iter().map(|one| &one.place[..]).collect();
    let system = all.iter().find(|one| one.tenant == state.system);
    // Of two that were made for the system at the same moment one is of no use.
    let is_new = |(_, note): &(String, Note)| {
        let is_second = note.is_system && system.is_some();
        !is_second && !known.contains(&note.place[..])
    };
    let mut new = notes.into_iter().filter(is_new).peekable();
    if new.peek().is_none() {
        return Ok(());
    }
    let system = system.ok_or_else(|| {
        Error::not_found(
            "it holds repositories that are not known, and the key of the system's among them is \
             not either: recover from this storage with its twelve words",
        )
    })?;
    let key = state.open_vault(system).await?.key().clone();
    for (name, note) in new {
        let id = name.rsplit('/').next().and_then(|id| id.parse().ok());
        let (at, of, host) = (place.below(&note.place), key.clone(), state.host.clone());
        let opened = blocking(move || {
            let vault = Vault::unlock_of(&at, &of, &host)?;
            Ok(whose(&vault)?.map(|(tenant, name)| Unknown {
                id,
                place: note.place,
                engine_id: vault.id(),
                key: vault.key().clone(),
                tenant,
                name,
            }))
        });
        let kept = match opened.await {
            // Nothing was ever committed there.
            Ok(None) => continue,
            Ok(Some(unknown)) => keep(state, storage, unknown).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            unreadable.push(format!("storage {}, repository {name}: {error}", storage.name));
        }
    }
    Ok(())
}

/// Those of this installation, by their names.
async fn notes(
    state: &State,
    storage: &Object<StorageSpec>,
    place: &Place,
) -> Result<Vec<(String, Note)>> {
    let (place, env) = (place.clone(), state.host.env.clone());
    let expected = Shared::expected(&storage.spec);
    let notes = blocking(move || {
        vault::check_mount(&expected, &place)?;
        place.notes(&env)
    });
    let notes = match notes.await {
        // Nothing was ever written there.
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(Vec::new()),
        notes => notes?,
    };
    let read =
        |(name, text): (String, Vec<u8>)| Some((name, serde_json::from_slice::<Note>(&text).ok()?));
    let all = notes.into_iter().filter_map(read);
    Ok(all.filter(|(_, note)| note.installation == state.installation).collect())
}

/// The tenant of its newest snapshot: id and name.
fn whose(vault: &Vault) -> Result<Option<(Id, String)>> {
    for found in vault.snapshots()?.snapshots.iter().rev() {
        let Some(word) = Word::of(found) else { continue };
        let descriptor = vault.descriptor(found)?;
        let mut items = descriptor.iter().flat_map(|descriptor| &descriptor.items);
        // tenants/<tenant>/…
        let name = items.find_map(|item| item.place.strip_prefix("tenants/")?.split('/').next());
        let name = name.map_or_else(|| format!("recovered-{}", word.tenant), str::to_owned);
        return Ok(Some((word.tenant, name)));
    }
    Ok(None)
}

async fn keep(state: &State, storage: &Object<StorageSpec>, unknown: Unknown) -> Result<()> {
    let now = state.now();
    let mut change = state.catalog.change().await?;
    if repositories::of(change.on(), &storage.id, &unknown.tenant).await?.is_some() {
        return Err(Error::already_exists(format!(
            "its tenant {} has another repository there: `tintype repo copy` brings what it holds \
             into that one",
            unknown.name
        )));
    }
    let tenant = tenant(state, &mut change, &unknown).await?;
    let repository = Repository {
        id: unknown.id.unwrap_or_else(|| state.new_id()),
        storage: storage.id.clone(),
        tenant: unknown.tenant,
        place: unknown.place,
        engine_id: unknown.engine_id,
    };
    repositories::insert(change.on(), &repository, now).await?;
    let of = Of { kind: repositories::KIND, id: &repository.id, name: repositories::KEY };
    let key = Zeroizing::new(unknown.key.bytes().to_vec());
    secrets::put(change.on(), of, &key, &state.key, &*state.random).await?;
    let told = audit::New {
        time: now,
        tenant: &repository.tenant,
        actor: "manager",
        action: "repository.find",
        object: &format!("storage {}", storage.name),
        outcome: "done",
        detail: json!({ "repository": repository.id, "tenant": tenant }),
    };
    change.commit(&told).await
}

/// Its name; made if it is not known.
async fn tenant(state: &State, change: &mut Change, unknown: &Unknown) -> Result<String> {
    match objects::get::<TenantSpec>(change.on(), &unknown.tenant).await {
        Err(error) if error.is(ErrorKind::NotFound) => {}
        known => return known.map(|known| known.name),
    }
    let id = &unknown.tenant;
    let same = objects::named_anywhere::<TenantSpec>(change.on(), &unknown.name).await?;
    let name = match same {
        None => unknown.name.clone(),
        Some(_) => format!("recovered-{id}"),
    };
    let now = state.now();
    let tenant = Object {
        id: id.clone(),
        tenant: id.clone(),
        name: name.clone(),
        version: 1,
        created: now,
        changed: now,
        spec: TenantSpec::default(),
    };
    objects::insert(change.on(), &tenant).await?;
    Ok(name)
}
