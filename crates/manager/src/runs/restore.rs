//! Restores: the plan that somebody agreed to is carried out, and no other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tintype_api::restore::{NewRestore, NotRestored, PlannedItem, RestoreFiles};
use tintype_api::run::{LogLevel, RunState};
use tintype_api::snapshot::{SnapshotScope, Trigger};
use tintype_model::identifier::Id;
use tintype_model::plan::{Check, Stage};
use tintype_model::{Error, Result};
use tintype_runner::group::restore::{Broken, Destination, GroupPlan, Restored, Wanted};
use tintype_runner::vault::{Cancel, FilesOutcome, FilesTo, Undoing, Vault};

use super::Handle;
use super::captured::{Word, describe};
use super::dispatcher::{Ended, Write, nothing};
use super::snapshot::MANAGER_NAME;
use crate::catalog::repositories;
use crate::catalog::runs::Stored;
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots::{self, Known};
use crate::state::State;
use crate::vaults::blocking;

/// Owner of the sealed plan of a run.
pub const KIND: &str = "run";
pub const PLAN: &str = "plan";

/// A plan as it is shown, and as it is kept: sealed, because its steps may hold secrets.
pub struct Planned {
    pub items: Vec<PlannedItem>,
    pub missing: Vec<NotRestored>,
    pub commands: Vec<String>,
    pub is_blocked: bool,
    /// What must be typed.
    pub confirm: Option<String>,
    /// Of resources; files are planned again when they are written.
    pub sealed: Option<Vec<u8>>,
}

pub async fn vault_of(state: &State, known: &Known) -> Result<Arc<Vault>> {
    let mut on = state.catalog.read().await?;
    let repository = repositories::get(&mut on, &known.repository).await?;
    drop(on);
    let repository = repository.ok_or_else(|| Error::not_found("its repository is gone"))?;
    state.open_vault(&repository).await
}

/// Looks and decides; changes nothing.
pub async fn plan(state: &State, known: &Known, new: &NewRestore) -> Result<Planned> {
    let vault = vault_of(state, known).await?;
    let id = known.snapshot.id.clone();
    if let Some(files) = &new.files {
        let to = files_to(files)?;
        return plan_files(vault, id, to).await;
    }
    let new = new.clone();
    let plan = blocking(move || {
        let snapshot = vault.snapshot(&id)?;
        let wanted = wanted(&vault, &snapshot, &new)?;
        vault.plan_restore(&snapshot, &wanted, &Cancel::default())
    });
    let plan = plan.await?;
    shown(&plan, known)
}

fn files_to(files: &RestoreFiles) -> Result<FilesTo> {
    let directory = PathBuf::from(&files.to);
    if !directory.is_absolute() {
        return Err(Error::invalid("`to` is the whole path of a directory"));
    }
    let path = files.path.trim_matches('/').as_bytes().to_vec();
    Ok(FilesTo { path, directory, overwrite: files.overwrite })
}

async fn plan_files(vault: Arc<Vault>, id: String, to: FilesTo) -> Result<Planned> {
    let (directory, name) = (to.directory.clone(), String::from_utf8_lossy(&to.path).into_owned());
    let outcome = blocking(move || {
        let snapshot = vault.snapshot(&id)?;
        vault.restore_files(&snapshot, &to, false, &Cancel::default(), &Arc::default())
    });
    let FilesOutcome { counts, left } = outcome.await?;
    let to = format!("files into {}", directory.display());
    let steps = [
        (counts.create, "created"),
        (counts.replace, "replaced"),
        (counts.keep, "left as they are, because they differ and are not to be replaced"),
        (counts.same, "there already"),
        (counts.refuse, "refused: something of another kind is in the way"),
    ];
    let steps = steps.iter().filter(|(count, _)| *count > 0);
    let item = PlannedItem {
        name: if name.is_empty() { "/".to_owned() } else { name },
        to,
        bytes: counts.bytes,
        replaces: counts.replace > 0,
        checks: Vec::new(),
        steps: steps.map(|(count, what)| format!("{count} {what}")).collect(),
    };
    let missing = left.into_iter().map(|(path, reason)| NotRestored {
        name: String::from_utf8_lossy(&path).into_owned(),
        reason,
    });
    Ok(Planned {
        confirm: item.replaces.then(|| item.name.clone()),
        items: vec![item],
        missing: missing.collect(),
        commands: Vec::new(),
        is_blocked: false,
        sealed: None,
    })
}

fn wanted(
    vault: &Vault,
    snapshot: &tintype_runner::vault::Snapshot,
    new: &NewRestore,
) -> Result<Wanted> {
    let descriptor = vault.descriptor(snapshot)?.ok_or_else(|| {
        Error::unsupported("this snapshot holds files and no resources: restore its files")
    })?;
    let mut destinations = BTreeMap::new();
    for (name, as_new) in &new.as_new {
        let resource = descriptor.resources.iter().find(|resource| resource.name == *name);
        let resource =
            resource.ok_or_else(|| Error::not_found(format!("the snapshot holds no {name}")))?;
        tintype_model::resource::check_name(&as_new.name)?;
        let mut at = resource.at.clone();
        at.extend(as_new.at.clone());
        let destination =
            Destination::AsNew { name: as_new.name.clone(), at, rules: as_new.rules.clone() };
        destinations.insert(name.clone(), destination);
    }
    let mut names = new.resources.clone();
    if names.iter().any(|name| name == MANAGER_NAME) {
        return Err(Error::unsupported(
            "the manager itself is restored with `tintype recover`, not while it runs",
        ));
    }
    if names.is_empty() && !destinations.is_empty() {
        names = destinations.keys().cloned().collect();
    }
    if names.is_empty() {
        let all = descriptor.items.iter().map(|item| item.name.clone());
        names = all.filter(|name| name != MANAGER_NAME).collect();
    }
    if names.is_empty() {
        return Err(Error::not_found("the snapshot holds no resource, only the manager's state"));
    }
    Ok(Wanted { names, in_place: true, destinations })
}

fn shown(plan: &GroupPlan, known: &Known) -> Result<Planned> {
    let to = |destination: &Destination| match destination {
        Destination::InPlace => "in place".to_owned(),
        Destination::AsNew { name, .. } => format!("as new {name}"),
    };
    let items: Vec<PlannedItem> = plan
        .items
        .iter()
        .map(|item| PlannedItem {
            name: item.item.name.clone(),
            to: to(&item.destination),
            bytes: item.item.bytes,
            replaces: item.plan.replaces,
            checks: item.plan.checks.clone(),
            steps: item
                .plan
                .steps
                .iter()
                .filter(|step| step.stage != Stage::Watch)
                .map(|step| step.text.clone())
                .collect(),
        })
        .collect();
    let missing = plan
        .missing
        .iter()
        .map(|(name, reason)| NotRestored { name: name.clone(), reason: reason.clone() });
    let commands = plan.commands(true).into_iter().map(|planned| {
        format!("for {}, {}: {}", planned.of, planned.when, planned.command.join(" "))
    });
    // Whatever goes where something may be asks for a name: what was asked for, if it is one.
    let in_place = plan.items.iter().any(|item| item.destination == Destination::InPlace);
    let confirm = in_place.then(|| match &plan.wanted.names[..] {
        [one] => one.clone(),
        _ => known.snapshot.id.chars().take(8).collect(),
    });
    let sealed = serde_json::to_vec(plan).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Planned {
        confirm,
        missing: missing.collect(),
        commands: commands.collect(),
        is_blocked: plan.is_blocked(),
        items,
        sealed: Some(sealed),
    })
}

pub(super) async fn execute(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let new: NewRestore = serde_json::from_value(stored.spec["new"].clone())
        .map_err(|error| Error::corrupt(format!("what the run is to do: {error}")))?;
    let known = snapshots::get(&mut *state.catalog.read().await?, &new.snapshot).await?;
    let vault = vault_of(state, &known).await?;
    handle.doing("restoring");
    if let Some(files) = &new.files {
        return write_files(state, handle, vault, &new.snapshot, files_to(files)?).await;
    }
    let of = Of { kind: KIND, id: &stored.run.id, name: PLAN };
    let sealed = secrets::need(&mut *state.catalog.read().await?, of, &state.key).await?;
    let plan: GroupPlan = serde_json::from_slice(&sealed)
        .map_err(|error| Error::corrupt(format!("the plan of the restore: {error}")))?;
    let (missing, word) = (plan.missing.len(), undo_word(state, stored, &known));
    let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
    let (id, without) = (new.snapshot.clone(), new.without_undo_point);
    let worker = Arc::clone(&vault);
    let outcome = blocking(move || {
        let snapshot = worker.snapshot(&id)?;
        let manager = serde_json::to_value(word).unwrap_or_default();
        let undoing = if without { Undoing::Without } else { Undoing::Point(&manager) };
        worker.apply_restore(&snapshot, plan, &undoing, &cancel, &progress)
    });
    let ended = match outcome.await? {
        Ok(restored) => finished(state, handle, &restored, missing).await,
        Err(broken) => broke(state, handle, broken).await?,
    };
    let undo_point = undo_point_of(&vault, &stored.run.id).await?;
    Ok(with_undo_point(ended, undo_point, &known))
}

/// An undo point is a snapshot like any other, and so in the catalog.
fn with_undo_point(
    mut ended: Ended,
    undo_point: Option<(tintype_runner::vault::Snapshot, Word, tintype_model::item::Descriptor)>,
    known: &Known,
) -> Ended {
    let Some((found, word, descriptor)) = undo_point else { return ended };
    let (snapshot, items) = describe(&found, &word, &descriptor, &known.snapshot.storage);
    if let Value::Object(result) = &mut ended.result {
        result.insert("undo_point".into(), json!(snapshot.id));
    }
    let repository = known.repository.clone();
    ended.write = Box::new(move |change| {
        Box::pin(
            async move { snapshots::put(change.on(), &repository, &snapshot, Some(&items)).await },
        )
    });
    ended
}

fn undo_word(state: &State, stored: &Stored, known: &Known) -> Word {
    Word {
        installation: state.installation.clone(),
        tenant: known.snapshot.tenant.clone(),
        scope: SnapshotScope::Partial,
        trigger: Trigger::PreRestore,
        name: String::new(),
        by: stored.run.by.clone(),
        is_private: known.snapshot.is_private,
        full_run: None,
        run: Some(stored.run.id.clone()),
        profile: None,
        period: None,
        resources: BTreeMap::new(),
        skipped: Vec::new(),
        parts: Vec::new(),
    }
}

async fn undo_point_of(
    vault: &Arc<Vault>,
    run: &Id,
) -> Result<Option<(tintype_runner::vault::Snapshot, Word, tintype_model::item::Descriptor)>> {
    let (vault, run) = (Arc::clone(vault), run.clone());
    blocking(move || {
        let found = vault.snapshots()?.snapshots.into_iter().rev().find_map(|snapshot| {
            let word = Word::of(&snapshot)?;
            let is_own = word.trigger == Trigger::PreRestore && word.run.as_ref() == Some(&run);
            is_own.then_some((snapshot, word))
        });
        let Some((snapshot, word)) = found else { return Ok(None) };
        let descriptor = vault.descriptor(&snapshot)?;
        Ok(descriptor.map(|descriptor| (snapshot, word, descriptor)))
    })
    .await
}

async fn finished(
    state: &State,
    handle: &Arc<Handle>,
    restored: &Restored,
    missing: usize,
) -> Ended {
    for (name, hook) in &restored.hooks {
        let end = hook.failure.clone().unwrap_or_else(|| "done".to_owned());
        let line = format!("{name}: hook {} {}: {end}", hook.phase, hook.command.join(" "));
        handle.log(state, LogLevel::Info, line).await;
    }
    for (name, place) in &restored.kept {
        let line = format!(
            "{name}: what was there changed after the undo point and stays beside it: {place}"
        );
        handle.log(state, LogLevel::Warning, line).await;
    }
    let result = json!({ "missing": missing, "kept": restored.kept.len() });
    let (state, cause) = match missing {
        0 => (RunState::Succeeded, None),
        n => (
            RunState::Incomplete,
            Some(format!("{n} resources are not in the snapshot, and were not restored")),
        ),
    };
    Ended { state, result, cause, write: nothing() }
}

async fn broke(state: &State, handle: &Arc<Handle>, broken: Broken) -> Result<Ended> {
    let Broken { error, is_undone, left, is_restored, .. } = broken;
    if handle.cancel.is_canceled() {
        // It stays as it is, and goes on when the run is begun again.
        return Err(error);
    }
    for what in &left {
        let line = format!("could not be taken back: {what}");
        handle.log(state, LogLevel::Error, line).await;
    }
    let after = match (is_undone, is_restored) {
        (true, _) => "everything is as it was before",
        (false, true) => {
            "it is restored, but not cleaned up: run it again to remove what only helped"
        }
        (false, false) => "it could not be taken back whole: the log names what is left",
    };
    let result = json!({ "is_undone": is_undone, "left": left });
    let cause = Some(format!("{error}; {after}"));
    Ok(Ended { state: RunState::Failed, result, cause, write: nothing() })
}

async fn write_files(
    state: &State,
    handle: &Arc<Handle>,
    vault: Arc<Vault>,
    id: &str,
    to: FilesTo,
) -> Result<Ended> {
    let (id, cancel, progress) =
        (id.to_owned(), handle.cancel.clone(), Arc::clone(&handle.progress));
    let outcome = blocking(move || {
        let snapshot = vault.snapshot(&id)?;
        vault.restore_files(&snapshot, &to, true, &cancel, &progress)
    });
    let FilesOutcome { counts, left } = outcome.await?;
    for (path, reason) in left.iter().take(1000) {
        let line = format!("/{}: {reason}", String::from_utf8_lossy(path));
        handle.log(state, LogLevel::Warning, line).await;
    }
    let result = json!({
        "created": counts.create, "replaced": counts.replace, "same": counts.same,
        "kept": counts.keep, "left": left.len(),
    });
    let (state, cause) = match left.len() {
        0 => (RunState::Succeeded, None),
        n => (RunState::Incomplete, Some(format!("{n} entries were not restored: see the log"))),
    };
    let write: Write = nothing();
    Ok(Ended { state, result, cause, write })
}

/// No check may block.
pub fn first_block(items: &[PlannedItem]) -> Option<(&PlannedItem, &Check)> {
    items.iter().find_map(|item| {
        let blocks = |check: &&Check| check.outcome == tintype_model::plan::Verdict::Block;
        item.checks.iter().find(blocks).map(|check| (item, check))
    })
}
