//! A tenant's snapshot of what lies on several hosts: each captures its part at the same time as the
//! others, and the parts are joined. A host that is away takes its own resources out, and no others.
//!
//! What an agent captures is always a part, also if it is the only one: a snapshot is there for users
//! when this run says so, and not when an agent ends that was thought to be dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tintype_api::run::LogLevel;
use tintype_model::identifier::Id;
use tintype_model::item::{Item, Outcome};
use tintype_model::resource::{Resource, Resources};
use tintype_model::{Error, Result};
use tintype_runner::snapshot::part::{Part, joined_of};
use tintype_runner::vault::work::{Captured, Done, Work, WorkOrder};
use tintype_runner::vault::{Cancel, Order, PartOf, Vault, Whole};

use super::Handle;
use super::captured::Word;
use super::restore::{HostPlan, names_of};
use crate::agents::hands::{self, For};
use crate::agents::{Place, named};
use crate::catalog::repositories::Repository;
use crate::state::State;
use crate::vaults::blocking;

/// What stays the same for all parts of a tenant's snapshot.
pub(super) struct Hosts<'h> {
    pub state: &'h State,
    pub handle: &'h Arc<Handle>,
    pub tenant: &'h Id,
    pub repository: &'h Repository,
    pub vault: &'h Arc<Vault>,
    pub by: &'h str,
}

/// Some resources on one host, and what came of them.
struct Group {
    names: Vec<String>,
    came: Result<Captured>,
}

/// Takes what an order names in one go, on the manager's own host.
pub(super) async fn here(hosts: &Hosts<'_>, step: &str, order: Order) -> Result<Captured> {
    let order = hosts.work_order(order, &None).await?;
    captured(hands::perform(hosts.state, &None, For::Step(hosts.handle, step), order).await?)
}

fn captured(done: Done) -> Result<Captured> {
    match done {
        Done::Captured(captured) => Ok(*captured),
        _ => Err(Error::unsupported("a snapshot was asked for, and something else was answered")),
    }
}

impl Hosts<'_> {
    /// Gives the joined snapshot, and what there is to tell of it.
    pub(super) async fn take(&self, order: Order, word: &Word) -> Result<(String, Vec<Captured>)> {
        let mut resources = Resources::new(order.resources.clone());
        resources.tenant.clone_from(&order.tenant);
        let places = tintype_runner::group::places(&resources, &order.names)?;
        let places: Vec<String> =
            places.into_iter().map(|place| String::from_utf8_lossy(&place).into_owned()).collect();
        let mut groups = BTreeMap::<Option<&Id>, Vec<String>>::new();
        for name in &order.names {
            groups.entry(word.agents.get(name)).or_default().push(name.clone());
        }
        let parts =
            groups.into_iter().map(|(agent, names)| self.group(agent, names, &order, &places));
        let mut groups = join_all(parts).await;
        self.handle.cancel.check()?;
        let waits = |group: &Group| {
            let away = group.came.as_ref().err();
            away.is_some_and(|error| self.handle.waits(self.state, error).is_some())
        };
        // What the other hosts captured is found when it answers.
        let away = groups.iter().position(waits);
        if let Some(error) = away.and_then(|at| groups.swap_remove(at).came.err()) {
            return Err(error);
        }
        if groups.iter().all(|group| group.came.is_err()) {
            let first = groups.into_iter().find_map(|group| group.came.err());
            return Err(first.unwrap_or_else(|| Error::internal("there is nothing to capture")));
        }
        let (mut missing, mut told) = (Vec::new(), Vec::new());
        for group in groups {
            match group.came {
                Ok(captured) => told.push(captured),
                Err(error) => {
                    let failed = |name: &String| failed(&resources, name, &error);
                    missing.extend(group.names.iter().filter_map(failed));
                }
            }
        }
        for item in &missing {
            let reason = item.reason.as_deref().unwrap_or_default();
            let line = format!("{} {}: failed: {reason}", item.kind, item.name);
            self.handle.log(self.state, LogLevel::Error, line).await;
        }
        let parts = told.iter().map(|captured| captured.snapshot.clone()).collect();
        Ok((self.join(parts, order, missing).await?, told))
    }

    async fn group(
        &self,
        agent: Option<&Id>,
        names: Vec<String>,
        order: &Order,
        places: &[String],
    ) -> Group {
        let came = self.part(agent, &names, order, places).await;
        Group { names, came }
    }

    async fn part(
        &self,
        agent: Option<&Id>,
        names: &[String],
        order: &Order,
        places: &[String],
    ) -> Result<Captured> {
        let host = agent.map_or("manager", Id::as_str);
        let step = format!("capture {} on {host}", self.tenant);
        let part =
            Part { run: self.handle.id.to_string(), name: format!("{}/{host}", self.tenant) };
        if let Some(found) = self.found(&part).await? {
            return Ok(found);
        }
        let place = match agent {
            None => None,
            Some(id) => Some(named(self.state, id, self.tenant).await?),
        };
        let mut all = Resources::new(order.resources.clone());
        all.tenant.clone_from(&order.tenant);
        let known = tintype_runner::group::places(&all, &[])?;
        let known =
            known.into_iter().map(|place| String::from_utf8_lossy(&place).into_owned()).collect();
        let order = Order {
            tenant: order.tenant.clone(),
            resources: described(&order.resources, names),
            names: names.to_vec(),
            read_all: order.read_all,
            without_quiesce: order.without_quiesce,
            part: Some(PartOf { part: part.clone(), places: places.to_vec(), known }),
            elsewhere: elsewhere(&order.resources, &order.names, names),
            ..Order::default()
        };
        let order = self.work_order(order, &place).await?;
        let of = For::Step(self.handle, &step);
        let taken = captured(hands::perform(self.state, &place, of, order).await?)?;
        // Parts are deleted when they are joined: an agent's word alone must not say which are.
        let found = self.found(&part).await?;
        if found.is_none_or(|found| found.snapshot != taken.snapshot) {
            let what = format!("snapshot {} is not the part that was asked for", taken.snapshot);
            return Err(Error::corrupt(what));
        }
        let result = json!({ "snapshot": taken.snapshot });
        self.handle.finish(self.state, &step, result).await?;
        Ok(taken)
    }

    async fn work_order(&self, order: Order, place: &Place) -> Result<WorkOrder> {
        let access = self.state.access(self.repository, place).await?;
        let captured = order.resources.iter().filter(|one| order.names.contains(&one.name));
        let passwords = self.state.passwords_for(self.tenant, captured).await?;
        let order = WorkOrder::new(Work::Take(Box::new(order)), Some(access));
        Ok(WorkOrder { passwords, ..order })
    }

    async fn found(&self, part: &Part) -> Result<Option<Captured>> {
        let (vault, wanted) = (Arc::clone(self.vault), part.clone());
        blocking(move || vault.part(&wanted)).await
    }

    /// What an earlier attempt of this run committed, and could not write down any more.
    pub(super) async fn taken_before(&self) -> Result<Option<String>> {
        let (vault, run, by) = (Arc::clone(self.vault), self.handle.id.clone(), self.by.to_owned());
        let tenant = self.tenant.clone();
        blocking(move || {
            let all = vault.snapshots()?.snapshots;
            let is_it = |snapshot: &&tintype_runner::vault::Snapshot| {
                Word::of(snapshot)
                    .is_some_and(|w| w.run.as_ref() == Some(&run) && w.tenant == tenant)
            };
            let Some(found) = all.iter().rev().find(is_it) else { return Ok(None) };
            if !joined_of(&found.manifest).is_empty() {
                vault.forget_parts(found, &by)?;
            }
            Ok(Some(found.id.to_string()))
        })
        .await
    }

    async fn join(&self, parts: Vec<String>, order: Order, missing: Vec<Item>) -> Result<String> {
        self.handle.doing("joining what the hosts captured");
        let whole = Whole {
            names: order.names,
            note: order.note,
            expiry: order.expiry,
            manager: order.manager,
            missing,
            resources: order.resources,
        };
        let (vault, by) = (Arc::clone(self.vault), self.by.to_owned());
        // Short, and nothing that anybody would want half of.
        let joined = blocking(move || vault.join(&parts, whole, &by, &Cancel::default()));
        let (id, kept) = joined.await?;
        for line in kept {
            self.handle.log(self.state, LogLevel::Warning, line).await;
        }
        Ok(id)
    }
}

/// What a host must know to capture some resources: these, their applications, and what those name.
fn described(all: &[Resource], names: &[String]) -> Vec<Resource> {
    let uses =
        |resource: &Resource| resource.components.iter().any(|c| names.contains(&c.resource));
    let of_applications: Vec<&str> = all
        .iter()
        .filter(|resource| uses(resource))
        .flat_map(|resource| resource.components.iter().map(|c| &c.resource[..]))
        .collect();
    let is_needed = |resource: &&Resource| {
        names.contains(&resource.name)
            || uses(resource)
            || of_applications.contains(&&resource.name[..])
    };
    all.iter().filter(is_needed).cloned().collect()
}

/// Applications whose hooks another host runs: that of the first component which the run captures.
pub(super) fn elsewhere(
    all: &[Resource],
    captured: &[String],
    here: &[String],
) -> BTreeSet<String> {
    let is_elsewhere = |application: &&Resource| {
        let mut parts = application.components.iter().map(|component| &component.resource);
        parts.find(|part| captured.contains(part)).is_some_and(|first| !here.contains(first))
    };
    all.iter().filter(is_elsewhere).map(|application| application.name.clone()).collect()
}

/// The item of a resource whose host could not capture it.
fn failed(resources: &Resources, name: &str, error: &Error) -> Option<Item> {
    let resource = resources.resources.iter().find(|resource| resource.name == name)?;
    Some(Item {
        name: name.to_owned(),
        kind: resource.kind,
        connector: resource.connector.clone(),
        place: resources.place_of(resource),
        outcome: Outcome::Failed,
        reason: Some(error.to_string()),
        consistency: None,
        version: None,
        entries: 0,
        bytes: 0,
        problems: 0,
        frozen_seconds: None,
        mark: None,
        facts: serde_json::Value::Null,
        hooks: Vec::new(),
    })
}

/// The hooks of an application run on one host: that of its first component which is restored.
pub(super) fn once(plans: &mut [(Place, HostPlan)], described: &Resources) {
    let all: Vec<Vec<String>> = plans.iter().map(|(_, host)| names_of(&host.plan)).collect();
    let is_here = |application: &Resource, number: usize| {
        let mut parts = application.components.iter().map(|component| &component.resource);
        let first = parts.find(|part| all.iter().any(|names| names.contains(part)));
        first.is_none_or(|first| all[number].contains(first))
    };
    for (number, (_, HostPlan { plan, .. })) in plans.iter_mut().enumerate() {
        for item in &mut plan.items {
            let owner = described.owner_of(&item.resource.name);
            if owner.is_some_and(|owner| !is_here(owner, number)) {
                item.of_application.clear();
            }
        }
        let by_name = described.by_name();
        plan.applications
            .retain(|one| by_name.get(&one.name[..]).is_none_or(|own| is_here(own, number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_runs_the_hooks_of_an_application() {
        let text = json!([
            { "kind": "volume", "name": "a", "connector": "files", "at": { "path": "/a" } },
            { "kind": "volume", "name": "b", "connector": "files", "at": { "path": "/b" } },
            { "kind": "application", "name": "x", "components": [
                { "resource": "b" }, { "resource": "a" },
            ] },
        ]);
        let all: Vec<Resource> = serde_json::from_value(text).unwrap();
        let of = |captured: &[&str], here: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            elsewhere(&all, &names(captured), &names(here)).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["a", "b"], &["a"]), ["x"]);
        assert_eq!(of(&["a", "b"], &["b"]), [""; 0]);
        // The first is not captured: the next one counts.
        assert_eq!(of(&["a"], &["a"]), [""; 0]);
        assert_eq!(of(&["a", "b"], &["a", "b"]), [""; 0]);
    }

    #[test]
    fn a_host_is_told_what_it_must_know_and_no_more() {
        let volume = |name: &str| {
            let at = json!({ "path": format!("/{name}") });
            json!({ "kind": "volume", "name": name, "connector": "files", "at": at })
        };
        let app = |name: &str, parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| json!({ "resource": part })).collect();
            json!({ "kind": "application", "name": name, "components": parts })
        };
        let all = [
            volume("a"),
            volume("b"),
            volume("c"),
            volume("d"),
            app("ab", &["a", "b"]),
            app("cd", &["c", "d"]),
        ];
        let all: Vec<Resource> =
            all.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect();
        let told = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            described(&all, &names).into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(told(&["a"]), ["a", "b", "ab"]);
        assert_eq!(told(&["d", "c"]), ["c", "d", "cd"]);
        assert!(told(&[]).is_empty());
    }
}
