//! What a machine's definition says of its disks and of what tells it apart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tintype_model::Result;
use xmltree::Element;

use super::virsh::Virsh;
use super::xml::{children, of_child, parse, text};
use crate::vm::facts::DiskFacts;
use crate::vm::place::resolved;

/// A machine as libvirt knows it.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub name: String,
    pub uuid: String,
    /// `running`, `paused`, `shut off`, …
    pub state: String,
    /// It is off, with its memory saved: it would go on where it was, over whatever disks.
    pub is_saved: bool,
    pub disks: Vec<DomainDisk>,
    /// The file of the firmware's variables.
    pub nvram: Option<PathBuf>,
    /// They are kept, wherever that is.
    pub has_nvram: bool,
    /// Who QEMU runs as.
    pub owner: Option<u32>,
    pub has_agent: bool,
    /// Disks or controllers are served by threads of their own.
    pub has_threads: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DomainDisk {
    /// `vda`
    pub name: String,
    /// Path of a file or device of this host.
    pub source: Option<String>,
    /// What else says where it is: `network`, `volume`, …
    pub elsewhere: Option<String>,
    /// Pool and name of a volume that libvirt manages.
    volume: Option<(String, String)>,
    pub format: String,
    pub has_backing: bool,
}

impl Domain {
    pub(crate) fn look(virsh: &Virsh, name: &str) -> Result<Self> {
        let state = virsh.call(&["domstate", name])?;
        // Passwords are not looked at here.
        let definition = parse(&virsh.call(&["dumpxml", name])?)?;
        let mut domain = read(&definition, state.trim());
        for disk in &mut domain.disks {
            disk.find_volume(virsh);
        }
        if domain.is_off() {
            domain.is_saved =
                info(virsh, "dominfo", name, "Managed save:")?.as_deref() == Some("yes");
        }
        Ok(domain)
    }

    /// Why disks that are not excluded cannot be captured.
    pub(crate) fn out_of_reach(&self, excludes: &[String]) -> Option<String> {
        let mut disks = self.disks.iter().filter(|disk| !excludes.contains(&disk.name));
        let disk = disks.find(|disk| disk.source.is_none() && disk.elsewhere.is_some())?;
        let (name, kind) = (&disk.name, disk.elsewhere.as_deref().unwrap_or_default());
        Some(format!(
            "disk {name} is of type `{kind}` and no file or device of this host, so it cannot be \
             captured: name it in `excludes` to capture the machine without it"
        ))
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(&self.state[..], "shut off" | "crashed")
    }

    pub(crate) fn has_disk(&self, name: &str, file: &Path) -> bool {
        let mut sources = self.disks.iter().filter(|disk| disk.name == name);
        sources.any(|disk| disk.source.as_ref().is_some_and(|own| resolved(Path::new(own)) == file))
    }

    pub(crate) fn has_nvram(&self, file: &Path) -> bool {
        self.nvram.as_ref().is_some_and(|own| resolved(own) == file)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == "running" || self.state == "idle"
    }
}

/// Whether something is started with the host. `verb`: the one that says it.
pub(crate) fn autostarts(virsh: &Virsh, verb: &str, name: &str) -> Result<bool> {
    let said = info(virsh, verb, name, "Autostart:")?;
    Ok(matches!(said.as_deref(), Some("yes" | "enable")))
}

fn info(virsh: &Virsh, verb: &str, name: &str, what: &str) -> Result<Option<String>> {
    let said = virsh.call(&[verb, name])?;
    let line = said.lines().find_map(|line| line.strip_prefix(what));
    Ok(line.map(|value| value.trim().to_owned()))
}

impl DomainDisk {
    /// A volume of most pools is a file or device of this host.
    fn find_volume(&mut self, virsh: &Virsh) {
        let Some((pool, volume)) = &self.volume else { return };
        let path = virsh.call(&["vol-path", "--pool", pool, "--vol", volume]).unwrap_or_default();
        let path = path.trim();
        if path.starts_with('/') && Path::new(path).exists() {
            self.source = Some(path.to_owned());
        }
    }

    pub(crate) fn facts(&self, size_bytes: u64) -> DiskFacts {
        DiskFacts {
            name: self.name.clone(),
            file: self.source.clone().unwrap_or_default(),
            format: self.format.clone(),
            size_bytes,
            has_backing: self.has_backing,
        }
    }
}

fn read(definition: &Element, state: &str) -> Domain {
    let mut disks = Vec::new();
    let mut has_threads = false;
    for devices in children(definition, "devices") {
        disks.extend(children(devices, "disk").filter_map(disk));
        let threads = |kind| {
            children(devices, kind).any(|device| of_child(device, "driver", "iothread").is_some())
        };
        has_threads |= threads("disk") || threads("controller");
    }
    let labels = children(definition, "seclabel");
    let mut labels =
        labels.filter(|label| label.attributes.get("model").is_some_and(|m| m == "dac"));
    let owner = labels.find_map(|label| text(label, &["label"]));
    Domain {
        name: text(definition, &["name"]).unwrap_or_default(),
        uuid: text(definition, &["uuid"]).unwrap_or_default(),
        state: state.to_owned(),
        is_saved: false,
        disks,
        nvram: nvram(definition),
        has_nvram: children(definition, "os").any(|os| os.get_child("nvram").is_some()),
        // `+64055:+64055`
        owner: owner
            .and_then(|label| label.split(':').next()?.trim_start_matches('+').parse().ok()),
        has_agent: has_agent(definition),
        has_threads,
    }
}

/// The file of the firmware's variables: `<nvram>FILE</nvram>`, or as a disk says it.
pub(crate) fn nvram(definition: &Element) -> Option<PathBuf> {
    let source = || {
        let nvram = definition.get_child("os")?.get_child("nvram")?;
        of_child(nvram, "source", "file").or_else(|| of_child(nvram, "source", "dev"))
    };
    text(definition, &["os", "nvram"]).or_else(source).map(PathBuf::from)
}

/// Whether a definition has a port for a guest agent.
pub(crate) fn has_agent(definition: &Element) -> bool {
    let devices = children(definition, "devices");
    devices.flat_map(|devices| children(devices, "channel")).any(|channel| {
        of_child(channel, "target", "name").as_deref() == Some("org.qemu.guest_agent.0")
    })
}

/// None for media and what is read only: they belong to nobody's machine.
fn disk(element: &Element) -> Option<DomainDisk> {
    let device = element.attributes.get("device").map_or("disk", |device| device);
    if !matches!(device, "disk" | "lun") || element.get_child("readonly").is_some() {
        return None;
    }
    let source = element.get_child("source");
    let attribute = |name: &str| source.and_then(|source| source.attributes.get(name).cloned());
    let path = attribute("file").or_else(|| attribute("dev"));
    let kind = || element.attributes.get("type").cloned().unwrap_or_default();
    Some(DomainDisk {
        name: of_child(element, "target", "dev")?,
        elsewhere: source.filter(|_| path.is_none()).map(|_| kind()),
        volume: attribute("pool").zip(attribute("volume")),
        source: path,
        format: of_child(element, "driver", "type").unwrap_or_else(|| "raw".to_owned()),
        has_backing: element.get_child("backingStore").is_some_and(|b| !b.children.is_empty()),
    })
}

/// Names of the disks of a definition that belong to the machine.
pub(crate) fn disk_names(definition: &Element) -> Vec<String> {
    let devices = children(definition, "devices");
    let disks = devices.flat_map(|devices| children(devices, "disk"));
    disks.filter_map(disk).map(|disk| disk.name).collect()
}

/// Hardware addresses of a machine.
pub(crate) fn macs(definition: &Element) -> BTreeSet<String> {
    let devices = children(definition, "devices");
    let interfaces = devices.flat_map(|devices| children(devices, "interface"));
    let macs = interfaces.filter_map(|interface| of_child(interface, "mac", "address"));
    macs.map(|mac| mac.to_ascii_lowercase()).collect()
}

/// Networks that a machine is on.
pub(crate) fn networks(definition: &Element) -> BTreeSet<String> {
    let devices = children(definition, "devices");
    let interfaces = devices.flat_map(|devices| children(devices, "interface"));
    interfaces.filter_map(|interface| of_child(interface, "source", "network")).collect()
}
