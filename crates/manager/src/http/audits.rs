//! The audit log: read, exported, checked.

use axum::Json;
use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use tintype_api::audit::{AuditCheck, AuditEntry};
use tintype_api::page::{DEFAULT_LIMIT, Page};
use tintype_api::problem::{Code, Problem};
use tintype_model::identifier::Id;
use utoipa::IntoParams;

use super::failure::{Failure, Outcome};
use super::input::{Asked, cursor_of, limit_of, page};
use super::router::Asking;
use crate::state::State;

#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// At most so many; 100 unless told, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only what concerns this tenant (id).
    tenant: Option<String>,
}

/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "list-audit", tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, body = Page<AuditEntry>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<AuditQuery>,
) -> Outcome<Json<Page<AuditEntry>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let before = cursor_of(query.cursor.as_deref(), |text| text.parse::<i64>().ok())?;
    let scope = caller.scope(wanted);
    let entries = state.catalog.audit(scope.as_ref(), before, limit as i64 + 1).await?;
    Ok(page(entries, limit, |last: &AuditEntry| last.n.to_string()))
}

/// Reads the whole log and computes every hash again.
#[utoipa::path(
    get, path = "/api/v1/audit/check", operation_id = "check-audit", tag = "audit",
    responses(
        (status = 200, body = AuditCheck),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn check(
    AxumState(state): AxumState<State>,
    caller: Asking,
) -> Outcome<Json<AuditCheck>> {
    if !caller.actor.is_system {
        let what = "the log is one for all tenants: only the system's auditors check it";
        return Err(Failure::new(Code::NotAllowed, what));
    }
    Ok(Json(state.catalog.check_audit().await?))
}
