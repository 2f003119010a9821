//! Single files of snapshots: downloaded, or shown. Each is noted in the audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as AxumState};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::{Value, json};
use tintype_api::content::{EntryQuery, Preview, Shown};
use tintype_api::problem::{Code, Problem};
use tintype_model::entry::{file_name, is_within};
use tintype_model::rights::Role;
use tintype_runner::vault::{At, Cancel, FileInfo, View};

use super::download::{self, Download};
use super::preview;
use super::waited;
use super::wire::{at_of, entry_of, shown};
use crate::auth::caller::Caller;
use crate::catalog::snapshots::Known;
use crate::http::failure::{Failure, Outcome};
use crate::http::input::Asked;
use crate::http::objects::entry;
use crate::http::router::Asking;
use crate::http::snapshots::{find, told_to};
use crate::state::State;
use crate::vaults::blocking;
use crate::views::view;

/// Says what is wrong with a file that is given all the same.
const PROBLEM: HeaderName = HeaderName::from_static("tintype-problem");
/// The manager's own state in a full snapshot.
const MANAGER_PLACE: &[u8] = b"manager";

/// Whoever restores may read files, but for what the manager keeps of everybody.
fn may_read(caller: &Caller, at: &At) -> Outcome<()> {
    let path = at.disk.as_ref().map_or(&at.path, |disk| &disk.image);
    let is_own = caller.actor.is_system && caller.actor.role == Role::Administrator;
    if is_own || !is_within(path, MANAGER_PLACE) {
        return Ok(());
    }
    let what = "the state of the manager is for administrators of the system";
    Err(Failure::new(Code::NotAllowed, what))
}

/// Something that has bytes, whole unless that is not asked for.
async fn file(view: &Arc<View>, at: &At, query: &EntryQuery) -> Outcome<FileInfo> {
    if at.path.is_empty() {
        return Err(Failure::new(Code::Invalid, "`path` says which file"));
    }
    let (viewed, place) = (Arc::clone(view), at.clone());
    let info = blocking(move || viewed.file(&place)).await?;
    let node = &info.found.node;
    if node.is_lost() && !query.incomplete {
        let why = node.problem().map_or("", |problem| &problem.message);
        let what = format!("{} was not captured whole: {why}", shown(&at.path));
        return Err(Failure::new(Code::Unsupported, what).cure(
            "`incomplete=true` gives what there is of it; or take it from another snapshot",
        ));
    }
    Ok(info)
}

/// Notes that somebody reads it, before the first byte is given.
async fn note(
    state: &State,
    caller: &Caller,
    known: &Known,
    action: &str,
    at: &At,
    detail: Value,
) -> Outcome<()> {
    let object = format!("snapshot {}", known.snapshot.id);
    let mut told = entry(state, caller, told_to(state, known), action, &object);
    told.detail = json!({ "path": shown(&at.path) });
    if let (Value::Object(all), Value::Object(more)) = (&mut told.detail, detail) {
        all.extend(more);
        if let Some(disk) = &at.disk {
            all.insert("disk".into(), json!(shown(&disk.image)));
        }
    }
    Ok(state.catalog.change().await?.commit(&told).await?)
}

/// A file of a snapshot, or of a disk in it; a range of it with `Range`.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/file", operation_id = "download-file", tag = "content",
    params(
        ("id" = String, Path), EntryQuery,
        ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn download(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(query): Asked<EntryQuery>,
    headers: HeaderMap,
) -> Outcome<Response> {
    let known = find(&state, &caller, &id).await?;
    let at = at_of(&query)?;
    may_read(&caller, &at)?;
    let view = view(&state, &known).await?;
    let info = file(&view, &at, &query).await?;
    let file = Download {
        size_bytes: info.found.node.size,
        identity: info.identity,
        name: file_name(&at.path).to_vec(),
    };
    let range = match download::range(&headers, &file) {
        Ok(range) => range,
        Err(response) => return Ok(*response),
    };
    let detail = json!({ "from": range.start, "to": range.end });
    note(&state, &caller, &known, "file.download", &at, detail).await?;
    let read = move |range,
                     each: &mut dyn FnMut(&[u8]) -> tintype_model::Result<()>,
                     cancel: &Cancel| { view.read(&at, range, each, cancel) };
    let mut response = download::stream(&state, file, range, Box::new(read)).await?;
    if let Some(problem) = info.found.node.problem() {
        let text: String = problem
            .message
            .chars()
            .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
            .collect();
        let value = HeaderValue::from_str(&text).expect("visible letters");
        response.headers_mut().insert(PROBLEM, value);
    }
    Ok(response)
}

/// The beginning of a file, as far as it can be shown.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/preview", operation_id = "preview-file", tag = "content",
    params(("id" = String, Path), EntryQuery),
    responses(
        (status = 200, body = Preview),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn preview(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(query): Asked<EntryQuery>,
) -> Outcome<Json<Preview>> {
    let known = find(&state, &caller, &id).await?;
    let at = at_of(&query)?;
    may_read(&caller, &at)?;
    let view = view(&state, &known).await?;
    let info = file(&view, &at, &query).await?;
    note(&state, &caller, &known, "file.preview", &at, json!({})).await?;
    let size = info.found.node.size;
    let shown = waited(move |cancel| {
        let head = read(&view, &at, size.min(preview::TEXT_BYTES), cancel)?;
        if let Some(media_type) = preview::picture(&head) {
            return Ok(match size <= preview::PICTURE_BYTES {
                true => preview::shown_picture(media_type, &read(&view, &at, size, cancel)?),
                false => Shown::Binary,
            });
        }
        Ok(preview::shown(file_name(&at.path), &head, size > preview::TEXT_BYTES))
    });
    Ok(Json(Preview { entry: entry_of(&info.found), shown: shown.await? }))
}

/// So many bytes from its beginning on.
fn read(view: &View, at: &At, length: u64, cancel: &Cancel) -> tintype_model::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length as usize);
    view.read(
        at,
        0..length,
        &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        },
        cancel,
    )?;
    Ok(bytes)
}
