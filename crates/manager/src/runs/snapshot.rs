//! Taking snapshots: of chosen resources, of all that a tenant has, of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_api::object::Object;
use tintype_api::profile::ProfileSpec;
use tintype_api::resource::ResourceSpec;
use tintype_api::run::{LogLevel, RunKind, RunState};
use tintype_api::snapshot::{NewSnapshot, SnapshotScope, Trigger};
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_model::count::counted;
use tintype_model::duration;
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
use tintype_model::resource::{Kind, Resource, Version};
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::Order;
use tintype_runner::vault::work::Captured;

use super::Handle;
use super::begin::{SCHEDULED, Wanted};
use super::captured::{LeftOut, Part, Skipped, Word, describe};
use super::dispatcher::{Ended, Write, failed, goes_on};
use super::hosts::{self, Hosts};
use super::{locks, quota};
use crate::catalog::is_away;
use crate::catalog::objects;
use crate::catalog::runs::Stored;
use crate::catalog::snapshots;
use crate::connectors::Connectors;
use crate::lost::copy::Copy;
use crate::lost::export::{self, export};
use crate::lost::look;
use crate::state::State;
use crate::vaults::{blocking, usable_storage};

/// Of the manager in a full snapshot; no resource may be called so.
pub const MANAGER_NAME: &str = "tintype-manager";
/// How long a snapshot is kept unless somebody says otherwise.
const USUAL_KEEP: &str = "1m";

/// What a run of this kind is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub new: NewSnapshot,
    /// Of a partial one: names of all resources that it captures, applications with their
    /// components.
    #[serde(default)]
    pub names: BTreeSet<String>,
    /// None: it stays until somebody deletes it.
    #[serde(default)]
    pub expiry: Option<Timestamp>,
    #[serde(default)]
    pub locked_until: Option<Timestamp>,
    /// Days that pass between an unlock asked for and the deletion it allows.
    #[serde(default)]
    pub unlock_delay_days: Option<u32>,
    #[serde(default)]
    pub profile: Option<Id>,
    #[serde(default)]
    pub period: Option<String>,
    /// The manager's state is that of this copy of the catalog, not of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}

/// The manager's state as it was before a newer program brought it up to date.
pub fn of_copy(state: &State, copy: &Copy, storage: Id) -> Result<Wanted> {
    let new = NewSnapshot {
        scope: SnapshotScope::Manager,
        tenant: Some(state.system.clone()),
        name: "before the upgrade".to_owned(),
        note: format!("written by Tintype {}", copy.head.program),
        resources: BTreeSet::new(),
        tags: BTreeSet::new(),
        storage: Some(storage.clone()),
        keep: None,
        is_private: false,
        read_all: false,
        quiesce: true,
        trigger: Trigger::PreUpgrade,
        exclude: BTreeSet::new(),
    };
    let spec = Spec {
        new,
        names: BTreeSet::new(),
        expiry: expiry(None, state.now())?,
        locked_until: None,
        unlock_delay_days: None,
        profile: None,
        period: None,
        copy: Some(copy.name.clone()),
    };
    Ok(Wanted {
        tenant: state.system.clone(),
        kind: RunKind::Snapshot,
        title: "snapshot of the manager's state before its upgrade".to_owned(),
        by: "manager".to_owned(),
        priority: SCHEDULED,
        not_before: None,
        storage: Some(storage),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        is_planned: false,
    })
}

/// When a snapshot that is taken now goes: `keep` is a length of time, or `never`.
pub fn expiry(keep: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>> {
    let keep = keep.unwrap_or(USUAL_KEEP);
    if keep == "never" {
        return Ok(None);
    }
    let span = duration::parse_span(keep).map_err(|error| error.context("keep"))?;
    let until = now.to_zoned(TimeZone::UTC).checked_add(span);
    let until = until.map_err(|error| Error::invalid(format!("keep {keep}: {error}")))?;
    Ok(Some(until.timestamp()))
}

/// All that a tenant has, by name.
pub async fn resources_of(state: &State, tenant: &Id) -> Result<Vec<Object<ResourceSpec>>> {
    state.catalog.all(Some(tenant)).await
}

/// Names that a partial snapshot captures; applications bring their components.
pub fn chosen(
    all: &[Object<ResourceSpec>],
    resources: &BTreeSet<String>,
    tags: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let of = |name: &str| all.iter().find(|resource| resource.name == name);
    let mut names = BTreeSet::new();
    for name in resources {
        let found = of(name).ok_or_else(|| {
            Error::not_found(format!("there is no resource {name} in this tenant"))
        })?;
        names.insert(found.name.clone());
    }
    let tagged = all.iter().filter(|r| r.spec.tags.iter().any(|tag| tags.contains(tag)));
    names.extend(tagged.map(|resource| resource.name.clone()));
    let parts = names.iter().filter_map(|name| of(name)).flat_map(|r| &r.spec.components);
    let parts: Vec<String> = parts.map(|component| component.resource.clone()).collect();
    names.extend(parts);
    Ok(names)
}

/// Whether that is still done for a tenant by itself, which its own users may have set.
pub(super) fn may_still(tenant: &Object<TenantSpec>, of_system: Option<bool>) -> Result<()> {
    if tenant.spec.may_snapshot || of_system != Some(false) {
        return Ok(());
    }
    Err(Error::denied(format!(
        "tenant {} may not take snapshots itself any more, and set this itself; an administrator of \
         the system allows it (`may_snapshot`), or sets it anew",
        tenant.name
    )))
}

pub(crate) async fn there<S: objects::Kind>(state: &State, id: &Id) -> Result<Option<Object<S>>> {
    match state.catalog.get::<S>(id).await {
        Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
        found => found.map(Some),
    }
}

/// What of a tenant is captured, and what is left out on purpose.
struct Selection {
    captured: Vec<Object<ResourceSpec>>,
    /// Described too, since applications name them.
    described: Vec<Object<ResourceSpec>>,
    skipped: Vec<Skipped>,
}

fn select(
    tenant: &Object<TenantSpec>,
    all: Vec<Object<ResourceSpec>>,
    names: Option<&BTreeSet<String>>,
) -> Selection {
    let why_not = |resource: &Object<ResourceSpec>| {
        if !tenant.spec.is_entitled {
            return Some("not protected: snapshots are switched off for this tenant");
        }
        (!resource.spec.is_protected)
            .then_some("not protected: snapshots are switched off for this resource")
    };
    let wanted =
        |resource: &&Object<ResourceSpec>| names.is_none_or(|names| names.contains(&resource.name));
    let is_gone = |name: &&String| !all.iter().any(|resource| resource.name == **name);
    let gone = names.into_iter().flatten().filter(is_gone).map(|name| Skipped {
        name: name.clone(),
        kind: Kind::Volume,
        reason: "the manager has no resource of that name (any more)".to_owned(),
    });
    let mut selection =
        Selection { captured: Vec::new(), described: Vec::new(), skipped: gone.collect() };
    let switched_off: BTreeSet<&str> = all
        .iter()
        .filter(|resource| resource.spec.kind == Kind::Application)
        .filter(|resource| why_not(resource).is_some())
        .flat_map(|app| app.spec.components.iter().map(|component| &component.resource[..]))
        .collect();
    for resource in all.iter().filter(wanted) {
        let of_application = switched_off
            .contains(&resource.name[..])
            .then_some("not protected: snapshots are switched off for its application");
        match why_not(resource).or(of_application) {
            Some(reason) => selection.skipped.push(Skipped {
                name: resource.name.clone(),
                kind: resource.spec.kind,
                reason: reason.to_owned(),
            }),
            None if resource.spec.kind == Kind::Application => {}
            None => selection.captured.push(resource.clone()),
        }
    }
    selection.described = all;
    selection
}

/// A tenant's part that is committed.
struct Committed {
    tenant: Id,
    storage: Id,
    repository: Id,
    snapshot: String,
    is_complete: bool,
}

struct Taking<'t> {
    state: &'t State,
    handle: &'t Arc<Handle>,
    stored: &'t Stored,
    spec: Spec,
}

pub(super) async fn execute(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let spec: Spec = stored.read_spec()?;
    let taking = Taking { state, handle, stored, spec };
    let mut committed = Vec::new();
    match taking.all(&mut committed).await {
        Ok(last) => taking.ended(committed, last).await,
        Err(error) if goes_on(state, handle, &error) => Err(error),
        // Parts of a full snapshot that never got there are snapshots of their tenants.
        Err(error) => {
            let write = taking.rows(&committed).await.map(written)?;
            Ok(Ended { write, ..failed(handle, &error) })
        }
    }
}

/// Of a full snapshot: what the tenants' parts came to.
#[derive(Default)]
struct Whole {
    parts: Vec<Part>,
    left_out: Vec<LeftOut>,
}

/// What came of one tenant.
enum Came {
    Committed(Committed),
    /// Nothing is captured, and why, where it has something.
    Nothing(Option<String>),
}

fn left(tenant: &Object<TenantSpec>, is_failed: bool, reason: String) -> LeftOut {
    LeftOut { tenant: tenant.id.clone(), name: tenant.name.clone(), is_failed, reason }
}

impl Committed {
    fn part(&self) -> Part {
        Part {
            tenant: self.tenant.clone(),
            repository: self.repository.clone(),
            snapshot: self.snapshot.clone(),
            is_complete: self.is_complete,
        }
    }
}

impl Taking<'_> {
    /// Whose snapshot it is; the run of a private one is the system's.
    fn own(&self) -> &Id {
        self.spec.new.tenant.as_ref().unwrap_or(&self.stored.run.tenant)
    }

    /// Gives the part of the tenant that asked; those of others are in `committed`, also if that
    /// fails.
    async fn all(&self, committed: &mut Vec<Committed>) -> Result<Committed> {
        let (state, handle) = (self.state, self.handle);
        let own = state.tenant(self.own()).await?;
        if let Some(profile) = &self.spec.profile
            && let Some(profile) = there::<ProfileSpec>(state, profile).await?
        {
            may_still(&own, profile.spec.of_system)?;
        }
        let (mut left_out, mut away) = (Vec::new(), None);
        if self.spec.new.scope == SnapshotScope::Full {
            let tenants: Vec<Object<TenantSpec>> = state.catalog.all(None).await?;
            for tenant in tenants.iter().filter(|tenant| tenant.id != own.id) {
                match self.tenant(tenant, &Whole::default()).await {
                    Ok(Came::Committed(part)) => committed.push(part),
                    Ok(Came::Nothing(None)) => {}
                    Ok(Came::Nothing(Some(why))) => left_out.push(left(tenant, false, why)),
                    Err(error) if handle.cancel.is_canceled() || is_away(&error) => {
                        return Err(error);
                    }
                    // What can be done meanwhile is done.
                    Err(error) if handle.waits(state, &error).is_some() => {
                        away.get_or_insert(error);
                    }
                    // Of one tenant: all others have their snapshot nevertheless.
                    Err(error) => {
                        let line = format!("tenant {}: failed: {error}", tenant.name);
                        handle.log(state, LogLevel::Error, line).await;
                        left_out.push(left(tenant, true, error.to_string()));
                    }
                }
            }
        }
        if let Some(error) = away {
            return Err(error);
        }
        let parts = committed.iter().map(Committed::part).collect();
        match self.tenant(&own, &Whole { parts, left_out }).await? {
            Came::Committed(last) => Ok(last),
            Came::Nothing(_) => Err(Error::invalid(format!(
                "there is nothing to capture: tenant {} has no resource that is protected",
                own.name
            ))),
        }
    }

    /// One tenant's part; none where there is nothing to capture.
    async fn tenant(&self, tenant: &Object<TenantSpec>, whole: &Whole) -> Result<Came> {
        let step = format!("capture {}", tenant.id);
        if let Some(done) = self.handle.finished(&step) {
            return Self::resumed(tenant, &done);
        }
        let (state, handle) = (self.state, self.handle);
        handle.cancel.check()?;
        handle.doing(format!("capturing tenant {}", tenant.name));
        let is_own = tenant.id == *self.own();
        let scope = self.spec.new.scope;
        let all = match scope {
            SnapshotScope::Manager => Vec::new(),
            _ => resources_of(state, &tenant.id).await?,
        };
        let names = (scope == SnapshotScope::Partial).then_some(&self.spec.names);
        let mut selection = select(tenant, all, names);
        for skipped in &selection.skipped {
            let line = format!("{} {}: {}", skipped.kind, skipped.name, skipped.reason);
            handle.log(state, LogLevel::Warning, line).await;
        }
        if selection.captured.is_empty() && !(is_own && scope.holds_manager()) {
            let why = selection.skipped.first().map(|skipped| skipped.reason.clone());
            handle.finish(state, &step, json!({ "nothing": why })).await?;
            return Ok(Came::Nothing(why));
        }
        quota::check(state, tenant).await?;
        let storage = self.storage(&tenant.id).await?;
        // Another manager may have taken over while the tenants before were captured.
        state.still_leads(&storage).await?;
        let (repository, vault) = state.vault(&storage, &tenant.id).await?;
        let word = self.word(tenant, &selection, whole);
        let connectors = Connectors::load(&mut *state.catalog.read().await?).await?;
        let mut order = self.order(tenant, &mut selection, &word, &connectors);
        // Removed when it is captured.
        let mut exported = None;
        if is_own && scope.holds_manager() {
            let wanted = export::Wanted {
                name: handle.id.as_str(),
                repository: vault.key(),
                excluded: &self.spec.new.exclude,
                copy: self.spec.copy.as_deref(),
            };
            let state = export(state, &wanted).await?;
            order.names.push(MANAGER_NAME.to_owned());
            order.resources.push(own_state(&state.directory));
            exported = Some(state);
        }
        let hosts = Hosts {
            state,
            handle,
            tenant: &tenant.id,
            repository: &repository,
            vault: &vault,
            by: &self.stored.run.by,
        };
        let (snapshot, is_complete) = self.take(&hosts, &step, order, &word).await?;
        drop(exported);
        let (tenant, storage) = (tenant.id.clone(), storage.id);
        let committed =
            Committed { tenant, storage, repository: repository.id, snapshot, is_complete };
        let result = json!({
            "storage": committed.storage, "repository": committed.repository,
            "snapshot": committed.snapshot, "is_complete": committed.is_complete,
        });
        handle.finish(state, &step, result).await?;
        Ok(Came::Committed(committed))
    }

    fn resumed(tenant: &Object<TenantSpec>, done: &Value) -> Result<Came> {
        if let Some(why) = done.get("nothing") {
            return Ok(Came::Nothing(why.as_str().map(str::to_owned)));
        }
        let damaged = || Error::corrupt("a step of the run");
        let text = |name: &str| done[name].as_str().ok_or_else(damaged);
        Ok(Came::Committed(Committed {
            tenant: tenant.id.clone(),
            storage: text("storage")?.parse()?,
            repository: text("repository")?.parse()?,
            snapshot: text("snapshot")?.to_owned(),
            is_complete: done["is_complete"].as_bool().ok_or_else(damaged)?,
        }))
    }

    async fn storage(&self, tenant: &Id) -> Result<Object<StorageSpec>> {
        match &self.spec.new.storage {
            Some(id) if tenant == self.own() => usable_storage(self.state, id, tenant).await,
            // A full snapshot goes to one place as far as that may be.
            Some(id) => match usable_storage(self.state, id, tenant).await {
                Ok(storage) => Ok(storage),
                Err(_) => self.state.default_storage(tenant).await,
            },
            None => self.state.default_storage(tenant).await,
        }
    }

    fn word(&self, tenant: &Object<TenantSpec>, selection: &Selection, whole: &Whole) -> Word {
        let (new, run) = (&self.spec.new, &self.stored.run);
        let is_own = tenant.id == *self.own();
        let ids: BTreeMap<String, Id> =
            selection.described.iter().map(|r| (r.name.clone(), r.id.clone())).collect();
        let agents = selection.captured.iter();
        let agents = agents.filter_map(|r| Some((r.name.clone(), r.spec.agent.clone()?)));
        Word {
            installation: self.state.installation.clone(),
            tenant: tenant.id.clone(),
            scope: if is_own { new.scope } else { SnapshotScope::Tenant },
            trigger: new.trigger,
            name: new.name.clone(),
            by: run.by.clone(),
            is_private: new.is_private,
            full_run: (!is_own).then(|| run.id.clone()),
            run: Some(run.id.clone()),
            profile: self.spec.profile.clone(),
            period: self.spec.period.clone(),
            resources: ids,
            agents: agents.collect(),
            skipped: selection.skipped.clone(),
            parts: whole.parts.clone(),
            left_out: whole.left_out.clone(),
            excluded: if is_own { new.exclude.clone() } else { BTreeSet::new() },
        }
    }

    fn order(
        &self,
        tenant: &Object<TenantSpec>,
        selection: &mut Selection,
        word: &Word,
        connectors: &Connectors,
    ) -> Order {
        let described = std::mem::take(&mut selection.described);
        let new = &self.spec.new;
        Order {
            tenant: tenant.name.clone(),
            resources: described.iter().map(|r| connectors.described(r)).collect(),
            names: selection.captured.iter().map(|resource| resource.name.clone()).collect(),
            tags: Vec::new(),
            note: new.note.clone(),
            expiry: self.spec.expiry,
            manager: serde_json::to_value(word).unwrap_or_default(),
            read_all: new.read_all,
            without_quiesce: !new.quiesce,
            part: None,
            elsewhere: BTreeSet::new(),
        }
    }

    /// Gives the snapshot, and whether it is complete.
    async fn take(
        &self,
        hosts: &Hosts<'_>,
        step: &str,
        order: Order,
        word: &Word,
    ) -> Result<(String, bool)> {
        let before = match self.stored.run.started {
            Some(_) => hosts.taken_before().await?,
            None => None,
        };
        let (id, told) = match before {
            Some(before) => (before, Vec::new()),
            None if word.agents.is_empty() => {
                let taken = hosts::here(hosts, step, order).await?;
                (taken.snapshot.clone(), vec![taken])
            }
            None => hosts.take(order, word).await?,
        };
        let (vault, wanted) = (Arc::clone(hosts.vault), id.clone());
        let locks = locks::first(self.spec.locked_until, self.spec.unlock_delay_days);
        let by = hosts.by.to_owned();
        let is_complete = blocking(move || {
            let snapshot = vault.snapshot(&wanted)?;
            for change in locks {
                vault.change(&snapshot, &by, change)?;
            }
            Ok(snapshot.manifest.complete)
        })
        .await?;
        for taken in &told {
            self.tell(taken).await;
        }
        Ok((id, is_complete))
    }

    async fn tell(&self, taken: &Captured) {
        for what in &taken.cleaned {
            let line = format!("left by a run that was killed, and removed: {what}");
            self.handle.log(self.state, LogLevel::Info, line).await;
        }
        for item in &taken.items {
            let (level, what) = match item.outcome {
                Outcome::Captured => (LogLevel::Info, "captured"),
                Outcome::Failed => (LogLevel::Error, "failed"),
                Outcome::Skipped => (LogLevel::Warning, "skipped"),
            };
            let reason = item.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let line = format!("{} {}: {what}{reason}", item.kind, item.name);
            self.handle.log(self.state, level, line).await;
            for hook in &item.hooks {
                let end = hook.failure.clone().unwrap_or_else(|| "done".to_owned());
                let level = if hook.failure.is_some() { LogLevel::Warning } else { LogLevel::Info };
                let line = format!(
                    "{}: hook {} {}: {end}\n{}",
                    item.name,
                    hook.phase,
                    hook.command.join(" "),
                    hook.output
                );
                self.handle.log(self.state, level, line.trim_end()).await;
            }
        }
        for window in taken.windows.iter().filter(|w| w.members.len() > 1) {
            let (ms, members) = (window.seconds * 1000.0, window.members.join(", "));
            let line = format!("frozen together for {ms:.1} ms: {members}");
            self.handle.log(self.state, LogLevel::Info, line).await;
        }
        for what in &taken.unreleased {
            self.handle.log(self.state, LogLevel::Warning, what).await;
        }
    }

    /// Reads back what was committed: what the catalog gets is what the repository says.
    async fn rows(&self, committed: &[Committed]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for committed in committed {
            rows.push(read_back(self.state, committed).await?);
        }
        Ok(rows)
    }

    async fn ended(&self, mut parts: Vec<Committed>, last: Committed) -> Result<Ended> {
        let id = last.snapshot.clone();
        if self.spec.new.scope.holds_manager() {
            look::leave_card(self.state, &last.storage).await;
        }
        parts.push(last);
        let rows = self.rows(&parts).await?;
        let is_complete = rows.iter().all(|(_, snapshot, _)| snapshot.is_complete);
        let failed: u32 = rows.iter().map(|(_, snapshot, _)| snapshot.failed).sum();
        let bytes: u64 = rows.iter().map(|(_, snapshot, _)| snapshot.bytes).sum();
        let stored: u64 = rows.iter().map(|(_, snapshot, _)| snapshot.stored_bytes).sum();
        let what = match failed {
            0 => "something could not be read".to_owned(),
            n => format!("{} could not be captured", counted(n.into(), "item", "items")),
        };
        let (state, cause) = match is_complete {
            true => (RunState::Succeeded, None),
            false => (RunState::Incomplete, Some(format!("the snapshot is incomplete: {what}"))),
        };
        let result = json!({
            "snapshot": id, "is_complete": is_complete, "bytes": bytes, "stored_bytes": stored,
            "failed": failed,
        });
        Ok(Ended { state, result, cause, write: written(rows) })
    }
}

/// The manager, as a resource of a full snapshot.
fn own_state(directory: &Path) -> Resource {
    let at = json!({ "path": directory });
    Resource {
        kind: Kind::Manager,
        name: MANAGER_NAME.to_owned(),
        connector: "manager".to_owned(),
        at: at.as_object().cloned().unwrap_or_default(),
        tags: Vec::new(),
        version: Some(Version::Text(env!("CARGO_PKG_VERSION").to_owned())),
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

type Row = (Id, tintype_api::snapshot::Snapshot, Vec<tintype_api::snapshot::SnapshotItem>);

fn written(rows: Vec<Row>) -> Write {
    Box::new(move |change| {
        Box::pin(async move {
            for (repository, snapshot, items) in rows {
                snapshots::put(change.on(), &repository, &snapshot, Some(&items)).await?;
            }
            Ok(())
        })
    })
}

async fn read_back(state: &State, committed: &Committed) -> Result<Row> {
    let mut on = state.catalog.read().await?;
    let repository = crate::catalog::repositories::get(&mut on, &committed.repository).await?;
    drop(on);
    let repository = repository.ok_or_else(|| Error::not_found("the repository is gone"))?;
    let vault = state.open_vault(&repository).await?;
    let (id, storage) = (committed.snapshot.clone(), committed.storage.clone());
    let described = blocking(move || {
        let found = vault.snapshot(&id)?;
        let word = Word::of(&found);
        let word =
            word.ok_or_else(|| Error::corrupt(format!("snapshot {id}: no manager's word")))?;
        let descriptor = vault.descriptor(&found)?;
        let descriptor = descriptor
            .ok_or_else(|| Error::corrupt(format!("snapshot {id} does not describe itself")))?;
        Ok(describe(&found, &word, &descriptor, &storage))
    });
    let (snapshot, items) = described.await?;
    Ok((repository.id, snapshot, items))
}
