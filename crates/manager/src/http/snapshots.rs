//! Snapshots: taken, listed, kept, deleted.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State as AxumState};
use axum::http::StatusCode;
use serde_json::json;
use tintype_api::page::{DEFAULT_LIMIT, Page};
use tintype_api::problem::{Code, Problem};
use tintype_api::run::{Run, RunKind};
use tintype_api::snapshot::{
    ChangedSnapshot, NewSnapshot, Snapshot, SnapshotItem, SnapshotQuery, SnapshotScope, Trigger,
};
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::{SYSTEM, TenantSpec};
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use tintype_model::{Error, ErrorKind};
use tintype_runner::vault::{Change, Standing};

use super::failure::{Failure, Outcome};
use super::input::{Asked, Body, cursor_of, limit_of, page};
use super::objects::{acted, entry, part_of, tenant_of};
use super::router::Asking;
use super::runs::shown;
use super::storages::is_seen;
use crate::auth::caller::Caller;
use crate::catalog::snapshots::{Filter, Known};
use crate::catalog::{runs as stored_runs, snapshots};
use crate::runs::begin::{self, BY_HAND, Wanted};
use crate::runs::captured::stand;
use crate::runs::restore::vault_of;
use crate::runs::snapshot::{Spec, chosen, expiry, resources_of, there};
use crate::runs::{locks, parts};
use crate::state::State;
use crate::vaults::{blocking, usable_storage};

/// One that whoever asks may see; with what may be done to it.
pub(super) async fn find(state: &State, caller: &Caller, id: &str) -> Outcome<Known> {
    let absent = format!("there is no snapshot {id}");
    let found = snapshots::get(&mut *state.catalog.read().await?, id).await;
    let known = match found {
        Err(error) if error.is(ErrorKind::NotFound) => {
            return Err(Failure::new(Code::NotFound, absent));
        }
        found => found?,
    };
    if known.snapshot.is_private && !caller.actor.is_system {
        return Err(Failure::new(Code::NotFound, absent));
    }
    let tenant = state.tenant(&known.snapshot.tenant).await?;
    caller.check(&tenant, &absent)?;
    Ok(known)
}

/// Who may know of what is done with it: whoever must not see the snapshot does not see that either.
pub(super) fn told_to<'k>(state: &'k State, known: &'k Known) -> &'k Id {
    match known.snapshot.is_private {
        true => &state.system,
        false => &known.snapshot.tenant,
    }
}

/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/snapshots", operation_id = "list-snapshots", tag = "snapshot",
    params(SnapshotQuery),
    responses(
        (status = 200, body = Page<Snapshot>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<SnapshotQuery>,
) -> Outcome<Json<Page<Snapshot>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let resource = query.resource.as_deref().map(str::parse::<Id>).transpose()?;
    let filter = Filter {
        tenant: caller.scope(wanted),
        scope: query.scope,
        repository: None,
        resource: resource.map(|id| id.to_string()),
        text: part_of(query.q.as_deref())?,
        with_private: caller.actor.is_system,
        before: cursor_of(query.cursor.as_deref(), |text| {
            let (time, id) = text.split_once('-')?;
            Some((time.parse().ok()?, id.to_owned()))
        })?,
        limit: limit as i64 + 1,
    };
    let found = snapshots::list(&mut *state.catalog.read().await?, &filter).await?;
    let mut snapshots: Vec<Snapshot> = found.into_iter().map(|known| known.snapshot).collect();
    Names::default().say(&state, &caller, &mut snapshots).await?;
    Ok(page(snapshots, limit, |last: &Snapshot| {
        format!("{}-{}", last.time.as_millisecond(), last.id)
    }))
}

#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}", operation_id = "get-snapshot", tag = "snapshot",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Snapshot),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
) -> Outcome<Json<Snapshot>> {
    let mut one = [find(&state, &caller, &id).await?.snapshot];
    Names::default().say(&state, &caller, &mut one).await?;
    let [snapshot] = one;
    Ok(Json(snapshot))
}

/// How tenants and storages are called now, by their ids.
#[derive(Default)]
struct Names {
    tenants: BTreeMap<Id, Option<String>>,
    storages: BTreeMap<Id, Option<String>>,
}

impl Names {
    async fn say(
        &mut self,
        state: &State,
        caller: &Caller,
        snapshots: &mut [Snapshot],
    ) -> Outcome<()> {
        for snapshot in snapshots {
            snapshot.tenant_name = self.tenant(state, &snapshot.tenant).await?;
            snapshot.storage_name = self.storage(state, caller, &snapshot.storage).await?;
        }
        Ok(())
    }

    async fn tenant(&mut self, state: &State, id: &Id) -> Outcome<Option<String>> {
        if let Some(known) = self.tenants.get(id) {
            return Ok(known.clone());
        }
        let name = there::<TenantSpec>(state, id).await?.map(|tenant| tenant.name);
        self.tenants.insert(id.clone(), name.clone());
        Ok(name)
    }

    async fn storage(
        &mut self,
        state: &State,
        caller: &Caller,
        id: &Id,
    ) -> Outcome<Option<String>> {
        if let Some(known) = self.storages.get(id) {
            return Ok(known.clone());
        }
        let found = there::<StorageSpec>(state, id).await?;
        let name = found.filter(|storage| is_seen(caller, storage)).map(|storage| storage.name);
        self.storages.insert(id.clone(), name.clone());
        Ok(name)
    }
}

/// What it holds, resource by resource; of a full one also what its tenants' parts hold.
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}/items", operation_id = "list-snapshot-items",
    tag = "snapshot", params(("id" = String, Path)),
    responses(
        (status = 200, body = Vec<SnapshotItem>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn items(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
) -> Outcome<Json<Vec<SnapshotItem>>> {
    // Whoever sees a full one sees all tenants.
    let snapshot = find(&state, &caller, &id).await?.snapshot;
    let mut held = Vec::new();
    let mut parts = parts::of(&state, &snapshot).await?;
    parts.insert(0, snapshot);
    Names::default().say(&state, &caller, &mut parts).await?;
    parts[1..].sort_by(|a, b| a.tenant_name.cmp(&b.tenant_name));
    let mut on = state.catalog.read().await?;
    for part in &parts {
        let items = snapshots::items(&mut on, &part.id).await?;
        held.extend(items.into_iter().map(|item| SnapshotItem {
            tenant: Some(part.tenant.clone()),
            tenant_name: part.tenant_name.clone(),
            part: (part.id != parts[0].id).then(|| part.id.clone()),
            ..item
        }));
    }
    Ok(Json(held))
}

/// Queues a snapshot; the run says how far it is.
#[utoipa::path(
    post, path = "/api/v1/snapshots", operation_id = "create-snapshot", tag = "snapshot",
    request_body = NewSnapshot,
    responses(
        (status = 202, body = Run),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewSnapshot>,
) -> Outcome<(StatusCode, Json<Run>)> {
    let tenant = tenant_of(&state, &caller, new.tenant.clone()).await?;
    may_take(&caller, &new)?;
    if !tenant.spec.is_entitled && !new.scope.holds_manager() {
        let what = format!("snapshots are switched off for tenant {}", tenant.name);
        return Err(Failure::new(Code::NotAllowed, what)
            .cure("an administrator of the system switches them on (`is_entitled`)"));
    }
    let names = names(&state, &tenant.id, &new).await?;
    // No storage: refused with the cure, before anything is queued.
    let storage = match &new.storage {
        Some(id) => usable_storage(&state, id, &tenant.id).await?,
        None => state.default_storage(&tenant.id).await?,
    };
    let title = match new.scope {
        SnapshotScope::Full => "full snapshot".to_owned(),
        SnapshotScope::Manager => "snapshot of the manager's state".to_owned(),
        SnapshotScope::Tenant => format!("snapshot of tenant {}", tenant.name),
        SnapshotScope::Partial => {
            let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
            let more = if names.len() > 3 { ", …" } else { "" };
            format!("snapshot of {}{more}", shown.join(", "))
        }
    };
    let expiry = expiry(new.keep.as_deref(), state.now())?;
    // Who must not see the snapshot does not see the run, which is for that tenant nevertheless.
    let owner = if new.is_private { state.system.clone() } else { tenant.id.clone() };
    let new = NewSnapshot { tenant: Some(tenant.id.clone()), ..new };
    let spec = Spec {
        new,
        names,
        expiry,
        locked_until: None,
        unlock_delay_days: None,
        profile: None,
        period: None,
        copy: None,
    };
    let wanted = Wanted {
        tenant: owner.clone(),
        kind: RunKind::Snapshot,
        title: title.clone(),
        by: caller.name.clone(),
        priority: BY_HAND,
        not_before: None,
        storage: Some(storage.id),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        is_planned: false,
    };
    let mut change = state.catalog.change().await?;
    let id = begin::queue(&state, change.on(), wanted).await?;
    let run = stored_runs::get(change.on(), &id).await?;
    let mut told = entry(&state, &caller, &owner, "snapshot.create", &title);
    told.detail = json!({ "run": id, "new": spec.new });
    change.commit(&told).await?;
    begin::tell(&state);
    Ok((StatusCode::ACCEPTED, Json(shown(&state, run))))
}

fn may_take(caller: &Caller, new: &NewSnapshot) -> Outcome<()> {
    let is_administrator = caller.actor.role == Role::Administrator;
    let denied = |what: &str| Err(Failure::new(Code::NotAllowed, what.to_owned()));
    match new.scope {
        SnapshotScope::Full | SnapshotScope::Manager
            if !(caller.actor.is_system && is_administrator) =>
        {
            return denied("full and manager snapshots are for administrators of the system");
        }
        SnapshotScope::Tenant if !is_administrator => {
            return denied("a snapshot of a whole tenant is for its administrators");
        }
        _ => {}
    }
    if new.is_private && !caller.actor.is_system {
        return denied("only administrators of the system take private snapshots");
    }
    let chooses = !new.resources.is_empty() || !new.tags.is_empty();
    let wrong = |what: &str| Err(Failure::new(Code::Invalid, what.to_owned()));
    match (new.scope, chooses) {
        (SnapshotScope::Partial, false) => {
            return wrong("a partial snapshot names `resources` or `tags`");
        }
        (_, true) if new.scope != SnapshotScope::Partial => {
            return wrong("only a partial snapshot names `resources` or `tags`");
        }
        _ => {}
    }
    if !new.exclude.is_empty() && !new.scope.holds_manager() {
        return wrong("`exclude` is of the manager's state: of full and manager snapshots");
    }
    match new.trigger {
        Trigger::Manual | Trigger::PreUpdate => Ok(()),
        _ => wrong("`trigger` is manual or pre-update"),
    }
}

async fn names(state: &State, tenant: &Id, new: &NewSnapshot) -> Outcome<BTreeSet<String>> {
    let all = resources_of(state, tenant).await?;
    match new.scope {
        SnapshotScope::Full | SnapshotScope::Manager if *tenant != state.system => {
            let what = "that is of the system; for one tenant: scope `tenant`";
            Err(Failure::new(Code::Invalid, what))
        }
        SnapshotScope::Tenant if all.is_empty() => {
            let what = "the tenant has no resource: there is nothing to take a snapshot of";
            Err(Failure::new(Code::Invalid, what)
                .cure("add resources (`tintype resource apply FILE`)"))
        }
        SnapshotScope::Full | SnapshotScope::Tenant | SnapshotScope::Manager => Ok(BTreeSet::new()),
        SnapshotScope::Partial => {
            let names = chosen(&all, &new.resources, &new.tags)?;
            if names.is_empty() {
                let what = "no resource has one of these tags";
                return Err(Failure::new(Code::Invalid, what));
            }
            Ok(names)
        }
    }
}

/// The changes that a request stands for, in order.
fn changes(state: &State, changed: &ChangedSnapshot) -> Outcome<Vec<Change>> {
    let mut changes = Vec::new();
    changes.extend(changed.note.clone().map(Change::Note));
    if let Some(keep) = &changed.keep {
        changes.push(Change::Expiry(expiry(Some(keep), state.now())?));
    }
    changes.extend(changed.hold.clone().map(Change::Hold));
    changes.extend(changed.release.clone().map(Change::Release));
    if let Some(lock_for) = &changed.lock_for {
        let until = expiry(Some(lock_for), state.now())?;
        let until = until.ok_or_else(|| {
            Failure::new(Code::Invalid, "a lock has an end: `lock_for` is like 30d")
        })?;
        changes.push(Change::Lock(until));
    }
    changes.extend(changed.unlock.map(locks::request));
    Ok(changes)
}

/// What is locked takes room of a storage that may be another's, and nobody can end it.
async fn may_lock(state: &State, caller: &Caller, tenant: &Id, changes: &[Change]) -> Outcome<()> {
    if caller.actor.is_system {
        return Ok(());
    }
    let days = state.tenant(tenant).await?.spec.lock_days_at_most;
    let latest = state.now() + jiff::SignedDuration::from_hours(24 * i64::from(days));
    let is_later = |change: &Change| matches!(change, Change::Lock(until) if *until > latest);
    if !changes.iter().any(is_later) {
        return Ok(());
    }
    let what = format!("this tenant locks a snapshot for {days} days at most");
    Err(Failure::new(Code::NotAllowed, what)
        .cure("choose a shorter time, or let an administrator of the system lock it"))
}

/// What there is of a full snapshot that no other one needs: its parts stay and go with it.
async fn with_parts(state: &State, known: Known) -> Outcome<Vec<Known>> {
    if known.snapshot.scope != SnapshotScope::Full {
        return Ok(vec![known]);
    }
    let mut others = parts::fulls(state).await?;
    others.retain(|other| other.id != known.snapshot.id);
    let filter = Filter {
        scope: Some(SnapshotScope::Tenant),
        with_private: true,
        limit: 1_000_000,
        ..Filter::default()
    };
    let mut all = snapshots::list(&mut *state.catalog.read().await?, &filter).await?;
    all.retain(|Known { snapshot: part, .. }| {
        parts::needs(&known.snapshot, part) && !others.iter().any(|other| parts::needs(other, part))
    });
    all.push(known);
    Ok(all)
}

/// Changes what may be changed: note, how long it is kept, holds, locks.
#[utoipa::path(
    patch, path = "/api/v1/snapshots/{id}", operation_id = "change-snapshot", tag = "snapshot",
    params(("id" = String, Path)), request_body = ChangedSnapshot,
    responses(
        (status = 200, body = Snapshot),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
    Body(changed): Body<ChangedSnapshot>,
) -> Outcome<Json<Snapshot>> {
    let known = find(&state, &caller, &id).await?;
    if known.snapshot.full.is_some() && !caller.actor.is_system {
        return Err(Failure::new(
            Code::NotAllowed,
            "it belongs to a full snapshot: only administrators of the system change it",
        ));
    }
    let changes = changes(&state, &changed)?;
    if changed.unlock.is_some() && known.snapshot.unlock_delay_days.is_none() {
        let what = format!("snapshot {id} is not immutable: its lock, if it has one, has an end");
        return Err(Failure::new(Code::Invalid, what));
    }
    may_lock(&state, &caller, &known.snapshot.tenant, &changes).await?;
    let mut after = known.snapshot.clone();
    for part in with_parts(&state, known).await? {
        after = apply(&state, &caller, part, changes.clone()).await?;
    }
    Ok(Json(after))
}

/// The repository first: its word counts.
async fn apply(
    state: &State,
    caller: &Caller,
    known: Known,
    changes: Vec<Change>,
) -> Outcome<Snapshot> {
    state.still_leads(&state.catalog.get(&known.snapshot.storage).await?).await?;
    let vault = vault_of(state, &known).await?;
    let (id, by) = (known.snapshot.id.clone(), caller.name.clone());
    let told: Vec<String> = changes.iter().map(|change| format!("{change:?}")).collect();
    let object = format!("snapshot {id}");
    let mut entry = entry(state, caller, told_to(state, &known), "snapshot.change", &object);
    entry.detail = json!({ "changes": told });
    let of_system = caller.actor.is_system;
    let standing = blocking(move || {
        let mut snapshot = vault.snapshot(&id)?;
        for change in changes {
            if let Change::Release(reason) = &change {
                may_release(&snapshot.standing, reason, of_system)?;
            }
            snapshot.standing = vault.change(&snapshot, &by, change)?;
        }
        Ok(snapshot.standing)
    });
    let standing = acted(state, &entry, standing).await?;
    let mut after = known.snapshot.clone();
    stand(&mut after, &standing);
    let mut change = state.catalog.change().await?;
    snapshots::put(change.on(), &known.repository, &after, None).await?;
    change.commit(&entry).await?;
    Ok(after)
}

/// What the system holds, a tenant does not release.
fn may_release(standing: &Standing, reason: &str, of_system: bool) -> tintype_model::Result<()> {
    let mut by = standing.held_by.get(reason).into_iter().flatten();
    if of_system || by.all(|name| is_of_tenant(name)) {
        return Ok(());
    }
    Err(Error::denied(format!(
        "the hold {reason:?} was placed by the system: an administrator of the system releases it"
    )))
}

/// Whoever placed a hold: somebody of a tenant; all others are the system, and what it runs.
fn is_of_tenant(name: &str) -> bool {
    let kinds = ["user ", "token "];
    let of = kinds.iter().find_map(|kind| name.strip_prefix(kind)?.split_once('/'));
    of.is_some_and(|(tenant, _)| tenant != SYSTEM)
}

/// Deletes it, if nothing protects it; its space is freed by the next gc.
#[utoipa::path(
    delete, path = "/api/v1/snapshots/{id}", operation_id = "delete-snapshot", tag = "snapshot",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Path(id): Path<String>,
) -> Outcome<StatusCode> {
    let known = find(&state, &caller, &id).await?;
    let is_needed = |full: &Snapshot| parts::needs(full, &known.snapshot);
    if known.snapshot.full.is_some() && parts::fulls(&state).await?.iter().any(is_needed) {
        return Err(Failure::new(Code::Locked, "it belongs to a full snapshot")
            .cure("delete the full snapshot; its parts go with it"));
    }
    let mut parts = with_parts(&state, known).await?;
    // The full one first: a part alone is still a snapshot, a full one without its parts is none.
    parts.reverse();
    for known in parts {
        state.still_leads(&state.catalog.get(&known.snapshot.storage).await?).await?;
        let vault = vault_of(&state, &known).await?;
        let (id, by) = (known.snapshot.id.clone(), caller.name.clone());
        let object = format!("snapshot {id}");
        let told = entry(&state, &caller, told_to(&state, &known), "snapshot.delete", &object);
        let gone = blocking(move || {
            let snapshot = match vault.snapshot(&id) {
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(()),
                found => found?,
            };
            let reason = format!("deleted by {by}");
            vault.change(&snapshot, &by, Change::Deleted(reason)).map(drop)
        });
        acted(&state, &told, gone).await?;
        let mut change = state.catalog.change().await?;
        snapshots::delete(change.on(), &known.snapshot.id).await?;
        change.commit(&told).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_holds_a_tenant_does_not_release() {
        for (by, is_released) in [
            (vec!["user acme/eve"], true),
            (vec!["token acme/ci", "user acme/eve"], true),
            (vec!["user system/admin"], false),
            (vec!["token system/ci"], false),
            (vec!["user acme/eve", "user system/admin"], false),
            (vec!["manager"], false),
            (vec!["user system-2/eve"], true),
        ] {
            let by = by.into_iter().map(str::to_owned).collect();
            let held_by = [("legal".to_owned(), by)].into();
            let standing = Standing { held_by, ..Standing::default() };
            assert_eq!(may_release(&standing, "legal", false).is_ok(), is_released, "{standing:?}");
            assert!(may_release(&standing, "legal", true).is_ok());
        }
    }
}
