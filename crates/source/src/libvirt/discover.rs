//! Machines and networks of the system's libvirt.

use serde_json::{Map, Value, json};
use tintype_model::Result;
use tintype_model::resource::{Consistency, Kind, Resource, check_name};

use super::at::At;
use super::domain::Domain;
use super::source::{disks_of_files, reach};
use super::virsh::Virsh;
use crate::connector::{Context, Discovered};

/// One that holds more is not looked at whole.
const MOST: usize = 10_000;

pub(crate) fn discover(context: &Context) -> Result<Vec<Discovered>> {
    discover_at(&At::parse(&Map::new())?.uri, context)
}

pub(crate) fn discover_at(uri: &str, context: &Context) -> Result<Vec<Discovered>> {
    let virsh = Virsh::new(uri, context);
    // No libvirt, or none that speaks with us.
    let Ok(domains) = virsh.call(&["list", "--all", "--name"]) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in domains.lines().map(str::trim).filter(|name| !name.is_empty()).take(MOST) {
        context.cancel.check()?;
        // Undefined meanwhile.
        let Ok(domain) = Domain::look(&virsh, name) else { continue };
        let mut at = at_of("domain", name, uri);
        let disks = disks_of_files(&domain.disks);
        if let Some(disks) = serde_json::to_value(&disks).ok().filter(|_| !disks.is_empty()) {
            at.insert("disks".to_owned(), disks);
        }
        let Ok(parsed) = At::parse(&at) else { continue };
        let (reaches, why_not_more) = reach(&virsh, &domain, &parsed);
        let resource = resource(Kind::Vm, name, at);
        found.push(Discovered { resource, reaches, why_not_more });
    }
    let networks = virsh.call(&["net-list", "--all", "--name"]).unwrap_or_default();
    for name in networks.lines().map(str::trim).filter(|name| !name.is_empty()).take(MOST) {
        let resource = resource(Kind::Network, name, at_of("network", name, uri));
        found.push(Discovered { resource, reaches: Consistency::Application, why_not_more: None });
    }
    Ok(found)
}

fn at_of(what: &str, name: &str, uri: &str) -> Map<String, Value> {
    let mut at = Map::new();
    at.insert(what.to_owned(), json!(name));
    if uri != "qemu:///system" {
        at.insert("uri".to_owned(), json!(uri));
    }
    at
}

/// Names of machines and networks are of different kinds here, and of one there.
fn resource(kind: Kind, name: &str, at: Map<String, Value>) -> Resource {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let mut name: String = name.chars().map(plain).take(90).collect();
    if kind == Kind::Network {
        name = format!("network-{name}");
    } else if check_name(&name).is_err() {
        name = format!("vm-{name}");
    }
    Resource {
        kind,
        name,
        connector: super::NAME.to_owned(),
        at,
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use tintype_testkit::libvirt::Libvirt;

    use super::*;
    use crate::host::tests::context;

    #[test]
    fn machines_are_found_with_their_disks() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let libvirt = Libvirt::start();
        let disk = libvirt.directory.join("one.raw");
        std::fs::write(&disk, [0; 512]).unwrap();
        let xml = format!(
            "<domain type='qemu'><name>one</name><memory>1</memory><os><type arch='x86_64'>hvm\
             </type></os><devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>\
             <source file='{}'/><target dev='vda' bus='virtio'/></disk></devices></domain>",
            disk.display()
        );
        libvirt.define_xml("define", &xml);
        let own = tempfile::tempdir().unwrap();
        let context = Context { scratch: own.path().to_owned(), ..context() };
        let found = discover_at(&libvirt.uri, &context).unwrap();
        let one = found.iter().find(|found| found.resource.at["domain"] == "one").unwrap();
        let expected = json!({ "vda": { "file": disk, "format": "raw" } });
        assert_eq!(one.resource.at["disks"], expected);
    }
}
