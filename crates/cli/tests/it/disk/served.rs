//! Disks for other programs: whatever speaks NBD reads what was captured.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::Duration;

use tintype_engine::env::Env;
use tintype_testkit::debian::need;
use tintype_testkit::server::Server;
use tintype_testkit::volumes::Mounted;

use super::{GPT, MIB, disk, ext4, machine, need_tools, tool, tree};
use crate::support::{Lab, Ran, damage, is_root, noise, objects};

struct Serving {
    child: Option<Child>,
    socket: String,
}

impl Serving {
    fn start(lab: &Lab, place: &str, more: &[&str]) -> Self {
        let socket = lab.text("disk.sock");
        let child = lab.start(&[&["disk", "serve", place, "--socket", &socket], more].concat());
        let serving = Self { child: Some(child), socket };
        let clock = Env::system().clock;
        while UnixStream::connect(&serving.socket).is_err() {
            assert!(clock.elapsed() < Duration::from_mins(1), "it does not listen");
            clock.sleep(Duration::from_millis(20));
        }
        serving
    }

    fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}", self.socket)
    }

    fn client(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    /// Waits for its end, which it comes to by itself.
    fn ended(mut self) -> Ran {
        Ran::of(&self.child.take().unwrap().wait_with_output().unwrap())
    }

    /// As Ctrl-C does.
    fn stop(self) -> Ran {
        let process = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        self.ended()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A disk of which the most is holes.
fn lab() -> (Lab, String) {
    need_tools();
    need(&["nbdinfo", "nbdcopy"], &["libnbd-bin"]);
    let lab = Lab::ready();
    tree(&lab);
    ext4(&lab, "ext4", "tree", 40 * MIB);
    disk(&lab, "disk", 96 * MIB, GPT, &[(83968, "ext4")]);
    let place = machine(&lab, &["disk"])("disk");
    (lab, place)
}

#[test]
fn programs_read_what_was_captured() {
    let (lab, place) = lab();
    let serving = Serving::start(&lab, &place, &["--json"]);
    let mode = fs::metadata(&serving.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = tool(&lab, "nbdinfo", &["--list", "--json", &serving.uri("")]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let exports = list["exports"].as_array().unwrap();
    let about = |export: &serde_json::Value| {
        let (name, size) = (export["export-name"].clone(), export["export-size"].clone());
        assert!(export["is_read_only"] == true && export["can_multi_conn"] == true, "{export}");
        (name.as_str().unwrap().to_owned(), size.as_u64().unwrap())
    };
    let found: Vec<_> = exports.iter().map(about).collect();
    let expected = [("", 96), ("1", 40), ("2", 40), ("3", 8)];
    assert_eq!(found, expected.map(|(name, size)| (name.to_owned(), size * MIB)));

    let uri = serving.uri("");
    let (raw, nbd) = (["-f", "raw"], ["-F", "raw"]);
    tool(&lab, "qemu-img", &[&["compare"], &raw[..], &nbd[..], &["disk", &uri]].concat());
    tool(&lab, "nbdcopy", &[&uri, "copy"]);
    assert!(lab.read("copy") == lab.read("disk"), "by several connections");
    tool(&lab, "nbdcopy", &[&serving.uri("2"), "part"]);
    assert!(lab.read("part") == lab.read("ext4"), "a partition alone");
    let map = tool(&lab, "nbdinfo", &["--map", "--totals", &uri]);
    let holes = map.lines().find(|line| line.contains("hole,zero")).unwrap();
    let holes: u64 = holes.split_whitespace().next().unwrap().parse().unwrap();
    assert!(holes > 70 * MIB, "{map}");
    // Nobody writes.
    let write = ["-f", "raw", "-c", "write 0 4096", &uri];
    let write = Command::new("qemu-io").args(write).output().unwrap();
    assert!(!write.status.success());

    let taken = ["disk", "serve", &place, "--socket", &serving.socket];
    assert!(lab.run(&taken).expect(5).err.contains("exists"));
    let socket = serving.socket.clone();
    let summary = serving.stop().expect(0).summary();
    let bytes = summary["served_bytes"].as_u64().unwrap();
    assert!((6 * MIB..96 * MIB).contains(&bytes), "holes are not read: {summary}");
    assert_eq!(summary["failed"], 0);
    assert!(!fs::exists(&socket).unwrap(), "it takes its socket along");
}

#[test]
fn it_ends_with_its_last_client_and_takes_the_place_of_a_killed_one() {
    let (lab, place) = lab();
    let mut killed = Serving::start(&lab, &place, &[]);
    let mut child = killed.child.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fs::exists(&killed.socket).unwrap());
    let serving = Serving::start(&lab, &place, &["--until-unused"]);
    tool(&lab, "nbdinfo", &[&serving.uri("")]);
    assert!(serving.ended().expect(0).err.contains("ends when its last client has gone"));
    // A place that is something else stays what it is.
    lab.write("disk.sock", "precious");
    lab.run(&["disk", "serve", &place, "--socket", &lab.text("disk.sock")]).expect(5);
    assert_eq!(lab.read("disk.sock"), b"precious");
}

fn greet(serving: &Serving, flags: u32) -> UnixStream {
    let mut client = serving.client();
    let mut hello = [0; 18];
    client.read_exact(&mut hello).unwrap();
    assert_eq!(&hello[..16], b"NBDMAGICIHAVEOPT");
    client.write_all(&flags.to_be_bytes()).unwrap();
    client
}

fn option(kind: u32, length: u32, data: &[u8]) -> Vec<u8> {
    [b"IHAVEOPT", &kind.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

fn request(kind: u16, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(77u64.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// The server ends the connection; with something unread that is a reset.
fn is_closed(mut client: UnixStream) {
    let _ = client.read_to_end(&mut Vec::new());
}

#[test]
fn strange_handshakes_harm_nobody() {
    let (lab, place) = lab();
    let serving = Serving::start(&lab, &place, &["--quiet"]);
    // Half of everything, and silence: each holds a place, and others go on.
    let _half: Vec<UnixStream> = (0..5).map(|_| greet(&serving, 3)).collect();
    let mut half = greet(&serving, 3);
    half.write_all(&option(7, 100, &[0; 10])).unwrap();
    // Unknown flags; what is no option; an option longer than any is.
    is_closed(greet(&serving, 1 << 30));
    for strange in [vec![7; 16], option(7, u32::MAX, &[])] {
        let mut client = greet(&serving, 3);
        client.write_all(&strange).unwrap();
        is_closed(client);
    }
    // Unknown options and exports are refused in words, and the client goes on.
    let mut client = greet(&serving, 3);
    let mut kind = |sent: &[u8]| {
        client.write_all(sent).unwrap();
        let mut head = [0; 20];
        client.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[16], head[17], head[18], head[19]]);
        let mut data = vec![0; length as usize];
        client.read_exact(&mut data).unwrap();
        u32::from_be_bytes([head[12], head[13], head[14], head[15]])
    };
    let error = |number: u32| 1 << 31 | number;
    assert_eq!(kind(&option(4711, 3, b"abc")), error(1));
    assert_eq!(kind(&option(5, 0, &[])), error(1), "no TLS");
    assert_eq!(kind(&option(7, 3, b"abc")), error(3));
    assert_eq!(kind(&option(7, 4 + 1 + 2, b"\0\0\0\x01x\0\0")), error(6));
    let many = [&[0; 4][..], &u32::MAX.to_be_bytes()].concat();
    assert_eq!(kind(&option(10, 8, &many)), error(3));
    tool(&lab, "nbdinfo", &[&serving.uri("")]);
    serving.stop().expect(0);
}

#[test]
fn strange_requests_harm_nobody() {
    let (lab, place) = lab();
    let serving = Serving::start(&lab, &place, &["--quiet"]);
    // The oldest kind of beginning; then what is outside, too much, or no request.
    let mut client = greet(&serving, 3);
    client.write_all(&option(1, 0, &[])).unwrap();
    let mut begun = [0; 10];
    client.read_exact(&mut begun).unwrap();
    assert_eq!(begun[..8], (96 * MIB).to_be_bytes());
    let mut ask = |sent: &[u8]| {
        client.write_all(sent).unwrap();
        let mut head = [0; 16];
        client.read_exact(&mut head).unwrap();
        assert_eq!(head[8..], 77u64.to_be_bytes());
        u32::from_be_bytes([head[4], head[5], head[6], head[7]])
    };
    assert_eq!(ask(&request(0, 96 * MIB - 1, 2)), 22);
    assert_eq!(ask(&request(0, u64::MAX, u32::MAX)), 22);
    assert_eq!(ask(&request(0, 0, 33 << 20)), 22);
    assert_eq!(ask(&request(0, 0, 0)), 22);
    assert_eq!(ask(&request(7, 0, 512)), 22, "a status that was not negotiated");
    assert_eq!(ask(&request(99, 0, 512)), 22);
    assert_eq!(ask(&[&request(1, 0, 512)[..], &[1; 512]].concat()), 1, "read only");
    assert_eq!(ask(&request(4, 0, 512)), 1);
    assert_eq!(ask(&request(0, 0, 512)), 0, "and it still answers");
    let mut sector = [0; 512];
    client.read_exact(&mut sector).unwrap();
    assert_eq!(sector[510..], [0x55, 0xaa]);
    client.write_all(&[9; 28]).unwrap();
    is_closed(client);
    tool(&lab, "nbdinfo", &[&serving.uri("")]);
    serving.stop().expect(0);
}

#[test]
fn a_damaged_chunk_is_told_to_the_client_and_by_the_exit_code() {
    need_tools();
    need(&["nbdcopy"], &["libnbd-bin"]);
    let lab = Lab::ready();
    lab.write("disk", noise(24 << 20, "disk"));
    let place = machine(&lab, &["disk"])("disk");
    let packs = objects(&lab, "data");
    damage(packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap());
    let serving = Serving::start(&lab, &place, &[]);
    let copied = Command::new("nbdcopy").arg(serving.uri("")).arg(lab.path("copy")).output();
    assert!(!copied.unwrap().status.success());
    let mut start = Command::new("qemu-io");
    let start = start.args(["-r", "-f", "raw", "-c", "read 0 1M", &serving.uri("")]).output();
    assert!(start.unwrap().status.success(), "the rest is read");
    let ran = serving.stop().expect(4);
    assert!(ran.err.contains("disks/disk.img, byte"), "{}", ran.err);
}

/// The general way to every file system that Linux knows.
#[test]
fn xfs_and_btrfs_are_mounted() {
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    need_tools();
    need(&["nbdfuse"], &["libnbd-bin"]);
    need(&["fusermount3"], &["fuse3"]);
    need(&["mkfs.xfs"], &["xfsprogs"]);
    need(&["mkfs.btrfs"], &["btrfs-progs"]);
    let lab = Lab::ready();
    tree(&lab);
    fs::create_dir_all(lab.path("mounted")).unwrap();
    let mounted = lab.text("mounted");
    for (kind, mebibytes) in [("xfs", 320), ("btrfs", 256)] {
        super::empty(&lab, kind, mebibytes * MIB);
        tool(&lab, &format!("mkfs.{kind}"), &["-q", kind]);
        let _here = Mounted::image_at(&lab.path(kind), mounted.as_ref());
        tool(&lab, "cp", &["-a", "tree/.", &mounted]);
    }
    let table = "label: gpt\nstart=2048, size=655360, type=L\nstart=657408, size=524288, type=L\n";
    disk(&lab, "disk", 600 * MIB, table, &[(2048, "xfs"), (657_408, "btrfs")]);
    let place = machine(&lab, &["disk"])("disk");
    let named = lab.run(&["disk", "ls", &place, "1:/"]).expect(1).err;
    assert!(named.contains("holds xfs") && named.contains("disk serve"), "{named}");
    let serving = Serving::start(&lab, &place, &[]);
    for (export, options) in [("1", "ro,norecovery,loop"), ("2", "ro,loop")] {
        fs::create_dir_all(lab.path("fuse")).unwrap();
        let (fuse, log) = (lab.path("fuse"), lab.path("log"));
        let words = [fuse.join("nbd").display().to_string(), serving.uri(export)];
        let mut server = Server::start("/usr/bin/nbdfuse".as_ref(), &words, &log);
        server.wait_until(&log, || fuse.join("nbd").exists());
        let here = ["-o", options, &words[0]].map(OsStr::new);
        let here = Mounted::new_at(&here, mounted.as_ref(), &[]);
        let mut compare = Command::new("diff");
        let compared = compare.args(["-r", "tree", &mounted]).current_dir(lab.path("")).output();
        let compared = compared.unwrap();
        drop(here);
        tool(&lab, "fusermount3", &["-u", &lab.text("fuse")]);
        server.wait();
        assert!(compared.status.success(), "{export}: {compared:?}");
    }
    serving.stop().expect(0);
}
