//! At a glance.

use axum::Json;
use axum::extract::State as AxumState;
use jiff::tz::TimeZone;
use tintype_api::object::Object;
use tintype_api::page::{DEFAULT_LIMIT, Page};
use tintype_api::problem::{Code, Problem};
use tintype_api::profile::ProfileSpec;
use tintype_api::snapshot::Snapshot;
use tintype_api::status::{Days, DaysQuery, Health, Standing, StandingsQuery, Status, StatusQuery};
use tintype_api::storage::{StorageKind, StorageSpec, StorageState};
use tintype_model::identifier::Id;
use tintype_model::plan::Verdict;

use super::failure::{Failure, Outcome};
use super::input::{Asked, cursor_of, limit_of};
use super::router::Asking;
use crate::catalog::facts;
use crate::catalog::objects::Kind as _;
use crate::days;
use crate::runs::parts;
use crate::standings::{self, Row};
use crate::state::State;
use crate::warnings::{Found, warnings};

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
    let profiles: Vec<Object<ProfileSpec>> = state.catalog.all(tenant.as_ref()).await?;
    let book = standings::book(&state, caller.actor.is_system).await?;
    let is_wanted = |row: &&Row| tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant);
    let of_tenant = book.rows.iter().filter(is_wanted);
    let mut found = Found {
        is_system,
        replaced_since: state.replaced_by.get().map(|lead| lead.since),
        resources: of_tenant.cloned().collect(),
        enabled_profiles: profiles.iter().filter(|profile| profile.spec.enabled).count(),
        ..Found::default()
    };
    of_storages(&state, tenant.as_ref(), &mut found).await?;
    let warnings = warnings(&found);
    Ok(Json(Status {
        time: state.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        installation: state.installation.clone(),
        warnings,
        counts: standings::counts(found.resources.iter()),
    }))
}

/// Each resource, the worst first.
#[utoipa::path(
    get, path = "/api/v1/status/resources", operation_id = "list-standings", tag = "status",
    params(StandingsQuery),
    responses(
        (status = 200, body = Page<Standing>),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn resources(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<StandingsQuery>,
) -> Outcome<Json<Page<Standing>>> {
    let limit = limit_of(query.limit, DEFAULT_LIMIT)?;
    let tenant = caller.scope(query.tenant.as_deref().map(str::parse::<Id>).transpose()?);
    let after = cursor_of(query.cursor.as_deref(), Place::read)?;
    let with_private = caller.actor.is_system;
    let book = standings::book(&state, with_private).await?;
    let named = query.q.unwrap_or_default().to_lowercase();
    let begin =
        after.map_or(0, |after| book.rows.partition_point(|row| row.place() <= after.get()));
    let wanted = |row: &&Row| {
        tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant)
            && query.protected.is_none_or(|is| row.why_not.is_none() == is)
            && query.health.is_none_or(|health| row.health == health)
            && row.name.to_lowercase().contains(&named)
    };
    let mut found: Vec<&Row> = book.rows[begin..].iter().filter(wanted).take(limit + 1).collect();
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|row| Place::of(row).told());
    let mut on = state.catalog.read().await?;
    let mut items = Vec::with_capacity(found.len());
    for row in found {
        items.push(standings::standing(&mut on, row, with_private).await?);
    }
    Ok(Json(Page { items, next }))
}

/// Of a row in the list, whatever becomes of the row.
struct Place(Health, i64, String, String);

impl Place {
    fn of(row: &Row) -> Self {
        let (health, last, name, id) = row.place();
        Self(health, last, name.to_owned(), id.to_owned())
    }

    fn get(&self) -> (Health, i64, &str, &str) {
        (self.0, self.1, &self.2, &self.3)
    }

    /// Names may have dots, and stand last.
    fn told(&self) -> String {
        format!("{}.{}.{}.{}", self.0.name(), self.1, self.3, self.2)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '.');
        let health = parts.next()?;
        let health = Health::ALL.into_iter().find(|known| known.name() == health)?;
        let (last, id, name) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some(Self(health, last, name.to_owned(), id.to_owned()))
    }
}

/// What was taken on the last days, one line a day.
#[utoipa::path(
    get, path = "/api/v1/status/days", operation_id = "list-days", tag = "status",
    params(DaysQuery),
    responses(
        (status = 200, body = Days),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn last_days(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Asked(query): Asked<DaysQuery>,
) -> Outcome<Json<Days>> {
    let tenant = caller.scope(query.tenant.as_deref().map(str::parse::<Id>).transpose()?);
    let name = query.zone.as_deref().unwrap_or("UTC");
    let zone = TimeZone::get(name).map_err(|_| {
        Failure::new(Code::Invalid, format!("there is no time zone {name}"))
            .cure("write it like Europe/Berlin")
    })?;
    let count = query.days.unwrap_or(14);
    if !(1..=366).contains(&count) {
        return Err(Failure::new(Code::Invalid, "days are from 1 to 366"));
    }
    let mut all = days::empty(state.now(), &zone, count)?;
    let mut on = state.catalog.read().await?;
    days::count(&mut on, &mut all, tenant.as_ref(), caller.actor.is_system).await?;
    Ok(Json(Days { zone: name.to_owned(), days: all }))
}

async fn of_storages(state: &State, tenant: Option<&Id>, found: &mut Found) -> Outcome<()> {
    let storages: Vec<Object<StorageSpec>> = state.catalog.all(tenant).await?;
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
    drop(on);
    let storages: Vec<Object<StorageSpec>> = state.catalog.all(None).await?;
    let is_elsewhere = |id: &Id| {
        let storage = storages.iter().find(|storage| storage.id == *id);
        storage.is_some_and(|storage| match storage.spec.kind {
            StorageKind::Mounted | StorageKind::S3 | StorageKind::Google | StorageKind::Azure => {
                true
            }
            StorageKind::Internal | StorageKind::Directory => false,
        })
    };
    let fulls = parts::fulls(state).await?;
    found.full = fulls.len();
    found.full_elsewhere = fulls.iter().filter(|full| is_elsewhere(&full.storage)).count();
    if found.full_elsewhere > 0 {
        let parts = parts::parts(state, None).await?;
        let is_safe = |full: &&Snapshot| parts::is_safe(full, &parts, is_elsewhere);
        found.safe = fulls.iter().filter(is_safe).count();
    }
    Ok(())
}
