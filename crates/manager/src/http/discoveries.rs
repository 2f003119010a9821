//! What runs on a host and can be protected: asked of an agent, and of the manager's own host.

use axum::Json;
use axum::extract::State as AxumState;
use tintype_api::agent::{Discovered, FoundResource};
use tintype_api::problem::Problem;
use tintype_model::Error;
use tintype_runner::vault::discover::Discovery;
use tintype_runner::vault::work::{Done, Work, WorkOrder};

use super::failure::Outcome;
use super::objects::entry;
use super::router::Asking;
use crate::agents::hands::{self, For};
use crate::agents::{Place, shown};
use crate::state::State;

/// With the host, for people.
pub(super) async fn discovered(state: &State, place: Place) -> Outcome<(String, Json<Discovered>)> {
    let host = shown(&place);
    let order = WorkOrder::new(Work::Discover, None);
    let done = hands::perform(state, &place, For::Request, order).await?;
    let Done::Discovered(Discovery { found, problems }) = done else {
        return Err(Error::unsupported(format!("{host} answered something else")).into());
    };
    let found = found.into_iter().map(|one| FoundResource {
        resource: one.resource,
        reaches: one.reaches.to_string(),
        why_not_more: one.why_not_more,
    });
    Ok((host, Json(Discovered { found: found.collect(), problems })))
}

/// What runs on the manager's own host and can be protected. Nothing is changed there, and nothing is
/// stored.
#[utoipa::path(
    post, path = "/api/v1/resources/discover", operation_id = "discover-resources",
    tag = "resource",
    responses(
        (status = 200, body = Discovered),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn here(
    AxumState(state): AxumState<State>,
    caller: Asking,
) -> Outcome<Json<Discovered>> {
    let (host, found) = discovered(&state, None).await?;
    let told = entry(&state, &caller, &state.system, "resource.discover", &host);
    state.catalog.change().await?.commit(&told).await?;
    Ok(found)
}
