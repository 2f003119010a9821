//! What snapshots hold: directories, files, versions, differences.

pub(super) mod across;
pub(crate) mod download;
pub(super) mod files;
mod preview;
mod range;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as AxumState};
use tintype_api::content::{
    DiffQuery, Differences, EntryQuery, Listing, Partition, SearchQuery, SearchResult, Version,
    Versions, VersionsQuery,
};
use tintype_api::page::{DEFAULT_LIMIT, MOST};
use tintype_api::problem::{Code, Problem};
use tintype_model::Result as ModelResult;
use tintype_model::entry::Time;
use tintype_model::identifier::Id;
use tintype_runner::vault::{Cancel, Pattern, Query, encode_hex};

pub(super) use self::wire::path_of;
use self::wire::shown;
use self::wire::{at_of, bytes_of, change_of, counts_of, difference_of, entry_of, kind_for};
use super::failure::{Failure, Outcome};
use super::input::{Asked, cursor_of, limit_of};
use super::objects::tenant_of;
use super::router::Asking;
use super::snapshots::find;
use crate::catalog::snapshots::{self, Filter, Known};
use crate::runs::restore::vault_of;
use crate::state::State;
use crate::vaults::blocking;
use crate::views::view;

/// Stops work that nobody waits for any more.
struct Waited(Cancel);

impl Drop for Waited {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Work that blocks, and ends when whoever asked is gone.
pub(super) async fn waited<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> ModelResult<T> + Send + 'static,
) -> ModelResult<T> {
    let waited = Waited(Cancel::default());
    let cancel = waited.0.clone();
    blocking(move || work(&cancel)).await
}

fn path_after(cursor: Option<&str>) -> Outcome<Option<Vec<u8>>> {
    cursor_of(cursor, |hex| bytes_of(hex).ok())
}

/// One directory of a snapshot, or of a disk in it.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/tree", operation_id = "list-tree", tag = "content",
    params(("id" = String, Path), EntryQuery),
    responses(
        (status = 200, body = Listing),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn tree(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(query): Asked<EntryQuery>,
) -> Outcome<Json<Listing>> {
    let known = find(&state, &caller, &id).await?;
    let (at, limit) = (at_of(&query)?, limit_of(query.limit, DEFAULT_LIMIT)?);
    let after = path_after(query.cursor.as_deref())?;
    let view = view(&state, &known).await?;
    let listed = blocking(move || view.list(&at, after.as_deref(), limit)).await?;
    let last = listed.items.last().filter(|_| listed.has_more);
    let next = last.map(|last| encode_hex(tintype_model::entry::file_name(&last.path)));
    let itself = listed.itself.as_ref().map(entry_of);
    Ok(Json(Listing { itself, items: listed.items.iter().map(entry_of).collect(), next }))
}

/// Partitions of a disk image (`disk`) in a snapshot.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/partitions", operation_id = "list-partitions",
    tag = "content", params(("id" = String, Path), EntryQuery),
    responses(
        (status = 200, body = Vec<Partition>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn partitions(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(query): Asked<EntryQuery>,
) -> Outcome<Json<Vec<Partition>>> {
    let known = find(&state, &caller, &id).await?;
    let disk = at_of(&query)?.disk;
    let disk = disk.ok_or_else(|| Failure::new(Code::Invalid, "`disk` names a disk image"))?;
    let view = view(&state, &known).await?;
    let found = waited(move |cancel| view.partitions(&disk.image, cancel)).await?;
    let told = found.into_iter().map(|part| Partition {
        number: part.number,
        start: part.start,
        size: part.size_bytes,
        kind: part.kind,
        can_be_read: part.can_be_read,
    });
    Ok(Json(told.collect()))
}

/// Looks for entries by name and what is said of them; contents are not read.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/search", operation_id = "search-snapshot", tag = "content",
    params(("id" = String, Path), SearchQuery),
    responses(
        (status = 200, body = SearchResult),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn search(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Asked(asked): Asked<SearchQuery>,
) -> Outcome<Json<SearchResult>> {
    let known = find(&state, &caller, &id).await?;
    let limit = limit_of(asked.limit, DEFAULT_LIMIT)?;
    let query = query_of(asked)?;
    let view = view(&state, &known).await?;
    let found = waited(move |cancel| view.search(&query, limit, cancel)).await?;
    Ok(Json(SearchResult {
        items: found.items.iter().map(entry_of).collect(),
        has_more: found.has_more,
        unread: found.unread.iter().map(|(first, _)| shown(first)).collect(),
    }))
}

fn query_of(asked: SearchQuery) -> Outcome<Query> {
    // A substring does not narrow a pattern: what is found has both.
    let mut patterns = Vec::new();
    match (&asked.pattern, &asked.contains) {
        (Some(_), Some(_)) => {
            let what = "`pattern` and `contains` are two ways to say what is looked for: give one";
            return Err(Failure::new(Code::Invalid, what));
        }
        (Some(pattern), None) => patterns.push(Pattern::glob(pattern)?),
        (None, Some(part)) => patterns.push(Pattern::Substring(part.clone().into_bytes())),
        (None, None) => {}
    }
    let moment = |time: jiff::Timestamp| Time { seconds: time.as_second(), nanoseconds: 0 };
    Ok(Query {
        patterns,
        kinds: asked.kind.map(kind_for).into_iter().collect(),
        least_bytes: asked.larger_than,
        most_bytes: asked.smaller_than,
        modified_from: asked.newer.map(moment),
        modified_until: asked.older.map(moment),
        within: path_of(asked.path.as_deref(), None)?,
    })
}

/// One path in all snapshots of a tenant that whoever asks may see.
#[utoipa::path(
    get, path = "/api/v1/versions", operation_id = "list-versions", tag = "content",
    params(VersionsQuery),
    responses(
        (status = 200, body = Versions),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn versions(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<VersionsQuery>,
) -> Outcome<Json<Versions>> {
    let path = path_of(query.path.as_deref(), query.path_hex.as_deref())?;
    if path.is_empty() {
        return Err(Failure::new(Code::Invalid, "`path` says of what"));
    }
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let tenant = tenant_of(&state, &caller, wanted).await?;
    let resource = query.resource.as_deref().map(str::parse::<Id>).transpose()?;
    let limit = limit_of(query.limit, MOST)?;
    let filter = Filter {
        tenant: Some(tenant.id),
        resource: resource.map(|id| id.to_string()),
        with_private: caller.actor.is_system,
        limit: limit as i64 + 1,
        ..Filter::default()
    };
    let mut all = snapshots::list(&mut *state.catalog.read().await?, &filter).await?;
    let has_more = all.len() > limit;
    all.truncate(limit);
    let mut repositories: BTreeMap<Id, Vec<Known>> = BTreeMap::new();
    for known in all {
        repositories.entry(known.repository.clone()).or_default().push(known);
    }
    let mut items = Vec::new();
    for all in repositories.into_values() {
        items.extend(versions_in(&state, &path, &all).await?);
    }
    items.sort_by(|a, b| (b.time, &b.snapshot).cmp(&(a.time, &a.snapshot)));
    Ok(Json(Versions { items, has_more }))
}

/// `all` lie in one repository.
async fn versions_in(state: &State, path: &[u8], all: &[Known]) -> Outcome<Vec<Version>> {
    let Some(first) = all.first() else { return Ok(Vec::new()) };
    let vault = vault_of(state, first).await?;
    let ids: Vec<String> = all.iter().map(|known| known.snapshot.id.clone()).collect();
    let path = path.to_vec();
    let held = waited(move |cancel| vault.versions(&ids, &path, cancel)).await?;
    let version = |held: tintype_runner::vault::Held| {
        let known = all.iter().find(|known| known.snapshot.id == held.snapshot)?;
        Some(Version {
            snapshot: held.snapshot,
            storage: known.snapshot.storage.clone(),
            time: known.snapshot.time,
            entry: entry_of(&held.found),
            change: held.what.map(change_of),
        })
    };
    Ok(held.into_iter().filter_map(version).collect())
}

/// What differs between two snapshots of one repository; contents are not read.
#[utoipa::path(
    get, path = "/api/v1/diff", operation_id = "diff-snapshots", tag = "content",
    params(DiffQuery),
    responses(
        (status = 200, body = Differences),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn diff(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<DiffQuery>,
) -> Outcome<Json<Differences>> {
    let from = find(&state, &caller, &query.from).await?;
    let to = find(&state, &caller, &query.to).await?;
    if from.repository != to.repository {
        let what = "these snapshots lie in different repositories, and cannot be compared";
        return Err(Failure::new(Code::Invalid, what)
            .cure("choose two of the same tenant in the same storage"));
    }
    let path = path_of(query.path.as_deref(), query.path_hex.as_deref())?;
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let after = path_after(query.cursor.as_deref())?;
    let (old, new) = (view(&state, &from).await?, view(&state, &to).await?);
    let is_summary = query.summary;
    let found = waited(move |cancel| {
        let (old, new): (Arc<_>, Arc<_>) = (old, new);
        if is_summary {
            let counts = Some(new.count_differences(&old, &path, cancel)?);
            return Ok(tintype_runner::vault::Differences { counts, ..Default::default() });
        }
        new.differences(&old, &path, after.as_deref(), limit, cancel)
    });
    let found = found.await?;
    let next = found.items.last().filter(|_| found.has_more).map(|last| encode_hex(&last.path));
    let counts = found.counts.map(counts_of);
    let items = found.items.into_iter().map(difference_of).collect();
    Ok(Json(Differences { items, next, counts }))
}
