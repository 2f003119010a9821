//! A sync rule at work: what its storage lacks of a tenant's snapshots is copied there, each as whole
//! as it is, and kept as long as the rule says. Nothing is deleted because the first is gone. A full
//! snapshot is copied with the parts that its tenants have of it, wherever they lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz;
use serde_json::json;
use tintype_api::object::Object;
use tintype_api::run::{LogLevel, RunKind, RunState};
use tintype_api::snapshot::{Snapshot, SnapshotItem, SnapshotScope, Trigger};
use tintype_api::storage::StorageSpec;
use tintype_api::sync::SyncSpec;
use tintype_model::identifier::Id;
use tintype_model::profile::Stamp;
use tintype_model::sync::{self, Candidate};
use tintype_model::{Error, Result};
use tintype_runner::vault::{self, Change, Vault};

use super::begin::Wanted;
use super::captured::{SYNCED, Word, describe};
use super::dispatcher::{Ended, nothing};
use super::snapshot::may_still;
use super::{Handle, locks, quota};
use crate::catalog::objects::{self, Kind as _};
use crate::catalog::repositories::{self, Repository};
use crate::catalog::runs::Stored;
use crate::catalog::snapshots;
use crate::lost::{STATE_KEY, tag_of_copy};
use crate::runs::bundles::without_resources;
use crate::state::{Shared, State};
use crate::vaults::blocking;

/// A run of a rule, to be queued.
pub fn wanted(
    rule: &Object<SyncSpec>,
    storage: Option<Id>,
    by: String,
    priority: i64,
    why: &str,
) -> Wanted {
    Wanted {
        tenant: rule.tenant.clone(),
        kind: RunKind::Sync,
        title: format!("sync {} to storage {}{why}", rule.name, rule.spec.to),
        by,
        priority,
        not_before: None,
        storage,
        spec: json!({ "sync": rule.id }),
        is_planned: false,
    }
}

impl Shared {
    /// A storage of that name in which a tenant may keep snapshots: its own, or a shared one.
    pub async fn named_storage(
        &self,
        tenant: &Id,
        name: &str,
    ) -> Result<Option<Object<StorageSpec>>> {
        let mut on = self.catalog.read().await?;
        let own = objects::named::<StorageSpec>(&mut on, tenant, name).await?;
        let shared = objects::named::<StorageSpec>(&mut on, &self.system, name).await?;
        Ok(own.or(shared.filter(|storage| self.may_use(storage, tenant))))
    }
}

/// What came of all repositories.
#[derive(Default)]
struct Told {
    copied: usize,
    there: usize,
    stored_bytes: u64,
    /// Runs that took full snapshots of which there is, or will be, a copy.
    fulls: BTreeSet<Id>,
    problems: Vec<String>,
}

pub(super) async fn execute(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let id: Id = stored.spec["sync"].as_str().unwrap_or_default().parse()?;
    let mut rule = state.catalog.get::<SyncSpec>(&id).await?;
    let tenant = state.tenant(&rule.tenant).await?;
    may_still(&tenant, rule.spec.of_system)?;
    if rule.spec.of_system == Some(false) {
        let (period, days) = (&mut rule.spec.period, tenant.spec.lock_days_at_most);
        period.immutable = period.immutable.and_then(|immutable| immutable.at_most(days));
    }
    let missing = |name: &str| {
        Error::not_found(format!(
            "there is no storage {name} for this tenant: change the rule (`tintype sync apply`)"
        ))
    };
    let to = state.named_storage(&rule.tenant, &rule.spec.to).await?;
    let to = to.ok_or_else(|| missing(&rule.spec.to))?;
    let from = match &rule.spec.from {
        None => None,
        Some(name) => {
            let found = state.named_storage(&rule.tenant, name).await?;
            Some(found.ok_or_else(|| missing(name))?.id)
        }
    };
    let mut sources = repositories::list(&mut *state.catalog.read().await?, None).await?;
    sources.retain(|source| {
        let is_from = from.as_ref().is_none_or(|from| *from == source.storage);
        let is_own = source.tenant == rule.tenant && is_from;
        let is_of_full = rule.tenant == state.system && source.tenant != rule.tenant;
        source.storage != to.id && (is_own || is_of_full)
    });
    // Which parts are wanted is known when the full ones are.
    sources.sort_by_key(|source| source.tenant != rule.tenant);
    let (mut told, mut away) = (Told::default(), None);
    for source in &sources {
        handle.cancel.check()?;
        let storage = state.catalog.get::<StorageSpec>(&source.storage).await?;
        handle.doing(format!("copying from storage {} to storage {}", storage.name, to.name));
        let copying = Copying { state, handle, rule: &rule, to: &to, source };
        if let Err(error) = copying.copy(&mut told).await {
            handle.cancel.check()?;
            // The others are still to be kept twice.
            if handle.waits(state, &error).is_some() {
                away.get_or_insert(error);
                continue;
            }
            told.problems.push(format!("storage {}: {error}", storage.name));
        }
    }
    if let Some(error) = away {
        return Err(error);
    }
    for problem in &told.problems {
        handle.log(state, LogLevel::Error, problem).await;
    }
    let result = json!({
        "copied": told.copied, "there": told.there, "stored_bytes": told.stored_bytes,
        "failed": told.problems.len(), "storage": to.id,
    });
    let (ended, cause) = match told.problems.first() {
        None => (RunState::Succeeded, None),
        Some(first) if told.copied + told.there == 0 => (RunState::Failed, Some(first.clone())),
        Some(first) => (RunState::Incomplete, Some(first.clone())),
    };
    Ok(Ended { state: ended, result, cause, write: nothing() })
}

/// From one repository of a tenant to another.
struct Copying<'a> {
    state: &'a State,
    handle: &'a Arc<Handle>,
    rule: &'a Object<SyncSpec>,
    to: &'a Object<StorageSpec>,
    source: &'a Repository,
}

impl Copying<'_> {
    async fn copy(&self, told: &mut Told) -> Result<()> {
        let Self { state, handle, rule, to, source } = *self;
        let is_own = source.tenant == rule.tenant;
        if !is_own && told.fulls.is_empty() {
            return Ok(());
        }
        let first = state.open_vault(source).await?;
        let (period, now) = (rule.spec.period.clone(), state.now());
        let (from, fulls) = (Arc::clone(&first), (!is_own).then(|| told.fulls.clone()));
        let (stamps, runs) = blocking(move || {
            let snapshots = from.whole_snapshots()?;
            let of = fulls.as_ref();
            let candidates: Vec<Candidate> =
                snapshots.iter().filter_map(|found| candidate(found, of)).collect();
            let wanted = sync::wanted(&candidates, &period, now, tz::db())?;
            let stamps: BTreeMap<String, Stamp> =
                wanted.into_iter().map(|one| (one.id, one.stamp)).collect();
            let chosen = snapshots.iter().filter(|one| stamps.contains_key(&one.id.to_string()));
            let runs: BTreeSet<Id> = chosen.filter_map(run_of_full).collect();
            Ok((stamps, runs))
        })
        .await?;
        told.fulls.extend(runs);
        if stamps.is_empty() {
            return Ok(());
        }
        let (repository, second) = state.vault(to, &source.tenant).await?;
        let (into, wanted) = (Arc::clone(&second), stamps.keys().cloned().collect());
        let is_new = blocking(move || {
            let there: BTreeSet<String> =
                into.whole_snapshots()?.iter().filter_map(origin).collect();
            let wanted: BTreeSet<String> = wanted;
            Ok(!wanted.is_subset(&there))
        });
        if is_new.await? {
            quota::check(state, &state.tenant(&source.tenant).await?).await?;
        }
        let (from, into) = (Arc::clone(&first), Arc::clone(&second));
        let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
        let ids: BTreeSet<String> = stamps.keys().cloned().collect();
        let copied = blocking(move || from.copy_to(&into, &ids, &cancel, &progress)).await?;
        let pairs: BTreeMap<String, Stamp> = copied
            .copied
            .iter()
            .chain(&copied.there)
            .filter_map(|(from, to)| Some((to.clone(), *stamps.get(from)?)))
            .collect();
        self.keep(&repository, first, second, pairs).await?;
        for (from, to) in &copied.copied {
            let line = format!("snapshot {from} copied: {to}");
            handle.log(state, LogLevel::Info, line).await;
        }
        told.copied += copied.copied.len();
        told.there += copied.there.len();
        told.stored_bytes += copied.stored_bytes;
        let failed = copied.failed.iter();
        told.problems.extend(failed.map(|(id, why)| format!("snapshot {id}: {why}")));
        match copied.is_whole {
            true => Ok(()),
            false => Err(Error::canceled("the copy was stopped")),
        }
    }

    /// Says of copies that are new, also of those of a run that was cut, how long they stay, and
    /// lists them.
    async fn keep(
        &self,
        repository: &Repository,
        first: Arc<Vault>,
        vault: Arc<Vault>,
        stamps: BTreeMap<String, Stamp>,
    ) -> Result<()> {
        let (rule, storage) = (self.rule, self.to.id.clone());
        let (by, tag) = (format!("sync {}", rule.name), format!("{SYNCED}{}", rule.id));
        let delay_days = rule.spec.period.immutable.map(|immutable| immutable.unlock_delay_days);
        let random = Arc::clone(&self.state.random);
        let rows = blocking(move || {
            let mut rows = Vec::new();
            for mut found in vault.whole_snapshots()? {
                let Some(stamp) = stamps.get(&found.id.to_string()) else { continue };
                let is_told = |found: &vault::Snapshot| {
                    found.standing.tags.iter().any(|tag| tag.starts_with(STATE_KEY))
                };
                if Word::of(&found).is_some_and(|word| word.scope.holds_manager())
                    && !is_told(&found)
                {
                    let add = vec![tag_of_copy(&first, &vault, &found, &*random)];
                    let change = Change::Tag { add, remove: Vec::new() };
                    found.standing = vault.change(&found, &by, change)?;
                }
                if found.standing.tags.iter().any(|tag| tag.starts_with(SYNCED)) {
                    continue;
                }
                stamp_copy(&vault, &mut found, stamp, delay_days, (&by, &tag))?;
                rows.extend(row(&vault, &found, &storage)?);
            }
            Ok(rows)
        })
        .await?;
        let mut change = self.state.catalog.change().await?;
        for (snapshot, items) in &rows {
            snapshots::put(change.on(), &repository.id, snapshot, Some(items)).await?;
        }
        change.commit_own_books().await
    }
}

/// None: no manager took it, or it is no part of one of these full snapshots.
fn candidate(found: &vault::Snapshot, fulls: Option<&BTreeSet<Id>>) -> Option<Candidate> {
    let word = Word::of(found)?;
    if let Some(fulls) = fulls {
        word.full_run.as_ref().filter(|run| fulls.contains(run))?;
    }
    Some(Candidate {
        id: found.id.to_string(),
        time: found.manifest.time,
        is_copy: found.manifest.origin.is_some(),
        is_undo_point: word.trigger == Trigger::PreRestore,
    })
}

fn run_of_full(found: &vault::Snapshot) -> Option<Id> {
    let word = Word::of(found)?;
    word.run.filter(|_| word.scope == SnapshotScope::Full)
}

/// What it is a copy of.
fn origin(found: &vault::Snapshot) -> Option<String> {
    found.manifest.origin.as_ref().map(|origin| origin.snapshot.to_string())
}

fn stamp_copy(
    vault: &Vault,
    found: &mut vault::Snapshot,
    stamp: &Stamp,
    delay_days: Option<u32>,
    (by, tag): (&str, &str),
) -> Result<()> {
    // What was asked of the first, and how immutable that is, is not said of this one.
    let of_first = found.standing.tags.iter();
    let of_first =
        of_first.filter(|tag| tag.starts_with(locks::IMMUTABLE) || *tag == locks::UNLOCKING);
    let remove = of_first.cloned().collect();
    let mut changes = vec![Change::Tag { add: Vec::new(), remove }];
    changes.extend(locks::first(stamp.locked_until, delay_days));
    changes.push(Change::Expiry(stamp.expiry));
    changes.push(Change::Tag { add: vec![tag.to_owned()], remove: Vec::new() });
    for change in changes {
        found.standing = vault.change(found, by, change)?;
    }
    Ok(())
}

fn row(
    vault: &Vault,
    found: &vault::Snapshot,
    storage: &Id,
) -> Result<Option<(Snapshot, Vec<SnapshotItem>)>> {
    let Some(word) = Word::of(found) else { return Ok(None) };
    let descriptor = vault.descriptor(found)?.unwrap_or_else(|| without_resources(found));
    Ok(Some(describe(found, &word, &descriptor, storage)))
}

/// In words, for the audit log.
pub fn what(rule: &Object<SyncSpec>) -> String {
    format!("{} {}", SyncSpec::NAME, rule.name)
}
