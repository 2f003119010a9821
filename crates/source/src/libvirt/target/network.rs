//! A network is defined again, unless that would break one that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use tintype_model::plan::{Check, Stage};
use tintype_model::resource::Resource;
use tintype_model::{Error, ErrorKind, Result};
use xmltree::Element;

use super::renew::fresh_network;
use super::{LibvirtStep, Plan, What};
use crate::connector::{Context, Destination};
use crate::libvirt::at::At;
use crate::libvirt::network::{DEFINITION, NetworkFacts, look};
use crate::libvirt::virsh::Virsh;
use crate::libvirt::xml::{children, of_child, parse, text, write};
use crate::vm::rules::check_replaced;

const REPLACE: &str = "replace:";

pub(super) fn plan(
    plan: &mut Plan<'_>,
    resource: &Resource,
    destination: &Destination,
) -> Result<()> {
    let facts: NetworkFacts = serde_json::from_value(plan.item.facts.clone()).map_err(|error| {
        Error::invalid(format!("the snapshot does not say what it holds: {error}"))
    })?;
    let stored = plan.definition(DEFINITION)?;
    match destination {
        Destination::InPlace => {
            let at = At::parse(&resource.at)?;
            in_place(plan, &at, stored, &facts)?;
        }
        Destination::AsNew { name, at, rules } => {
            let at = At::parse(at)?;
            let new = at.network.as_deref().unwrap_or(name).to_owned();
            let session = &plan.draft.context.session;
            let definition = parse(&stored)?;
            let made = |rules: &BTreeMap<String, String>| {
                fresh_network(definition.clone(), &new, rules, session)
            };
            let element = made(rules)?;
            let (replace, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                rules.clone().into_iter().partition(|(rule, _)| rule.starts_with(REPLACE));
            let texts = replace.into_iter().map(|(rule, new)| (rule[REPLACE.len()..].into(), new));
            let idle = check_replaced(&texts.collect(), |texts| {
                let replace = texts.into_iter().map(|(old, new)| (format!("{REPLACE}{old}"), new));
                made(&replace.chain(others.clone()).collect()).ok()
            });
            let virsh = Virsh::new(&at.uri, plan.draft.context);
            check_name(plan, &virsh, &new)?;
            check_others(plan, &virsh, &element, &new)?;
            if let Some(check) = idle {
                plan.check(check);
            }
            define(plan, &at, &new, write(&element)?, None, &facts);
        }
    }
    Ok(())
}

fn in_place(plan: &mut Plan<'_>, at: &At, stored: String, facts: &NetworkFacts) -> Result<()> {
    let name = at.network()?.to_owned();
    let virsh = Virsh::new(&at.uri, plan.draft.context);
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
    plan.draft.result.replaces = before.is_some();
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
    plan.draft.result.brings.push(called(&name, &uri));
    let text = format!("define the network {name}");
    let what = What::Network;
    let step = LibvirtStep::Define { uri: uri.clone(), what, name: name.clone(), xml, before };
    plan.libvirt(Stage::Switch, text, step);
    if facts.active {
        let text = format!("start the network {name}");
        let (uri, name) = (uri.clone(), name.clone());
        plan.libvirt(Stage::Start, text, LibvirtStep::Start { uri, what, name });
    }
    if facts.autostart {
        let text = format!("start the network {name} with the host");
        let (uri, name) = (uri.clone(), name.clone());
        plan.libvirt(Stage::Start, text, LibvirtStep::Autostart { uri, what, name });
    }
    let runs = if facts.active { "runs" } else { "is defined" };
    let text = format!("see that the network {name} {runs}");
    let health = LibvirtStep::NetworkHealth { uri, name, active: facts.active };
    plan.libvirt(Stage::Health, text, health);
}

pub(super) fn check(uri: &str, name: &str, active: bool, context: &Context) -> Result<()> {
    let (_, found) = look(&Virsh::new(uri, context), name)?;
    if active && !found.active {
        return Err(Error::unavailable(format!(
            "the network {name} was started and does not run: see libvirt's log, and whether another \
             program has its addresses"
        )));
    }
    Ok(())
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
        let others = subnets(&other);
        let both = |own: &&Subnet| others.iter().any(|other| own.overlaps(other));
        if let Some(subnet) = subnets(new).iter().find(both) {
            let reason = format!("the network {name} has addresses of {subnet} too");
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

fn subnets(network: &Element) -> Vec<Subnet> {
    children(network, "ip").filter_map(Subnet::read).collect()
}

/// The addresses that a network gives to its machines.
struct Subnet {
    address: IpAddr,
    prefix: u32,
}

impl Subnet {
    fn read(ip: &Element) -> Option<Self> {
        let get = |name: &str| ip.attributes.get(name);
        let address: IpAddr = get("address")?.parse().ok()?;
        let mask = get("netmask").and_then(|mask| mask.parse::<Ipv4Addr>().ok());
        let given = get("prefix").and_then(|prefix| prefix.parse().ok());
        let given = given.or_else(|| mask.map(|mask| mask.to_bits().count_ones()));
        // What libvirt takes where nothing is said.
        let class = match address {
            IpAddr::V4(v4) if v4.octets()[0] < 128 => 8,
            IpAddr::V4(v4) if v4.octets()[0] < 192 => 16,
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 64,
        };
        Some(Self { address, prefix: given.unwrap_or(class) })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        match (self.address, other.address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(32u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(128u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_whose_addresses_overlap_are_found() {
        let read = |text: &str| Subnet::read(&parse(&format!("<ip {text}/>")).unwrap()).unwrap();
        let cases = [
            ("address='10.0.0.1' netmask='255.255.255.0'", "address='10.0.0.77' prefix='24'", true),
            ("address='10.0.0.1' prefix='24'", "address='10.0.1.1' prefix='24'", false),
            ("address='10.0.0.1' prefix='16'", "address='10.0.1.1' prefix='24'", true),
            ("address='192.168.1.1'", "address='192.168.1.200' prefix='30'", true),
            ("address='0.0.0.1' prefix='0'", "address='9.9.9.9' prefix='32'", true),
            ("address='fd00::1'", "address='fd00::2' prefix='120'", true),
            ("address='fd00:1::1'", "address='fd00:2::1'", false),
            ("address='10.0.0.1'", "address='fd00::1'", false),
        ];
        for (one, other, expected) in cases {
            let (one_, other_) = (read(one), read(other));
            assert_eq!(one_.overlaps(&other_), expected, "{one} {other}");
            assert_eq!(other_.overlaps(&one_), expected, "{other} {one}");
        }
    }
}
