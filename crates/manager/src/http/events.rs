//! What changes, as it changes: of whatever whoever asks may see.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as AxumState;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sent, Sse};
use futures_util::{Stream, stream};
use tintype_api::change::{ChangeEvent, ChangedKind, ChangesQuery};
use tintype_api::problem::{Code, Problem};
use tintype_model::identifier::Id;
use tintype_model::rights::{Action, Allowance, Decision, decide};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::failure::{Failure, Outcome};
use super::input::Asked;
use super::router::Asking;
use crate::auth::caller::{self, Caller};
use crate::catalog::events::{Batch, Event};
use crate::events::{MOST, ended};
use crate::state::State;

/// So often something is said, and looked whether whoever listens still may.
const BEAT: Duration = Duration::from_secs(15);

/// What changes: `change` with what it is of, in the order in which it was committed; each has an id to
/// go on behind. `reset`: some of it is not known any more, everything is to be asked for again. How far
/// a run is is told by its own stream. Ends with the session.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "follow-changes", tag = "status",
    params(ChangesQuery, ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = ChangeEvent, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn follow(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<ChangesQuery>,
    headers: HeaderMap,
) -> Outcome<Sse<impl Stream<Item = Result<Sent, Infallible>>>> {
    let tenant = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    if let Some(tenant) = &tenant {
        caller.check_id(tenant, &format!("there is no tenant {tenant}"))?;
    }
    let slot = Arc::clone(&state.events.slots).try_acquire_owned().map_err(|_| {
        Failure::new(Code::Unavailable, "too many follow what changes").cure("try again later")
    })?;
    // Before it is looked where it begins: nothing falls between.
    let (batches, ending) = (state.events.listen(), state.events.ending());
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = last.or(query.after.as_deref()).filter(|id| !id.is_empty());
    let head = state.catalog.last_event().await?;
    let after = last.map(|id| number_of(id, &state.events.epoch));
    let mut following = Following {
        after: after.flatten().unwrap_or(head),
        is_once: query.follow == Some(false),
        is_over: false,
        is_behind: true,
        ready: Vec::new(),
        caller: caller.0,
        tenant,
        headers,
        batches,
        ending,
        state,
        _slot: slot,
    };
    following.begin(after.is_some_and(|known| known.is_none()));
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    });
    Ok(Sse::new(events))
}

/// Of an id of this process; of another, or of nothing, none.
fn number_of(id: &str, epoch: &str) -> Option<i64> {
    let (of, number) = id.split_once('-')?;
    number.parse().ok().filter(|_| of == epoch)
}

struct Following {
    state: State,
    caller: Caller,
    tenant: Option<Id>,
    /// By which it is seen whether the session goes on.
    headers: HeaderMap,
    batches: Receiver<Arc<Batch>>,
    ending: watch::Receiver<bool>,
    after: i64,
    /// In reverse order; not more than is read at once.
    ready: Vec<Sent>,
    /// There may be more in the catalog than was told.
    is_behind: bool,
    is_once: bool,
    is_over: bool,
    _slot: OwnedSemaphorePermit,
}

impl Following {
    /// Whoever is told nothing knows from where to go on, too.
    fn begin(&mut self, is_unknown: bool) {
        let first = match is_unknown {
            true => self.reset(),
            false => Sent::default().id(self.id(self.after)),
        };
        self.ready.push(first);
    }

    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            if self.is_behind {
                self.catch_up().await;
                continue;
            }
            if self.is_over || self.is_once {
                return None;
            }
            tokio::select! {
                batch = self.batches.recv() => self.take(batch),
                () = tokio::time::sleep(BEAT) => {
                    self.ready.push(Sent::default().comment("").id(self.id(self.after)));
                }
                () = ended(&mut self.ending) => return None,
            }
            if !self.ready.is_empty() && !self.goes_on().await {
                return None;
            }
        }
    }

    fn take(&mut self, batch: Result<Arc<Batch>, RecvError>) {
        match batch {
            Ok(batch) if batch.upto <= self.after && batch.events.is_some() => {}
            Ok(batch) if batch.after <= self.after => self.put(&batch),
            // There is something between, or it fell behind.
            Ok(_) | Err(RecvError::Lagged(_)) => self.is_behind = true,
            Err(RecvError::Closed) => self.is_over = true,
        }
    }

    async fn catch_up(&mut self) {
        match self.state.catalog.events_after(self.after, MOST).await {
            Ok(batch) => {
                self.is_behind = batch.events.as_ref().is_some_and(|e| e.len() as i64 == MOST);
                self.put(&batch);
            }
            // Whoever comes back is told then.
            Err(error) => {
                tracing::debug!(%error, "what changed cannot be read now");
                (self.is_behind, self.is_over) = (false, true);
            }
        }
    }

    fn put(&mut self, batch: &Batch) {
        let after = std::mem::replace(&mut self.after, batch.upto);
        let Some(events) = &batch.events else {
            // What was to be told is told by that.
            self.ready = vec![self.reset()];
            return;
        };
        let new = events.iter().filter(|event| event.n > after && self.may_know(event));
        let new: Vec<Sent> = new.filter_map(|event| self.told(event)).collect();
        self.ready.splice(0..0, new.into_iter().rev());
    }

    fn told(&self, event: &Event) -> Option<Sent> {
        let sent = Sent::default().event("change").id(self.id(event.n));
        sent.json_data(&event.changed).ok()
    }

    fn reset(&self) -> Sent {
        Sent::default().event("reset").id(self.id(self.after)).data("{}")
    }

    fn id(&self, n: i64) -> String {
        format!("{}-{n}", self.state.events.epoch)
    }

    fn may_know(&self, event: &Event) -> bool {
        let of = &event.changed.tenant;
        if self.tenant.as_ref().is_some_and(|tenant| tenant != of) {
            return false;
        }
        let actor = &self.caller.actor;
        let all = Allowance { may_snapshot: true, may_restore: true };
        let decided = decide(actor, action_of(event.changed.kind), of, all);
        decided == Decision::Allowed && (actor.is_system || !event.is_private)
    }

    /// Whether whoever listens is still logged in; with the rights of now.
    async fn goes_on(&mut self) -> bool {
        match caller::still(&self.state, Action::See, &self.headers).await {
            Ok(caller) => {
                self.caller = caller;
                true
            }
            Err(_) => false,
        }
    }
}

/// By which such a thing is listed.
fn action_of(kind: ChangedKind) -> Action {
    match kind {
        ChangedKind::Token => Action::Users,
        ChangedKind::Tenant
        | ChangedKind::User
        | ChangedKind::Storage
        | ChangedKind::Connector
        | ChangedKind::Resource
        | ChangedKind::Profile
        | ChangedKind::Sync
        | ChangedKind::Agent
        | ChangedKind::Snapshot
        | ChangedKind::Run
        | ChangedKind::Restore => Action::See,
    }
}
