//! The suites, on databases whose content can be told by a number.

mod mariadb;
mod postgres;
mod redis;

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tintype_model::resource::{Kind, Resource};

use super::world::as_new;
use crate::conformance::{AsNew, Held, World, resource, sources_conform, targets_conform};

/// Names of ours in a directory.
fn ours(directory: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.contains("tintype-")).collect()
}

struct SqliteWorld {
    directory: tempfile::TempDir,
}

impl SqliteWorld {
    fn new(mode: &str) -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap() };
        let connection = Self::open(&world.path("shop.db"));
        connection.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
        let make = "CREATE TABLE a(n, pad); CREATE TABLE b(n); INSERT INTO a VALUES(0, ''); \
                    INSERT INTO b VALUES(0)";
        connection.execute_batch(make).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(path: &std::path::Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }

    fn number(path: &std::path::Path) -> u64 {
        let both = "SELECT a.n, b.n FROM a, b";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let (a, b) = Self::open(path).query_row(both, [], read).unwrap();
        assert_eq!(a, b, "torn");
        a as u64
    }
}

impl World for SqliteWorld {
    fn resource(&self) -> Resource {
        resource(Kind::Database, "shop", "sqlite", &[("path", json!(self.path("shop.db")))])
    }

    fn write(&self, number: u64) {
        let batch = format!(
            "BEGIN IMMEDIATE; UPDATE a SET n = {number}, pad = hex(randomblob(9000)); \
             UPDATE b SET n = {number}; COMMIT"
        );
        Self::open(&self.path("shop.db")).execute_batch(&batch).unwrap();
    }

    fn now(&self) -> u64 {
        Self::number(&self.path("shop.db"))
    }

    fn captured(&self, held: &Held) -> u64 {
        Self::number(&held.path(b"database.sqlite"))
    }

    fn state(&self) -> String {
        let connection = Self::open(&self.path("shop.db"));
        let pad = connection.query_row("SELECT n || pad FROM a", [], |row| row.get::<_, String>(0));
        pad.unwrap()
    }

    fn leftovers(&self) -> Vec<String> {
        ours(self.directory.path())
    }

    fn as_new(&self) -> Option<AsNew> {
        let path = self.path("copy.db");
        let destination = as_new(&json!({ "path": path }), &[]);
        let directory = self.directory.path().to_owned();
        let now = move || {
            let connection = Connection::open(directory.join("copy.db")).unwrap();
            connection.query_row("SELECT n FROM a", [], |row| row.get::<_, i64>(0)).unwrap() as u64
        };
        Some(AsNew { destination, now: Box::new(now) })
    }
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    let world = SqliteWorld::new("wal");
    sources_conform(&world);
    targets_conform(&world);
}

#[test]
fn sqlite_with_a_rollback_journal() {
    let world = SqliteWorld::new("delete");
    sources_conform(&world);
    targets_conform(&world);
}
