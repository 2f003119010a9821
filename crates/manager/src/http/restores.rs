//! Restores: a plan is shown, then somebody agrees to it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as AxumState;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sqlx::AnyConnection;
use tintype_api::page::{DEFAULT_LIMIT, Page};
use tintype_api::problem::{Code, Problem};
use tintype_api::restore::{ApplyRestore, NewRestore, NotRestored, Restore, RestorePlan, Standing};
use tintype_api::run::{Run, RunKind, RunState};
use tintype_api::snapshot::SnapshotScope;
use tintype_model::ErrorKind;
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use utoipa::IntoParams;

use super::failure::{Failure, Outcome};
use super::input::{Asked, Body, OneId, cursor_of, limit_of, page};
use super::objects::entry;
use super::router::Asking;
use super::runs::{find_of, shown};
use super::snapshots::{find, told_to};
use super::whole::{manager_command, restores_all};
use crate::auth::caller::Caller;
use crate::catalog::runs::{self as stored, Stored};
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots::{self, Known};
use crate::runs::begin::{self, BY_HAND, Wanted};
use crate::runs::interrupted::standing;
use crate::runs::restore::{KIND, PLAN, Planned, plan, shown as plans};
use crate::runs::snapshot::MANAGER_NAME;
use crate::state::State;

/// In what a restore is to do: whether the system planned it.
const OF_SYSTEM: &str = "of_system";
/// So many restores are looked at for those that go on with others.
const MOST_FOLLOWED: i64 = 10_000;

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RestoreQuery {
    /// At most so many; 100 unless told, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only those of this tenant (id).
    tenant: Option<String>,
}

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
        false => plan(&state, &known, &new, caller.actor.is_system).await?,
    };
    let names: Vec<&str> = planned.items.iter().take(3).map(|item| &item.name[..]).collect();
    let more = if planned.items.len() > 3 { ", …" } else { "" };
    let title = format!("restore of {}{more}", names.join(", "));
    let wanted = Wanted {
        tenant: told_to(&state, &known).clone(),
        kind: RunKind::Restore,
        title: title.clone(),
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: Some(known.snapshot.storage.clone()),
        spec: json!({
            "new": new, "confirm": planned.confirm, "is_blocked": planned.is_blocked,
            "tenants": planned.tenants, "is_private": known.snapshot.is_private,
            OF_SYSTEM: caller.actor.is_system,
        }),
        is_planned: true,
    };
    let mut change = state.catalog.change().await?;
    let id = begin::queue(&state, change.on(), wanted).await?;
    if let Some(plan) = &planned.sealed {
        let of = Of { kind: KIND, id: &id, name: PLAN };
        secrets::put(change.on(), of, plan, &state.key, &*state.random).await?;
    }
    let run = shown(&state, stored::get(change.on(), &id).await?);
    let plan = plans::told(planned, run, manager_command);
    plans::keep(change.on(), &plan, state.now()).await?;
    let mut told = entry(&state, &caller, told_to(&state, &known), "restore.plan", &title);
    told.detail = json!({ "run": id, "new": new });
    change.commit(&told).await?;
    Ok((StatusCode::CREATED, Json(plan)))
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

/// Others restore over what there was; where else something goes on a host is for those who run it.
/// That includes the manager's own state, as files.
fn may_reach(caller: &Caller, new: &NewRestore) -> Outcome<()> {
    let runs_it = caller.actor.is_system && caller.actor.role == Role::Administrator;
    if runs_it || (new.as_new.is_empty() && new.files.is_none()) {
        return Ok(());
    }
    let what = "restoring beside what there is, or as files onto the host, is for administrators of \
                the system";
    Err(Failure::new(Code::NotAllowed, what)
        .cure("restore in place, or ask an administrator of the system"))
}

/// Whoever agrees to a plan, or goes on with it, may have made it: what the system may is in its plans.
async fn may_carry_out(state: &State, caller: &Caller, planned: &Stored) -> Outcome<NewRestore> {
    let absent = format!("there is no restore {}", planned.run.id);
    caller.check(&state.tenant(&planned.run.tenant).await?, &absent)?;
    let new = planned.read_new()?;
    may_reach(caller, &new)?;
    find(state, caller, &new.snapshot).await?;
    if !caller.actor.is_system && planned.spec[OF_SYSTEM] != false {
        let what = "the system planned this restore: it may go where a tenant's own does not";
        return Err(Failure::new(Code::NotAllowed, what).cure("plan it yourself, and apply that"));
    }
    Ok(new)
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
    let found = found(&state, &caller, &id).await?;
    may_carry_out(&state, &caller, &found).await?;
    if found.run.state != RunState::Planned {
        return Err(Failure::new(Code::Locked, "this restore was applied or cancelled already"));
    }
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

async fn found(state: &State, caller: &Caller, id: &Id) -> Outcome<Stored> {
    find_of(state, caller, id, "restore", Some(RunKind::Restore)).await
}

/// The run that each restore is followed by, where there is one.
async fn followers(state: &State, tenant: Option<Id>) -> Outcome<BTreeMap<String, Id>> {
    followers_on(&mut *state.catalog.read().await?, tenant).await
}

async fn followers_on(on: &mut AnyConnection, tenant: Option<Id>) -> Outcome<BTreeMap<String, Id>> {
    let filter = stored::Filter {
        tenant,
        kind: Some(RunKind::Restore),
        limit: MOST_FOLLOWED,
        ..stored::Filter::default()
    };
    let all = stored::list(on, &filter).await?;
    // A follower that came to nothing does not count: it can be tried again.
    let counts = |run: &Run| !matches!(run.state, RunState::Failed | RunState::Canceled);
    let follows = all.into_iter().filter(|one| counts(&one.run));
    Ok(follows.filter_map(|one| Some((one.spec["of"].as_str()?.to_owned(), one.run.id))).collect())
}

fn restore_of(state: &State, stored: Stored, followers: &BTreeMap<String, Id>) -> Restore {
    let snapshot = stored.spec["new"]["snapshot"].as_str().unwrap_or_default().to_owned();
    let run = shown(state, stored);
    let followed_by = followers.get(run.id.as_str()).cloned();
    let standing = Standing::of(&run, followed_by.is_some());
    Restore { run, snapshot, standing, followed_by, hosts: Vec::new() }
}

/// Newest first, with where each stands.
#[utoipa::path(
    get, path = "/api/v1/restores", operation_id = "list-restores", tag = "restore",
    params(RestoreQuery),
    responses(
        (status = 200, body = Page<Restore>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<RestoreQuery>,
) -> Outcome<Json<Page<Restore>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let filter = stored::Filter {
        tenant: caller.scope(wanted),
        kind: Some(RunKind::Restore),
        before: cursor_of(query.cursor.as_deref(), |text| text.parse().ok())?,
        limit: limit as i64 + 1,
        ..stored::Filter::default()
    };
    let followers = followers(&state, filter.tenant.clone()).await?;
    let found = stored::list(&mut *state.catalog.read().await?, &filter).await?;
    let all = found.into_iter().map(|one| restore_of(&state, one, &followers)).collect();
    Ok(page(all, limit, |last: &Restore| last.run.id.to_string()))
}

/// One, and what its hosts have of it, if it was interrupted.
#[utoipa::path(
    get, path = "/api/v1/restores/{id}", operation_id = "get-restore", tag = "restore",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Restore),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<Restore>> {
    let stored = found(&state, &caller, &id).await?;
    let followers = followers(&state, Some(stored.run.tenant.clone())).await?;
    let mut restore = restore_of(&state, stored, &followers);
    if restore.standing == Standing::Interrupted {
        find(&state, &caller, &restore.snapshot).await?;
        restore.hosts = standing(&state, &id).await?;
    }
    Ok(Json(restore))
}

/// Its plan as it was shown, to whoever may make the same one: before it is agreed to, while it goes on,
/// and when it is over.
#[utoipa::path(
    get, path = "/api/v1/restores/{id}/plan", operation_id = "get-restore-plan", tag = "restore",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = RestorePlan),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn plan_of(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<Json<RestorePlan>> {
    let restore = found(&state, &caller, &id).await?;
    let absent = format!("there is no restore {id}");
    caller.check(&state.tenant(&restore.run.tenant).await?, &absent)?;
    if !caller.actor.is_system && is_hidden(&state, &restore).await? {
        return Err(Failure::new(Code::NotFound, absent));
    }
    may_reach(&caller, &restore.read_new()?)?;
    let mut on = state.catalog.read().await?;
    let mut kept = plans::kept(&mut on, &id).await?;
    if let (None, Some(of)) = (&kept, restore.spec["of"].as_str()) {
        kept = plans::kept(&mut on, &of.parse()?).await?;
    }
    drop(on);
    let Some(mut plan) = kept else {
        let what = format!("the plan of restore {id} was not kept");
        return Err(Failure::new(Code::NotFound, what)
            .cure("plan the same restore again; the log of its run says what was done"));
    };
    plan.manager_command = plan.manager_command.filter(|_| restores_all(&caller));
    plan.run = shown(&state, restore);
    Ok(Json(plan))
}

/// Whether its snapshot is, or was before it was deleted, private.
async fn is_hidden(state: &State, restore: &stored::Stored) -> Outcome<bool> {
    let snapshot = restore.spec["new"]["snapshot"].as_str().unwrap_or_default();
    match snapshots::get(&mut *state.catalog.read().await?, snapshot).await {
        Err(error) if error.is(ErrorKind::NotFound) => Ok(restore.spec["is_private"] != false),
        known => Ok(known?.snapshot.is_private),
    }
}

/// Goes on with a restore that was interrupted, as it was agreed to: hosts that are done stay so.
#[utoipa::path(
    post, path = "/api/v1/restores/{id}/resume", operation_id = "resume-restore", tag = "restore",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn resume(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<(StatusCode, Json<Run>)> {
    follow(&state, &caller, &id, false).await
}

/// Takes a restore back that was interrupted: everything is as it was before.
#[utoipa::path(
    post, path = "/api/v1/restores/{id}/undo", operation_id = "undo-restore", tag = "restore",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn undo(
    AxumState(state): AxumState<State>,
    caller: Asking,
    OneId(id): OneId,
) -> Outcome<(StatusCode, Json<Run>)> {
    follow(&state, &caller, &id, true).await
}

async fn follow(
    state: &State,
    caller: &Caller,
    id: &Id,
    is_undo: bool,
) -> Outcome<(StatusCode, Json<Run>)> {
    let before = found(state, caller, id).await?;
    let new = may_carry_out(state, caller, &before).await?;
    let mut change = state.catalog.change().await?;
    // In the change: of two that ask at once the second sees the first.
    let followers = followers_on(change.on(), Some(before.run.tenant.clone())).await?;
    let is_followed = followers.contains_key(id.as_str());
    if Standing::of(&before.run, is_followed) != Standing::Interrupted {
        let what = "this restore was not interrupted, or another run goes on with it";
        return Err(
            Failure::new(Code::Locked, what).cure("`tintype restore list` says where each stands")
        );
    }
    if new.files.is_some() {
        let what = "a restore of files leaves nothing in the middle: each is whole, or as it was";
        return Err(
            Failure::new(Code::Unsupported, what).cure("plan it again: it goes on from there")
        );
    }
    let of = Of { kind: KIND, id, name: PLAN };
    let Some(plan) = secrets::get(change.on(), of, &state.key).await? else {
        let what = "what was agreed to is kept for a week, and that is over";
        return Err(
            Failure::new(Code::Locked, what).cure("plan the same restore again: it goes on")
        );
    };
    let verb = if is_undo { "take back" } else { "go on with" };
    let title = format!("{verb} {}", before.run.title);
    let wanted = Wanted {
        tenant: before.run.tenant.clone(),
        kind: RunKind::Restore,
        title: title.clone(),
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: before.storage.parse().ok(),
        spec: json!({
            "new": new, "of": id, "undo": is_undo, "is_private": before.spec["is_private"],
            "tenants": before.spec["tenants"], OF_SYSTEM: before.spec[OF_SYSTEM],
        }),
        is_planned: false,
    };
    let follower = begin::queue(state, change.on(), wanted).await?;
    let sealed = Of { kind: KIND, id: &follower, name: PLAN };
    secrets::put(change.on(), sealed, &plan, &state.key, &*state.random).await?;
    if !is_undo {
        stored::copy_steps(change.on(), id, &follower).await?;
    }
    let run = stored::get(change.on(), &follower).await?;
    let action = if is_undo { "restore.undo" } else { "restore.resume" };
    let mut told = entry(state, caller, &before.run.tenant, action, &title);
    told.detail = json!({ "run": follower, "of": id });
    change.commit(&told).await?;
    begin::tell(state);
    Ok((StatusCode::ACCEPTED, Json(shown(state, run))))
}
