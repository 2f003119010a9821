//! The clock of the manager: what profiles make due, and the care that exists from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{Timestamp, tz};
use sqlx::Row as _;
use tintype_api::object::Object;
use tintype_api::profile::ProfileSpec;
use tintype_api::run::RunKind;
use tintype_api::snapshot::{NewSnapshot, SnapshotScope, Trigger};
use tintype_api::storage::StorageSpec;
use tintype_api::sync::SyncSpec;
use tintype_model::identifier::Id;
use tintype_model::profile::{
    Counting, Due, Frequency, Period, Profile, Scope, Standing, TimeOfDay, Why, due,
};
use tintype_model::{Error, Result};
use tokio::sync::watch;

use crate::catalog::objects;
use crate::catalog::{Change, answers, facts, failed, repositories, runs};
use crate::http::once::KEPT as KEPT_ANSWERS;
use crate::runs::begin::{self, MAINTENANCE, SCHEDULED, Wanted};
use crate::runs::snapshot::{Spec, chosen};
use crate::runs::sync;
use crate::state::State;
use crate::uploads;

/// It is asked at least so often: clocks are set, profiles change.
const LOOK: Duration = Duration::from_secs(20);
/// When the manager was last seen working.
const ALIVE: &str = "alive";
/// When this installation was made.
const SINCE: &str = "begun";
/// Since when each period counts.
const COUNTING: &str = "counting";
/// Rows of moments are kept for longer than clocks are wrong.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 366);
/// Of the packs of each repository that are read whole every day.
const VERIFIED_PERCENT: f64 = 3.0;

/// Until `end` is set.
pub async fn run(state: State, mut end: watch::Receiver<bool>) {
    while !*end.borrow() {
        if let Err(error) = look(&state).await {
            tracing::warn!(%error, "what is due cannot be found out; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = end.changed() => {}
        }
    }
}

/// Something with periods.
struct Known<'a> {
    /// As its moments are noted.
    id: String,
    profile: Profile,
    /// When anything about it was changed last.
    since: Timestamp,
    of: Of<'a>,
}

enum Of<'a> {
    Care,
    Profile(&'a Object<ProfileSpec>),
    Sync(&'a Object<SyncSpec>),
}

/// Queues what is due now.
pub async fn look(state: &State) -> Result<()> {
    if state.replaced_by.get().is_some() {
        return Ok(());
    }
    let now = state.now();
    let profiles: Vec<Object<ProfileSpec>> = state.catalog.all(None).await?;
    let alive = time_of(state, ALIVE).await?.unwrap_or(now);
    let begun = time_of(state, SINCE).await?.unwrap_or(now);
    let rules: Vec<Object<SyncSpec>> = state.catalog.all(None).await?;
    let care = care_profiles().into_iter().map(|profile| Known {
        id: format!("care {}", profile.name),
        profile,
        since: begun,
        of: Of::Care,
    });
    let of_profiles = profiles.iter().map(|object| Known {
        id: object.id.to_string(),
        profile: object.spec.named(&object.name),
        since: object.changed,
        of: Of::Profile(object),
    });
    let of_rules = rules.iter().map(|object| Known {
        id: object.id.to_string(),
        profile: object.spec.as_profile(&object.name),
        since: object.changed,
        of: Of::Sync(object),
    });
    let known: Vec<Known<'_>> = care.chain(of_profiles).chain(of_rules).collect();
    let before = counting(state).await?;
    let mut countings = Countings::new();
    let mut standings = Vec::new();
    for Known { id, profile, since, .. } in &known {
        for period in &profile.periods {
            let last = last_moment(state, id, &period.name, now).await?;
            let name = format!("{id} {}", period.name);
            let counting = Counting::next(before.get(&name), profile.enabled, period, *since);
            standings.push(Standing { id, profile, period, since: counting.since, last });
            countings.insert(name, counting);
        }
    }
    let agenda = due(&standings, now, alive, tz::db());
    for broken in &agenda.broken {
        let (profile, period) = (&broken.profile, &broken.period);
        tracing::error!(profile, period, error = %broken.error, "a period cannot be asked");
    }
    let is_any = !agenda.due.is_empty();
    for due in agenda.due {
        let of = known.iter().find(|known| known.id == due.profile).expect("asked of it");
        if let Err(error) = take_up(state, &due, of).await {
            tracing::error!(profile = of.profile.name, period = due.period, %error,
                "what is due cannot be begun");
        }
    }
    noted(state, now, Some(&countings).filter(|countings| **countings != before)).await?;
    uploads::sweep(state).await?;
    if is_any {
        begin::tell(state);
    }
    Ok(())
}

/// That it was looked, and when; what nobody needs any more is forgotten.
async fn noted(state: &State, now: Timestamp, countings: Option<&Countings>) -> Result<()> {
    let mut change = state.catalog.change().await?;
    facts::set(change.on(), ALIVE, &now.to_string()).await?;
    if let Some(countings) = countings {
        facts::set(change.on(), COUNTING, &serde_json::json!(countings).to_string()).await?;
    }
    if time_of(state, SINCE).await?.is_none() {
        facts::set(change.on(), SINCE, &now.to_string()).await?;
    }
    forget(&mut change, now).await?;
    runs::forget_plans(change.on(), now).await?;
    answers::forget(change.on(), now - KEPT_ANSWERS).await?;
    change.commit_own_books().await
}

/// By id of what has periods, and name of the period.
type Countings = BTreeMap<String, Counting>;

/// As it was the last time; what cannot be read counts from when it was changed.
async fn counting(state: &State) -> Result<Countings> {
    let text = facts::get(&mut *state.catalog.read().await?, COUNTING).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

async fn time_of(state: &State, name: &str) -> Result<Option<Timestamp>> {
    let text = facts::get(&mut *state.catalog.read().await?, name).await?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// The latest that was taken up and is not after now.
async fn last_moment(
    state: &State,
    profile: &str,
    period: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let query = sqlx::query(
        "SELECT MAX(moment) AS moment FROM due WHERE profile = $1 AND period = $2 AND moment <= $3",
    );
    let query = query.bind(profile).bind(period).bind(now.as_millisecond());
    let mut on = state.catalog.read().await?;
    let row = query.fetch_one(&mut *on).await.map_err(|error| failed("reading", error))?;
    let moment: Option<i64> = row.try_get("moment").map_err(|error| failed("reading", error))?;
    Ok(moment.and_then(|moment| Timestamp::from_millisecond(moment).ok()))
}

async fn forget(change: &mut Change, now: Timestamp) -> Result<()> {
    let before = now.as_millisecond() - KEPT.as_millis() as i64;
    let done = sqlx::query("DELETE FROM due WHERE moment < $1").bind(before);
    let done = done.execute(change.on()).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

/// The row of the moment and its runs, together or not at all.
async fn take_up(state: &State, due: &Due, known: &Known<'_>) -> Result<()> {
    let wanted = match known.of {
        Of::Care => care(state, &known.profile.name).await?,
        Of::Profile(object) => vec![scheduled(state, due, object).await?],
        Of::Sync(rule) => {
            // A storage that is missing is said by the run.
            let storage = state.named_storage(&rule.tenant, &rule.spec.to).await?;
            let storage = storage.map(|storage| storage.id);
            vec![sync::wanted(rule, storage, "manager".to_owned(), SCHEDULED, &why(due))]
        }
    };
    let mut change = state.catalog.change().await?;
    let query = sqlx::query(
        "INSERT INTO due (profile, period, moment, run) VALUES ($1, $2, $3, '') \
         ON CONFLICT (profile, period, moment) DO NOTHING",
    );
    let query = query.bind(&due.profile).bind(&due.period).bind(due.moment.as_millisecond());
    let done = query.execute(change.on()).await.map_err(|error| failed("writing", error))?;
    if done.rows_affected() == 0 {
        // Another manager was faster.
        return Ok(());
    }
    for wanted in wanted {
        let not_before = Some(due.not_before.max(state.now()));
        begin::queue(state, change.on(), Wanted { not_before, ..wanted }).await?;
    }
    change.commit_own_books().await
}

fn why(due: &Due) -> String {
    match &due.why {
        Why::OnTime => String::new(),
        Why::Blackout { ended } => format!(" (it waited for a blackout that ended at {ended})"),
        Why::Missed { first, .. } => format!(" (missed since {first})"),
    }
}

async fn scheduled(state: &State, due: &Due, object: &Object<ProfileSpec>) -> Result<Wanted> {
    let period = object.spec.periods.iter().find(|period| period.name == due.period);
    let mut period =
        period.cloned().ok_or_else(|| Error::internal("a period that is due is not there"))?;
    if object.spec.of_system == Some(false) {
        let days = state.tenant(&object.tenant).await?.spec.lock_days_at_most;
        period.immutable = period.immutable.and_then(|immutable| immutable.at_most(days));
    }
    let is_system = object.tenant == state.system;
    let all = crate::runs::snapshot::resources_of(state, &object.tenant).await?;
    let (scope, names) = match &object.spec.scope {
        Scope::Full if is_system => (SnapshotScope::Full, BTreeSet::new()),
        Scope::Full => (SnapshotScope::Tenant, BTreeSet::new()),
        Scope::Manager => (SnapshotScope::Manager, BTreeSet::new()),
        Scope::Partial { resources, tags } => {
            // One that is gone stops nothing: the others are still to be kept, and the snapshot says
            // that it is not there.
            let (here, gone): (BTreeSet<String>, BTreeSet<String>) =
                resources.iter().cloned().partition(|name| all.iter().any(|r| r.name == *name));
            let names = chosen(&all, &here, tags)?;
            (SnapshotScope::Partial, names.into_iter().chain(gone).collect())
        }
    };
    let storage = storage_of(state, object).await?;
    let stamp = period.stamp(state.now(), tz::db())?;
    let why = why(due);
    let new = NewSnapshot {
        scope,
        tenant: Some(object.tenant.clone()),
        name: format!("{} {}", object.name, period.name),
        note: String::new(),
        resources: [].into(),
        tags: [].into(),
        storage: storage.as_ref().map(|storage| storage.id.clone()),
        keep: None,
        is_private: false,
        read_all: false,
        quiesce: period.quiesce,
        trigger: Trigger::Schedule,
        exclude: match scope.holds_manager() {
            true => object.spec.exclude.clone(),
            false => BTreeSet::new(),
        },
    };
    let spec = Spec {
        new,
        names,
        expiry: stamp.expiry,
        locked_until: stamp.locked_until,
        unlock_delay_days: period.immutable.map(|immutable| immutable.unlock_delay_days),
        profile: Some(object.id.clone()),
        period: Some(period.name.clone()),
        copy: None,
    };
    Ok(Wanted {
        tenant: object.tenant.clone(),
        kind: RunKind::Snapshot,
        title: format!("{}, {}{why}", object.name, period.name),
        by: format!("profile {}", object.name),
        priority: SCHEDULED,
        not_before: None,
        storage: storage.map(|storage| storage.id),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        is_planned: false,
    })
}

async fn storage_of(
    state: &State,
    object: &Object<ProfileSpec>,
) -> Result<Option<Object<StorageSpec>>> {
    let Some(name) = &object.spec.storage else {
        // What is missing is said by the run.
        return Ok(state.default_storage(&object.tenant).await.ok());
    };
    state.named_storage(&object.tenant, name).await
}

/// Care that every installation takes from the start.
fn care_profiles() -> Vec<Profile> {
    let daily = |hour: i8| Frequency::Daily { time: TimeOfDay::new(hour, 15).expect("a time") };
    let care = [
        ("prune", Frequency::Hourly { minute: 40 }),
        ("gc", daily(4)),
        ("verify", daily(5)),
        ("check-storage", daily(3)),
    ];
    let profile = |(name, frequency): (&str, Frequency)| Profile {
        name: name.to_owned(),
        enabled: true,
        scope: Scope::Full,
        periods: vec![Period::new("always", frequency, "UTC")],
        storage: None,
        note: String::new(),
        exclude: BTreeSet::new(),
    };
    care.into_iter().map(profile).collect()
}

async fn care(state: &State, name: &str) -> Result<Vec<Wanted>> {
    let mut on = state.catalog.read().await?;
    let of = |kind, title, tenant: &Id, storage: &Id, spec| Wanted {
        tenant: tenant.clone(),
        kind,
        title,
        by: "manager".to_owned(),
        priority: MAINTENANCE,
        not_before: None,
        storage: Some(storage.clone()),
        spec,
        is_planned: false,
    };
    if name == "check-storage" {
        let storages = objects::all::<StorageSpec>(&mut on, None).await?;
        let wanted = storages.iter().map(|storage| {
            let title = format!("check of storage {}", storage.name);
            let spec = serde_json::Value::Null;
            of(RunKind::CheckStorage, title, &storage.tenant, &storage.id, spec)
        });
        return Ok(wanted.collect());
    }
    let kind = match name {
        "prune" => RunKind::Prune,
        "gc" => RunKind::Gc,
        _ => RunKind::Verify,
    };
    let repositories = repositories::list(&mut on, None).await?;
    let wanted = repositories.iter().map(|repository| {
        let spec = serde_json::json!({
            "repository": repository.id, "percent": VERIFIED_PERCENT,
        });
        let title = match kind {
            RunKind::Prune => "deletion of snapshots whose time is over",
            RunKind::Gc => "freeing what no snapshot needs",
            _ => "verification of a sample",
        };
        of(kind, title.to_owned(), &repository.tenant, &repository.storage, spec)
    });
    Ok(wanted.collect())
}
