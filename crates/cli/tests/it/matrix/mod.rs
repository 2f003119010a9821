//! Every connector with every restore, through the program: over the original and back by its undo
//! point, as new beside it, and as plain files; of machines also single disks and files out of them.

mod machines;
mod networks;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_testkit::mariadb::MariaDb;
use tintype_testkit::postgres::{self, Postgres};
use tintype_testkit::redis::Redis;
use tintype_testkit::server::free_ports;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, is_root};

/// Something that holds a number.
trait Holder {
    /// `at`, and with it kind and connector.
    fn resource(&self) -> (&'static str, &'static str, Value);
    fn write(&mut self, number: u32);
    fn read(&mut self) -> u32;
    /// What an administrator must do before and after a restore over it.
    fn stop(&mut self) {}
    fn start(&mut self) {}
    /// What must be said for a copy.
    fn options(&mut self) -> Vec<String>;
    fn read_copy(&mut self) -> u32;
    /// What only its kind can do with the snapshot `latest`, and `plain/it` restored out of it.
    fn of_its_kind(&mut self, _lab: &Lab) {}
}

fn set(field: &str, value: impl ToString) -> [String; 2] {
    ["--set".to_owned(), format!("it.{field}={}", value.to_string())]
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

struct Volume {
    connector: &'static str,
    path: PathBuf,
    _mounted: Vec<Mounted>,
}

impl Volume {
    fn new(connector: &'static str) -> Self {
        let below = Mounted::new(if connector == "btrfs" { "btrfs" } else { "xfs" });
        let (top, mounted) = match connector {
            "reflink" => {
                let above = below.stack("ext4");
                (above.path.clone(), vec![above, below])
            }
            _ => (below.path.clone(), vec![below]),
        };
        let path = top.join("data");
        std::fs::create_dir(&path).unwrap();
        Self { connector, path, _mounted: mounted }
    }

    fn of(path: &Path) -> u32 {
        std::fs::read_to_string(path.join("number")).unwrap().parse().unwrap()
    }

    fn copy(&self) -> PathBuf {
        self.path.with_file_name("copy")
    }
}

impl Holder for Volume {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("volume", self.connector, json!({ "path": self.path }))
    }

    fn write(&mut self, number: u32) {
        std::fs::write(self.path.join("number"), number.to_string()).unwrap();
    }

    fn read(&mut self) -> u32 {
        Self::of(&self.path)
    }

    fn options(&mut self) -> Vec<String> {
        set("path", text(&self.copy())).into()
    }

    fn read_copy(&mut self) -> u32 {
        Self::of(&self.copy())
    }
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn of(path: &Path) -> u32 {
        let database = rusqlite::Connection::open(path).unwrap();
        database.query_row("select n from t", [], |row| row.get(0)).unwrap()
    }
}

impl Holder for Sqlite {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("database", "sqlite", json!({ "path": self.path("db") }))
    }

    fn write(&mut self, number: u32) {
        let sql = format!(
            "create table if not exists t(n); delete from t; insert into t values ({number})"
        );
        rusqlite::Connection::open(self.path("db")).unwrap().execute_batch(&sql).unwrap();
    }

    fn read(&mut self) -> u32 {
        Self::of(&self.path("db"))
    }

    fn options(&mut self) -> Vec<String> {
        set("path", text(&self.path("copy"))).into()
    }

    fn read_copy(&mut self) -> u32 {
        Self::of(&self.path("copy"))
    }
}

struct Cluster {
    server: Postgres,
    logical: bool,
    copy: (u16, PathBuf),
}

impl Cluster {
    fn new(logical: bool) -> Self {
        let server = Postgres::start();
        // Where it is found must be written in the cluster itself: who restores it starts it so.
        server.sql(&format!("alter system set port = {}", server.port));
        server.sql(&format!("alter system set unix_socket_directories = '{}'", server.host()));
        server.sql("create database shop");
        let [port] = free_ports();
        let copy = (port, server.make_directory("copy").join("data"));
        Self { server, logical, copy }
    }
}

impl Holder for Cluster {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        let mut at = json!({ "host": self.server.host(), "port": self.server.port });
        if self.logical {
            at["mode"] = json!("logical");
            at["databases"] = json!(["shop"]);
        }
        ("database", "postgres", at)
    }

    fn write(&mut self, number: u32) {
        let sql = format!(
            "create table if not exists t(n int); delete from t; insert into t values ({number})"
        );
        self.server.sql_in("shop", &sql);
    }

    fn read(&mut self) -> u32 {
        self.server.sql_in("shop", "select n from t").parse().unwrap()
    }

    fn stop(&mut self) {
        if !self.logical {
            self.server.stop("fast");
        }
    }

    fn options(&mut self) -> Vec<String> {
        if self.logical {
            return vec!["--rule".to_owned(), "it.database.shop=copy".to_owned()];
        }
        let (port, data) = &self.copy;
        let rule = ["--rule".to_owned(), "it.identity=keep".to_owned()];
        let options = [rule, set("host", self.server.host()), set("port", port)];
        options.into_iter().chain([set("data_directory", text(data))]).flatten().collect()
    }

    fn read_copy(&mut self) -> u32 {
        let sql = "select n from t";
        if self.logical {
            return self.server.sql_in("copy", sql).parse().unwrap();
        }
        let (port, data) = &self.copy;
        let found = postgres::query(&self.server.host(), *port, "shop", sql);
        postgres::stop(data, "immediate");
        found.parse().unwrap()
    }
}

struct Maria(MariaDb);

impl Holder for Maria {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("database", "mariadb", json!({ "socket": self.0.socket }))
    }

    fn write(&mut self, number: u32) {
        self.0.sql("", "create database if not exists shop");
        self.0.sql("shop", "create table if not exists t(n int) engine=innodb");
        self.0.sql("shop", &format!("delete from t; insert into t values ({number})"));
    }

    fn read(&mut self) -> u32 {
        self.0.sql("shop", "select n from t").parse().unwrap()
    }

    fn options(&mut self) -> Vec<String> {
        vec!["--rule".to_owned(), "it.database.shop=copy".to_owned()]
    }

    fn read_copy(&mut self) -> u32 {
        let found = self.0.sql("copy", "select n from t").parse().unwrap();
        self.0.sql("", "drop database copy");
        found
    }
}

struct Redises {
    server: Redis,
    copy: Redis,
}

/// It keeps its data when it is stopped.
const SETTINGS: [&str; 4] = ["--save", "", "--appendonly", "yes"];

impl Holder for Redises {
    fn resource(&self) -> (&'static str, &'static str, Value) {
        ("database", "redis", json!({ "socket": self.server.socket }))
    }

    fn write(&mut self, number: u32) {
        self.server.ask(&["SET", "n", &number.to_string()]);
    }

    fn read(&mut self) -> u32 {
        self.server.ask(&["GET", "n"]).parse().unwrap()
    }

    fn stop(&mut self) {
        self.server.stop();
    }

    fn start(&mut self) {
        self.server.resume(&SETTINGS);
    }

    fn options(&mut self) -> Vec<String> {
        self.copy.stop();
        let data = set("data_directory", text(&self.copy.data));
        [set("socket", text(&self.copy.socket)), data].into_iter().flatten().collect()
    }

    fn read_copy(&mut self) -> u32 {
        self.copy.resume(&SETTINGS);
        self.copy.ask(&["GET", "n"]).parse().unwrap()
    }
}

fn every_restore(holder: &mut dyn Holder) {
    let lab = Lab::ready();
    let (kind, connector, at) = holder.resource();
    println!("{connector} {at}");
    let resource = json!({ "kind": kind, "name": "it", "connector": connector, "at": at });
    let description = json!({ "version": 1, "resources": [resource] });
    lab.write("resources.json", description.to_string());
    holder.write(1);
    lab.run(&["snapshot", "--resources", &lab.text("resources.json")]).expect(0);
    holder.write(2);
    let restore = ["restore", "latest", "--resources"];

    let plain = lab.text("plain");
    lab.run(&[&restore[..], &["--to", &plain, "it"]].concat()).expect(0);
    assert!(std::fs::read_dir(&plain).unwrap().next().is_some(), "{connector}");
    assert_eq!(holder.read(), 2, "{connector}");
    holder.of_its_kind(&lab);

    let options = holder.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    lab.run(&[&restore[..], &["--yes", "--as-new", "it=copy"], &options].concat()).expect(0);
    assert_eq!((holder.read_copy(), holder.read()), (1, 2), "{connector}");
    over(&lab, holder);
}

fn over(lab: &Lab, holder: &mut dyn Holder) {
    let run = |snapshot: &str, more: &[&str]| {
        let words = ["restore", snapshot, "--resources", "--in-place", "it", "--yes"];
        lab.run(&[&words[..], more].concat()).expect(0);
    };
    holder.stop();
    run("latest", &[]);
    holder.start();
    assert_eq!(holder.read(), 1);
    holder.stop();
    run(&lab.undo_point(), &["--without-undo-point"]);
    holder.start();
    assert_eq!(holder.read(), 2, "the undo point brings back what was replaced");
}

fn needs_root() -> bool {
    assert!(is_root() || std::env::var_os("CI").is_none(), "mounts and machines need root");
    is_root()
}

#[test]
#[ignore = "half a minute: volumes and databases with every restore"]
fn volumes_and_databases_with_every_restore() {
    if !needs_root() {
        return;
    }
    for connector in ["files", "btrfs", "reflink"] {
        every_restore(&mut Volume::new(connector));
    }
    every_restore(&mut Sqlite(tempfile::tempdir().unwrap()));
    for logical in [false, true] {
        every_restore(&mut Cluster::new(logical));
    }
    every_restore(&mut Maria(MariaDb::start()));
    let (server, copy) = (Redis::start(&SETTINGS), Redis::start(&["--save", ""]));
    every_restore(&mut Redises { server, copy });
}
