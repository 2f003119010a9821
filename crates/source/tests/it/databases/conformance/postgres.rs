//! PostgreSQL: a cluster as a whole, and one database of it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};
use tintype_model::resource::{Kind, Resource};
use tintype_testkit::postgres::{Postgres, query, script_of, stop};
use tintype_testkit::server::free_ports;

use super::super::world::as_new;
use super::ours;
use crate::conformance::{AsNew, Held, World, resource, sources_conform, targets_conform};
use crate::support::skipped_without_root;

const BOTH: &str = "SELECT a.n, b.n FROM a, b";

fn number_of(row: &str) -> u64 {
    let (a, b) = row.split_once('|').unwrap();
    assert_eq!(a, b, "torn");
    a.parse().unwrap()
}

fn write(server: &Postgres, database: &str, number: u64) {
    let both = format!("BEGIN; UPDATE a SET n = {number}; UPDATE b SET n = {number}; COMMIT");
    server.sql_in(database, &both);
}

fn make_tables(server: &Postgres, database: &str, place: &str) {
    let make =
        |table| format!("CREATE TABLE {table}(n bigint) {place}; INSERT INTO {table} VALUES(0);");
    server.sql_in(database, &["a", "b"].map(make).concat());
}

struct Cluster {
    server: Mutex<Postgres>,
    data: PathBuf,
    /// Where its tablespace is, and a copy of all.
    space: PathBuf,
    copy: PathBuf,
}

impl Cluster {
    fn new() -> Self {
        let server = Postgres::start();
        server.persist();
        let space = server.make_directory("space");
        server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
        make_tables(&server, "postgres", "TABLESPACE fast");
        let data = server.data.clone();
        let copy = data.with_file_name("copy");
        Self { server: Mutex::new(server), data, space, copy }
    }

    fn server(&self) -> MutexGuard<'_, Postgres> {
        let mut server = self.server.lock().unwrap();
        let socket = format!("{}/.s.PGSQL.{}", server.host(), server.port);
        if UnixStream::connect(socket).is_err() {
            server.resume(&[]);
        }
        server
    }

    fn ours(&self) -> Vec<String> {
        ours(self.data.parent().unwrap()).into_iter().chain(ours(&self.space)).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        stop(&self.copy, "immediate");
    }
}

impl World for Cluster {
    fn resource(&self) -> Resource {
        let server = self.server.lock().unwrap();
        let at = [("host", json!(server.host())), ("port", json!(server.port))];
        resource(Kind::Database, "shop", "postgres", &at)
    }

    fn write(&self, number: u64) {
        write(&self.server(), "postgres", number);
    }

    fn now(&self) -> u64 {
        number_of(&self.server().sql(BOTH))
    }

    /// As PostgreSQL's documentation says, without anything of ours.
    fn captured(&self, held: &Held) -> u64 {
        let point = held.facts["restore_point"].as_str().unwrap();
        let settings = [
            &format!("recovery_target_name={point}")[..],
            "recovery_target_action=promote",
            "recovery_target_timeline=current",
            "restore_command=false",
        ];
        let copy = Postgres::recovered(&held.path(b""), &settings);
        number_of(&copy.sql(BOTH))
    }

    fn state(&self) -> String {
        self.server().sql(BOTH)
    }

    fn leftovers(&self) -> Vec<String> {
        let mut found = self.ours();
        let slots = self.server().sql("SELECT slot_name FROM pg_replication_slots");
        found.extend(slots.lines().map(|slot| format!("slot {slot}")));
        found
    }

    fn make_way(&self) -> bool {
        self.server.lock().unwrap().stop("fast");
        true
    }

    fn as_new(&self) -> Option<AsNew> {
        let host = self.server.lock().unwrap().host();
        let [port] = free_ports();
        let at = json!({ "host": host, "port": port, "data_directory": self.copy });
        let now = move || number_of(&query(&host, port, "postgres", BOTH));
        let rules = [("identity", "keep")];
        Some(AsNew { destination: as_new(&at, &rules), now: Box::new(now) })
    }
}

#[test]
fn a_cluster_of_postgres_is_captured() {
    if !skipped_without_root("postgres") {
        sources_conform(&Cluster::new());
    }
}

#[test]
fn a_cluster_of_postgres_is_restored() {
    if !skipped_without_root("postgres") {
        targets_conform(&Cluster::new());
    }
}

struct Database(Postgres);

impl Database {
    fn at(&self) -> Value {
        json!({
            "host": self.0.host(), "port": self.0.port, "mode": "logical", "databases": ["shop"],
        })
    }
}

impl World for Database {
    fn resource(&self) -> Resource {
        let at = self.at();
        let at: Vec<(&str, Value)> =
            at.as_object().unwrap().iter().map(|(key, value)| (&key[..], value.clone())).collect();
        resource(Kind::Database, "shop", "postgres", &at)
    }

    fn write(&self, number: u64) {
        write(&self.0, "shop", number);
    }

    fn now(&self) -> u64 {
        number_of(&self.0.sql_in("shop", BOTH))
    }

    fn captured(&self, held: &Held) -> u64 {
        let script = script_of(&held.path(b"shop.dump"));
        let number = |table: &str| {
            let rows =
                script.split_once(&format!("COPY public.{table} (n) FROM stdin;\n")).unwrap();
            rows.1.lines().next().unwrap().to_owned()
        };
        number_of(&format!("{}|{}", number("a"), number("b")))
    }

    fn state(&self) -> String {
        self.0.sql_in("shop", BOTH)
    }

    fn leftovers(&self) -> Vec<String> {
        let names = self.0.sql("SELECT datname FROM pg_database WHERE datname LIKE 'tintype%'");
        names.lines().map(str::to_owned).collect()
    }

    /// Who asked before may still be taking leave.
    fn make_way(&self) -> bool {
        let users = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'";
        while self.0.sql(users) != "0" {}
        true
    }

    fn as_new(&self) -> Option<AsNew> {
        let (host, port) = (self.0.host(), self.0.port);
        let now = move || number_of(&query(&host, port, "copy", BOTH));
        let destination = as_new(&self.at(), &[("database.shop", "copy")]);
        Some(AsNew { destination, now: Box::new(now) })
    }
}

#[test]
fn one_database_of_postgres() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE shop");
    make_tables(&server, "shop", "");
    let world = Database(server);
    sources_conform(&world);
    targets_conform(&world);
}
