//! Definitions made into those of others: nothing that tells machines or networks apart stays.

use std::collections::BTreeMap;

use tintype_model::{Error, Result};
use xmltree::{Element, XMLNode};

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
        nvram(os, renewal.nvram.as_deref());
    }
    for sysinfo in children_mut(&mut domain, "sysinfo") {
        for part in ["system", "baseBoard", "chassis"] {
            for part in children_mut(sysinfo, part) {
                // libvirt wants this one to be the machine's.
                let is_uuid = |name: &String| name == "uuid";
                for entry in children_mut(part, "entry") {
                    if entry.attributes.get("name").is_some_and(is_uuid) {
                        entry.children = vec![XMLNode::Text(renewal.uuid.clone())];
                    }
                }
            }
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

/// Variables of its own: those that were stored, or new ones, of which libvirt chooses the place.
fn nvram(os: &mut Element, file: Option<&str>) {
    let Some(nvram) = os.get_mut_child("nvram") else { return };
    nvram.children.clear();
    nvram.attributes.remove("type");
    match file {
        Some(file) => nvram.children.push(XMLNode::Text(file.to_owned())),
        None if nvram.attributes.contains_key("template") => {}
        None => drop(os.take_child("nvram")),
    }
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
    if rules.contains_key("bridge") && network.get_child("bridge").is_none() {
        return Err(Error::invalid("the rule `bridge`: the network has none"));
    }
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
            XMLNode::Text(text) => replaced(text),
            XMLNode::Element(element) => replace_text(element, replace),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::xml::{parse, text};

    fn renewed(os: &str, nvram: Option<&str>) -> Element {
        let old = format!(
            "<domain><name>old</name><uuid>1</uuid><os>{os}</os><sysinfo type='smbios'><system>\
             <entry name='serial'>7</entry><entry name='uuid'>1</entry></system></sysinfo></domain>"
        );
        let (name, uuid) = ("new".to_owned(), "2".to_owned());
        let nvram = nvram.map(str::to_owned);
        domain(parse(&old).unwrap(), &Renewal { name, uuid, nvram, ..Renewal::default() })
    }

    #[test]
    fn no_firmware_variables_are_shared() {
        let plain = "<nvram>/old</nvram>";
        let as_disk = "<nvram type='file' template='/t'><source file='/old'/></nvram>";
        for os in [plain, as_disk] {
            let new = renewed(os, Some("/new"));
            assert_eq!(text(&new, &["os", "nvram"]).as_deref(), Some("/new"));
            assert!(!crate::libvirt::xml::write(&new).unwrap().contains("old"), "{os}");
        }
        assert!(renewed(plain, None).get_child("os").unwrap().get_child("nvram").is_none());
        let new = renewed(as_disk, None);
        let nvram = new.get_child("os").unwrap().get_child("nvram").unwrap();
        assert!(nvram.children.is_empty() && nvram.attributes["template"] == "/t");
        let system = new.get_child("sysinfo").unwrap().get_child("system").unwrap();
        assert_eq!(text(system, &["entry"]).as_deref(), Some("7"));
        assert!(!crate::libvirt::xml::write(&new).unwrap().contains(">1<"));
    }
}
