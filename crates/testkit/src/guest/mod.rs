//! Tiny virtual machines with a real guest agent, emulated by QEMU: a kernel of Debian, busybox,
//! and a writer that puts a growing number into `/data/seq.log`. Built from Debian packages into
//! the cache, in seconds; ready about four seconds after the start.

mod lab;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::debian;
use crate::server::Server;
use crate::tools::cache_directory;
use lab::Lines;
pub(crate) use lab::decoded;

const SCRIPT: &str = include_str!("mkguest.sh");
const BOOT: Duration = Duration::from_mins(2);

/// What a guest is made of, in the cache.
#[derive(Clone, Debug)]
pub struct Parts {
    pub kernel: PathBuf,
    pub ramdisk: PathBuf,
    /// ext4 on the whole disk; qcow2 of 64 MiB.
    pub root: PathBuf,
    /// The same of 1 GiB, mounted at `/data`, with `dir/sub/numbers.txt` in it.
    pub data: PathBuf,
}

/// Installs QEMU and builds the guest, once.
pub fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        debian::need(
            &["qemu-system-x86_64", "qemu-img", "qemu-nbd", "cpio"],
            &["qemu-system-x86", "qemu-utils", "cpio", "e2fsprogs"],
        );
        let place = cache_directory().join("vm-guest");
        std::fs::create_dir_all(&place).expect("the cache folder can be made");
        let script = place.join("mkguest.sh");
        // Its content is part of what says whether the guest is up to date.
        std::fs::write(&script, SCRIPT).expect("the cache folder is ours");
        let output = Command::new("bash").arg(&script).env("CACHE", &place).output();
        let output = output.expect("bash can be run");
        assert!(output.status.success(), "the guest cannot be built: {output:?}");
        Parts {
            kernel: place.join("vmlinuz"),
            ramdisk: place.join("initrd.gz"),
            root: place.join("root.qcow2"),
            data: place.join("data.qcow2"),
        }
    })
}

/// What to boot.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Words for the kernel: `nowriter`, `hook=1`.
    pub words: String,
    /// More arguments for QEMU.
    pub arguments: Vec<String>,
    /// Without a port for the agent.
    pub no_agent: bool,
    /// Disks: name of the device, file, its format. Default: copies of root and data.
    pub disks: Option<Vec<(String, PathBuf, String)>>,
    /// Do not wait for the agent.
    pub do_not_wait: bool,
}

/// A machine that runs; killed when it is dropped.
pub struct Guest {
    server: Option<Server>,
    /// Of the monitor that the test may use beside what it tests.
    monitor: Lines,
    lab: Option<Shell>,
    pub process: u32,
    /// Sockets and disks.
    pub directory: PathBuf,
    pub qmp: PathBuf,
    /// Another monitor, for another program.
    pub second_qmp: PathBuf,
    pub agent: PathBuf,
    pub disks: Vec<(String, PathBuf, String)>,
    own: Option<TempDir>,
}

impl Guest {
    pub fn boot(options: &Options) -> Self {
        let own = tempfile::Builder::new().prefix("guest").tempdir().expect("a directory");
        let mut guest = Self::boot_in(own.path(), options);
        guest.own = Some(own);
        guest
    }

    /// With sockets and disks in a directory; disks that are there already are used as they are.
    pub fn boot_in(directory: &Path, options: &Options) -> Self {
        let disks = options.disks.clone().unwrap_or_else(|| own_disks(directory));
        let at = |name: &str| directory.join(name);
        let log = at("qemu.log");
        for socket in ["qmp", "qmp2", "lab-qmp", "agent", "lab-agent", "numbers"] {
            // Of a machine that ran here before.
            let _ = std::fs::remove_file(at(socket));
        }
        let arguments = arguments(directory, &disks, options);
        let mut server = Server::start(Path::new("/usr/bin/qemu-system-x86_64"), &arguments, &log);
        server.wait_until(&log, || at("lab-qmp").exists() && at("qmp").exists());
        let mut monitor = Lines::connect(&at("lab-qmp"));
        monitor.line(BOOT);
        monitor.ask(&json!({"execute": "qmp_capabilities"}), BOOT);
        let mut guest = Self {
            process: server.process(),
            server: Some(server),
            monitor,
            lab: None,
            directory: directory.to_owned(),
            qmp: at("qmp"),
            second_qmp: at("qmp2"),
            agent: at("agent"),
            disks,
            own: None,
        };
        if !options.do_not_wait {
            guest.wait_for_agent(!options.no_agent);
        }
        guest
    }

    fn wait_for_agent(&mut self, with_agent: bool) {
        let mut wanted = vec!["lab"];
        wanted.extend(with_agent.then_some("agent"));
        while !wanted.is_empty() {
            let message = self.monitor.line(BOOT);
            let (data, event) = (&message["data"], &message["event"]);
            if event == "VSERPORT_CHANGE" && data["open"] == true {
                wanted.retain(|id| data["id"] != *id);
            }
        }
        self.lab = Some(Shell::connect(&self.directory.join("lab-agent")));
    }

    /// A command of QMP, through a monitor of the test's own.
    pub fn command(&mut self, command: &str, arguments: Value) -> Value {
        let reply = self.try_command(command, arguments);
        assert!(reply.get("return").is_some(), "{command}: {reply}");
        reply["return"].clone()
    }

    pub fn try_command(&mut self, command: &str, arguments: Value) -> Value {
        let mut ask = json!({ "execute": command });
        if !arguments.is_null() {
            ask["arguments"] = arguments;
        }
        self.monitor.ask(&ask, BOOT)
    }

    /// Runs a script in the guest; gives what it prints.
    pub fn shell(&mut self, script: &str) -> String {
        let lab = self.lab.as_mut().expect("the guest was waited for");
        lab.run(script)
    }

    /// Starts a script in the guest and does not wait for it.
    pub fn start(&mut self, script: &str) {
        self.shell(&format!("({script}) >/dev/null 2>&1 </dev/null &"));
    }

    /// A line by which numbers are put into `/data/number`, one at a time.
    pub fn numbers(&self) -> Numbers {
        let stream = UnixStream::connect(self.directory.join("numbers")).expect("QEMU listens");
        stream.set_read_timeout(Some(BOOT)).expect("a timeout can be set");
        Numbers(BufReader::new(stream))
    }

    /// The writer's last number.
    pub fn sequence(&mut self) -> u64 {
        self.shell("tail -n1 /data/seq.log").trim().parse().expect("a number")
    }

    /// Ends QEMU as its `quit` does: what it holds is written.
    pub fn quit(mut self) -> Option<TempDir> {
        self.try_command("quit", Value::Null);
        let mut server = self.server.take().expect("it runs");
        server.wait();
        self.own.take()
    }

    /// As a power cut.
    pub fn kill(mut self) -> Option<TempDir> {
        drop(self.server.take());
        self.own.take()
    }

    /// Kills QEMU and keeps the rest.
    pub fn kill_process(&mut self) {
        drop(self.server.take());
    }
}

/// The test's own line into a guest, whoever runs it: the socket of its port `tintype.lab.0`.
pub struct Shell(Lines);

impl Shell {
    /// Waits until the guest has come up.
    pub fn connect(socket: &Path) -> Self {
        let mut lines = Lines::connect(socket);
        lines.synchronise(BOOT);
        Self(lines)
    }

    /// Runs a script; gives what it prints.
    pub fn run(&mut self, script: &str) -> String {
        self.0.shell(script, BOOT)
    }
}

/// See [`Guest::numbers`].
pub struct Numbers(BufReader<UnixStream>);

impl Numbers {
    /// The number is on the guest's disk when this returns.
    pub fn put(&mut self, number: u64) {
        writeln!(self.0.get_mut(), "{number}").expect("QEMU listens");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("the guest answers in time");
        assert_eq!(answer.trim(), number.to_string());
    }
}

/// Copies of both disks.
fn own_disks(directory: &Path) -> Vec<(String, PathBuf, String)> {
    let parts = parts();
    let disks = [("vda", "root.qcow2", &parts.root), ("vdb", "data.qcow2", &parts.data)];
    let copied = disks.map(|(device, name, from)| {
        let file = directory.join(name);
        if !file.exists() {
            std::fs::copy(from, &file).expect("the disk can be copied");
        }
        (device.to_owned(), file, "qcow2".to_owned())
    });
    copied.into()
}

fn arguments(
    directory: &Path,
    disks: &[(String, PathBuf, String)],
    options: &Options,
) -> Vec<String> {
    let parts = parts();
    let at = |name: &str| directory.join(name).display().to_string();
    let words = format!("console=ttyS0 quiet panic=-1 mitigations=off {}", options.words);
    let mut arguments: Vec<String> = "-machine q35 -accel tcg,thread=multi -cpu max -m 256 -smp 1 \
         -nodefaults -no-user-config -display none -no-reboot"
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("-kernel", parts.kernel.display().to_string());
    add("-initrd", parts.ramdisk.display().to_string());
    add("-append", words);
    add("-serial", format!("file:{}", at("console.log")));
    for monitor in ["qmp", "qmp2", "lab-qmp"] {
        add("-qmp", format!("unix:{},server=on,wait=off", at(monitor)));
    }
    for (device, file, format) in disks {
        let file = file.display();
        add("-blockdev", format!("driver=file,node-name=file-{device},filename={file}"));
        add("-blockdev", format!("driver={format},node-name=disk-{device},file=file-{device}"));
        add("-device", format!("virtio-blk-pci,drive=disk-{device},id={device}"));
    }
    add("-device", "virtio-serial-pci".to_owned());
    let ports = [
        ("agent", "org.qemu.guest_agent.0"),
        ("lab", "tintype.lab.0"),
        ("numbers", "tintype.numbers.0"),
    ];
    for (id, name) in ports.into_iter().skip(usize::from(options.no_agent)) {
        let socket = at(if id == "lab" { "lab-agent" } else { id });
        add("-chardev", format!("socket,path={socket},server=on,wait=off,id=c{id}"));
        add("-device", format!("virtserialport,chardev=c{id},name={name},id={id}"));
    }
    arguments.extend(options.arguments.iter().cloned());
    arguments
}
