//! Runs: listed, followed, stopped.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State as AxumState;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use tintype_api::page::{DEFAULT_LIMIT, Page};
use tintype_api::problem::{Code, Problem};
use tintype_api::run::{LogLine, Run, RunEvent, RunKind, RunQuery};
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Role};
use tokio::sync::watch;

use super::failure::{Failure, Outcome};
use super::input::{Asked, OneId, cursor_of, limit_of, page};
use super::objects::entry;
use super::router::Asking;
use crate::auth::caller::{self, Caller};
use crate::catalog::runs::{self as stored, Filter, Stored};
use crate::events::ended;
use crate::runs::begin;
use crate::state::State;

/// What goes on is looked at so often.
const LOOK: Duration = Duration::from_millis(500);
/// So often it is looked whether whoever follows still may.
const BEAT: Duration = Duration::from_secs(15);
/// Lines of one event.
const LINES: i64 = 500;

/// With how far it is this moment, where this process carries it out.
pub(super) fn shown(state: &State, stored: Stored) -> Run {
    let mut run = stored.run;
    if let Some(handle) = state.living.get(&run.id).filter(|_| !run.state.is_over()) {
        run.progress = handle.shown(state);
    }
    run
}

async fn find(state: &State, caller: &Caller, id: &Id) -> Outcome<Stored> {
    find_of(state, caller, id, "run", None).await
}

/// One that is called by what it does; one of another kind is none.
pub(super) async fn find_of(
    state: &State,
    caller: &Caller,
    id: &Id,
    noun: &str,
    kind: Option<RunKind>,
) -> Outcome<Stored> {
    let absent = format!("there is no {noun} {id}");
    let found = match stored::get(&mut *state.catalog.read().await?, id).await {
        Err(error) if error.is(ErrorKind::NotFound) => {
            return Err(Failure::new(Code::NotFound, absent));
        }
        found => found?,
    };
    caller.check_id(&found.run.tenant, &absent)?;
    match kind.is_none_or(|kind| kind == found.run.kind) {
        true => Ok(found),
        false => Err(Failure::new(Code::NotFound, absent)),
    }
}

/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/runs", operation_id = "list-runs", tag = "run", params(RunQuery),
    responses(
        (status = 200, body = Page<Run>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<RunQuery>,
) -> Outcome<Json<Page<Run>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let filter = Filter {
        tenant: caller.scope(wanted),
        kind: query.kind,
        state: query.state,
        before: cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?,
        limit: limit as i64 + 1,
        since: None,
    };
    let found = stored::list(&mut *state.catalog.read().await?, &filter).await?;
    let runs = found.into_iter().map(|stored| shown(&state, stored)).collect();
    Ok(page(runs, limit, |last: &Run| last.id.to_string()))
}

#[utoipa::path(
    get, path = "/api/v1/runs/{id}", operation_id = "get-run", tag = "run",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Run>> {
    let found = find(&state, &caller, &id).await?;
    Ok(Json(shown(&state, found)))
}

#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only lines after this number.
    #[serde(default)]
    #[param(minimum = 0)]
    after: i64,
    /// At most so many; 1 to 1000, default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What it said, oldest first.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/log", operation_id = "list-run-log", tag = "run",
    params(("id" = String, Path), LogQuery),
    responses(
        (status = 200, body = Vec<LogLine>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn log(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Asked(query): Asked<LogQuery>,
) -> Outcome<Json<Vec<LogLine>>> {
    let found = find(&state, &caller, &id).await?;
    let limit = limit_of(query.limit, DEFAULT_LIMIT)? as i64;
    if query.after < 0 {
        return Err(Failure::new(Code::Invalid, "`after` is the number of a line, not below 0"));
    }
    let mut on = state.catalog.read().await?;
    Ok(Json(stored::log_after(&mut on, &found.run.id, query.after, limit).await?))
}

/// Stops it. One that waits ends at once; one that goes on stops at the next safe point.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", operation_id = "cancel-run", tag = "run",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn cancel(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<(StatusCode, Json<Run>)> {
    let found = find(&state, &caller, &id).await?;
    if caller.actor.role != Role::Administrator && found.run.by != caller.name {
        let what = "a run is stopped by whoever began it, or an administrator";
        return Err(Failure::new(Code::NotAllowed, what));
    }
    let mut change = state.catalog.change().await?;
    if !stored::cancel(change.on(), &id, state.now()).await? {
        return Err(Failure::new(Code::Locked, "the run is over already"));
    }
    let run = stored::get(change.on(), &id).await?;
    let what = format!("run {id}");
    change.commit(&entry(&state, &caller, &found.run.tenant, "run.cancel", &what)).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(shown(&state, run))))
}

/// Follows a run: `run` with all that is known whenever it changes, `log` with each line (its number
/// is the event's id, so that whoever comes back goes on behind it). Ends when the run is over, and
/// with the session.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/events", operation_id = "follow-run", tag = "run",
    params(("id" = String, Path), ("Last-Event-ID" = Option<i64>, Header)),
    responses(
        (status = 200, body = RunEvent, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    headers: HeaderMap,
) -> Outcome<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    find(&state, &caller, &id).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = last.and_then(|value| value.parse().ok()).unwrap_or(0);
    let (ending, ready) = (state.events.ending(), Vec::new());
    let looked = state.clock.elapsed();
    let following =
        Following { state, id, headers, after, last: None, ready, ending, looked, is_over: false };
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Following {
    state: State,
    id: Id,
    /// By which it is seen whether the session goes on.
    headers: HeaderMap,
    after: i64,
    last: Option<Run>,
    /// In reverse order.
    ready: Vec<Event>,
    ending: watch::Receiver<bool>,
    /// When it was looked whether whoever follows still may.
    looked: Duration,
    is_over: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            if self.last.is_some() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    // A run that waits outlives the manager.
                    () = ended(&mut self.ending) => return None,
                }
            }
            // What cannot be read now is read the next time; a run that is gone ends it.
            match self.look().await {
                Err(error) if error.is(ErrorKind::NotFound) => return None,
                _ => {}
            }
            if !self.may_be_told().await {
                return None;
            }
        }
    }

    /// Before something is told, and every so often: being told is no use of a session.
    async fn may_be_told(&mut self) -> bool {
        let now = self.state.clock.elapsed();
        if self.ready.is_empty() && now.saturating_sub(self.looked) < BEAT {
            return true;
        }
        self.looked = now;
        match caller::still(&self.state, Action::See, &self.headers).await {
            Ok(caller) => find(&self.state, &caller, &self.id).await.is_ok(),
            Err(_) => false,
        }
    }

    async fn look(&mut self) -> tintype_model::Result<()> {
        let mut on = self.state.catalog.read().await?;
        let found = stored::get(&mut on, &self.id).await?;
        let lines = stored::log_after(&mut on, &self.id, self.after, LINES).await?;
        drop(on);
        let run = shown(&self.state, found);
        let has_all = (lines.len() as i64) < LINES;
        self.after = lines.last().map_or(self.after, |line| line.n);
        let mut events: Vec<Event> = lines
            .iter()
            .filter_map(|line| {
                Event::default().event("log").id(line.n.to_string()).json_data(line).ok()
            })
            .collect();
        self.is_over = run.state.is_over() && has_all;
        if self.last.as_ref() != Some(&run) {
            events.extend(Event::default().event("run").json_data(&run));
            self.last = Some(run);
        }
        events.reverse();
        self.ready = events;
        Ok(())
    }
}
