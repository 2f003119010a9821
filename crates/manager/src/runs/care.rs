//! Care of repositories and storages: what has a schedule from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tintype_api::resource::ResourceSpec;
use tintype_api::run::{LogLevel, RunState};
use tintype_api::snapshot::{Snapshot, SnapshotItem};
use tintype_api::storage::StorageSpec;
use tintype_api::sync::SyncSpec;
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
use tintype_model::plan::Verdict;
use tintype_model::resource::Kind;
use tintype_model::retention::{ExpiryPlan, PeriodKey, Taken};
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::{Change, Vault};

use super::captured::stand;
use super::dispatcher::{Ended, Write, nothing};
use super::snapshot::MANAGER_NAME;
use super::{Handle, locks, parts};
use crate::catalog::facts;
use crate::catalog::objects::Kind as _;
use crate::catalog::repositories::{self, Repository};
use crate::catalog::runs::Stored;
use crate::catalog::snapshots::{self, Known};
use crate::state::State;
use crate::vaults::blocking;

/// Snapshots of one repository that retention looks at.
const MOST_SNAPSHOTS: i64 = 1_000_000;

async fn opened(state: &State, stored: &Stored) -> Result<(Repository, Arc<Vault>)> {
    let id: Id = stored.spec["repository"].as_str().unwrap_or_default().parse()?;
    let found = repositories::get(&mut *state.catalog.read().await?, &id).await?;
    let repository = found.ok_or_else(|| Error::not_found("the repository is gone"))?;
    let vault = state.open_vault(&repository).await?;
    Ok((repository, vault))
}

fn ended(state: RunState, cause: Option<String>, result: Value, write: Write) -> Ended {
    Ended { state, result, cause, write }
}

/// Extends the locks of what is immutable, and deletes what nothing keeps any more. What a repository
/// says counts, not what the catalog does.
pub(super) async fn prune(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let (repository, vault) = opened(state, stored).await?;
    let filter = snapshots::Filter {
        repository: Some(repository.id.clone()),
        with_private: true,
        limit: MOST_SNAPSHOTS,
        ..snapshots::Filter::default()
    };
    let mut on = state.catalog.read().await?;
    let mut known = snapshots::list(&mut on, &filter).await?;
    drop(on);
    let locked = locks::renew(state, &vault, &mut known).await?;
    let mut on = state.catalog.read().await?;
    let mut taken = Vec::with_capacity(known.len());
    let fulls = parts::fulls(state).await?;
    for one in &known {
        let items = snapshots::items(&mut on, &one.snapshot.id).await?;
        taken.push(fact(one, &items, &fulls));
    }
    drop(on);
    let (resources, minimums) = (resources(state).await?, minimums(state).await?);
    let plan = ExpiryPlan::new(&taken, &minimums, &resources, state.now());
    let doomed: Vec<(String, String)> = plan
        .decisions
        .iter()
        .filter(|decision| !decision.keep)
        .map(|decision| {
            let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
            (decision.id.clone(), reasons.join(", "))
        })
        .collect();
    let storage = state.catalog.get::<StorageSpec>(&repository.storage).await?;
    let mut deleted = Vec::new();
    for (id, reason) in doomed {
        handle.cancel.check()?;
        // What another manager keeps now is not for this one to delete.
        state.still_leads(&storage).await?;
        if delete(&vault, &id, &reason, state).await? {
            handle.log(state, LogLevel::Info, format!("snapshot {id} deleted: {reason}")).await;
            deleted.push(id);
        } else {
            let line = format!("snapshot {id} stays: its repository keeps it");
            handle.log(state, LogLevel::Warning, line).await;
        }
    }
    let (worker, by) = (Arc::clone(&vault), stored.run.by.clone());
    for id in blocking(move || worker.forget_rests(&by)).await? {
        let line = format!("part {id} of a run that was interrupted deleted");
        handle.log(state, LogLevel::Info, line).await;
    }
    let result = json!({
        "deleted": deleted.len(), "kept": plan.decisions.len() - deleted.len(),
        "locks_extended": locked,
    });
    let write: Write = Box::new(move |change| {
        Box::pin(async move {
            for id in &deleted {
                snapshots::delete(change.on(), id).await?;
            }
            Ok(())
        })
    });
    Ok(ended(RunState::Succeeded, None, result, write))
}

/// `fulls` are all full snapshots that there are: what one of them needs stays with it.
pub(crate) fn fact(known: &Known, items: &[SnapshotItem], fulls: &[Snapshot]) -> Taken {
    let snapshot = &known.snapshot;
    let of_profile = snapshot.profile.as_ref().zip(snapshot.period.as_ref());
    let of_profile = of_profile.map(|(profile, period)| PeriodKey {
        profile: profile.to_string(),
        period: period.clone(),
    });
    let whole = items.iter().filter(|i| i.outcome == Outcome::Captured && i.problems == 0);
    let is_needed = fulls.iter().any(|full| parts::needs(full, snapshot));
    let held = snapshot.holds.iter().cloned();
    Taken {
        id: snapshot.id.clone(),
        time: snapshot.time,
        period: snapshot.sync.as_ref().map(of_sync).or(of_profile),
        expiry: snapshot.expiry,
        held: held.chain(is_needed.then(|| parts::OF_FULL.to_owned())).collect(),
        locked_until: snapshot.locked_until,
        is_complete: snapshot.is_complete,
        resources: whole.filter_map(resource_of).collect(),
    }
}

/// The manager is known without being told of.
fn resource_of(item: &SnapshotItem) -> Option<String> {
    match item.kind {
        Kind::Manager => Some(MANAGER_NAME.to_owned()),
        _ => item.resource.as_ref().map(Id::to_string),
    }
}

/// Copies of a rule, whatever its period is called.
fn of_sync(rule: &Id) -> PeriodKey {
    PeriodKey { profile: rule.to_string(), period: String::new() }
}

/// All that the manager knows, of all tenants, and itself.
pub(crate) async fn resources(state: &State) -> Result<BTreeSet<String>> {
    let resources = state.catalog.all::<ResourceSpec>(None).await?;
    let own = [MANAGER_NAME.to_owned()];
    Ok(resources.iter().map(|r| r.id.to_string()).chain(own).collect())
}

pub(crate) async fn minimums(state: &State) -> Result<BTreeMap<PeriodKey, u32>> {
    let profiles = state.catalog.all::<tintype_api::profile::ProfileSpec>(None).await?;
    let mut minimums = BTreeMap::new();
    for profile in &profiles {
        for period in &profile.spec.periods {
            let key = PeriodKey { profile: profile.id.to_string(), period: period.name.clone() };
            minimums.insert(key, period.minimum_count);
        }
    }
    for rule in state.catalog.all::<SyncSpec>(None).await? {
        minimums.insert(of_sync(&rule.id), rule.spec.period.minimum_count);
    }
    Ok(minimums)
}

/// Looks again at what its repository says of it right before. False where that keeps it.
async fn delete(vault: &Arc<Vault>, id: &str, reason: &str, state: &State) -> Result<bool> {
    let (vault, id, reason, now) =
        (Arc::clone(vault), id.to_owned(), reason.to_owned(), state.now());
    blocking(move || {
        let snapshot = match vault.snapshot(&id) {
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(true),
            found => found?,
        };
        let standing = &snapshot.standing;
        if standing.protection(now).is_some() || standing.expiry.is_none_or(|at| at > now) {
            return Ok(false);
        }
        vault.change(&snapshot, "manager", Change::Deleted(reason))?;
        Ok(true)
    })
    .await
}

pub(super) async fn gc(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let (_, vault) = opened(state, stored).await?;
    handle.doing("freeing what no snapshot needs");
    let cancel = handle.cancel.clone();
    let report = blocking(move || vault.gc(&cancel)).await?;
    let spared = report.spared.len();
    for pack in &report.spared {
        let line = format!("{pack} was spared: something in it cannot be read; verify tells what");
        handle.log(state, LogLevel::Warning, line).await;
    }
    let result = json!({
        "deleted_bytes": report.deleted_bytes, "copied_bytes": report.copied_bytes,
        "deleted_packs": report.deleted_packs, "spared": spared,
    });
    Ok(match spared {
        0 => ended(RunState::Succeeded, None, result, nothing()),
        n => {
            let cause = format!("{n} packs cannot be read: verify the repository");
            ended(RunState::Incomplete, Some(cause), result, nothing())
        }
    })
}

pub(super) async fn verify(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let (repository, vault) = opened(state, stored).await?;
    handle.doing("reading and checking");
    let percent = stored.spec["percent"].as_f64().unwrap_or(0.0);
    let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
    let by = stored.run.by.clone();
    let (report, listing) = blocking(move || {
        let report = vault.verify(percent, &by, &cancel, &progress)?;
        cancel.check()?;
        Ok((report, vault.snapshots()?))
    })
    .await?;
    let damaged = report.damaged();
    for finding in report.findings.iter().take(1000) {
        let (object, found) = (&finding.object, &finding.found);
        let line = format!("{object}: {found} (expected {})", finding.expected);
        let level = match finding.severity {
            tintype_runner::vault::Severity::Damage => LogLevel::Error,
            tintype_runner::vault::Severity::Warning => LogLevel::Warning,
            tintype_runner::vault::Severity::Info => continue,
        };
        handle.log(state, level, line).await;
    }
    let mut rows = Vec::new();
    let mut on = state.catalog.read().await?;
    for found in &listing.snapshots {
        if let Ok(mut known) = snapshots::get(&mut on, &found.id.to_string()).await {
            stand(&mut known.snapshot, &found.standing);
            rows.push(known);
        }
    }
    drop(on);
    let result = json!({
        "damaged": damaged, "snapshots": report.snapshots, "bytes_read": report.bytes_read,
        "packs_read": report.packs_read, "packs": report.packs,
    });
    let write: Write = Box::new(move |change| {
        Box::pin(async move {
            for known in &rows {
                snapshots::put(change.on(), &repository.id, &known.snapshot, None).await?;
            }
            Ok(())
        })
    });
    Ok(match damaged {
        0 => ended(RunState::Succeeded, None, result, write),
        n => {
            let cause = format!(
                "{n} things are damaged: the run's log names them, and the snapshots say whether \
                 they are touched"
            );
            ended(RunState::Incomplete, Some(cause), result, write)
        }
    })
}

pub(super) async fn check_storage(
    state: &State,
    handle: &Arc<Handle>,
    stored: &Stored,
) -> Result<Ended> {
    let id: Id = stored.storage.parse()?;
    let storage = state.catalog.get::<StorageSpec>(&id).await?;
    // That it does not answer is for the checks to say.
    match state.still_leads(&storage).await {
        Err(error) if state.replaced_by.get().is_some() => return Err(error),
        _ => {}
    }
    let found = state.look_at_storage(&storage, None, None, false).await?;
    for check in found.checks.iter().filter(|check| check.outcome != Verdict::Pass) {
        let cure = check.cure.as_deref().unwrap_or_default();
        let line = format!("{}: {}; {cure}", check.name, check.message);
        let level =
            if check.outcome == Verdict::Block { LogLevel::Error } else { LogLevel::Warning };
        handle.log(state, level, line).await;
    }
    let blocked = found.checks.iter().find(|check| check.outcome == Verdict::Block).cloned();
    let result = json!({ "is_good": found.is_good });
    let now = state.now();
    let write: Write = Box::new(move |change| {
        Box::pin(
            async move { facts::set_state(change.on(), StorageSpec::NAME, &id, now, &found).await },
        )
    });
    Ok(match blocked {
        None => ended(RunState::Succeeded, None, result, write),
        Some(check) => {
            let cure = check.cure.unwrap_or_default();
            let cause = format!("storage {}: {}; {cure}", storage.name, check.message);
            ended(RunState::Failed, Some(cause), result, write)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(id: &str, scope: &str, day: i8, more: &Value) -> Known {
        let own: Id = "0".repeat(26).parse().unwrap();
        let mut value = json!({
            "id": id, "tenant": own, "storage": own, "scope": scope, "trigger": "schedule",
            "time": format!("2030-01-{day:02}T00:00:00Z"), "by": "x", "is_complete": true,
            "entries": 0, "bytes": 0, "stored_bytes": 0, "captured": 1, "failed": 0, "skipped": 0,
            "expiry": "2030-02-01T00:00:00Z", "profile": own, "period": "gone",
        });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Known { snapshot: serde_json::from_value(value).unwrap(), repository: own }
    }

    fn kept(all: &[Known], items: &[SnapshotItem], fulls: &[Snapshot]) -> Vec<String> {
        let taken: Vec<Taken> = all.iter().map(|one| fact(one, items, fulls)).collect();
        let resources = BTreeSet::from([MANAGER_NAME.to_owned()]);
        let now = "2031-01-01T00:00:00Z".parse().unwrap();
        let plan = ExpiryPlan::new(&taken, &BTreeMap::new(), &resources, now);
        plan.kept().map(|one| one.id.clone()).collect()
    }

    /// Its profile is gone, and no resource is held any more: the newest still holds the manager.
    #[test]
    fn the_last_state_of_the_manager_stays() {
        let item = json!({
            "name": MANAGER_NAME, "kind": "manager", "outcome": "captured", "entries": 1,
            "bytes": 1, "problems": 0, "place": "manager",
        });
        let items: Vec<SnapshotItem> = vec![serde_json::from_value(item).unwrap()];
        let all = [1, 2].map(|day| known(&format!("full-{day}"), "full", day, &json!({})));
        assert_eq!(kept(&all, &items, &[]), ["full-2"]);
        assert_eq!(kept(&all, &[], &[]), [""; 0]);
    }

    #[test]
    fn a_part_stays_with_its_full_snapshot() {
        let run: Id = "7".repeat(26).parse().unwrap();
        let part = known("part", "tenant", 1, &json!({ "full": run }));
        let full = known("full", "full", 1, &json!({ "run": run }));
        assert_eq!(kept(std::slice::from_ref(&part), &[], &[full.snapshot]), ["part"]);
        assert_eq!(kept(&[part], &[], &[]), [""; 0]);
    }
}
