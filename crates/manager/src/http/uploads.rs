//! Uploads: a file in pieces or from a URL, then a snapshot of it.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body as RawBody, to_bytes};
use axum::extract::State as AxumState;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tintype_api::bundle::{NewImport, NewUpload, PIECE_BYTES, PieceQuery, Upload};
use tintype_api::page::{DEFAULT_LIMIT, Page, PageQuery};
use tintype_api::problem::{Code, Problem};
use tintype_api::run::{Run, RunKind};
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, size};

use super::failure::{Failure, Outcome};
use super::input::{Asked, Body, OneId, cursor_of, limit_of, page};
use super::objects::entry;
use super::router::Asking;
use super::runs::shown as shown_run;
use crate::auth::caller::Caller;
use crate::catalog::runs as stored_runs;
use crate::catalog::secrets::{self, Of};
use crate::outside;
use crate::runs::begin::{self, BY_HAND, Wanted};
use crate::runs::bundles::{FetchSpec, IDENTITY, ImportSpec, PASSPHRASE, URL, check_secret};
use crate::runs::restore::KIND;
use crate::runs::snapshot::expiry;
use crate::state::State;
use crate::uploads::{self, Row, check_room, shown};
use crate::vaults::{blocking, usable_storage};

const NAME_LETTERS: usize = 200;

fn wrong<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::new(Code::Invalid, what))
}

fn check(state: &State, new: &NewUpload) -> Outcome<()> {
    let is_name = new.name.chars().count() <= NAME_LETTERS && !new.name.contains(char::is_control);
    if !is_name {
        return wrong(format!("a name has at most {NAME_LETTERS} letters, on one line"));
    }
    let is_hash = |text: &String| {
        text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !new.sha256.as_ref().is_none_or(is_hash) {
        return wrong("`sha256` has 64 lower-case hexadecimal digits");
    }
    match (new.size_bytes, &new.url) {
        (Some(_), Some(_)) => wrong("`size_bytes` is of a file that is sent, not of a `url`"),
        (None, None) => wrong("give the `size_bytes` of the file, or a `url`"),
        (Some(0), None) => wrong("the file is empty"),
        (Some(bytes), None) if bytes > state.limits.most_bytes => {
            let most = size::format(state.limits.most_bytes);
            let what = format!("more than {most} are not taken");
            Err(Failure::new(Code::TooLarge, what)
                .cure("an administrator may raise `uploads.most` in tintype.toml"))
        }
        _ => Ok(()),
    }
}

/// Begins an upload: in pieces that are sent, or from a URL that a run fetches.
#[utoipa::path(
    post, path = "/api/v1/uploads", operation_id = "create-upload", tag = "bundle",
    request_body = NewUpload,
    responses(
        (status = 201, body = Upload),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewUpload>,
) -> Outcome<(StatusCode, Json<Upload>)> {
    check(&state, &new)?;
    let from = new.url.as_deref().map(outside::shown).transpose()?;
    let id = state.new_id();
    let path = state.upload_file(&id)?;
    check_room(path.parent().unwrap_or(&path), new.size_bytes.unwrap_or(0))?;
    let now = state.now();
    let mut row = Row {
        name: new.name,
        size_bytes: new.size_bytes,
        sha256: new.sha256,
        from,
        is_whole: false,
        run: None,
        by: caller.name.clone(),
        created: now,
        changed: now,
    };
    let mut change = state.catalog.change().await?;
    if let (Some(url), Some(from)) = (&new.url, &row.from) {
        let spec = json!(FetchSpec { upload: id.clone() });
        let wanted =
            wanted(&state.system, &caller, RunKind::Fetch, format!("fetch of {from}"), spec);
        let run = begin::queue(&state, change.on(), wanted).await?;
        let of = Of { kind: KIND, id: &run, name: URL };
        secrets::put(change.on(), of, url.as_bytes(), &state.key, &*state.random).await?;
        row.run = Some(run);
    }
    uploads::put(change.on(), &id, &row).await?;
    let object = format!("upload {id}");
    let mut told = entry(&state, &caller, &state.system, "upload.create", &object);
    told.detail = json!({ "name": row.name, "size_bytes": row.size_bytes, "from": row.from });
    change.commit(&told).await?;
    begin::tell(&state);
    Ok((StatusCode::CREATED, Json(shown(&state, &id, &row)?)))
}

fn wanted(tenant: &Id, caller: &Caller, kind: RunKind, title: String, spec: Value) -> Wanted {
    Wanted {
        tenant: tenant.clone(),
        kind,
        title,
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: None,
        spec,
        is_planned: false,
    }
}

async fn row(state: &State, id: &Id) -> Outcome<Row> {
    Ok(uploads::get(&mut *state.catalog.read().await?, id).await?)
}

/// Those that come, or wait to be imported and until when; newest first.
#[utoipa::path(
    get, path = "/api/v1/uploads", operation_id = "list-uploads", tag = "bundle",
    params(PageQuery),
    responses(
        (status = 200, body = Page<Upload>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    _caller: Asking,
    Asked(query): Asked<PageQuery>,
) -> Outcome<Json<Page<Upload>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let before: Option<Id> = cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?;
    let mut on = state.catalog.read().await?;
    let rows = uploads::list(&mut on, before.as_ref(), limit as i64 + 1).await?;
    drop(on);
    let all = rows.iter().map(|(id, row)| shown(&state, id, row));
    let all = all.collect::<tintype_model::Result<Vec<Upload>>>()?;
    Ok(page(all, limit, |last: &Upload| last.id.to_string()))
}

#[utoipa::path(
    get, path = "/api/v1/uploads/{id}", operation_id = "get-upload", tag = "bundle",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Upload),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    _caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Upload>> {
    let row = row(&state, &id).await?;
    Ok(Json(shown(&state, &id, &row)?))
}

/// The next piece, of at most 8 MiB; `offset` is where the one before ended.
#[utoipa::path(
    put, path = "/api/v1/uploads/{id}/content", operation_id = "send-upload", tag = "bundle",
    params(("id" = String, Path), PieceQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Upload),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn send(
    AxumState(state): AxumState<State>,
    _caller: Asking,
    OneId(id): OneId,
    Asked(query): Asked<PieceQuery>,
    body: RawBody,
) -> Outcome<Json<Upload>> {
    let Ok(_permit) = state.reading.try_acquire() else {
        return Err(Failure::new(Code::Unavailable, "too many files come at this moment"));
    };
    // All of it before anything is refused: a connection with an unread body is closed.
    let large = |_| Failure::new(Code::TooLarge, "a piece has at most 8 MiB, and comes whole");
    let piece = to_bytes(body, PIECE_BYTES).await.map_err(large)?;
    // By this request, and by the thread that outlives it when nobody waits.
    let writing = Arc::new(uploads::writing(&state, &id)?);
    let mut row = row(&state, &id).await?;
    let Some(size) = row.size_bytes.filter(|_| row.from.is_none()) else {
        return wrong("this upload comes from a URL: nothing is sent");
    };
    let here = shown(&state, &id, &row)?.offset;
    if query.offset != here {
        let what = format!("the next piece begins at {here}, not at {}", query.offset);
        return Err(Failure::new(Code::Changed, what).cure("go on at the `offset` of the upload"));
    }
    if piece.is_empty() {
        return wrong("a piece has at least one byte");
    }
    let end = here + piece.len() as u64;
    if end > size {
        return wrong(format!("the file has {size} bytes, and this piece ends at {end}"));
    }
    let path = state.upload_file(&id)?;
    check_room(path.parent().unwrap_or(&path), piece.len() as u64)?;
    let also = Arc::clone(&writing);
    blocking(move || {
        let _writing = also;
        let failed = |error| Error::io(error, path.display());
        let file = uploads::open_file(&path)?;
        if let Err(error) = file.write_all_at(&piece, here) {
            // Half a piece would be taken for a whole one.
            file.set_len(here).map_err(failed)?;
            return Err(failed(error));
        }
        if end == size { file.sync_all().map_err(failed) } else { Ok(()) }
    })
    .await?;
    row.is_whole = end == size;
    row.changed = state.now();
    let mut change = state.catalog.change().await?;
    uploads::put(change.on(), &id, &row).await?;
    change.commit_own_books().await?;
    drop(writing);
    Ok(Json(shown(&state, &id, &row)?))
}

/// Queues a snapshot of an upload that is whole.
#[utoipa::path(
    post, path = "/api/v1/uploads/{id}/import", operation_id = "import-upload", tag = "bundle",
    params(("id" = String, Path)), request_body = NewImport,
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Body(new): Body<NewImport>,
) -> Outcome<(StatusCode, Json<Run>)> {
    let mut row = row(&state, &id).await?;
    if !shown(&state, &id, &row)?.is_whole {
        let what = "the upload is not whole yet";
        return Err(Failure::new(Code::Locked, what).cure("send the rest, or wait for its run"));
    }
    if let Some(run) = &row.run {
        let run = stored_runs::get(&mut *state.catalog.read().await?, run).await;
        if run.is_ok_and(|stored| !stored.run.state.is_over()) {
            return Err(Failure::new(Code::Locked, "a run works with this upload: wait for it"));
        }
    }
    check_secret(new.passphrase.as_deref(), new.identity.as_deref())?;
    let tenant = new.tenant.clone().unwrap_or_else(|| caller.actor.tenant.clone());
    let tenant = state.tenant(&tenant).await?;
    let storage = match &new.storage {
        Some(id) => usable_storage(&state, id, &tenant.id).await?,
        None => state.default_storage(&tenant.id).await?,
    };
    let spec = ImportSpec {
        upload: id.clone(),
        tenant: tenant.id.clone(),
        storage: storage.id.clone(),
        expiry: expiry(new.keep.as_deref(), state.now())?,
        is_private: new.is_private,
    };
    // Who must not see the snapshot does not see the run.
    let of = if new.is_private { &state.system } else { &tenant.id };
    let title = format!("import of {} for {}", row.name, tenant.name);
    let mut wanted = wanted(of, &caller, RunKind::Import, title, json!(spec));
    wanted.storage = Some(storage.id);
    let mut change = state.catalog.change().await?;
    let run = begin::queue(&state, change.on(), wanted).await?;
    for (name, text) in [(PASSPHRASE, &new.passphrase), (IDENTITY, &new.identity)] {
        if let Some(text) = text {
            let of = Of { kind: KIND, id: &run, name };
            secrets::put(change.on(), of, text.as_bytes(), &state.key, &*state.random).await?;
        }
    }
    row.run = Some(run.clone());
    row.changed = state.now();
    uploads::put(change.on(), &id, &row).await?;
    let found = stored_runs::get(change.on(), &run).await?;
    let object = format!("upload {id}");
    let mut told = entry(&state, &caller, of, "upload.import", &object);
    told.detail = json!({ "run": run, "name": row.name, "is_private": new.is_private });
    change.commit(&told).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(shown_run(&state, found))))
}

/// Deletes it; what a run does with it ends.
#[utoipa::path(
    delete, path = "/api/v1/uploads/{id}", operation_id = "delete-upload", tag = "bundle",
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
    let _writing = uploads::writing(&state, &id);
    let row = row(&state, &id).await?;
    let mut change = state.catalog.change().await?;
    if let Some(run) = &row.run {
        match stored_runs::cancel(change.on(), run, state.now()).await {
            Err(error) if !error.is(ErrorKind::NotFound) => return Err(error.into()),
            _ => {}
        }
    }
    uploads::delete(change.on(), &id).await?;
    let object = format!("upload {id}");
    change.commit(&entry(&state, &caller, &state.system, "upload.delete", &object)).await?;
    begin::tell(&state);
    uploads::remove(&state.upload_file(&id)?);
    Ok(StatusCode::NO_CONTENT)
}
