//! Restores: a plan is shown, then somebody agrees to it.

use axum::Json;
use axum::extract::State as AxumState;
use axum::http::StatusCode;
use serde_json::json;
use tintype_api::problem::{Code, Problem};
use tintype_api::restore::{ApplyRestore, NewRestore, NotRestored, RestorePlan};
use tintype_api::run::{Run, RunKind, RunState};
use tintype_api::snapshot::SnapshotScope;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::rights::Role;

use super::failure::{Failure, Outcome};
use super::input::{Body, OneId};
use super::objects::entry;
use super::router::Asking;
use super::runs::shown;
use super::snapshots::find;
use crate::auth::caller::Caller;
use crate::catalog::runs as stored;
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots::Known;
use crate::runs::begin::{self, BY_HAND, Wanted};
use crate::runs::restore::{KIND, PLAN, Planned, plan};
use crate::runs::snapshot::MANAGER_NAME;
use crate::state::State;

/// Plans a restore; nothing is done before the plan is applied.
#[utoipa::path(
    post, path = "/api/v1/restores", operation_id = "plan-restore", tag = "restore",
    request_body = NewRestore,
    responses(
        (status = 201, body = RestorePlan),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewRestore>,
) -> Outcome<(StatusCode, Json<RestorePlan>)> {
    let known = find(&state, &caller, &new.snapshot).await?;
    may_reach(&caller, &new)?;
    let manager_command = manager_command(&state, &caller, &known).await?;
    let planned = match manager_command.is_some() && is_alone(&known) {
        true => manager_alone(),
        false => plan(&state, &known, &new).await?,
    };
    let Planned { items, missing, commands, is_blocked, confirm, sealed, tenants } = planned;
    let names: Vec<&str> = items.iter().take(3).map(|item| &item.name[..]).collect();
    let more = if items.len() > 3 { ", …" } else { "" };
    let title = format!("restore of {}{more}", names.join(", "));
    let wanted = Wanted {
        tenant: known.snapshot.tenant.clone(),
        kind: RunKind::Restore,
        title: title.clone(),
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: Some(known.snapshot.storage.clone()),
        spec: json!({
            "new": new, "confirm": confirm, "is_blocked": is_blocked, "tenants": tenants,
        }),
        is_planned: true,
    };
    let mut change = state.catalog.change().await?;
    let id = begin::queue(&state, change.on(), wanted).await?;
    if let Some(plan) = &sealed {
        let of = Of { kind: KIND, id: &id, name: PLAN };
        secrets::put(change.on(), of, plan, &state.key, &*state.random).await?;
    }
    let run = stored::get(change.on(), &id).await?;
    let mut told = entry(&state, &caller, &known.snapshot.tenant, "restore.plan", &title);
    told.detail = json!({ "run": id, "new": new });
    change.commit(&told).await?;
    let run = shown(&state, run);
    let plan = RestorePlan { run, items, missing, commands, is_blocked, confirm, manager_command };
    Ok((StatusCode::CREATED, Json(plan)))
}

/// What restores the manager itself together with everything, for those who may.
async fn manager_command(state: &State, caller: &Caller, known: &Known) -> Outcome<Option<String>> {
    let may = caller.actor.is_system && caller.actor.role == Role::Administrator;
    if !may || !known.snapshot.scope.holds_manager() {
        return Ok(None);
    }
    let storage = state.catalog.get(&known.snapshot.storage).await?;
    let url = state.place(&storage, None).await?.url;
    let (url, id) = (url.replace('\'', "'\\''"), &known.snapshot.id);
    Ok(Some(format!("tintype recover --from '{url}' --snapshot {id} --in-place")))
}

fn is_alone(known: &Known) -> bool {
    known.snapshot.scope == SnapshotScope::Manager
}

/// Nothing of it is restored by a run.
fn manager_alone() -> Planned {
    let reason = "it is restored on its host, with the command that the plan names".to_owned();
    Planned {
        items: Vec::new(),
        missing: vec![NotRestored { name: MANAGER_NAME.to_owned(), reason }],
        commands: Vec::new(),
        is_blocked: true,
        confirm: None,
        sealed: None,
        tenants: Vec::new(),
    }
}

/// Tenants restore over what they had; where else something goes on a host is for those who run it.
fn may_reach(caller: &Caller, new: &NewRestore) -> Outcome<()> {
    if caller.actor.is_system || (new.as_new.is_empty() && new.files.is_none()) {
        return Ok(());
    }
    let what = "restoring beside what there is, or as files onto the host, is for the system";
    Err(Failure::new(Code::NotAllowed, what)
        .cure("restore in place, or ask an administrator of the system"))
}

/// Carries out the plan.
#[utoipa::path(
    post, path = "/api/v1/restores/{id}/apply", operation_id = "apply-restore", tag = "restore",
    params(("id" = String, Path)), request_body = ApplyRestore,
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn apply(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
    Body(agreed): Body<ApplyRestore>,
) -> Outcome<(StatusCode, Json<Run>)> {
    let found = planned(&state, &caller, &id).await?;
    if found.spec["is_blocked"].as_bool() != Some(false) {
        let what = "a check blocks this restore: nothing was changed";
        return Err(Failure::new(Code::Locked, what).cure("mend what it names, and plan it again"));
    }
    if let Some(confirm) = found.spec["confirm"].as_str()
        && agreed.confirm.as_deref() != Some(confirm)
    {
        let what = format!("this replaces what is there: `confirm` must be {confirm}");
        return Err(Failure::new(Code::Invalid, what));
    }
    let mut change = state.catalog.change().await?;
    if !stored::agree(change.on(), &id, &caller.name).await? {
        return Err(Failure::new(Code::Locked, "this restore was applied or cancelled already"));
    }
    let run = stored::get(change.on(), &id).await?;
    let title = found.run.title.clone();
    change.commit(&entry(&state, &caller, &found.run.tenant, "restore.apply", &title)).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(shown(&state, run))))
}

async fn planned(state: &State, caller: &Caller, id: &Id) -> Outcome<stored::Stored> {
    let absent = || Failure::new(Code::NotFound, format!("there is no restore {id}"));
    let found = match stored::get(&mut *state.catalog.read().await?, id).await {
        Err(error) if error.is(ErrorKind::NotFound) => return Err(absent()),
        found => found?,
    };
    let tenant = state.tenant(&found.run.tenant).await?;
    caller.check(&tenant, &format!("there is no restore {id}"))?;
    if found.run.kind != RunKind::Restore {
        return Err(absent());
    }
    if found.run.state != RunState::Planned {
        return Err(Failure::new(Code::Locked, "this restore was applied or cancelled already"));
    }
    Ok(found)
}
