//! Restores: the plan that somebody agreed to is carried out, and no other.

mod files;
mod places;
pub mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_api::object::Object;
use tintype_api::resource::ResourceSpec;
use tintype_api::restore::{NewRestore, NotRestored, PlannedItem};
use tintype_api::run::{LogLevel, RunState};
use tintype_api::snapshot::{SnapshotScope, Trigger};
use tintype_model::count::counted;
use tintype_model::identifier::Id;
use tintype_model::item::Descriptor;
use tintype_model::plan::Check;
use tintype_model::resource::{Kind, Resource, Resources};
use tintype_model::{Error, Result};
use tintype_runner::group::restore::{Broken, Destination, GroupPlan, Restored, Wanted};
use tintype_runner::vault::work::{Access, Done, Work, WorkOrder};
use tintype_runner::vault::{UndoOrder, Vault};

use super::captured::{LeftOut, Word, describe};
use super::dispatcher::{Ended, failed, goes_on, nothing};
use super::hosts::{elsewhere, once};
use super::snapshot::{MANAGER_NAME, expiry, resources_of};
use super::{Handle, parts, rest};
use crate::agents::hands::{self, For};
use crate::agents::{Place, named, shown as shown_place};
use crate::catalog::repositories;
use crate::catalog::runs::Stored;
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots::{self, Known};
use crate::connectors::Connectors;
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
    /// Whose resources it restores.
    pub tenants: Vec<Id>,
}

pub async fn vault_of(state: &State, known: &Known) -> Result<Arc<Vault>> {
    let mut on = state.catalog.read().await?;
    let repository = repositories::get(&mut on, &known.repository).await?;
    drop(on);
    let repository = repository.ok_or_else(|| Error::not_found("its repository is gone"))?;
    state.open_vault(&repository).await
}

/// One host's plan of a restore.
#[derive(Serialize, Deserialize)]
pub(super) struct HostPlan {
    /// A tenant's part of a full snapshot, or the snapshot itself.
    pub(super) snapshot: String,
    /// None: the manager's own host.
    pub(super) agent: Option<Id>,
    pub(super) plan: GroupPlan,
}

/// Looks and decides; changes nothing. `of_system`: the system asks, and may go where things lay.
pub async fn plan(
    state: &State,
    known: &Known,
    new: &NewRestore,
    of_system: bool,
) -> Result<Planned> {
    let tenant = &known.snapshot.tenant;
    if let Some(files) = &new.files {
        let place = place_of(state, files.agent.as_ref(), tenant).await?;
        let outcome = files::there(state, known, &place, For::Request, files, false).await?;
        return Ok(files::shown(files, outcome, known));
    }
    let mut parts = Vec::new();
    let (there, missing) = parts_of(state, known, new).await?;
    for part in there {
        parts.extend(plan_part(state, part, new, of_system).await?);
    }
    // What is missing counts when it is carried out, too: with the first host.
    let Some((_, first)) = parts.iter_mut().flat_map(|part| &mut part.plans).next() else {
        let what = match missing.first() {
            Some((name, why)) => format!("{name}: {why}"),
            None if parts.is_empty() => {
                "the snapshot holds no resource, only the manager's state".to_owned()
            }
            None => return shown::of(parts, known),
        };
        return Err(Error::not_found(what));
    };
    first.plan.missing.extend(missing);
    shown::of(parts, known)
}

/// What of one tenant is restored.
struct PlannedPart {
    known: Known,
    wanted: Wanted,
    /// What is restored in another way.
    apart: Vec<NotRestored>,
    plans: Vec<(Place, HostPlan)>,
}

/// Name and reason of what is not there.
type Missing = Vec<(String, String)>;

/// The snapshots that a restore is out of: of a full one, tenants' parts too. One that is gone does not
/// stop the others.
async fn parts_of(state: &State, known: &Known, new: &NewRestore) -> Result<(Vec<Known>, Missing)> {
    let (scope, id) = (known.snapshot.scope, &known.snapshot.id);
    let chooses = !new.resources.is_empty() || !new.as_new.is_empty();
    if scope != SnapshotScope::Full && !new.tenants.is_empty() {
        return Err(Error::unsupported(format!(
            "snapshot {id} is of scope {}: it does not hold tenants as a whole; restore its \
             resources, or choose a full snapshot",
            scope.name()
        )));
    }
    if new.tenants.len() > 1 && chooses {
        return Err(Error::invalid("resources are chosen out of the part of one tenant"));
    }
    if scope != SnapshotScope::Full || (chooses && new.tenants.is_empty()) {
        return Ok((vec![known.clone()], Missing::new()));
    }
    let (vault, wanted) = (vault_of(state, known).await?, id.clone());
    let word = blocking(move || Ok(Word::of(&vault.snapshot(&wanted)?))).await?;
    let (parts, left_out) = word.map(|word| (word.parts, word.left_out)).unwrap_or_default();
    let own = &known.snapshot.tenant;
    let failed: Vec<LeftOut> = left_out.into_iter().filter(|tenant| tenant.is_failed).collect();
    let holds = |tenant: &Id| tenant == own || parts.iter().any(|part| part.tenant == *tenant);
    if let Some(tenant) = new.tenants.iter().find(|tenant| !holds(tenant)) {
        let mut failed = failed.iter().filter(|left| left.tenant == *tenant);
        let why = failed.next().map(|left| format!(": {}", left.reason)).unwrap_or_default();
        let what = format!("snapshot {id} holds nothing of tenant {tenant}{why}");
        return Err(Error::not_found(what));
    }
    let is_wanted = |tenant: &Id| new.tenants.is_empty() || new.tenants.contains(tenant);
    let mut missing: Missing = failed
        .into_iter()
        .filter(|left| is_wanted(&left.tenant))
        .map(|left| (format!("tenant {}", left.name), left.reason))
        .collect();
    let mut there = BTreeMap::new();
    for part in parts.iter().filter(|part| is_wanted(&part.tenant)) {
        let tenant = &part.tenant;
        let all = parts::parts(state, Some(tenant)).await?;
        let Some(found) = parts::find(&known.snapshot, &all, &part.snapshot) else {
            let name = state.tenant(tenant).await.map_or_else(|_| tenant.to_string(), |it| it.name);
            let why =
                format!("its part {} of the full snapshot is not there any more", part.snapshot);
            missing.push((format!("tenant {name}"), why));
            continue;
        };
        let found = snapshots::get(&mut *state.catalog.read().await?, &found.id).await?;
        there.insert(tenant.clone(), found);
    }
    if is_wanted(own) {
        there.insert(own.clone(), known.clone());
    }
    Ok((there.into_values().collect(), missing))
}

/// None where it holds nothing but the manager's state.
async fn plan_part(
    state: &State,
    known: Known,
    new: &NewRestore,
    of_system: bool,
) -> Result<Option<PlannedPart>> {
    let tenant = &known.snapshot.tenant;
    let vault = vault_of(state, &known).await?;
    let is_all = new.resources.is_empty() && new.as_new.is_empty();
    let (id, new) = (known.snapshot.id.clone(), new.clone());
    let (wanted, word, descriptor) = blocking(move || {
        let snapshot = vault.snapshot(&id)?;
        let descriptor = vault.descriptor(&snapshot)?.ok_or_else(|| {
            Error::unsupported("this snapshot holds files and no resources: restore its files")
        })?;
        Ok((wanted(&descriptor, &new)?, Word::of(&snapshot), descriptor))
    })
    .await?;
    let Some(mut wanted) = wanted else { return Ok(None) };
    let apart = if is_all { apart(&descriptor, &mut wanted) } else { Vec::new() };
    let current = resources_of(state, tenant).await?;
    let described = Resources::new(descriptor.resources.clone());
    let connectors = Connectors::load(&mut *state.catalog.read().await?).await?;
    let now = places::now(word.as_ref(), &descriptor, &current, &connectors);
    wanted.now_at = places::moved(&descriptor, &now);
    let mut plans = Vec::new();
    if wanted.names.is_empty() {
        return Ok(Some(PlannedPart { known, wanted, apart, plans }));
    }
    for (agent, part) in split(&wanted, word.as_ref(), &descriptor, &current)? {
        let place = place_of(state, agent.as_ref(), tenant)
            .await
            .map_err(|error| error.context(part.names.join(", ")))?;
        let access = access_of(state, &known, &place).await?;
        let snapshot = known.snapshot.id.clone();
        let named = where_they_are(&described, &part)?;
        let named = named.iter().map(|one| (one, part.destinations.get(&one.name)));
        let reached = reached(named);
        let passwords = state.passwords_for(tenant, &reached).await?;
        let work = Work::PlanRestore { snapshot: snapshot.clone(), wanted: part };
        let order = WorkOrder { passwords, ..WorkOrder::new(work, Some(access)) };
        let Done::Planned(mut plan) = hands::perform(state, &place, For::Request, order).await?
        else {
            return Err(answered_something_else());
        };
        for item in &mut plan.items {
            let captured = descriptor.resources.iter().find(|r| r.name == item.item.name);
            let Some(captured) = captured else { continue };
            match &item.destination {
                Destination::InPlace => {
                    let check = places::check(captured, now.get(&captured.name), of_system);
                    item.plan.checks.extend(check);
                }
                Destination::AsNew { name, at, .. } => {
                    let (name, at) = (name.clone(), at.clone());
                    let new = Resource { name, at, ..captured.clone() };
                    let checks = places::check_new(&new, agent.as_ref(), &current, &connectors);
                    item.plan.checks.extend(checks);
                }
            }
        }
        plans.push((place, HostPlan { snapshot, agent, plan: *plan }));
    }
    once(&mut plans, &described);
    Ok(Some(PlannedPart { known, wanted, apart, plans }))
}

/// What a part names, each at its place of now.
fn where_they_are(described: &Resources, part: &Wanted) -> Result<Vec<Resource>> {
    let named = tintype_runner::group::selected(described, &part.names)?;
    let now = |one: &Resource| match part.now_at.get(&one.name) {
        Some(at) => Resource { at: at.clone(), ..one.clone() },
        None => one.clone(),
    };
    Ok(named.into_iter().map(now).collect())
}

/// Settings of a host are looked at one by one, not put over whatever is there: a restore of all does
/// without them, and says how.
fn apart(descriptor: &Descriptor, wanted: &mut Wanted) -> Vec<NotRestored> {
    let is_apart = |name: &String| {
        let mut items = descriptor.items.iter();
        items.any(|item| item.name == *name && item.kind == Kind::Settings)
    };
    let names = std::mem::take(&mut wanted.names);
    let (apart, rest): (Vec<_>, Vec<_>) = names.into_iter().partition(is_apart);
    wanted.names = rest;
    let told = |name: String| NotRestored {
        reason: format!(
            "settings are restored as files, those that are wanted: `tintype restore ID --path \
             /settings/{name}/files/… --to DIR`"
        ),
        name,
    };
    apart.into_iter().map(told).collect()
}

/// What a restore speaks to: what was captured, and where it goes instead.
fn reached<'r>(
    items: impl Iterator<Item = (&'r Resource, Option<&'r Destination>)>,
) -> Vec<Resource> {
    items
        .map(|(resource, destination)| match destination {
            Some(Destination::AsNew { at, .. }) => Resource { at: at.clone(), ..resource.clone() },
            _ => resource.clone(),
        })
        .collect()
}

pub(super) fn answered_something_else() -> Error {
    Error::unsupported("a restore was asked for, and something else was answered")
}

pub(super) async fn place_of(state: &State, agent: Option<&Id>, tenant: &Id) -> Result<Place> {
    match agent {
        None => Ok(None),
        Some(id) => Ok(Some(named(state, id, tenant).await?)),
    }
}

pub(super) async fn access_of(state: &State, known: &Known, place: &Place) -> Result<Access> {
    let mut on = state.catalog.read().await?;
    let repository = repositories::get(&mut on, &known.repository).await?;
    drop(on);
    let repository = repository.ok_or_else(|| Error::not_found("its repository is gone"))?;
    state.access(&repository, place).await
}

/// What each host restores, in the order of the first names. A resource that the manager still knows
/// lies where it says; any other where it was captured.
fn split(
    wanted: &Wanted,
    word: Option<&Word>,
    descriptor: &Descriptor,
    current: &[Object<ResourceSpec>],
) -> Result<Vec<(Option<Id>, Wanted)>> {
    let agent_of = |name: &str| -> Option<Id> {
        let word = word?;
        let id = word.resources.get(name);
        match current.iter().find(|resource| Some(&resource.id) == id) {
            Some(resource) => resource.spec.agent.clone(),
            None => word.agents.get(name).cloned(),
        }
    };
    let resources = Resources::new(descriptor.resources.clone());
    let selected = tintype_runner::group::selected(&resources, &wanted.names)?;
    let mut hosts: Vec<(Option<Id>, Vec<String>)> = Vec::new();
    for resource in selected {
        let agent = agent_of(&resource.name);
        match hosts.iter_mut().find(|(known, _)| *known == agent) {
            Some((_, names)) => names.push(resource.name.clone()),
            None => hosts.push((agent, vec![resource.name.clone()])),
        }
    }
    if let [(agent, _)] = &mut hosts[..] {
        return Ok(vec![(agent.take(), wanted.clone())]);
    }
    hosts.sort_by(|a, b| a.1.iter().min().cmp(&b.1.iter().min()));
    let part = |names: Vec<String>| {
        let own = |(name, _): &(&String, &Destination)| names.contains(*name);
        let destinations = wanted.destinations.iter().filter(own);
        let destinations = destinations.map(|(name, to)| (name.clone(), to.clone())).collect();
        let now_at = wanted.now_at.iter().filter(|(name, _)| names.contains(*name));
        let now_at = now_at.map(|(name, at)| (name.clone(), at.clone())).collect();
        Wanted { destinations, names, in_place: wanted.in_place, now_at }
    };
    Ok(hosts.into_iter().map(|(agent, names)| (agent, part(names))).collect())
}

/// None where it holds nothing but the manager's state.
fn wanted(descriptor: &Descriptor, new: &NewRestore) -> Result<Option<Wanted>> {
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
    let now_at = BTreeMap::new();
    Ok((!names.is_empty()).then_some(Wanted { names, in_place: true, destinations, now_at }))
}

pub(super) async fn execute(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let new = stored.read_new()?;
    let known = snapshots::get(&mut *state.catalog.read().await?, &new.snapshot).await?;
    handle.doing("restoring");
    if let Some(files) = &new.files {
        return files::write(state, handle, &known, files).await;
    }
    let plans = plans_of(state, handle, stored, &known, &new).await?;
    let parts = parts_in(state, &plans).await?;
    let applying = Applying { state, handle, stored, parts: &parts, new: &new };
    if stored.spec["undo"].as_bool() == Some(true) {
        return applying.back(plans).await;
    }
    let ended = match applying.all(plans).await {
        Err(error) if goes_on(state, handle, &error) => return Err(error),
        // What it took of what it replaced is a snapshot nevertheless.
        Err(error) => Ended { result: json!({}), ..failed(handle, &error) },
        Ok(ended) => ended,
    };
    let mut undo_points = Vec::new();
    for Part { known, .. } in parts.into_values() {
        let vault = vault_of(state, &known).await?;
        let points = undo_points_of(&vault, &stored.run.id).await?;
        for (point, _, descriptor) in &points {
            let names: Vec<&str> = descriptor.items.iter().map(|item| &item.name[..]).collect();
            let (id, names) = (&point.id, names.join(", "));
            let line = format!("what was there before is in snapshot {id} (undo point): {names}");
            handle.log(state, LogLevel::Info, line).await;
        }
        undo_points.push((points, known));
    }
    Ok(with_undo_points(ended, &undo_points))
}

/// Those that somebody agreed to. What was agreed to before the manager itself was restored is planned
/// when it is back.
async fn plans_of(
    state: &State,
    handle: &Arc<Handle>,
    stored: &Stored,
    known: &Known,
    new: &NewRestore,
) -> Result<Vec<HostPlan>> {
    if let Some(plans) = sealed_plans(state, &stored.run.id).await? {
        return Ok(plans);
    }
    if stored.spec["is_agreed"] != true {
        return Err(Error::corrupt("the plan of the restore is not there"));
    }
    let planned = plan(state, known, new, true).await?;
    if let Some((item, check)) = first_block(&planned.items) {
        let (name, message) = (&item.name, &check.message);
        return Err(Error::locked(format!("{name}: {message}: nothing was changed")));
    }
    for missing in &planned.missing {
        let line = format!("{} is not restored: {}", missing.name, missing.reason);
        handle.log(state, LogLevel::Warning, line).await;
    }
    let of = Of { kind: KIND, id: &stored.run.id, name: PLAN };
    let mut change = state.catalog.change().await?;
    let sealed = planned.sealed.clone().unwrap_or_default();
    secrets::put(change.on(), of, &sealed, &state.key, &*state.random).await?;
    let told = shown::told(planned, stored.run.clone(), None);
    shown::keep(change.on(), &told, state.now()).await?;
    change.commit_own_books().await?;
    opened(&sealed)
}

pub(super) async fn sealed_plans(state: &State, run: &Id) -> Result<Option<Vec<HostPlan>>> {
    let of = Of { kind: KIND, id: run, name: PLAN };
    let sealed = secrets::get(&mut *state.catalog.read().await?, of, &state.key).await?;
    sealed.map(|sealed| opened(&sealed)).transpose()
}

fn opened(sealed: &[u8]) -> Result<Vec<HostPlan>> {
    serde_json::from_slice(sealed)
        .map_err(|error| Error::corrupt(format!("the plan of the restore: {error}")))
}

async fn resources_in(state: &State, known: &Known) -> Result<Vec<Resource>> {
    let (vault, id) = (vault_of(state, known).await?, known.snapshot.id.clone());
    blocking(move || {
        let descriptor = vault.descriptor(&vault.snapshot(&id)?)?;
        Ok(descriptor.map(|descriptor| descriptor.resources).unwrap_or_default())
    })
    .await
}

async fn parts_in(state: &State, plans: &[HostPlan]) -> Result<BTreeMap<String, Part>> {
    let mut parts = BTreeMap::new();
    for HostPlan { snapshot, .. } in plans {
        let known = snapshots::get(&mut *state.catalog.read().await?, snapshot).await?;
        let described = resources_in(state, &known).await?;
        parts.insert(snapshot.clone(), Part { known, described });
    }
    Ok(parts)
}

/// Carries out the plans of one restore, host by host.
pub(super) struct Applying<'a> {
    pub(super) state: &'a State,
    pub(super) handle: &'a Arc<Handle>,
    stored: &'a Stored,
    /// By the ids of the snapshots.
    parts: &'a BTreeMap<String, Part>,
    pub(super) new: &'a NewRestore,
}

/// One snapshot of those that a restore is out of.
pub(super) struct Part {
    pub(super) known: Known,
    described: Vec<Resource>,
}

impl Applying<'_> {
    pub(super) fn part(&self, snapshot: &str) -> Result<&Part> {
        let part = self.parts.get(snapshot);
        part.ok_or_else(|| Error::internal("a part of the restore is unknown"))
    }

    async fn all(&self, plans: Vec<HostPlan>) -> Result<Ended> {
        let (mut missing, mut kept, mut done) = (0, 0, Vec::new());
        let names: Vec<(String, Vec<String>)> =
            plans.iter().map(|host| (host.snapshot.clone(), names_of(&host.plan))).collect();
        for HostPlan { snapshot, agent, plan } in plans {
            let part = self.part(&snapshot)?;
            let known = &part.known;
            let together = names.iter().filter(|(of, _)| *of == snapshot);
            let together: Vec<String> = together.flat_map(|(_, names)| names.clone()).collect();
            missing += plan.missing.len();
            let host = agent.as_ref().map_or("manager", Id::as_str);
            let step = match snapshot == self.new.snapshot {
                true => format!("restore on {host}"),
                false => format!("restore {snapshot} on {host}"),
            };
            if let Some(before) = self.handle.finished(&step) {
                kept += before["kept"].as_u64().unwrap_or_default();
                continue;
            }
            // What was done before stays done: nothing else is said of it.
            let before = |error: Error| match done.is_empty() {
                true => error,
                false => error.context(format!("after {} was restored", done.join(", "))),
            };
            let place = place_of(self.state, agent.as_ref(), &known.snapshot.tenant).await;
            let place = place.map_err(&before)?;
            let (lines, began) = (shown::done(&place, &plan), self.state.clock.elapsed());
            let outcome = self.one(part, &place, &step, plan, &together).await.map_err(&before)?;
            match outcome {
                Done::Restored(restored) => {
                    kept += restored.kept.len() as u64;
                    let took = self.state.clock.elapsed().saturating_sub(began);
                    self.tell(&place, lines, took).await;
                    told(self.state, self.handle, &restored).await;
                    let result = json!({ "kept": restored.kept.len() });
                    self.handle.finish(self.state, &step, result).await?;
                    done.push(shown_place(&place));
                }
                Done::Broken(broken) => {
                    let broken = *broken;
                    let broken = Broken { error: before(broken.error), ..broken };
                    return broke(self.state, self.handle, broken).await;
                }
                _ => return Err(answered_something_else()),
            }
        }
        Ok(finished(missing, kept))
    }

    /// What is restored where, and how long that took.
    async fn tell(&self, place: &Place, lines: Vec<String>, took: Duration) {
        let count = counted(lines.len() as u64, "resource", "resources");
        let (host, seconds) = (shown_place(place), took.as_secs_f64());
        let all = format!("{count} restored on {host} in {seconds:.1} s");
        for line in lines.into_iter().chain([all]) {
            self.handle.log(self.state, LogLevel::Info, line).await;
        }
    }

    /// An undo point is kept as long as a snapshot that nobody said anything of.
    async fn undo_order(
        &self,
        part: &Part,
        place: &Place,
        plan: &GroupPlan,
        together: &[String],
    ) -> Result<UndoOrder> {
        let (state, snapshot) = (self.state, &part.known.snapshot);
        let items = snapshots::items(&mut *state.catalog.read().await?, &snapshot.id).await?;
        let replaced: Vec<String> = plan.replaced().into_iter().map(|one| one.name).collect();
        let agents = place
            .iter()
            .flat_map(|agent| replaced.iter().map(|name| (name.clone(), agent.id.clone())));
        let items = items.iter().filter(|item| replaced.contains(&item.name));
        let word = Word {
            installation: state.installation.clone(),
            tenant: snapshot.tenant.clone(),
            scope: SnapshotScope::Partial,
            trigger: Trigger::PreRestore,
            name: String::new(),
            by: self.stored.run.by.clone(),
            is_private: snapshot.is_private,
            full_run: None,
            run: Some(self.stored.run.id.clone()),
            profile: None,
            period: None,
            resources: items.filter_map(|i| Some((i.name.clone(), i.resource.clone()?))).collect(),
            agents: agents.collect(),
            skipped: Vec::new(),
            parts: Vec::new(),
            left_out: Vec::new(),
            excluded: BTreeSet::new(),
        };
        let manager = serde_json::to_value(word).unwrap_or_default();
        let elsewhere = elsewhere(&part.described, together, &names_of(plan));
        Ok(UndoOrder { manager, expiry: expiry(None, state.now())?, elsewhere })
    }

    /// `together`: names of what the hosts restore together.
    async fn one(
        &self,
        part: &Part,
        place: &Place,
        step: &str,
        plan: GroupPlan,
        together: &[String],
    ) -> Result<Done> {
        let access = access_of(self.state, &part.known, place).await?;
        let undo = match self.new.without_undo_point {
            true => None,
            false => Some(self.undo_order(part, place, &plan, together).await?),
        };
        let snapshot = part.known.snapshot.id.clone();
        let items = plan.items.iter().map(|item| (&item.resource, Some(&item.destination)));
        let tenant = &part.known.snapshot.tenant;
        let passwords = self.state.passwords_for(tenant, &reached(items)).await?;
        let work = Work::ApplyRestore { snapshot, plan: Box::new(plan), undo };
        let order = WorkOrder { passwords, ..WorkOrder::new(work, Some(access)) };
        hands::perform(self.state, place, For::Step(self.handle, step), order).await
    }
}

pub(super) fn names_of(plan: &GroupPlan) -> Vec<String> {
    plan.items.iter().map(|item| item.item.name.clone()).collect()
}

/// What a restore took of what it replaced.
type UndoPoint = (tintype_runner::vault::Snapshot, Word, Descriptor);

/// Undo points are snapshots like any other, and so in the catalog.
fn with_undo_points(mut ended: Ended, undo_points: &[(Vec<UndoPoint>, Known)]) -> Ended {
    let mut rows = Vec::new();
    for (points, known) in undo_points {
        let storage = &known.snapshot.storage;
        rows.extend(points.iter().map(|(found, word, descriptor)| {
            (known.repository.clone(), describe(found, word, descriptor, storage))
        }));
    }
    let ids: Vec<&str> = rows.iter().map(|(_, (snapshot, _))| &snapshot.id[..]).collect();
    if let (Value::Object(result), Some(first)) = (&mut ended.result, ids.first()) {
        result.insert("undo_point".into(), json!(first));
        if ids.len() > 1 {
            result.insert("undo_points".into(), json!(ids));
        }
    }
    ended.write = Box::new(move |change| {
        Box::pin(async move {
            for (repository, (snapshot, items)) in &rows {
                snapshots::put(change.on(), repository, snapshot, Some(items)).await?;
            }
            Ok(())
        })
    });
    ended
}

/// Of one run: one for each host, at most.
async fn undo_points_of(vault: &Arc<Vault>, run: &Id) -> Result<Vec<UndoPoint>> {
    let (vault, run) = (Arc::clone(vault), run.clone());
    blocking(move || {
        let mut found = Vec::new();
        for snapshot in vault.snapshots()?.snapshots {
            let Some(word) = Word::of(&snapshot) else { continue };
            if word.trigger != Trigger::PreRestore || word.run.as_ref() != Some(&run) {
                continue;
            }
            if let Some(descriptor) = vault.descriptor(&snapshot)? {
                found.push((snapshot, word, descriptor));
            }
        }
        Ok(found)
    })
    .await
}

async fn told(state: &State, handle: &Arc<Handle>, restored: &Restored) {
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
}

/// What others wrote to what had been restored, before it was taken back.
pub(super) async fn told_written(state: &State, handle: &Arc<Handle>, kept: &[(String, String)]) {
    for (name, place) in kept {
        let line = format!(
            "{name}: what was restored was written to before it was taken back, so it stays: {place}; \
             look what of it is needed, then remove it"
        );
        handle.log(state, LogLevel::Warning, line).await;
    }
}

fn finished(missing: usize, kept: u64) -> Ended {
    let result = json!({ "missing": missing, "kept": kept });
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
    let Broken { error, is_undone, left, is_restored, kept, .. } = broken;
    told_written(state, handle, &kept).await;
    if handle.cancel.is_canceled() {
        // It stays as it is, and goes on when the run is begun again.
        return Err(error);
    }
    let waits = is_undone && handle.waits(state, &error).is_some();
    if waits && rest::is_away(state, handle).await {
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

/// No check may block.
pub fn first_block(items: &[PlannedItem]) -> Option<(&PlannedItem, &Check)> {
    items.iter().find_map(|item| {
        let blocks = |check: &&Check| check.outcome == tintype_model::plan::Verdict::Block;
        item.checks.iter().find(blocks).map(|check| (item, check))
    })
}
