//! Both suites on a network of libvirt.

use std::collections::BTreeMap;

use serde_json::json;
use tintype_model::resource::{Kind, Resource};
use tintype_source::connector::Destination;
use tintype_testkit::libvirt::Libvirt;

use crate::conformance::{AsNew, Held, World, resource, sources_conform, targets_conform};
use crate::support::skipped_without_root;

/// A network that is defined, and does not run.
struct Defined(Libvirt);

/// The number is the name of its domain.
fn number_in(definition: &str) -> u64 {
    let after = definition.split_once("<domain name=").expect("it has one").1;
    after[1..].trim_start_matches('n').split(['\'', '"']).next().unwrap().parse().unwrap()
}

impl World for Defined {
    fn resource(&self) -> Resource {
        let at = [("network", json!("lan")), ("uri", json!(self.0.uri))];
        resource(Kind::Network, "lan", "libvirt", &at)
    }

    fn write(&self, number: u64) {
        let xml = format!(
            "<network><name>lan</name><uuid>0b7a3c1e-5d5f-4c55-9d1b-5d8f0c6a1e01</uuid>\
             <bridge name='tt8'/><mac address='52:54:00:0a:0b:0d'/><domain name='n{number}'/>\
             <ip address='192.168.218.1' netmask='255.255.255.0'/></network>"
        );
        self.0.define_xml("net-define", &xml);
    }

    fn now(&self) -> u64 {
        number_in(&self.state())
    }

    fn captured(&self, held: &Held) -> u64 {
        number_in(&std::fs::read_to_string(held.path(b"network.xml")).unwrap())
    }

    fn state(&self) -> String {
        self.0.virsh(&["net-dumpxml", "lan", "--inactive"])
    }

    /// Nothing is made that bears a name of ours.
    fn leftovers(&self) -> Vec<String> {
        let names = self.0.virsh(&["net-list", "--all", "--name"]);
        let ours = names.lines().filter(|name| name.starts_with("tintype-"));
        ours.map(str::to_owned).collect()
    }

    fn as_new(&self) -> Option<AsNew> {
        let at = json!({ "network": "copy", "uri": self.0.uri }).as_object().unwrap().clone();
        let rules = [("bridge", "tt9"), ("replace:192.168.218.", "192.168.219.")];
        let rules: BTreeMap<String, String> =
            rules.map(|(rule, value)| (rule.to_owned(), value.to_owned())).into();
        let destination = Destination::AsNew { name: "copy".into(), at, rules };
        let uri = self.0.uri.clone();
        let now = move || {
            let mut virsh = std::process::Command::new("virsh");
            let said = virsh.args(["-c", &uri, "net-dumpxml", "copy"]).output().unwrap();
            number_in(&String::from_utf8(said.stdout).unwrap())
        };
        Some(AsNew { destination, now: Box::new(now) })
    }
}

#[test]
fn a_network_of_libvirt() {
    if skipped_without_root("libvirt") {
        return;
    }
    let world = Defined(Libvirt::start());
    world.write(1);
    sources_conform(&world);
    targets_conform(&world);
}
