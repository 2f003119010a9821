//! What a definition takes of its host that two machines cannot have at once, or would both write
//! to, in words; and what libvirt runs because of it.

use std::collections::BTreeSet;
use std::path::Path;

use xmltree::Element;

use crate::libvirt::xml::{children, of_child, text};
use crate::qemu::process::is_qemu;
use crate::qemu::target::shared_words;

/// Where programs of the system lie.
const SYSTEM: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/lib", "/bin"];

/// What both definitions take.
pub(super) fn places(old: &Element, new: &Element) -> Vec<String> {
    let (was, is) = (of(old), of(new));
    let mut shared: Vec<String> = is.intersection(&was).cloned().collect();
    shared.extend(shared_words(&arguments(old), &arguments(new)));
    shared
}

fn of(definition: &Element) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let devices = children(definition, "devices");
    for device in devices.flat_map(|devices| &devices.children).filter_map(|node| node.as_element())
    {
        let attribute = |name: &str| device.attributes.get(name).cloned();
        let kind = attribute("type").unwrap_or_default();
        let name = &device.name[..];
        match name {
            "graphics" => found.extend(graphics(device, &kind)),
            "serial" | "parallel" | "console" | "channel" | "redirdev" | "smartcard" => {
                found.extend(characters(device, &kind));
            }
            "filesystem" => {
                let source = ["dir", "file", "name", "dev", "socket"];
                let place = source.iter().find_map(|at| of_child(device, "source", at));
                found.extend(place.map(|place| format!("the file system {place}")));
            }
            "interface" if kind != "hostdev" => {}
            "hostdev" | "interface" => {
                found.extend([format!("a device of the host: {}", ids(device))]);
            }
            "tpm" => {
                let place =
                    device.get_child("backend").and_then(|at| of_child(at, "device", "path"));
                found.extend(place);
            }
            "vsock" => {
                let fixed = of_child(device, "cid", "auto").as_deref() != Some("yes");
                let number = of_child(device, "cid", "address").filter(|_| fixed);
                found.extend(number.map(|number| format!("the number {number} of its vsock")));
            }
            "memory" => found.extend(text(device, &["source", "path"])),
            "shmem" => found.extend(attribute("name").map(|name| format!("shared memory {name}"))),
            _ => {}
        }
    }
    found
}

fn graphics(device: &Element, kind: &str) -> Vec<String> {
    let attribute = |name: &str| device.attributes.get(name).cloned();
    let is_chosen = attribute("autoport").as_deref() == Some("yes");
    let is_fixed = |port: &String| port.parse::<i32>().is_ok_and(|port| port > 0);
    let ports = ["port", "tlsPort"].into_iter().filter(|_| !is_chosen).chain(["websocket"]);
    let ports = ports.filter_map(attribute).filter(is_fixed);
    let mut found: Vec<_> = ports.map(|port| format!("{kind} on port {port}")).collect();
    let listens = children(device, "listen").filter_map(|at| at.attributes.get("socket").cloned());
    found.extend(attribute("socket").into_iter().chain(listens));
    found
}

/// Ports of a guest that lead to a file, a socket or a device of the host, and their logs.
fn characters(device: &Element, kind: &str) -> Vec<String> {
    let mut found: Vec<String> = of_child(device, "log", "file").into_iter().collect();
    for source in children(device, "source") {
        let attribute = |name: &str| source.attributes.get(name).cloned();
        let is_ours = attribute("mode").as_deref() != Some("connect");
        match kind {
            "file" | "dev" | "pipe" => found.extend(attribute("path")),
            "unix" if is_ours => found.extend(attribute("path")),
            "tcp" | "udp" if is_ours => {
                found.extend(attribute("service").map(|port| format!("{kind} port {port}")));
            }
            _ => {}
        }
    }
    found
}

fn ids(device: &Element) -> String {
    let mut found = Vec::new();
    for source in children(device, "source") {
        for child in source.children.iter().filter_map(|node| node.as_element()) {
            let mut values: Vec<_> =
                child.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            values.sort_unstable();
            found.push(format!("{} {}", child.name, values.join(",")));
        }
    }
    found.join(" ")
}

fn emulators(definition: &Element) -> Vec<String> {
    let devices = children(definition, "devices");
    devices.filter_map(|devices| text(devices, &["emulator"])).collect()
}

/// Words that libvirt adds to the command line.
fn arguments(definition: &Element) -> Vec<String> {
    let lines = children(definition, "commandline");
    let words = lines.flat_map(|line| children(line, "arg"));
    words.filter_map(|word| word.attributes.get("value").cloned()).collect()
}

/// A program that is started as the machine, and is no QEMU.
pub(super) fn no_qemu(definition: &Element) -> Option<String> {
    emulators(definition).into_iter().find(|program| !is_qemu(program))
}

/// What libvirt runs that is not its own: each as its words.
pub(super) fn commands(definition: &Element) -> Vec<Vec<String>> {
    let arguments = arguments(definition);
    let is_of_system = |program: &String| {
        Path::new(program).parent().is_none_or(|at| SYSTEM.iter().any(|own| Path::new(own) == at))
    };
    let emulators = emulators(definition);
    let mut found = Vec::new();
    let is_usual = |program: &String| is_qemu(program) && is_of_system(program);
    for program in emulators.iter().filter(|one| !arguments.is_empty() || !is_usual(one)) {
        found.push([std::slice::from_ref(program), &arguments[..]].concat());
    }
    if emulators.is_empty() && !arguments.is_empty() {
        found.push(arguments);
    }
    for devices in children(definition, "devices") {
        let scripts =
            children(devices, "interface").filter_map(|at| of_child(at, "script", "path"));
        let helpers =
            children(devices, "filesystem").filter_map(|at| of_child(at, "binary", "path"));
        let programs = scripts.chain(helpers.filter(|program| !is_of_system(program)));
        found.extend(programs.map(|program| vec![program]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::xml::parse;

    fn with(devices: &str) -> Element {
        let xml = format!(
            "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
             <devices>{devices}</devices></domain>"
        );
        parse(&xml).unwrap()
    }

    #[test]
    fn what_two_machines_cannot_both_have_is_told() {
        let table = [
            ("<graphics type='vnc' port='5901' autoport='no'/>", "vnc on port 5901"),
            ("<graphics type='vnc' port='5901' autoport='yes'/>", ""),
            ("<graphics type='spice' port='-1' tlsPort='5902'/>", "spice on port 5902"),
            ("<graphics type='vnc'><listen type='socket' socket='/run/v'/></graphics>", "/run/v"),
            ("<serial type='file'><source path='/var/log/one'/></serial>", "/var/log/one"),
            ("<serial type='pty'><log file='/var/log/two'/></serial>", "/var/log/two"),
            ("<serial type='pty'><source path='/dev/pts/1'/></serial>", ""),
            ("<console type='tcp'><source mode='bind' service='4555'/></console>", "tcp port 4555"),
            ("<console type='tcp'><source mode='connect' service='4555'/></console>", ""),
            ("<filesystem><source dir='/srv'/></filesystem>", "the file system /srv"),
            (
                "<hostdev><source><address domain='0' bus='3'/></source></hostdev>",
                "a device of the host: address bus=3,domain=0",
            ),
            ("<interface type='bridge'><source bridge='br0'/></interface>", ""),
            ("<vsock><cid auto='no' address='3'/></vsock>", "the number 3 of its vsock"),
            ("<vsock><cid auto='yes' address='3'/></vsock>", ""),
            ("<tpm><backend type='emulator'/></tpm>", ""),
        ];
        for (devices, expected) in table {
            let found = places(&with(devices), &with(devices)).join("; ");
            assert_eq!(found, expected, "{devices}");
        }
        let new = with("<graphics type='vnc' port='5902'/>");
        assert!(places(&with(table[0].0), &new).is_empty(), "a rule gave it another");
    }

    #[test]
    fn what_libvirt_runs_is_told() {
        let line = |emulator: &str, words: &str| {
            let xml = format!(
                "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><devices>\
                 <emulator>{emulator}</emulator></devices><qemu:commandline>{words}\
                 </qemu:commandline></domain>"
            );
            parse(&xml).unwrap()
        };
        let usual = line("/usr/bin/qemu-system-x86_64", "");
        assert_eq!((no_qemu(&usual), commands(&usual)), (None, Vec::new()));
        let words = line("/usr/bin/qemu-system-x86_64", "<qemu:arg value='-s'/>");
        assert_eq!(commands(&words), [["/usr/bin/qemu-system-x86_64", "-s"]]);
        let elsewhere = line("/tmp/qemu-system-x86_64", "");
        assert_eq!(commands(&elsewhere), [["/tmp/qemu-system-x86_64"]]);
        assert_eq!(no_qemu(&line("/bin/sh", "")), Some("/bin/sh".to_owned()));
        let script = with("<interface type='ethernet'><script path='/tmp/up'/></interface>");
        assert_eq!(commands(&script), [["/tmp/up"]]);
    }
}
