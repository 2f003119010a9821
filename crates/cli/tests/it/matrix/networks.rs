//! Networks of libvirt: recreated, as new, or refused where one that runs would break.

use serde_json::{Value, json};
use tintype_testkit::libvirt::Libvirt;

use super::{needs_root, text};
use crate::support::{Lab, Ran};

pub(super) fn network(name: &str, bridge: &str, subnet: u8) -> String {
    format!(
        "<network><name>{name}</name><bridge name='{bridge}'/>\
         <ip address='192.168.{subnet}.1' netmask='255.255.255.0'/></network>"
    )
}

pub(super) fn interface(mac: &str, network: &str) -> String {
    format!(
        "<interface type='network'><mac address='{mac}'/><source network='{network}'/>\
         <model type='virtio'/></interface>"
    )
}

struct Networks {
    lab: Lab,
    libvirt: Libvirt,
}

impl Networks {
    fn new() -> Self {
        let networks = Self { lab: Lab::ready(), libvirt: Libvirt::start() };
        networks.define(211);
        networks.libvirt.virsh(&["net-autostart", "lan"]);
        networks
    }

    /// `lan`, running, with addresses of a subnet.
    fn define(&self, subnet: u8) {
        self.libvirt.define_xml("net-define", &network("lan", "tt0", subnet));
        self.libvirt.virsh(&["net-start", "lan"]);
    }

    fn defined(&self, name: &str) -> String {
        self.libvirt.virsh(&["net-dumpxml", name, "--inactive"])
    }

    fn lose(&self) {
        self.libvirt.virsh(&["net-destroy", "lan"]);
        self.libvirt.virsh(&["net-undefine", "lan"]);
    }

    fn is(&self, name: &str, what: &str) -> bool {
        let info = self.libvirt.virsh(&["net-info", name]);
        let line = info.lines().find_map(|line| line.strip_prefix(what));
        line.is_some_and(|value| value.trim() == "yes")
    }

    fn take(&self, more: &[Value]) {
        let at = json!({ "network": "lan", "uri": self.libvirt.uri });
        let lan = json!({ "kind": "network", "name": "lan", "connector": "libvirt", "at": at });
        let resources: Vec<&Value> = more.iter().chain([&lan]).collect();
        let text = json!({ "version": 1, "resources": resources });
        self.lab.write("resources.yaml", text.to_string());
        self.lab.run(&["snapshot", "--resources", &self.lab.text("resources.yaml")]).expect(0);
    }

    fn restore(&self, more: &[&str]) -> Ran {
        self.lab.run(&[&["restore", "latest", "--resources", "--yes"], more].concat())
    }
}

#[test]
#[ignore = "seconds: networks of libvirt with every restore"]
fn networks_are_recreated_or_refused() {
    if !needs_root() {
        return;
    }
    let networks = Networks::new();
    networks.take(&[]);
    let captured = networks.defined("lan");

    networks.restore(&["--in-place"]).expect(0);
    assert!(networks.defined("lan") == captured && networks.is("lan", "Active:"), "as it was");
    networks.lose();
    networks.restore(&["--in-place"]).expect(0);
    assert_eq!(networks.defined("lan"), captured, "recreated, with its uuid and address");
    assert!(networks.is("lan", "Active:") && networks.is("lan", "Autostart:"));

    networks.lose();
    networks.define(213);
    let other = networks.defined("lan");
    let refused = networks.restore(&["--in-place"]).expect(1);
    assert!(refused.out.contains("check block  running: the network lan runs"), "{}", refused.out);
    assert!(networks.defined("lan") == other && networks.is("lan", "Active:"), "untouched");
    // Stopped, it is still another one.
    networks.libvirt.virsh(&["net-destroy", "lan"]);
    let refused = networks.restore(&["--in-place"]).expect(1);
    assert!(refused.out.contains("check block  identity"), "{}", refused.out);
    assert_eq!(networks.defined("lan"), other);
    networks.libvirt.virsh(&["net-undefine", "lan"]);
    networks.restore(&["--in-place"]).expect(0);
    // Stopped, and another since: over it, and back.
    networks.lose();
    networks.libvirt.define_xml("net-define", &captured.replace("192.168.211.", "192.168.214."));
    let before = networks.defined("lan");
    networks.restore(&["--in-place"]).expect(0);
    assert!(networks.defined("lan") == captured && networks.is("lan", "Active:"));
    networks.libvirt.virsh(&["net-destroy", "lan"]);
    let point = networks.lab.undo_point();
    let back = ["restore", &point, "--resources", "--in-place", "--yes"];
    networks.lab.run(&back).expect(0);
    assert_eq!(networks.defined("lan"), before);
    networks.restore(&["--in-place"]).expect(0);

    let new = ["--as-new", "lan=copy", "--set", "lan.network=copy"];
    let refused = networks.restore(&new).expect(1);
    assert!(refused.out.contains("check block  address"), "{}", refused.out);
    let mapped = ["--rule", "lan.replace:192.168.211.=192.168.212."];
    networks.restore(&[&new[..], &mapped].concat()).expect(0);
    let copy = networks.defined("copy");
    assert!(copy.contains("192.168.212.1") && networks.is("copy", "Active:"), "{copy}");
    let line =
        |text: &str, tag: &str| text.lines().find(|line| line.contains(tag)).map(str::to_owned);
    for tag in ["<uuid>", "<bridge", "<mac"] {
        assert!(line(&copy, tag).is_some() && line(&copy, tag) != line(&captured, tag), "{copy}");
    }
    assert_eq!(networks.defined("lan"), captured);

    networks.restore(&["--to", &networks.lab.text("plain")]).expect(0);
    assert_eq!(networks.lab.read("plain/lan/network.xml"), captured.as_bytes());
}

/// Whichever of them is described first.
#[test]
#[ignore = "seconds: a network and a machine on it, both lost"]
fn a_machine_comes_back_together_with_its_network() {
    if !needs_root() {
        return;
    }
    let networks = Networks::new();
    let libvirt = &networks.libvirt;
    let disk = libvirt.directory.join("one.raw");
    std::fs::write(&disk, vec![1; 1 << 20]).unwrap();
    libvirt.define_xml(
        "define",
        &format!(
            "<domain type='qemu'><name>one</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file'>\
             <driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/>\
             </disk>{}</devices></domain>",
            disk.display(),
            interface("52:54:00:0a:0b:0c", "lan")
        ),
    );
    let machine = json!({ "kind": "vm", "name": "one", "connector": "libvirt",
        "at": { "domain": "one", "uri": libvirt.uri } });
    networks.take(&[machine]);
    let show = ["dumpxml", "one", "--inactive"];
    let captured = (networks.defined("lan"), libvirt.virsh(&show));
    libvirt.virsh(&["undefine", "one"]);
    networks.lose();
    std::fs::remove_file(&disk).unwrap();

    let alone = networks.restore(&["--in-place", "one"]).expect(1);
    assert!(alone.out.contains("check block  network: there is no network lan"), "{}", alone.out);
    networks.restore(&["--in-place"]).expect(0);
    assert_eq!((networks.defined("lan"), libvirt.virsh(&show)), captured);
    assert!(std::fs::read(&disk).unwrap() == vec![1; 1 << 20]);

    // As new, both, and started: that needs a network that runs.
    let directory = format!("one.directory={}", text(&libvirt.directory.join("copy")));
    let words = [
        ["--as-new", "one=copy"],
        ["--set", "one.domain=copy"],
        ["--rule", &directory],
        ["--rule", "one.start=yes"],
        ["--rule", "one.network:lan=lan2"],
        ["--as-new", "lan=lan2"],
        ["--set", "lan.network=lan2"],
        ["--rule", "lan.replace:192.168.211.=192.168.212."],
    ];
    networks.restore(&words.concat()).expect(0);
    assert_eq!(libvirt.virsh(&["domstate", "copy"]).trim(), "running");
    assert!(libvirt.virsh(&["domiflist", "copy"]).contains("lan2"));
    libvirt.virsh(&["destroy", "copy"]);
}
