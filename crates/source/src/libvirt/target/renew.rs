//! Definitions made into those of others: nothing that tells machines or networks apart stays.

use std::collections::BTreeMap;

use tintype_model::{Error, Result};
use xmltree::Element;

use crate::libvirt::xml::{children_mut, set_text};
use crate::qemu::target::renew::{fresh_mac, fresh_uuid};

/// What becomes of a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewal {
    pub name: String,
    pub uuid: String,
    /// Where disks lie, by their device; others are taken out.
    pub disks: BTreeMap<String, (String, String)>,
    pub nvram: Option<String>,
    pub macs: BTreeMap<String, String>,
    pub networks: BTreeMap<String, String>,
    pub replace: BTreeMap<String, String>,
    pub session: String,
}

pub(super) fn domain(mut domain: Element, renewal: &Renewal) -> Element {
    replace_text(&mut domain, &renewal.replace);
    set_text(&mut domain, "name", &renewal.name);
    set_text(&mut domain, "uuid", &renewal.uuid);
    // Identities that libvirt makes anew.
    while domain.take_child("genid").is_some() {}
    for os in children_mut(&mut domain, "os") {
        if let Some(nvram) = &renewal.nvram {
            set_text(os, "nvram", nvram);
        }
    }
    for devices in children_mut(&mut domain, "devices") {
        disks(devices, renewal);
        for interface in children_mut(devices, "interface") {
            self::interface(interface, renewal);
        }
        for channel in children_mut(devices, "channel") {
            // libvirt chooses the socket, if it did before.
            if channel.attributes.get("type").is_some_and(|kind| kind == "unix") {
                while channel.take_child("source").is_some() {}
            }
        }
    }
    domain
}

fn disks(devices: &mut Element, renewal: &Renewal) {
    devices.children.retain(|child| {
        let disk = child.as_element().filter(|element| element.name == "disk");
        let Some(disk) = disk.filter(|disk| is_captured(disk)) else { return true };
        target_of(disk).is_some_and(|name| renewal.disks.contains_key(&name))
    });
    for disk in children_mut(devices, "disk") {
        let place = target_of(disk).and_then(|name| renewal.disks.get(&name));
        let Some((file, format)) = place.filter(|_| is_captured(disk)) else { continue };
        disk.attributes.insert("type".into(), "file".to_owned());
        if let Some(source) = disk.get_mut_child("source") {
            source.attributes.clear();
            source.children.clear();
            source.attributes.insert("file".into(), file.clone());
        }
        if let Some(driver) = disk.get_mut_child("driver") {
            driver.attributes.insert("type".into(), format.clone());
        }
        while disk.take_child("backingStore").is_some() {}
    }
}

fn is_captured(disk: &Element) -> bool {
    let device = disk.attributes.get("device").map_or("disk", |device| device);
    matches!(device, "disk" | "lun") && disk.get_child("readonly").is_none()
}

fn target_of(disk: &Element) -> Option<String> {
    disk.get_child("target")?.attributes.get("dev").cloned()
}

fn interface(interface: &mut Element, renewal: &Renewal) {
    if let Some(address) =
        interface.get_mut_child("mac").and_then(|mac| mac.attributes.get_mut("address"))
    {
        let given = renewal.macs.get(&address.to_ascii_lowercase()).cloned();
        *address = given.unwrap_or_else(|| fresh_mac(&renewal.session, address));
    }
    if let Some(network) =
        interface.get_mut_child("source").and_then(|source| source.attributes.get_mut("network"))
        && let Some(new) = renewal.networks.get(network)
    {
        network.clone_from(new);
    }
    // Names of devices of the host are made anew.
    while interface.take_child("target").is_some() {}
}

/// A network of another name; `bridge` and `replace:TEXT` are rules.
pub(super) fn fresh_network(
    mut network: Element,
    name: &str,
    rules: &BTreeMap<String, String>,
    session: &str,
) -> Result<Element> {
    let mut replace = BTreeMap::new();
    for (rule, value) in rules {
        match rule.split_once(':').unwrap_or((rule, "")) {
            ("bridge", "") => {}
            ("replace", old) => drop(replace.insert(old.to_owned(), value.clone())),
            _ => {
                return Err(Error::invalid(format!(
                    "there is no rule {rule:?} for a network: there are `bridge` and `replace:TEXT`"
                )));
            }
        }
    }
    replace_text(&mut network, &replace);
    set_text(&mut network, "name", name);
    set_text(&mut network, "uuid", &fresh_uuid(session, name));
    while network.take_child("mac").is_some() {}
    if let Some(bridge) = network.get_mut_child("bridge") {
        match rules.get("bridge") {
            Some(new) => drop(bridge.attributes.insert("name".into(), new.clone())),
            // libvirt chooses a free one.
            None => drop(bridge.attributes.remove("name")),
        }
    }
    Ok(network)
}

/// In texts and attributes.
fn replace_text(element: &mut Element, replace: &BTreeMap<String, String>) {
    let replaced = |text: &mut String| {
        for (old, new) in replace.iter().filter(|(old, _)| !old.is_empty()) {
            *text = text.replace(old, new);
        }
    };
    element.attributes.values_mut().for_each(replaced);
    for child in &mut element.children {
        match child {
            xmltree::XMLNode::Text(text) => replaced(text),
            xmltree::XMLNode::Element(element) => replace_text(element, replace),
            _ => {}
        }
    }
}
