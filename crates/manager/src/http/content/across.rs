//! Names looked for in all snapshots of a tenant: the newest first, as far as there is time.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State as AxumState;
use tintype_api::content::{AcrossQuery, SearchQuery, Sighting, Sightings, UnreadSnapshot};
use tintype_api::page::DEFAULT_LIMIT;
use tintype_api::problem::{Code, Problem};
use tintype_model::identifier::Id;

use super::wire::{entry_of, shown};
use super::{query_of, waited};
use crate::catalog::snapshots::{self, Filter, Known};
use crate::http::failure::{Failure, Outcome};
use crate::http::input::{Asked, cursor_of, limit_of};
use crate::http::objects::tenant_of;
use crate::http::router::Asking;
use crate::state::State;
use crate::views::view;

/// No other snapshot is begun after that.
const BUDGET: Duration = Duration::from_secs(5);
/// Looked into for one answer.
const SNAPSHOTS: i64 = 100;

/// Looks for entries by name in all snapshots of a tenant that whoever asks may see, the newest first;
/// contents are not read. Says how far it came, and from where to go on.
#[utoipa::path(
    get, path = "/api/v1/search", operation_id = "search-all", tag = "content",
    params(AcrossQuery),
    responses(
        (status = 200, body = Sightings),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) async fn search(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(asked): Asked<AcrossQuery>,
) -> Outcome<Json<Sightings>> {
    let limit = limit_of(asked.limit, DEFAULT_LIMIT)?;
    let wanted = asked.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let tenant = tenant_of(&state, &caller, wanted).await?;
    if asked.pattern.is_none() && asked.contains.is_none() {
        return Err(Failure::new(Code::Invalid, "`pattern` or `contains` says what is looked for"));
    }
    let resource = asked.resource.as_deref().map(str::parse::<Id>).transpose()?;
    let filter = Filter {
        tenant: Some(tenant.id),
        resource: resource.map(|id| id.to_string()),
        with_private: caller.actor.is_system,
        before: cursor_of(asked.cursor.as_deref(), |text| {
            let (time, id) = text.split_once('-')?;
            Some((time.parse().ok()?, id.to_owned()))
        })?,
        limit: SNAPSHOTS + 1,
        ..Filter::default()
    };
    let query = SearchQuery {
        pattern: asked.pattern,
        contains: asked.contains,
        path: asked.path,
        kind: asked.kind,
        ..SearchQuery::default()
    };
    let all = snapshots::list(&mut *state.catalog.read().await?, &filter).await?;
    Ok(Json(looked(&state, &all, &query, limit).await?))
}

async fn looked(
    state: &State,
    all: &[Known],
    query: &SearchQuery,
    limit: usize,
) -> Outcome<Sightings> {
    let begun = state.clock.elapsed();
    let (mut told, mut seen) = (none(), BTreeSet::new());
    for (n, known) in all.iter().enumerate() {
        let is_late = state.clock.elapsed().saturating_sub(begun) > BUDGET;
        if n > 0 && (n as i64 == SNAPSHOTS || is_late || told.items.len() >= limit) {
            let last = &all[n - 1].snapshot;
            told.next = Some(format!("{}-{}", last.time.as_millisecond(), last.id));
            break;
        }
        let (id, time) = (&known.snapshot.id, known.snapshot.time);
        (told.looked_into, told.until) = (told.looked_into + 1, Some(time));
        let unread = |reason: String| UnreadSnapshot { snapshot: id.clone(), reason };
        let query = query_of(query.clone())?;
        let found = match view(state, known).await {
            Ok(view) => waited(move |cancel| view.search(&query, limit, cancel)).await,
            Err(error) => Err(error),
        };
        // One that is damaged hides no other.
        match found {
            Err(error) => told.unread.push(unread(error.to_string())),
            Ok(found) => {
                if let Some((first, _)) = found.unread.first() {
                    told.unread.push(unread(format!("cannot look into {}", shown(first))));
                }
                told.has_more.extend(found.has_more.then(|| id.clone()));
                let new = found.items.iter().filter(|entry| seen.insert(entry.path.clone()));
                let new = new.map(|entry| Sighting {
                    snapshot: id.clone(),
                    time,
                    entry: entry_of(entry),
                });
                told.items.extend(new);
            }
        }
    }
    Ok(told)
}

fn none() -> Sightings {
    Sightings {
        items: Vec::new(),
        looked_into: 0,
        until: None,
        has_more: Vec::new(),
        unread: Vec::new(),
        next: None,
    }
}
