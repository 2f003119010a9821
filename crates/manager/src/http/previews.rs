//! What a changed retention would do to the snapshots that there are, and what is there on a day.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as AxumState;
use jiff::{Timestamp, tz};
use tintype_api::problem::Problem;
use tintype_api::profile::{
    Going, NewPreview, PeriodPreview, ProfileSpec, RetentionPreview, SnapshotPreview,
};
use tintype_model::identifier::Id;
use tintype_model::profile::Period;
use tintype_model::retention::{self, ExpiryPlan, PeriodKey, Taken, preview};

use super::failure::Outcome;
use super::input::Body;
use super::objects::own;
use super::router::Asking;
use crate::catalog::snapshots::{self, Filter, Known};
use crate::runs::care::{fact, minimums, resources};
use crate::runs::parts;
use crate::state::State;

const MOST_SNAPSHOTS: i64 = 1_000_000;

/// What retention looks at: of one repository, as it does when it deletes.
struct Looking {
    taken: Vec<Taken>,
    minimums: BTreeMap<PeriodKey, u32>,
    known: BTreeSet<String>,
    now: Timestamp,
    on: Option<Timestamp>,
}

impl Looking {
    fn period(&self, key: &PeriodKey, changed: &Period) -> Outcome<Vec<SnapshotPreview>> {
        let Self { taken, minimums, known, now, on } = self;
        let found = preview(taken, key, changed, minimums, known, *now, tz::db())?;
        let mut later = minimums.clone();
        later.insert(key.clone(), changed.minimum_count);
        let stamped = taken.iter().map(|one| {
            let change = found.changes.iter().find(|change| change.id == one.id);
            let expiry = change.map_or(one.expiry, |change| change.after.expiry);
            Taken { expiry, ..one.clone() }
        });
        let stamped: Vec<Taken> = stamped.collect();
        let there = |taken: &[Taken], minimums: &BTreeMap<PeriodKey, u32>| {
            on.map(|on| {
                let plan = ExpiryPlan::new(taken, minimums, known, on);
                plan.kept().map(|kept| kept.id.clone()).collect::<BTreeSet<String>>()
            })
        };
        let (before, after) = (there(taken, minimums), there(&stamped, &later));
        let told = found.changes.iter().map(|change| SnapshotPreview {
            id: change.id.clone(),
            time: change.time,
            before: going(&change.before, &change.id, before.as_ref()),
            after: going(&change.after, &change.id, after.as_ref()),
        });
        Ok(told.collect())
    }
}

fn going(going: &retention::Going, id: &str, there: Option<&BTreeSet<String>>) -> Going {
    Going {
        at: going.at,
        waits_for: going.waits_for.iter().map(ToString::to_string).collect(),
        is_there: there.map(|there| there.contains(id)),
    }
}

fn is_over(going: &Going, now: Timestamp) -> bool {
    going.waits_for.is_empty() && going.at.is_some_and(|at| at <= now)
}

/// What a changed profile would do to the snapshots that it took, if that were applied to them, and
/// what is there on a day. Nothing is changed.
#[utoipa::path(
    post, path = "/api/v1/profiles/preview", operation_id = "preview-profile", tag = "profile",
    request_body = NewPreview,
    responses(
        (status = 200, body = RetentionPreview),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewPreview>,
) -> Outcome<Json<RetentionPreview>> {
    let profile = own::<ProfileSpec>(&state, &caller, &new.profile).await?;
    let spec = new.spec.unwrap_or_else(|| profile.spec.clone());
    spec.named("profile").check(tz::db())?;
    // Of the system's profiles some take a part in each tenant's repository.
    let tenant = (profile.tenant != state.system).then(|| profile.tenant.clone());
    let filter = Filter { tenant, with_private: true, limit: MOST_SNAPSHOTS, ..Filter::default() };
    let mut on = state.catalog.read().await?;
    let all = snapshots::list(&mut on, &filter).await?;
    let is_of = |known: &&Known| known.snapshot.profile.as_ref() == Some(&profile.id);
    let touched: BTreeSet<Id> =
        all.iter().filter(is_of).map(|known| known.repository.clone()).collect();
    let mut repositories: BTreeMap<Id, Vec<Taken>> = BTreeMap::new();
    let mut visible = BTreeSet::new();
    let fulls = parts::fulls(&state).await?;
    for known in all.iter().filter(|known| touched.contains(&known.repository)) {
        let snapshot = &known.snapshot;
        let is_own = caller.actor.is_system
            || (snapshot.tenant == caller.actor.tenant && !snapshot.is_private);
        if is_own {
            visible.insert(snapshot.id.clone());
        }
        let items = snapshots::items(&mut on, &snapshot.id).await?;
        repositories.entry(known.repository.clone()).or_default().push(fact(known, &items, &fulls));
    }
    drop(on);
    let (minimums, known) = (minimums(&state).await?, resources(&state).await?);
    let now = state.now();
    let mut periods: Vec<PeriodPreview> = Vec::new();
    for period in &spec.periods {
        let key = PeriodKey { profile: profile.id.to_string(), period: period.name.clone() };
        let mut told = Vec::new();
        for taken in repositories.values() {
            let (taken, minimums, known) = (taken.clone(), minimums.clone(), known.clone());
            let looking = Looking { taken, minimums, known, now, on: new.on };
            told.extend(looking.period(&key, period)?);
        }
        told.retain(|snapshot| visible.contains(&snapshot.id));
        told.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        let goes = |one: &&SnapshotPreview| is_over(&one.after, now) && !is_over(&one.before, now);
        let would_go_now = told.iter().filter(goes).count() as u64;
        periods.push(PeriodPreview { name: period.name.clone(), would_go_now, snapshots: told });
    }
    Ok(Json(RetentionPreview { periods }))
}
