//! At a glance.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State as AxumState;
use tintype_api::object::Object;
use tintype_api::problem::Problem;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_api::snapshot::SnapshotScope;
use tintype_api::status::{Standing, Status, StatusQuery};
use tintype_api::storage::{StorageKind, StorageSpec, StorageState};
use tintype_api::tenant::TenantSpec;
use tintype_model::identifier::Id;
use tintype_model::plan::Verdict;
use tintype_model::resource::Kind;

use super::failure::Outcome;
use super::input::Asked;
use super::router::Asking;
use crate::catalog::objects::{Filter, Kind as _};
use crate::catalog::{facts, snapshots};
use crate::state::State;
use crate::warnings::{Found, warnings};

const MOST: i64 = 1_000_000;

/// What can be restored as of when, and what speaks against it.
#[utoipa::path(
    get, path = "/api/v1/status", operation_id = "get-status", tag = "status",
    params(StatusQuery),
    responses(
        (status = 200, body = Status),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<StatusQuery>,
) -> Outcome<Json<Status>> {
    let wanted = query.tenant.as_deref().map(str::parse::<Id>).transpose()?;
    let tenant = caller.scope(wanted);
    let is_system = tenant.as_ref().is_none_or(|tenant| *tenant == state.system);
    let filter = Filter { tenant: tenant.clone(), limit: MOST, ..Filter::default() };
    let profiles: Vec<Object<ProfileSpec>> = state.catalog.list(&filter).await?;
    let mut found = Found {
        is_system,
        replaced_since: state.replaced_by.get().map(|lead| lead.since),
        resources: standings(&state, &filter).await?,
        enabled_profiles: profiles.iter().filter(|profile| profile.spec.enabled).count(),
        ..Found::default()
    };
    of_storages(&state, &filter, &mut found).await?;
    let warnings = warnings(&found);
    Ok(Json(Status {
        time: state.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        installation: state.installation.clone(),
        warnings,
        resources: found.resources,
    }))
}

async fn standings(state: &State, filter: &Filter) -> Outcome<Vec<Standing>> {
    let resources: Vec<Object<ResourceSpec>> = state.catalog.list(filter).await?;
    let whole = Filter { limit: MOST, ..Filter::default() };
    let tenants: Vec<Object<TenantSpec>> = state.catalog.list(&whole).await?;
    let is_entitled =
        |id: &Id| tenants.iter().any(|tenant| tenant.id == *id && tenant.spec.is_entitled);
    // What is switched off for an application is so for its parts.
    let is_off =
        |r: &&Object<ResourceSpec>| r.spec.kind == Kind::Application && !r.spec.is_protected;
    let off: BTreeSet<(Id, String)> = resources
        .iter()
        .filter(is_off)
        .flat_map(|app| {
            app.spec.components.iter().map(|part| (app.tenant.clone(), part.resource.clone()))
        })
        .collect();
    let mut on = state.catalog.read().await?;
    let mut all = Vec::with_capacity(resources.len());
    for resource in resources {
        // An application is as good as its parts.
        if resource.spec.kind == Kind::Application {
            continue;
        }
        let last_good = snapshots::last_good(&mut on, &resource.id).await?;
        let Object { id, tenant, name, spec, .. } = resource;
        let of = (tenant, name);
        let is_protected = spec.is_protected && is_entitled(&of.0) && !off.contains(&of);
        let (tenant, name) = of;
        all.push(Standing { id, tenant, name, is_protected, last_good });
    }
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(all)
}

async fn of_storages(state: &State, filter: &Filter, found: &mut Found) -> Outcome<()> {
    let storages: Vec<Object<StorageSpec>> = state.catalog.list(filter).await?;
    let mut on = state.catalog.read().await?;
    for storage in &storages {
        let seen: Option<StorageState> =
            facts::state(&mut on, StorageSpec::NAME, &storage.id).await?;
        for check in seen.into_iter().flat_map(|seen| seen.checks) {
            let cure = check.cure.unwrap_or_default();
            match check.outcome {
                Verdict::Pass => {}
                // Said once, of full snapshots.
                Verdict::Warn if check.name == "off-host" => {}
                Verdict::Warn => {
                    found.storages_warn.push((storage.name.clone(), check.message, cure));
                }
                Verdict::Block => {
                    found.bad_storages.push((storage.name.clone(), check.message));
                }
            }
        }
    }
    if !found.is_system {
        return Ok(());
    }
    let all = snapshots::Filter {
        tenant: Some(state.system.clone()),
        scope: Some(SnapshotScope::Full),
        with_private: true,
        limit: MOST,
        ..snapshots::Filter::default()
    };
    let is_elsewhere = |id: &Id| {
        let storage = storages.iter().find(|storage| storage.id == *id);
        storage.is_some_and(|storage| match storage.spec.kind {
            StorageKind::Mounted | StorageKind::S3 | StorageKind::Google | StorageKind::Azure => {
                true
            }
            StorageKind::Internal | StorageKind::Directory => false,
        })
    };
    for known in snapshots::list(&mut on, &all).await? {
        found.full += 1;
        found.full_elsewhere += usize::from(is_elsewhere(&known.snapshot.storage));
    }
    Ok(())
}
