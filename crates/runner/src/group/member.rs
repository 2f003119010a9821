//! One resource of a run: its source, and what becomes of it.

use std::collections::BTreeSet;

use serde_json::Value;
use tintype_model::item::{Descriptor, Item, Outcome};
use tintype_model::resource::{Kind, Resource, Resources};
use tintype_model::{Error, Result};
use tintype_source::connector::{CapturePlan, Connector, Context, Source, described};

/// A resource that is captured.
pub(super) struct Member {
    pub resource: Resource,
    /// None once the item has failed for good, or where no source could be made.
    pub source: Option<Box<dyn Source>>,
    pub item: Item,
    /// Its hooks before the freeze were begun.
    pub is_quiesced: bool,
    /// Of the parent's item, if it fits.
    pub mark: Option<Value>,
    /// See [`Source::missing`].
    pub missing: Vec<String>,
}

impl Member {
    pub(super) fn is_failed(&self) -> bool {
        self.item.outcome != Outcome::Captured
    }

    pub(super) fn renew(&mut self) {
        if self.is_failed() {
            return;
        }
        if let Some(Err(error)) = self.source.as_mut().map(|source| source.renew()) {
            self.fail(error);
        }
    }

    pub(super) fn fail(&mut self, reason: impl ToString) {
        if !self.is_failed() {
            self.item.outcome = Outcome::Failed;
            self.item.reason = Some(reason.to_string());
        }
        self.item.consistency = None;
        self.item.mark = None;
    }
}

/// The resources that `names` selects, applications with all their components; without names all.
pub(super) fn select<'r>(resources: &'r Resources, names: &[String]) -> Result<Vec<&'r Resource>> {
    let by_name = resources.by_name();
    let mut chosen = BTreeSet::new();
    for name in names {
        if !by_name.contains_key(&name[..]) {
            let known: Vec<_> = by_name.keys().copied().take(20).collect();
            return Err(Error::not_found(format!(
                "there is no resource {name}; there are: {}",
                known.join(", ")
            )));
        }
        chosen.insert(&name[..]);
    }
    let is_chosen = |resource: &&Resource| {
        names.is_empty()
            || chosen.contains(&resource.name[..])
            || resources.owner_of(&resource.name).is_some_and(|a| chosen.contains(&a.name[..]))
    };
    let found: Vec<_> = resources
        .resources
        .iter()
        .filter(|resource| resource.kind != Kind::Application)
        .filter(is_chosen)
        .collect();
    if found.is_empty() {
        return Err(Error::invalid("there is no resource to take a snapshot of"));
    }
    Ok(found)
}

/// Members for resources; what cannot be captured at all is failed from the beginning.
pub(super) fn members(
    connectors: &[Box<dyn Connector>],
    resources: &Resources,
    selected: &[&Resource],
    parent: Option<&Descriptor>,
    context: &Context,
) -> Vec<Member> {
    let mut members = Vec::new();
    for resource in selected {
        let mut member = Member {
            resource: (*resource).clone(),
            source: None,
            item: Item {
                name: resource.name.clone(),
                kind: resource.kind,
                connector: resource.connector.clone(),
                place: resources.place_of(resource),
                outcome: Outcome::Captured,
                reason: None,
                consistency: None,
                version: None,
                entries: 0,
                bytes: 0,
                problems: 0,
                frozen_seconds: None,
                mark: None,
                facts: Value::Null,
                hooks: Vec::new(),
            },
            is_quiesced: false,
            mark: mark_of(parent, resources, resource),
            missing: Vec::new(),
        };
        match planned(connectors, resource, context) {
            Ok((source, _)) => member.source = Some(source),
            Err(error) => member.fail(error),
        }
        members.push(member);
    }
    members
}

/// What captures it, and what that will do.
pub(super) fn planned(
    connectors: &[Box<dyn Connector>],
    resource: &Resource,
    context: &Context,
) -> Result<(Box<dyn Source>, CapturePlan)> {
    let mut source =
        described::named(connectors, &resource.connector)?.source(resource, context)?;
    let plan = source.plan()?;
    if let Some(wanted) = resource.consistency
        && plan.reaches < wanted
    {
        return Err(Error::unsupported(format!(
            "consistency {wanted} was asked for, {} can be reached: {}",
            plan.reaches,
            plan.why_not_more.unwrap_or_default()
        )));
    }
    Ok((source, plan))
}

/// What the parent knew of it: only if it was the same, and lies where it lay in the tree, because
/// what did not change is taken from there.
fn mark_of(
    parent: Option<&Descriptor>,
    resources: &Resources,
    resource: &Resource,
) -> Option<Value> {
    let item = parent?.item(&resource.name)?;
    let fits = item.kind == resource.kind
        && item.connector == resource.connector
        && item.place == resources.place_of(resource);
    item.mark.clone().filter(|_| fits && item.outcome == Outcome::Captured)
}
