//! How all resources stand, computed once for everybody who asks until something changes.
//!
//! What is shown of one resource beyond its place in the list (its last snapshots) is read when its
//! page is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz};
use sqlx::AnyConnection;
use tintype_api::object::Object;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_api::status::{Counts, Health, NextSnapshot, Past, Standing};
use tintype_api::tenant::TenantSpec;
use tintype_model::Result;
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
use tintype_model::profile::Scope;
use tintype_model::resource::{Consistency, Kind};
use tintype_model::standing::{Known, Newest, health};
use tokio::sync::Mutex;

use crate::catalog::items::{self, Found};
use crate::runs::snapshot::chosen;
use crate::state::State;

/// Snapshots that are told of one resource.
const TOLD: usize = 14;
/// What a moment was due for so long should be there.
const LATE: SignedDuration = SignedDuration::from_hours(24);
/// Times of profiles pass without anything being written.
const OLD: SignedDuration = SignedDuration::from_secs(60);
/// What takes longer to find out is not found out again at once.
const LONG: Duration = Duration::from_millis(200);
/// So many times as long as it took.
const RESTS: u32 = 10;

/// Of all tenants, the worst first.
#[derive(Default)]
pub struct Book {
    pub rows: Vec<Row>,
    event: i64,
    time: Timestamp,
    /// Since the process began; and how long it took.
    made: Duration,
    took: Duration,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub id: Id,
    pub tenant: Id,
    pub name: String,
    pub kind: Kind,
    pub health: Health,
    pub why_not: Option<&'static str>,
    pub last_good: Option<(Timestamp, String)>,
    pub next: Option<NextSnapshot>,
}

impl Row {
    /// By which they are in order, and a page goes on behind another.
    pub fn place(&self) -> (Health, i64, &str, &str) {
        let last = self.last_good.as_ref().map_or(i64::MIN, |(time, _)| time.as_millisecond());
        (self.health, last, &self.name, self.id.as_str())
    }
}

/// Without private snapshots, and with them.
#[derive(Default)]
pub struct Books([Mutex<Option<Arc<Book>>>; 2]);

pub fn counts<'r>(rows: impl Iterator<Item = &'r Row>) -> Counts {
    let mut counts = Counts::default();
    for row in rows {
        *match row.health {
            Health::Never => &mut counts.never,
            Health::Failed => &mut counts.failed,
            Health::Attention => &mut counts.attention,
            Health::Unprotected => &mut counts.unprotected,
            Health::Good => &mut counts.good,
        } += 1;
    }
    counts
}

/// As it is now, or was a moment ago where that takes long.
pub async fn book(state: &State, with_private: bool) -> Result<Arc<Book>> {
    let mut kept = state.standings.0[usize::from(with_private)].lock().await;
    let (event, now) = (state.catalog.last_event().await?, state.now());
    let begun = state.clock.elapsed();
    if let Some(book) = kept.as_ref() {
        let rests = book.took > LONG && begun.saturating_sub(book.made) < book.took * RESTS;
        let is_old = now.duration_since(book.time).abs() > OLD;
        if rests || (book.event == event && !is_old) {
            return Ok(Arc::clone(book));
        }
    }
    let rows = rows(state, with_private, now).await?;
    let made = state.clock.elapsed();
    let took = made.saturating_sub(begun);
    let book = Arc::new(Book { rows, event, time: now, made, took });
    *kept = Some(Arc::clone(&book));
    Ok(book)
}

async fn rows(state: &State, with_private: bool, now: Timestamp) -> Result<Vec<Row>> {
    let resources: Vec<Object<ResourceSpec>> = state.catalog.all(None).await?;
    let tenants: Vec<Object<TenantSpec>> = state.catalog.all(None).await?;
    let profiles: Vec<Object<ProfileSpec>> = state.catalog.all(None).await?;
    let mut of_tenants: BTreeMap<Id, Vec<Object<ResourceSpec>>> = BTreeMap::new();
    for resource in resources {
        of_tenants.entry(resource.tenant.clone()).or_default().push(resource);
    }
    let mut on = state.catalog.read().await?;
    let mut newest = items::newest(&mut on, with_private).await?;
    let plans = plans(state, &profiles, &of_tenants, now);
    let mut all = Vec::new();
    for (tenant, resources) in &of_tenants {
        let is_entitled = tenants.iter().any(|known| known.id == *tenant && known.spec.is_entitled);
        let off = switched_off(resources);
        for resource in resources.iter().filter(|r| r.spec.kind != Kind::Application) {
            let why_not = match () {
                () if !is_entitled => Some("snapshots are switched off for this tenant"),
                () if !resource.spec.is_protected => Some("snapshots of it are switched off"),
                () if off.contains(&resource.name[..]) => {
                    Some("snapshots are switched off for its application")
                }
                () => None,
            };
            let found = newest.remove(resource.id.as_str());
            let taken = plans.iter().filter(|plan| plan.takes(resource));
            let row = row(&mut on, resource, why_not, found, taken, with_private).await?;
            all.push(row);
        }
    }
    all.sort_by(|a, b| a.place().cmp(&b.place()));
    Ok(all)
}

async fn row<'p>(
    on: &mut AnyConnection,
    resource: &Object<ResourceSpec>,
    why_not: Option<&'static str>,
    newest: Option<Found>,
    taken: impl Iterator<Item = &'p Plan>,
    with_private: bool,
) -> Result<Row> {
    let last_good = match &newest {
        Some(found) if found.is_whole() => Some((found.time, found.snapshot.clone())),
        Some(_) => items::last_good(on, &resource.id, with_private).await?,
        None => None,
    };
    let (mut next, mut expected, mut is_scheduled): (Option<&NextSnapshot>, _, _) =
        (None, None, false);
    for plan in taken {
        is_scheduled = true;
        expected = expected.max(plan.expected);
        let is_sooner = |known: &&NextSnapshot| next.is_none_or(|next| known.time < next.time);
        next = plan.next.as_ref().filter(is_sooner).or(next);
    }
    let known = Known {
        is_protected: why_not.is_none(),
        newest: newest.map(|found| Newest { outcome: found.outcome, problems: found.problems }),
        last_good: last_good.as_ref().map(|(time, _)| *time),
        is_scheduled,
        // What was made since is not expected to be there.
        expected: expected.filter(|expected| resource.created < *expected),
    };
    Ok(Row {
        id: resource.id.clone(),
        tenant: resource.tenant.clone(),
        name: resource.name.clone(),
        kind: resource.spec.kind,
        health: health(&known),
        why_not,
        last_good,
        next: next.filter(|_| why_not.is_none()).cloned(),
    })
}

/// What is switched off for an application is so for its parts.
fn switched_off(resources: &[Object<ResourceSpec>]) -> BTreeSet<&str> {
    let off = |r: &&Object<ResourceSpec>| r.spec.kind == Kind::Application && !r.spec.is_protected;
    let parts = resources.iter().filter(off).flat_map(|app| &app.spec.components);
    parts.map(|part| &part.resource[..]).collect()
}

/// One period of an enabled profile.
struct Plan {
    /// None: of all tenants.
    tenant: Option<Id>,
    /// None: all.
    names: Option<Arc<BTreeSet<String>>>,
    next: Option<NextSnapshot>,
    expected: Option<Timestamp>,
}

impl Plan {
    fn takes(&self, resource: &Object<ResourceSpec>) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == resource.tenant)
            && self.names.as_ref().is_none_or(|names| names.contains(&resource.name))
    }
}

fn plans(
    state: &State,
    profiles: &[Object<ProfileSpec>],
    resources: &BTreeMap<Id, Vec<Object<ResourceSpec>>>,
    now: Timestamp,
) -> Vec<Plan> {
    let mut all = Vec::new();
    for profile in profiles.iter().filter(|profile| profile.spec.enabled) {
        let here = resources.get(&profile.tenant).map_or(&[][..], Vec::as_slice);
        let names = match &profile.spec.scope {
            Scope::Manager => continue,
            Scope::Full => None,
            Scope::Partial { resources, tags } => {
                let there = resources.iter().filter(|name| here.iter().any(|r| r.name == **name));
                chosen(here, &there.cloned().collect(), tags).ok().map(Arc::new)
            }
        };
        let is_everything =
            matches!(profile.spec.scope, Scope::Full) && profile.tenant == state.system;
        for period in &profile.spec.periods {
            // One that cannot be asked takes nothing.
            let Ok(schedule) = period.schedule(tz::db()) else { continue };
            let next = schedule.next(now).map(|time| NextSnapshot {
                time,
                profile: profile.id.clone(),
                profile_name: profile.name.clone(),
                period: period.name.clone(),
            });
            all.push(Plan {
                tenant: (!is_everything).then(|| profile.tenant.clone()),
                names: names.clone(),
                next,
                expected: schedule.latest(profile.changed, now - LATE),
            });
        }
    }
    all
}

/// A row with what the last snapshots say.
pub async fn standing(on: &mut AnyConnection, row: &Row, with_private: bool) -> Result<Standing> {
    // Copies are of the same moment: more are read than are told.
    let found = items::of_resource(on, &row.id, with_private, 3 * TOLD as i64).await?;
    let is_verified = |found: &&items::Held| {
        found.item.outcome == Outcome::Captured
            && found.snapshot.verified.as_ref().is_some_and(|verified| verified.damaged == 0)
    };
    let verified = found.iter().filter(is_verified);
    let last_verified = verified.filter_map(|held| Some(held.snapshot.verified.as_ref()?.time));
    let captured = found.iter().find(|held| held.item.outcome == Outcome::Captured);
    let consistency: Option<Consistency> = captured.and_then(|held| held.item.consistency);
    let last_verified = last_verified.max();
    let mut last: Vec<Past> = Vec::new();
    for held in found {
        if last.len() < TOLD && last.last().is_none_or(|past| past.time != held.snapshot.time) {
            last.push(Past {
                snapshot: held.snapshot.id,
                time: held.snapshot.time,
                outcome: held.item.outcome,
                problems: held.item.problems,
                reason: held.item.reason,
            });
        }
    }
    let (last_good, last_good_snapshot) = row.last_good.clone().unzip();
    Ok(Standing {
        id: row.id.clone(),
        tenant: row.tenant.clone(),
        name: row.name.clone(),
        kind: row.kind,
        health: row.health,
        is_protected: row.why_not.is_none(),
        why_not: row.why_not.map(str::to_owned),
        last_good,
        last_good_snapshot,
        last_verified,
        consistency,
        next: row.next.clone(),
        last,
    })
}
