//! A libvirt of a test's own, with the guests of [`crate::guest`]: in namespaces of its own,
//! so that its networks and files are not the host's. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::debian;
use crate::guest;
use crate::server::Server;
use crate::tools::cache_directory;

const SCRIPT: &str = include_str!("start.sh");
const PACKAGES: [&str; 11] = [
    "libvirt-daemon",
    "libvirt-daemon-system",
    "libvirt-daemon-driver-qemu",
    "libvirt-clients",
    "libvirt-daemon-config-network",
    "dnsmasq-base",
    "iptables",
    "iproute2",
    "dmidecode",
    "qemu-system-x86",
    "qemu-utils",
];
const BOOT: Duration = Duration::from_mins(2);

pub struct Libvirt {
    pub uri: String,
    /// Where machines may have their files: QEMU runs as another user.
    pub directory: PathBuf,
    _server: Server,
    _own: TempDir,
}

impl Libvirt {
    pub fn start() -> Self {
        debian::need(&["virsh", "libvirtd", "virtlogd", "dnsmasq"], &PACKAGES);
        let own = tempfile::Builder::new().prefix("libvirt").tempdir().expect("a directory");
        let place = own.path();
        open(place);
        let script = place.join("start.sh");
        std::fs::write(&script, SCRIPT).expect("the directory is ours");
        let log = place.join("log.txt");
        let cache = cache_directory().join("libvirt");
        let words = [&script, place, &cache].map(|word| word.display().to_string());
        let mut server = Server::start(Path::new("/bin/bash"), &words, &log);
        let socket = place.join("run/libvirt-sock");
        let uri = format!("qemu+unix:///system?socket={}", socket.display());
        server.wait_until(&log, || socket.exists() && virsh(&uri, &["version"]).is_ok());
        let directory = place.join("machines");
        std::fs::create_dir(&directory).expect("the directory is ours");
        open(&directory);
        Self { uri, directory, _server: server, _own: own }
    }

    /// What virsh says; panics if that is an error.
    pub fn virsh(&self, words: &[&str]) -> String {
        self.try_virsh(words).unwrap_or_else(|error| panic!("virsh {words:?}: {error}"))
    }

    pub fn try_virsh(&self, words: &[&str]) -> Result<String, String> {
        virsh(&self.uri, words)
    }

    /// Defines a machine with disks of its own; `interface` is XML of one, if any.
    pub fn define(&self, name: &str, words: &str, interface: &str) {
        let parts = guest::parts();
        let copy = |from: &Path, to: String| {
            let to = self.directory.join(to);
            std::fs::copy(from, &to).expect("the directory is ours");
            to.display().to_string()
        };
        let kernel = copy(&parts.kernel, "vmlinuz".to_owned());
        let ramdisk = copy(&parts.ramdisk, "initrd.gz".to_owned());
        let disk = |device: &str, from: &Path| {
            let file = copy(from, format!("{name}-{device}.qcow2"));
            format!(
                "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
                 <source file='{file}'/><target dev='{device}' bus='virtio'/></disk>"
            )
        };
        let disks = disk("vda", &parts.root) + &disk("vdb", &parts.data);
        let port = |name: &str, socket: &str| {
            format!("<channel type='unix'>{socket}<target type='virtio' name='{name}'/></channel>")
        };
        let lab = format!("<source mode='bind' path='{}'/>", self.lab(name).display());
        let ports = port("org.qemu.guest_agent.0", "") + &port("tintype.lab.0", &lab);
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel>\
             <initrd>{ramdisk}</initrd><cmdline>console=ttyS0 quiet panic=-1 mitigations=off \
             {words}</cmdline></os><features><acpi/></features><cpu mode='maximum'/><devices>\
             <emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}{interface}{ports}\
             <memballoon model='none'/></devices></domain>"
        );
        self.define_xml("define", &xml);
    }

    pub fn define_xml(&self, verb: &str, xml: &str) {
        let file = self.directory.join("definition.xml");
        std::fs::write(&file, xml).expect("the directory is ours");
        self.virsh(&[verb, &file.display().to_string()]);
    }

    pub fn start_and_wait(&self, name: &str) {
        self.virsh(&["start", name]);
        let begun = Instant::now();
        let ping = ["qemu-agent-command", name, r#"{"execute":"guest-ping"}"#, "--timeout", "5"];
        while self.try_virsh(&ping).is_err() {
            assert!(begun.elapsed() < BOOT, "{name}: its agent does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The test's own line into a machine of [`Libvirt::define`], as long as it runs.
    pub fn line_into(&self, name: &str) -> guest::Shell {
        guest::Shell::connect(&self.lab(name))
    }

    fn lab(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-lab"))
    }

    /// Runs a script in a guest to its end, through its agent.
    pub fn shell(&self, name: &str, script: &str) -> String {
        self.try_shell(name, script)
            .unwrap_or_else(|| panic!("{script}: the agent answers no more"))
    }

    /// None if the agent does not answer.
    pub fn try_shell(&self, name: &str, script: &str) -> Option<String> {
        let ask = |ask: serde_json::Value| -> Option<serde_json::Value> {
            let words = ["qemu-agent-command", name, &ask.to_string(), "--timeout", "60"];
            let said = self.try_virsh(&words).ok()?;
            Some(serde_json::from_str(&said).expect("the agent speaks JSON"))
        };
        let run = serde_json::json!({"execute": "guest-exec", "arguments":
            {"path": "/bin/sh", "arg": ["-c", script], "capture-output": true}});
        let process = ask(run)?["return"]["pid"].take();
        let status = serde_json::json!({"execute": "guest-exec-status", "arguments":
            {"pid": process}});
        let begun = Instant::now();
        loop {
            let state = ask(status.clone())?["return"].take();
            if state["exited"] == true {
                return Some(guest::decoded(state["out-data"].as_str().unwrap_or_default()));
            }
            assert!(begun.elapsed() < BOOT, "{script}: does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process of a machine, as this host numbers it.
    pub fn process(&self, name: &str) -> Option<u32> {
        let wanted = format!("guest={name},");
        let processes = std::fs::read_dir("/proc").expect("it is mounted").flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.into_iter().find(|number: &u32| {
            let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains(&wanted) && line.contains(&*self.directory.to_string_lossy())
        })
    }
}

fn open(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, all).expect("the directory is ours");
}

fn virsh(uri: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new("virsh").args(["-q", "-c", uri, "--"]).args(words).output();
    let output = output.expect("virsh can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
