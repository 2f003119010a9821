//! Hooks, tried out.

use axum::extract::State as AxumState;
use axum::{Extension, Json};
use serde_json::json;
use tintype_api::object::Object;
use tintype_api::problem::{Code, Problem};
use tintype_api::resource::{NewTrial, ResourceSpec, Trial};
use tintype_model::Error;
use tintype_model::identifier::Id;
use tintype_runner::vault::HookTrial;
use tintype_runner::vault::work::{Done, Work, WorkOrder};

use super::failure::{Failure, Outcome};
use super::input::{Body, OneId};
use super::objects::{entry, own};
use super::router::{Asker, Asking};
use crate::agents::hands::{self, For};
use crate::agents::named;
use crate::catalog::objects;
use crate::connectors::Connectors;
use crate::state::State;

/// Runs one hook of a resource now, on its host or in its guest, within its time; it ends when nobody
/// waits for it any more.
#[utoipa::path(
    post, path = "/api/v1/resources/{id}/hooks/try", operation_id = "try-hook", tag = "resource",
    params(("id" = String, Path)), request_body = NewTrial,
    responses(
        (status = 200, body = Trial),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Extension(asker): Extension<Asker>,
    OneId(id): OneId,
    Body(new): Body<NewTrial>,
) -> Outcome<Json<Trial>> {
    let resource = own::<ResourceSpec>(&state, &caller, &id).await?;
    let hook = resource.spec.hooks.get(new.hook).cloned().ok_or_else(|| {
        let (name, count) = (&resource.name, resource.spec.hooks.len());
        Failure::new(Code::Invalid, format!("{name} has {count} hooks, counted from 0"))
    })?;
    let object = format!("resource {}", resource.name);
    let mut told = entry(&state, &caller, &resource.tenant, "hook.try", &object);
    told.detail = json!({ "phase": hook.phase, "command": hook.command });
    state.catalog.change().await?.commit(&told).await?;
    let place = match host_of(&state, &resource).await? {
        None => None,
        Some(agent) => Some(named(&state, &agent, &resource.tenant).await?),
    };
    let connectors = Connectors::load(&mut *state.catalog.read().await?).await?;
    let described = connectors.described(&resource);
    let passwords = state.passwords_for(&resource.tenant, [&described]).await?;
    let work = Work::TryHook { resource: Box::new(described), hook };
    let order = WorkOrder { passwords, ..WorkOrder::new(work, None) };
    let done = tokio::select! {
        done = hands::perform(&state, &place, For::Request, order) => done?,
        () = asker.gone() => {
            return Err(Failure::new(Code::Unavailable, "nobody waited for the end of the hook"));
        }
    };
    match done {
        Done::Tried(HookTrial { run, seconds }) => {
            Ok(Json(Trial { exit: run.exit, output: run.output, failure: run.failure, seconds }))
        }
        _ => Err(Error::unsupported("a hook was tried, and something else answered").into()),
    }
}

/// Where its hooks run: on its host; those of an application on that of its first component.
async fn host_of(state: &State, resource: &Object<ResourceSpec>) -> Outcome<Option<Id>> {
    let Some(first) = resource.spec.components.first() else {
        return Ok(resource.spec.agent.clone());
    };
    let mut on = state.catalog.read().await?;
    let first = objects::named::<ResourceSpec>(&mut on, &resource.tenant, &first.resource).await?;
    Ok(first.and_then(|first| first.spec.agent))
}
