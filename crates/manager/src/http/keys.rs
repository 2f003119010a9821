//! Key slots of repositories: what opens them without the manager.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as AxumState};
use axum::http::StatusCode;
use serde_json::json;
use tintype_api::key::{KeySlot, KeysQuery, NewKeySlot, RecoveryWords};
use tintype_api::object::Object;
use tintype_api::problem::{Code, Problem};
use tintype_api::storage::StorageSpec;
use tintype_model::Error;
use tintype_model::identifier::Id;
use tintype_runner::vault::{AgeRecipient, DataKey, Passphrase, Vault};
use zeroize::Zeroizing;

use super::failure::{Failure, Outcome};
use super::input::{Asked, Body, OneId};
use super::objects::{acted, entry, own};
use super::router::Asking;
use crate::auth::caller::Caller;
use crate::catalog::repositories;
use crate::catalog::secrets::{self, Of};
use crate::state::State;
use crate::vaults::blocking;

const LEAST_LETTERS: usize = 10;
const LABEL_LETTERS: usize = 200;

/// A repository, and what the manager opens it with.
struct Opened {
    tenant: Id,
    storage: Object<StorageSpec>,
    /// For messages and the audit log.
    name: String,
    vault: Arc<Vault>,
    words: Option<Zeroizing<String>>,
    parent: Option<DataKey>,
}

async fn opened(
    state: &State,
    caller: &Caller,
    storage: &Id,
    query: &KeysQuery,
) -> Outcome<Opened> {
    let absent = |what: String| Failure::new(Code::NotFound, what);
    let storage = own::<StorageSpec>(state, caller, storage).await?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let tenant = wanted.unwrap_or_else(|| caller.actor.tenant.clone());
    let mut on = state.catalog.read().await?;
    let repository = repositories::of(&mut on, &storage.id, &tenant).await?;
    let system = repositories::of(&mut on, &storage.id, &state.system).await?;
    drop(on);
    let name = format!("storage {}", storage.name);
    let repository = repository.ok_or_else(|| {
        absent(format!("{name}: the tenant has no repository there"))
            .cure("one is made with the first snapshot")
    })?;
    let vault = state.open_vault(&repository).await?;
    let parent = match system {
        Some(system) if tenant != state.system => {
            Some(state.open_vault(&system).await?.key().clone())
        }
        _ => None,
    };
    let of = Of { kind: repositories::KIND, id: &repository.id, name: repositories::WORDS };
    // Of one that was found again nobody knows them.
    let words = secrets::get(&mut *state.catalog.read().await?, of, &state.key).await?;
    let words = words.as_ref().map(|words| std::str::from_utf8(words)).transpose();
    let words = words.map_err(|_| Error::corrupt("words of a repository"))?;
    let words = words.map(|words| Zeroizing::new(words.to_owned()));
    Ok(Opened { tenant, storage, name, vault, words, parent })
}

impl Opened {
    async fn slots(self) -> Outcome<Vec<KeySlot>> {
        let slots = blocking(move || {
            let words = self.words.as_ref().map(|words| &words[..]);
            let own = self.vault.slots_of(words, self.parent.as_ref())?;
            let slots = self.vault.key_slots()?.into_iter().map(|slot| KeySlot {
                is_own: own.contains(&slot.id),
                id: slot.id,
                kind: slot.kind,
                label: slot.label,
                created: slot.created,
                problem: slot.problem,
                recovery: None,
            });
            Ok(slots.collect())
        });
        Ok(slots.await?)
    }
}

/// What opens the repository of a tenant in a storage.
#[utoipa::path(
    get, path = "/api/v1/storages/{id}/keys", operation_id = "list-keys", tag = "storage",
    params(("id" = String, Path), KeysQuery),
    responses(
        (status = 200, body = Vec<KeySlot>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Asked(query): Asked<KeysQuery>,
) -> Outcome<Json<Vec<KeySlot>>> {
    Ok(Json(opened(&state, &caller, &id, &query).await?.slots().await?))
}

enum Added {
    Passphrase(Passphrase),
    Recipient(AgeRecipient),
    Recovery,
}

fn added(new: &NewKeySlot) -> Outcome<Added> {
    let wrong = |what: &str| Err(Failure::new(Code::Invalid, what.to_owned()));
    if new.label.chars().count() > LABEL_LETTERS || new.label.contains(char::is_control) {
        return wrong("a label has at most 200 letters, on one line");
    }
    match (&new.passphrase, &new.recipient) {
        (None, None) if new.recovery => Ok(Added::Recovery),
        _ if new.recovery => wrong("a recovery key has words of its own: leave the others out"),
        (Some(text), None) if text.chars().count() >= LEAST_LETTERS => {
            Ok(Added::Passphrase(Passphrase::new(text.clone())?))
        }
        (Some(_), None) => wrong(
            "the passphrase has fewer than 10 characters: whoever copies the repository tries them \
             all",
        ),
        (None, Some(text)) => Ok(Added::Recipient(text.parse()?)),
        _ => wrong("give a `passphrase`, a `recipient` or `recovery`"),
    }
}

/// Adds a passphrase, an age recipient or a recovery key that opens it from now on. The words of a
/// recovery key are in this answer alone. The manager's master key is never told here.
#[utoipa::path(
    post, path = "/api/v1/storages/{id}/keys", operation_id = "add-key", tag = "storage",
    params(("id" = String, Path), KeysQuery), request_body = NewKeySlot,
    responses(
        (status = 201, body = KeySlot),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Asked(query): Asked<KeysQuery>,
    Body(new): Body<NewKeySlot>,
) -> Outcome<(StatusCode, Json<KeySlot>)> {
    let opened = opened(&state, &caller, &id, &query).await?;
    let added = added(&new)?;
    state.still_leads(&opened.storage).await?;
    let (vault, label) = (Arc::clone(&opened.vault), new.label.clone());
    let made = blocking(move || match added {
        Added::Passphrase(passphrase) => Ok((vault.add_passphrase(passphrase, &label)?, None)),
        Added::Recipient(recipient) => Ok((vault.add_recipient(&recipient, &label)?, None)),
        Added::Recovery => vault.add_recovery(&label).map(|(id, words)| (id, Some(words))),
    });
    let mut told = entry(&state, &caller, &opened.tenant, "key.add", &opened.name);
    told.detail = json!({ "label": new.label, "recovery": new.recovery });
    let (made, words) = acted(&state, &told, made).await?;
    told.detail["slot"] = json!(made);
    state.catalog.change().await?.commit(&told).await?;
    let command = command(&state, &opened).await?;
    let slot = opened.slots().await?.into_iter().find(|slot| slot.id == made);
    let mut slot = slot.ok_or_else(|| Error::internal("a slot that was added is not there"))?;
    slot.recovery = words.map(|words| RecoveryWords { words, command });
    Ok((StatusCode::CREATED, Json(slot)))
}

/// What words that open it are typed for: all of the installation, or one tenant's snapshots.
async fn command(state: &State, opened: &Opened) -> Outcome<String> {
    let url = state.place(&opened.storage, None).await?.url.replace('\'', "'\\''");
    if opened.tenant == state.system {
        return Ok(format!("tintype recover --from '{url}'"));
    }
    let mut on = state.catalog.read().await?;
    let repository = repositories::of(&mut on, &opened.storage.id, &opened.tenant).await?;
    let place = repository.map(|repository| repository.place).unwrap_or_default();
    Ok(format!("tintype repo -r '{url}/{place}' list"))
}

/// Removes a slot. Those with which the manager and its recovery sheet open it stay.
#[utoipa::path(
    delete, path = "/api/v1/storages/{id}/keys/{slot}", operation_id = "remove-key",
    tag = "storage", params(("id" = String, Path), ("slot" = String, Path), KeysQuery),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path((id, slot)): Path<(String, String)>,
    Asked(query): Asked<KeysQuery>,
) -> Outcome<StatusCode> {
    let absent = || Failure::new(Code::NotFound, format!("there is no storage {id}"));
    let id: Id = id.parse().map_err(|_| absent())?;
    let opened = opened(&state, &caller, &id, &query).await?;
    state.still_leads(&opened.storage).await?;
    let (vault, words) = (Arc::clone(&opened.vault), opened.words.clone());
    let (parent, wanted) = (opened.parent.clone(), slot.clone());
    let mut told = entry(&state, &caller, &opened.tenant, "key.remove", &opened.name);
    told.detail = json!({ "slot": slot });
    let removed = blocking(move || {
        let words = words.as_ref().map(|words| &words[..]);
        if vault.slots_of(words, parent.as_ref())?.contains(&wanted) {
            return Err(Error::locked(
                "the manager, or its recovery sheet, opens the repository with this slot: it stays",
            ));
        }
        vault.remove_key(&wanted)
    });
    acted(&state, &told, removed).await?;
    state.catalog.change().await?.commit(&told).await?;
    Ok(StatusCode::NO_CONTENT)
}
