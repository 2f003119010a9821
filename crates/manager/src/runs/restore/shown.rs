//! A plan as it is shown: in words, and kept with its run, so that whoever may make it sees it later
//! and elsewhere as it was agreed to.

use jiff::Timestamp;
use sqlx::AnyConnection;
use tintype_api::restore::{NotRestored, PlannedItem, RestorePlan};
use tintype_api::run::Run;
use tintype_model::identifier::Id;
use tintype_model::plan::Stage;
use tintype_model::{Error, Result, size};
use tintype_runner::group::restore::{Destination, GroupPlan, ItemPlan};

use super::{HostPlan, Planned, PlannedPart};
use crate::agents::Place;
use crate::catalog::runs as stored;
use crate::catalog::snapshots::Known;

/// The first step of each restore.
const STEP: &str = "plan";

/// As it is told; what is sealed stays here.
pub fn told(planned: Planned, run: Run, manager_command: Option<String>) -> RestorePlan {
    let Planned { items, missing, commands, is_blocked, confirm, .. } = planned;
    RestorePlan { run, items, missing, commands, is_blocked, confirm, manager_command }
}

pub async fn keep(on: &mut AnyConnection, plan: &RestorePlan, now: Timestamp) -> Result<()> {
    let kept = serde_json::to_value(plan).map_err(|error| Error::internal(error.to_string()))?;
    stored::step_done(on, &plan.run.id, STEP, now, &kept).await
}

/// With the run as it was then.
pub async fn kept(on: &mut AnyConnection, run: &Id) -> Result<Option<RestorePlan>> {
    let kept = stored::step(on, run, STEP).await?;
    let damaged = |error| Error::corrupt(format!("the plan of restore {run}: {error}"));
    kept.map(|kept| serde_json::from_value(kept).map_err(damaged)).transpose()
}

pub(super) fn of(parts: Vec<PlannedPart>, known: &Known) -> Result<Planned> {
    let mut planned = Planned {
        items: Vec::new(),
        missing: Vec::new(),
        commands: Vec::new(),
        is_blocked: false,
        confirm: None,
        sealed: None,
        tenants: parts.iter().map(|part| part.known.snapshot.tenant.clone()).collect(),
    };
    let mut in_place = false;
    for part in &parts {
        planned.missing.extend(part.apart.iter().cloned());
        for (place, plan) in &part.plans {
            add(&mut planned, &part.known.snapshot.tenant, place, plan);
            let items = &plan.plan.items;
            in_place |= items.iter().any(|item| item.destination == Destination::InPlace);
        }
    }
    let names: Vec<&String> = parts.iter().flat_map(|part| &part.wanted.names).collect();
    // Whatever goes where something may be asks for a name: what was asked for, if it is one.
    planned.confirm = in_place.then(|| match names[..] {
        [one] => one.clone(),
        _ => known.snapshot.id.chars().take(8).collect(),
    });
    let plans = parts.into_iter().flat_map(|part| part.plans).map(|(_, plan)| plan);
    let plans: Vec<HostPlan> = plans.collect();
    let sealed = serde_json::to_vec(&plans).map_err(|error| Error::internal(error.to_string()))?;
    planned.sealed = Some(sealed);
    Ok(planned)
}

fn there(place: &Place) -> String {
    match place {
        None => String::new(),
        Some(agent) => format!(" on agent {}", agent.name),
    }
}

fn to(destination: &Destination, there: &str) -> String {
    match destination {
        Destination::InPlace => format!("in place{there}"),
        Destination::AsNew { name, .. } => format!("as new {name}{there}"),
    }
}

/// What one host has done when all of its plan is done.
pub(super) fn done(place: &Place, plan: &GroupPlan) -> Vec<String> {
    let there = there(place);
    let line = |item: &ItemPlan| {
        let (name, bytes) = (&item.item.name, size::format(item.item.bytes));
        format!("{} {name}: {bytes} restored {}", item.item.kind, to(&item.destination, &there))
    };
    plan.items.iter().map(line).collect()
}

/// One host's plan, in words.
fn add(planned: &mut Planned, tenant: &Id, place: &Place, HostPlan { agent, plan, .. }: &HostPlan) {
    let there = there(place);
    planned.items.extend(plan.items.iter().map(|item| {
        let steps = item.plan.steps.iter().filter(|step| step.stage != Stage::Watch);
        PlannedItem {
            name: item.item.name.clone(),
            tenant: tenant.clone(),
            to: to(&item.destination, &there),
            bytes: item.item.bytes,
            agent: agent.clone(),
            replaces: item.plan.replaces,
            checks: item.plan.checks.clone(),
            steps: steps.map(|step| step.text.clone()).collect(),
        }
    }));
    planned.missing.extend(
        plan.missing
            .iter()
            .map(|(name, reason)| NotRestored { name: name.clone(), reason: reason.clone() }),
    );
    planned.commands.extend(plan.commands(true).into_iter().map(|command| {
        let words = command.command.join(" ");
        format!("for {}, {}{there}: {words}", command.of, command.when)
    }));
    planned.is_blocked |= plan.is_blocked();
}
