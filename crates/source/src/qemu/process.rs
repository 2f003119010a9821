//! QEMU processes of this host, and what their command lines say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tintype_model::{Error, ErrorKind, Result};

use super::machine::command_of;
use crate::vm::qmp::Qmp;
use crate::vm::socket::Waits;

/// A command line has at most this many words that are looked at.
const MOST_WORDS: usize = 10_000;
const AGENT_PORT: &str = "org.qemu.guest_agent.0";

/// What a command line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Command {
    pub name: Option<String>,
    pub uuid: Option<String>,
    /// Sockets of QMP monitors.
    pub qmp: Vec<PathBuf>,
    pub agent: Option<PathBuf>,
    pub macs: Vec<String>,
    /// It is run by a manager that speaks to it itself.
    pub is_managed: bool,
}

/// Every QEMU of this host, by its process.
pub(crate) fn all() -> BTreeMap<i32, (Vec<String>, Command)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let found = numbers.filter_map(|process| {
        // Gone, or not ours to see.
        let (words, directory) = command_of(process).ok()?;
        let is_one = is_qemu(words.first()?);
        is_one.then(|| (process, (words.clone(), parse(&words, &directory))))
    });
    found.collect()
}

/// Whether a program is a QEMU, by its name.
pub(crate) fn is_qemu(program: &str) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("qemu-system-") || name == "qemu-kvm" || name == "kvm"
}

/// A monitor. None if its QEMU is gone; an error if only the socket is.
pub(crate) fn monitor(socket: &Path, waits: Waits) -> Result<Option<Qmp>> {
    match Qmp::connect(socket, waits) {
        Err(error) if error.is(ErrorKind::NotFound) => gone(socket).map(|()| None),
        qmp => qmp.map(Some),
    }
}

/// A socket that is gone does not say that the machine is: its QEMU may live, and hold all that it
/// held. One that this user cannot see counts as gone.
pub(crate) fn gone(socket: &Path) -> Result<()> {
    let has = |command: &Command| {
        command.agent.iter().chain(&command.qmp).any(|path| path.as_path() == socket)
    };
    match all().iter().find(|(_, (_, command))| has(command)) {
        None => Ok(()),
        Some((process, _)) => Err(Error::unavailable(format!(
            "{}: the socket is gone, but the machine runs (QEMU, pid {process}), and what was made \
             in it stays until it ends: restart it",
            socket.display()
        ))),
    }
}

/// Reads a command line; paths that are not whole are from the directory.
pub(crate) fn parse(words: &[String], directory: &Path) -> Command {
    let mut command = Command::default();
    let mut sockets: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (mut monitors, mut agents) = (Vec::new(), Vec::new());
    let words = words.iter().take(MOST_WORDS).collect::<Vec<_>>();
    for pair in words.windows(2) {
        let options = options(pair[1]);
        let get = |name: &str| options.get(name).cloned();
        match pair[0].trim_start_matches('-') {
            _ if !pair[0].starts_with('-') => {}
            "name" => command.name = get("guest").or_else(|| get("")),
            "uuid" => command.uuid = get(""),
            "qmp" | "qmp-pretty" => {
                let socket = get("").and_then(|text| text.strip_prefix("unix:").map(str::to_owned));
                command.qmp.extend(socket.map(|path| directory.join(path)));
            }
            "chardev" if options.contains_key("path") => {
                let (id, path) = (get("id").unwrap_or_default(), get("path").unwrap_or_default());
                sockets.insert(id, directory.join(path));
            }
            "mon" if get("mode").as_deref() == Some("control") => {
                monitors.push(get("chardev").or_else(|| get("")).unwrap_or_default());
            }
            "device" => {
                if get("name").as_deref() == Some(AGENT_PORT) {
                    agents.push(get("chardev").unwrap_or_default());
                }
                command.macs.extend(get("mac"));
            }
            "nic" => command.macs.extend(get("mac")),
            _ => {}
        }
    }
    command.is_managed = monitors.iter().any(|id| id == "charmonitor");
    command.qmp.extend(monitors.iter().filter_map(|id| sockets.get(id).cloned()));
    command.agent = agents.iter().find_map(|id| sockets.get(id).cloned());
    command
}

/// `a,b=c,d=e,,f`: what has no name is under the empty one; two commas are one of the text. Or
/// an object of JSON, as newer managers write it.
fn options(text: &str) -> BTreeMap<String, String> {
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return object.into_iter().map(|(name, value)| (name, text(value))).collect();
    }
    let mut options = BTreeMap::new();
    for word in text.replace(",,", "\0").split(',') {
        let (name, value) = word.split_once('=').unwrap_or(("", word));
        options.entry(name.to_owned()).or_insert_with(|| value.replace('\0', ","));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words, Path::new("/run/vm"))
    }

    #[test]
    fn sockets_are_found_in_both_ways_to_write_them() {
        let command = parsed(
            "qemu-system-x86_64 -name web,debug-threads=on -uuid 1-2 -qmp unix:/a/q,server=on \
             -chardev socket,path=g,,a,server=on,id=c0 -chardev socket,id=m,path=/a/m \
             -mon chardev=m,mode=control -device virtserialport,chardev=c0,name=org.qemu.guest_agent.0 \
             -device virtio-net-pci,mac=52:54:00:00:00:01",
        );
        assert_eq!(command.name.as_deref(), Some("web"));
        assert_eq!(command.uuid.as_deref(), Some("1-2"));
        assert_eq!(command.qmp, [PathBuf::from("/a/q"), PathBuf::from("/a/m")]);
        assert_eq!(command.agent, Some(PathBuf::from("/run/vm/g,a")));
        assert_eq!(command.macs, ["52:54:00:00:00:01"]);
        assert!(!command.is_managed);
    }

    #[test]
    fn what_libvirt_runs_is_told_apart() {
        let command = parsed(
            "qemu-system-x86_64 -name guest=a,debug-threads=on -chardev \
             socket,id=charmonitor,fd=21,server=on -mon chardev=charmonitor,id=monitor,mode=control",
        );
        assert_eq!(command.name.as_deref(), Some("a"));
        assert!(command.is_managed && command.qmp.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn changed_command_lines_are_read(text in tintype_testkit::hostile::changed_text(&[
            "qemu-system-x86_64 -name guest=one,debug-threads=on -uuid 1-2 -qmp unix:/q,server=on \
             -chardev socket,path=/a,,b,server=on,id=c0 -mon chardev=c0,mode=control \
             -device virtserialport,chardev=c0,name=org.qemu.guest_agent.0 -nic user,mac=1",
        ])) {
            parsed(&text);
        }
    }
}
