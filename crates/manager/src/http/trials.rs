//! Hooks, tried out.

use axum::Json;
use axum::extract::State as AxumState;
use serde_json::json;
use tintype_api::object::Object;
use tintype_api::problem::{Code, Problem};
use tintype_api::resource::{NewTrial, ResourceSpec, Trial};
use tintype_model::ErrorKind;

use super::content::waited;
use super::failure::{Failure, Outcome};
use super::input::{Body, OneId};
use super::objects::entry;
use super::router::Asking;
use crate::state::State;

/// Runs one hook of a resource now, within its time; it ends when nobody waits for it any more.
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
    OneId(id): OneId,
    Body(new): Body<NewTrial>,
) -> Outcome<Json<Trial>> {
    let absent = format!("there is no resource {id}");
    let resource: Object<ResourceSpec> = match state.catalog.get(&id).await {
        Err(error) if error.is(ErrorKind::NotFound) => {
            return Err(Failure::new(Code::NotFound, absent));
        }
        resource => resource?,
    };
    caller.check_id(&resource.tenant, &absent)?;
    if resource.spec.agent.is_some() {
        let what = "the resource lies on the host of an agent, where no hook is tried by itself";
        return Err(Failure::new(Code::Unsupported, what).cure("take a snapshot of it"));
    }
    let hook = resource.spec.hooks.get(new.hook).cloned().ok_or_else(|| {
        let (name, count) = (&resource.name, resource.spec.hooks.len());
        Failure::new(Code::Invalid, format!("{name} has {count} hooks, counted from 0"))
    })?;
    let object = format!("resource {}", resource.name);
    let mut told = entry(&state, &caller, &resource.tenant, "hook.try", &object);
    told.detail = json!({ "phase": hook.phase, "command": hook.command });
    state.catalog.change().await?.commit(&told).await?;
    let (host, name) = (state.host.clone(), resource.name.clone());
    let tried = waited(move |cancel| host.try_hook(&hook, &name, cancel)).await;
    let (run, took) = tried?;
    Ok(Json(Trial {
        exit: run.exit,
        output: run.output,
        failure: run.failure,
        seconds: took.as_secs_f64(),
    }))
}
