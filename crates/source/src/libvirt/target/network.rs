//! A network is defined again, unless that would break one that runs.

use std::collections::BTreeSet;

use tintype_model::plan::{Check, Stage};
use tintype_model::resource::Resource;
use tintype_model::{Error, ErrorKind, Result};
use xmltree::Element;

use super::renew::fresh_network;
use super::{LibvirtStep, Plan, What};
use crate::connector::{Destination, TargetPlan};
use crate::libvirt::at::At;
use crate::libvirt::network::{DEFINITION, NetworkFacts, look};
use crate::libvirt::virsh::Virsh;
use crate::libvirt::xml::{children, of_child, parse, text, write};

pub(super) fn plan(
    mut plan: Plan<'_>,
    resource: &Resource,
    destination: &Destination,
) -> Result<TargetPlan> {
    let facts: NetworkFacts = serde_json::from_value(plan.item.facts.clone()).map_err(|error| {
        Error::invalid(format!("the snapshot does not say what it holds: {error}"))
    })?;
    let stored = plan.definition(DEFINITION)?;
    match destination {
        Destination::InPlace => {
            let at = At::parse(&resource.at)?;
            in_place(&mut plan, &at, stored, &facts)?;
        }
        Destination::AsNew { name, at, rules } => {
            let at = At::parse(at)?;
            let new = at.network.as_deref().unwrap_or(name).to_owned();
            let session = &plan.context.session;
            let element = fresh_network(parse(&stored)?, &new, rules, session)?;
            let virsh = Virsh::new(&at.uri, plan.context);
            check_name(&mut plan, &virsh, &new)?;
            check_others(&mut plan, &virsh, &element, &new)?;
            define(&mut plan, &at, &new, write(&element)?, None, &facts);
        }
    }
    Ok(plan.result)
}

fn in_place(plan: &mut Plan<'_>, at: &At, stored: String, facts: &NetworkFacts) -> Result<()> {
    let name = at.network()?.to_owned();
    let virsh = Virsh::new(&at.uri, plan.context);
    let before = match look(&virsh, &name) {
        Err(error) if error.is(ErrorKind::NotFound) => None,
        found => Some(found?),
    };
    let element = parse(&stored)?;
    let is_another = |now: &NetworkFacts| facts.uuid.is_some() && now.uuid != facts.uuid;
    match &before {
        Some((now, _)) if parse(now)? == element => {
            plan.check(Check::pass("definition", "the network is as it was captured"));
        }
        Some((_, now)) if now.active => {
            let reason = format!(
                "the network {name} runs, with another definition: machines on it \
                would lose their connection"
            );
            let cure = "stop it (virsh net-destroy), or restore it as new";
            plan.check(Check::block("running", reason, cure));
        }
        Some((_, now)) if is_another(now) => {
            let reason = format!("there is another network of the name {name}");
            let cure = "remove it (virsh net-undefine), or restore as new";
            plan.check(Check::block("identity", reason, cure));
        }
        _ => check_others(plan, &virsh, &element, &name)?,
    }
    plan.result.replaces = before.is_some();
    let is_active = before.as_ref().is_some_and(|(_, now)| now.active);
    let facts = NetworkFacts { active: facts.active && !is_active, ..facts.clone() };
    define(plan, at, &name, stored, before.map(|(definition, _)| definition), &facts);
    Ok(())
}

fn define(
    plan: &mut Plan<'_>,
    at: &At,
    name: &str,
    xml: String,
    before: Option<String>,
    facts: &NetworkFacts,
) {
    let (uri, name) = (at.uri.clone(), name.to_owned());
    plan.result.brings.push(called(&name, &uri));
    let text = format!("define the network {name}");
    let what = What::Network;
    let step = LibvirtStep::Define { uri: uri.clone(), what, name: name.clone(), xml, before };
    plan.libvirt(Stage::Switch, text, step);
    if facts.active {
        let autostart = facts.autostart;
        let text = format!("start the network {name}");
        plan.libvirt(Stage::Start, text, LibvirtStep::Start { uri, what, name, autostart });
    }
}

/// What machines on it need.
pub(super) fn called(name: &str, uri: &str) -> String {
    format!("network {name} of {uri}")
}

fn check_name(plan: &mut Plan<'_>, virsh: &Virsh, name: &str) -> Result<()> {
    match look(virsh, name) {
        Err(error) if error.is(ErrorKind::NotFound) => {
            plan.check(Check::pass("name", "the name is free"));
        }
        found => {
            found?;
            let reason = format!("there is a network {name}");
            plan.check(Check::block("name", reason, "choose another name"));
        }
    }
    Ok(())
}

/// Bridges and addresses that two networks cannot share.
fn check_others(plan: &mut Plan<'_>, virsh: &Virsh, new: &Element, own: &str) -> Result<()> {
    let names = virsh.call(&["net-list", "--all", "--name"])?;
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty() && *name != own) {
        let Ok((definition, _)) = look(virsh, name) else { continue };
        let other = parse(&definition)?;
        let bridge = |network: &Element| of_child(network, "bridge", "name");
        if bridge(new).is_some() && bridge(new) == bridge(&other) {
            let reason = format!("the network {name} has the same bridge");
            plan.check(Check::block("bridge", reason, "give the rule `bridge`"));
        }
        if let Some(address) = addresses(new).intersection(&addresses(&other)).next() {
            let reason = format!("the network {name} has the address {address} too");
            plan.check(Check::block("address", reason, "map it with a rule `replace:OLD`"));
        }
        let uuid = |network: &Element| text(network, &["uuid"]);
        if uuid(new).is_some() && uuid(new) == uuid(&other) {
            let reason = format!("the network {name} has the same uuid");
            plan.check(Check::block("identity", reason, "restore it as new, or remove that one"));
        }
    }
    Ok(())
}

fn addresses(network: &Element) -> BTreeSet<String> {
    children(network, "ip").filter_map(|ip| ip.attributes.get("address").cloned()).collect()
}
