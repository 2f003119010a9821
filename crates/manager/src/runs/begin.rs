//! Queueing runs.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::AnyConnection;
use tintype_api::run::RunKind;
use tintype_model::Result;
use tintype_model::identifier::Id;

use crate::catalog::runs::{self, New};
use crate::state::State;

/// What people wait for goes before what a schedule began, and that before maintenance.
pub const BY_HAND: i64 = 30;
pub const SCHEDULED: i64 = 20;
pub const MAINTENANCE: i64 = 10;

/// What is to be done for whom.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub tenant: Id,
    pub kind: RunKind,
    pub title: String,
    pub by: String,
    pub priority: i64,
    /// Not before now, if none.
    pub not_before: Option<Timestamp>,
    pub storage: Option<Id>,
    pub spec: Value,
    /// It waits until somebody agrees to its plan.
    pub is_planned: bool,
}

/// Queues it in a change that the caller commits; then the dispatcher is to be told.
pub async fn queue(state: &State, on: &mut AnyConnection, wanted: Wanted) -> Result<Id> {
    let (id, now) = (state.new_id(), state.now());
    let Wanted { tenant, kind, title, by, priority, not_before, storage, spec, is_planned } =
        wanted;
    let not_before = not_before.unwrap_or(now);
    let new = New {
        id: id.clone(),
        tenant,
        kind,
        title,
        by,
        priority,
        not_before,
        storage,
        spec,
        is_planned,
    };
    runs::insert(on, &new, now).await?;
    Ok(id)
}

/// Something was queued or cancelled.
pub fn tell(state: &State) {
    state.living.changed.notify_waiters();
    state.living.changed.notify_one();
}
