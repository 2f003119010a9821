//! Snapshots as one file: made by a run, downloaded, deleted after a day.

use axum::Json;
use axum::extract::{Path, State as AxumState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use tintype_api::bundle::{Bundle, NewBundle, Secret, SecretsQuery};
use tintype_api::page::{DEFAULT_LIMIT, Page, PageQuery};
use tintype_api::problem::{Code, Problem};
use tintype_api::run::{RunKind, RunState};
use tintype_model::Error;
use tintype_model::identifier::Id;
use tintype_runner::vault::{AgeRecipient, encode_hex};

use super::content::download::{self, Download};
use super::content::path_of;
use super::failure::{Failure, Outcome};
use super::input::{Asked, Body, OneId, cursor_of, limit_of, page};
use super::objects::entry;
use super::router::Asking;
use super::runs::{find_of, shown};
use super::snapshots::{find, told_to};
use crate::auth::caller::Caller;
use crate::catalog::runs::{self as stored, Stored};
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots::Known;
use crate::runs::begin::{self, BY_HAND, Wanted};
use crate::runs::bundles::{ExportSpec, PASSPHRASE};
use crate::runs::restore::{KIND, vault_of};
use crate::state::State;
use crate::uploads::{LASTS, check_room, expires, remove};
use crate::vaults::blocking;

/// Shorter ones are tried out by whoever gets the file.
const LEAST_LETTERS: usize = 10;
const MOST_RECIPIENTS: usize = 100;

async fn secrets_of(state: &State, known: &Known, path: &[u8]) -> Outcome<Vec<Secret>> {
    let vault = vault_of(state, known).await?;
    let (id, path) = (known.snapshot.id.clone(), path.to_vec());
    let found = blocking(move || {
        let view = vault.view(&id)?;
        if !path.is_empty() {
            view.exists(&path)?;
        }
        vault.secrets(view.snapshot(), &path)
    });
    Ok(found.await?.into_iter().map(|(path, what)| Secret { path, what }).collect())
}

/// What a download of a snapshot would show that is likely to be secret.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/secrets", operation_id = "list-secrets", tag = "bundle",
    params(("id" = String, Path), SecretsQuery),
    responses(
        (status = 200, body = Vec<Secret>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn secrets(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(query): Asked<SecretsQuery>,
) -> Outcome<Json<Vec<Secret>>> {
    let known = find(&state, &caller, &id).await?;
    let path = path_of(query.path.as_deref(), None)?;
    Ok(Json(secrets_of(&state, &known, &path).await?))
}

fn check(new: &NewBundle) -> Outcome<()> {
    let wrong = |what: &str| Err(Failure::new(Code::Invalid, what.to_owned()));
    match (new.plain, &new.passphrase, new.recipients.len()) {
        (true, None, 0) => Ok(()),
        (true, ..) => wrong("a plain bundle has no `passphrase` and no `recipients`"),
        (false, Some(_), 1..) => wrong("`passphrase` or `recipients`: one of them seals it"),
        (false, None, 0) => {
            wrong("give a `passphrase` or `recipients`; `plain` is for everybody who gets the file")
        }
        (false, Some(text), 0) if text.chars().count() < LEAST_LETTERS => wrong(
            "the passphrase has fewer than 10 characters: whoever gets the file tries them all",
        ),
        (false, None, n) if n > MOST_RECIPIENTS => wrong("there are too many recipients"),
        (false, _, _) => {
            for recipient in &new.recipients {
                recipient.parse::<AgeRecipient>()?;
            }
            Ok(())
        }
    }
}

/// Queues a bundle of a snapshot; the answer says what in it is likely to be secret.
#[utoipa::path(
    post, path = "/api/v1/snapshots/{id}/bundles", operation_id = "create-bundle", tag = "bundle",
    params(("id" = String, Path)), request_body = NewBundle,
    responses(
        (status = 202, body = Bundle),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Body(new): Body<NewBundle>,
) -> Outcome<(StatusCode, Json<Bundle>)> {
    let known = find(&state, &caller, &id).await?;
    check(&new)?;
    let path = path_of(Some(&new.path), None)?;
    let secrets = secrets_of(&state, &known, &path).await?;
    let run = state.new_id();
    let directory = state.bundle_file(&run)?;
    check_room(directory.parent().unwrap_or(&directory), 0)?;
    let short: String = known.snapshot.id.chars().take(8).collect();
    let spec = ExportSpec {
        snapshot: id.clone(),
        path_hex: encode_hex(&path),
        plain: new.plain,
        recipients: new.recipients,
        secrets,
        name: format!("tintype-{short}.zip"),
    };
    let kind = if spec.plain { "plain bundle" } else { "bundle" };
    let title = format!("{kind} of snapshot {short}");
    let wanted = Wanted {
        tenant: told_to(&state, &known).clone(),
        kind: RunKind::Export,
        title,
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: Some(known.snapshot.storage.clone()),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        is_planned: false,
    };
    let mut change = state.catalog.change().await?;
    let id = begin::queue(&state, change.on(), wanted).await?;
    if let Some(passphrase) = &new.passphrase {
        let of = Of { kind: KIND, id: &id, name: PASSPHRASE };
        let text = passphrase.as_bytes();
        secrets::put(change.on(), of, text, &state.key, &*state.random).await?;
    }
    let found = stored::get(change.on(), &id).await?;
    let object = format!("snapshot {}", known.snapshot.id);
    let mut told = entry(&state, &caller, told_to(&state, &known), "bundle.create", &object);
    told.detail = json!({
        "run": id, "path": new.path, "plain": spec.plain, "recipients": spec.recipients,
    });
    change.commit(&told).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(bundle_of(&state, found)?)))
}

/// One that is there, or was.
async fn bundle(state: &State, caller: &Caller, id: &Id) -> Outcome<Stored> {
    find_of(state, caller, id, "bundle", Some(RunKind::Export)).await
}

fn bundle_of(state: &State, found: Stored) -> Outcome<Bundle> {
    let spec: ExportSpec = found.read_spec()?;
    let id = found.run.id.clone();
    let is_done = matches!(found.run.state, RunState::Succeeded | RunState::Incomplete);
    let size_bytes = match is_done {
        true => std::fs::metadata(state.bundle_file(&id)?).ok().map(|found| found.len()),
        false => None,
    };
    Ok(Bundle {
        snapshot: spec.snapshot,
        path: text_of(&spec.path_hex),
        is_plain: spec.plain,
        name: spec.name,
        secrets: spec.secrets,
        expires: size_bytes.and(found.run.ended).map(expires),
        size_bytes,
        run: shown(state, found),
        id,
    })
}

fn text_of(path_hex: &str) -> String {
    let path = path_of(None, Some(path_hex)).unwrap_or_default();
    String::from_utf8_lossy(&path).into_owned()
}

/// Those that are written, or wait to be downloaded and until when; newest first. A page may be shorter
/// than it is told to be, and is not the last while there is a `next`.
#[utoipa::path(
    get, path = "/api/v1/bundles", operation_id = "list-bundles", tag = "bundle",
    params(PageQuery),
    responses(
        (status = 200, body = Page<Bundle>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<PageQuery>,
) -> Outcome<Json<Page<Bundle>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let filter = stored::Filter {
        tenant: caller.scope(None),
        kind: Some(RunKind::Export),
        since: state.now().checked_sub(LASTS).ok(),
        before: cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?,
        limit: limit as i64 + 1,
        ..stored::Filter::default()
    };
    let found = stored::list(&mut *state.catalog.read().await?, &filter).await?;
    let Json(Page { items, next }) = page(found, limit, |last: &Stored| last.run.id.to_string());
    let bundles = items.into_iter().map(|found| bundle_of(&state, found));
    let mut items = bundles.collect::<Outcome<Vec<Bundle>>>()?;
    // One that failed, or was deleted, is a run and no more.
    items.retain(|bundle| bundle.size_bytes.is_some() || !bundle.run.state.is_over());
    Ok(Json(Page { items, next }))
}

#[utoipa::path(
    get, path = "/api/v1/bundles/{id}", operation_id = "get-bundle", tag = "bundle",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Bundle),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Bundle>> {
    let found = bundle(&state, &caller, &id).await?;
    Ok(Json(bundle_of(&state, found)?))
}

/// The file; a range of it with `Range`, so that a download goes on where it broke off.
#[utoipa::path(
    get, path = "/api/v1/bundles/{id}/content", operation_id = "download-bundle", tag = "bundle",
    params(
        ("id" = String, Path),
        ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn content(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    headers: HeaderMap,
) -> Outcome<Response> {
    let found = bundle(&state, &caller, &id).await?;
    if !matches!(found.run.state, RunState::Succeeded | RunState::Incomplete) {
        let what = format!("the bundle is not there: its run is {}", found.run.state.name());
        return Err(Failure::new(Code::NotFound, what).cure("wait for the end of its run"));
    }
    let spec: ExportSpec = found.read_spec()?;
    let path = state.bundle_file(&id)?;
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = "the bundle is gone: it was deleted, or lies with another manager";
            return Err(Failure::new(Code::NotFound, what).cure("make it again"));
        }
        file => file.map_err(|error| Error::io(error, path.display()))?,
    };
    let size_bytes = file.metadata().map_err(|error| Error::io(error, path.display()))?.len();
    let identity = found.run.result["identity"].as_str().unwrap_or_default().to_owned();
    let download = Download { size_bytes, identity, name: spec.name.clone().into_bytes() };
    let range = match download::range(&headers, &download) {
        Ok(range) => range,
        Err(response) => return Ok(*response),
    };
    let object = format!("snapshot {}", spec.snapshot);
    let mut told = entry(&state, &caller, &found.run.tenant, "bundle.download", &object);
    told.detail = json!({
        "bundle": id, "plain": spec.plain, "from": range.start, "to": range.end,
    });
    state.catalog.change().await?.commit(&told).await?;
    let read = download::of_file(file, path.display().to_string());
    download::stream(&state, download, range, read).await
}

/// Deletes the file; one that is being written ends.
#[utoipa::path(
    delete, path = "/api/v1/bundles/{id}", operation_id = "delete-bundle", tag = "bundle",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<StatusCode> {
    let found = bundle(&state, &caller, &id).await?;
    let mut change = state.catalog.change().await?;
    // One that is over already has nothing to end.
    stored::cancel(change.on(), &id, state.now()).await?;
    let object = format!("snapshot {}", found.read_spec::<ExportSpec>()?.snapshot);
    let mut told = entry(&state, &caller, &found.run.tenant, "bundle.delete", &object);
    told.detail = json!({ "bundle": id });
    change.commit(&told).await?;
    begin::tell(&state);
    remove(&state.bundle_file(&id)?);
    Ok(StatusCode::NO_CONTENT)
}
