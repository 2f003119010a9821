//! One writer, several places: what is frozen together was of one moment.
#![expect(clippy::disallowed_methods, reason = "the writer is a thread of its own")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tintype_testkit::guest::{Guest, Numbers, Options};
use tintype_testkit::postgres::{self, Postgres};
use tintype_testkit::server::free_ports;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, is_root};

/// Puts one number after the other into a row, then into a file, then into a guest's file, until it
/// is stopped.
fn write_in_turn(cluster: &Postgres, volume: &Mounted, mut guest: Numbers, stop: &AtomicBool) {
    let file = volume.path.join("number");
    for number in 1u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        cluster.sql(&format!("update number set n = {number}"));
        let beside = volume.path.join("number.new");
        std::fs::write(&beside, number.to_string()).unwrap();
        std::fs::File::open(&beside).unwrap().sync_all().unwrap();
        std::fs::rename(&beside, &file).unwrap();
        guest.put(number);
    }
}

/// The number on the guest's disk in a snapshot.
fn in_guest(lab: &Lab, snapshot: &str) -> i64 {
    let place = lab.path("guest");
    let to = lab.text("guest");
    lab.run(&["restore", snapshot, "--resources", "--to", &to, "guest"]).expect(0);
    let mut debugfs = Command::new("/sbin/debugfs");
    debugfs.args(["-R", "cat /number"]).arg(place.join("guest/disks/vdb.img"));
    let said = debugfs.output().unwrap();
    std::fs::remove_dir_all(place).unwrap();
    String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
}

fn no_member_is_ahead(rounds: usize) {
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounts need root");
        return;
    }
    let cluster = Postgres::start();
    cluster.sql("create table number(n bigint); insert into number values (0)");
    let below = Mounted::new("xfs");
    let volume = below.stack("ext4");
    std::fs::write(volume.path.join("number"), "0").unwrap();
    let mut guest = Guest::boot(&Options { words: "nowriter".into(), ..Options::default() });
    guest.shell("echo 0 > /data/number; sync");
    let lab = Lab::ready();
    let resources = json!({ "version": 1, "resources": [
        { "kind": "database", "name": "rows", "connector": "postgres",
          "at": { "host": cluster.host(), "port": cluster.port } },
        { "kind": "volume", "name": "file", "connector": "reflink",
          "at": { "path": volume.path } },
        { "kind": "vm", "name": "guest", "connector": "qemu", "excludes": ["vda"],
          "at": { "qmp": guest.qmp, "agent": guest.agent } },
        { "kind": "application", "name": "app",
          "components": [{ "resource": "rows" }, { "resource": "file" }, { "resource": "guest" }] },
    ]});
    lab.write("resources.yaml", resources.to_string());
    let stop = AtomicBool::new(false);
    let snapshots = std::thread::scope(|scope| {
        let numbers = guest.numbers();
        scope.spawn(|| write_in_turn(&cluster, &volume, numbers, &stop));
        let take = |_| {
            let file = lab.text("resources.yaml");
            let ran = lab.run(&["snapshot", "--json", "--resources", &file, "app"]);
            // The writer must end whatever happened.
            if ran.code != 0 {
                stop.store(true, Ordering::Relaxed);
            }
            ran.expect(0).summary()["snapshot"].as_str().unwrap().to_owned()
        };
        let taken: Vec<String> = (0..rounds).map(take).collect();
        stop.store(true, Ordering::Relaxed);
        taken
    });
    let mut seen = Vec::new();
    for snapshot in &snapshots {
        let path = format!("{snapshot}:/tenants/system/apps/app/file/number");
        let file: i64 = lab.run(&["cat", &path]).expect(0).out.parse().unwrap();
        let [port] = free_ports();
        let data = cluster.make_directory(&format!("copy-{port}")).join("data");
        let set = |field: &str, value: &str| ["--set".to_owned(), format!("rows.{field}={value}")];
        let options = [
            set("host", &cluster.host()),
            set("port", &port.to_string()),
            set("data_directory", data.to_str().unwrap()),
        ];
        let mut arguments = vec!["restore", snapshot, "--resources", "--as-new", "rows=copy"];
        arguments.extend(["--rule", "rows.identity=keep"]);
        arguments.extend(options.iter().flatten().map(String::as_str));
        lab.run(&arguments).expect(0);
        let row: i64 = postgres::query(&cluster.host(), port, "postgres", "select n from number")
            .parse()
            .unwrap();
        postgres::stop(&data, "immediate");
        std::fs::remove_dir_all(&data).unwrap();
        let number = in_guest(&lab, snapshot);
        let in_turn = row >= file && file >= number && number >= row - 1;
        assert!(in_turn, "row {row}, then file {file}, then guest {number}");
        seen.push(row);
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "the writer was at work: {seen:?}");
}

#[test]
fn no_later_member_is_ahead_of_an_earlier_one() {
    no_member_is_ahead(2);
}

#[test]
#[ignore = "minutes: cargo test --workspace --all-features --test it -- --ignored fifty"]
fn no_later_member_is_ahead_in_fifty_snapshots() {
    no_member_is_ahead(50);
}
