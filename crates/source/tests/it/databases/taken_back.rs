//! Restores that are taken back after somebody wrote to what was restored: what was there before is
//! back, and what was written is to be found where it is said to be. And undo points of what does not
//! run.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;
use tintype_source::connector::Destination;
use tintype_testkit::mariadb::MariaDb;
use tintype_testkit::postgres::{self, Postgres};
use tintype_testkit::redis::Redis;

use super::world::{World, as_new, blocked, database};
use crate::support::skipped_without_root;

fn beside(directory: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().contains("/tintype-")).collect()
}

#[test]
fn sqlite() {
    for mode in ["wal", "delete"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let sql = |path: &Path, sql: &str| {
            let opened = Connection::open(path).unwrap();
            opened.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let write = |number: i64| {
            Connection::open(&path)
                .unwrap()
                .execute_batch(&format!(
                    "PRAGMA journal_mode={mode}; CREATE TABLE IF NOT EXISTS t(n); \
                     INSERT INTO t VALUES({number})"
                ))
                .unwrap();
        };
        let last = "SELECT max(n) FROM t";
        write(1);
        let resource = database("sqlite", json!({ "path": path }));
        let world = World::new();
        let item = world.capture(&resource, || (), || ()).unwrap();
        write(2);
        let back = |wrote: &dyn Fn()| {
            world.written_and_taken_back(&item, &resource, &Destination::InPlace, wrote)
        };
        assert_eq!(back(&|| assert_eq!(sql(&path, last), 1)), None, "read alone");
        assert_eq!(beside(directory.path()), Vec::<PathBuf>::new());
        let kept = back(&|| write(3)).unwrap();
        assert_eq!(sql(&path, last), 2);
        assert_eq!(sql(Path::new(&kept), last), 3, "{kept}");
    }
}

#[test]
fn redis() {
    let settings = ["--appendonly", "yes", "--save", ""];
    let mut server = Redis::start(&settings);
    server.ask(&["SET", "a", "1"]);
    let resource = database("redis", json!({ "socket": server.socket }));
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.ask(&["SET", "a", "2"]);
    server.stop();
    let in_place = Destination::InPlace;
    let kept = world.written_and_taken_back(&item, &resource, &in_place, || {
        server.resume(&settings);
        assert_eq!(server.ask(&["GET", "a"]), "1");
        server.ask(&["SET", "a", "3"]);
        server.stop();
    });
    server.resume(&settings);
    assert_eq!(server.ask(&["GET", "a"]), "2");
    server.stop();
    let mut copy = Redis::start(&["--save", ""]);
    copy.stop();
    std::fs::rename(kept.unwrap(), copy.data.join("appendonlydir")).unwrap();
    copy.resume(&settings);
    assert_eq!(copy.ask(&["GET", "a"]), "3");

    // The undo point is of its files, and brings them back.
    let before = world.before(&item, &resource);
    let point = World::new();
    let undo_point = point.capture(&before, || (), || ()).unwrap();
    world.restore(&item, &resource, &in_place);
    server.resume(&settings);
    assert_eq!(server.ask(&["GET", "a"]), "1");
    let refused = point.source(&before).plan().unwrap_err();
    assert!(refused.message().contains("redis-server (pid"), "{refused}");
    server.stop();
    assert_eq!(beside(&server.data), Vec::<PathBuf>::new());
    point.undo_after_each_step(&undo_point, &before, &in_place, |count| {
        assert_eq!(beside(&server.data), Vec::<PathBuf>::new(), "undone after {count} steps");
    });
    point.restore(&undo_point, &before, &in_place);
    server.resume(&settings);
    assert_eq!(server.ask(&["GET", "a"]), "2");
}

#[test]
fn a_cluster_of_postgres() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    server.persist();
    let space = server.make_directory("space");
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql("CREATE TABLE a TABLESPACE fast AS SELECT 1 AS n");
    let resource = database("postgres", json!({ "host": server.host(), "port": server.port }));
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.sql("UPDATE a SET n = 2");
    server.stop("fast");
    let in_place = Destination::InPlace;
    let home = server.data.parent().unwrap().to_owned();
    let places = || {
        let data = beside(&home);
        data.into_iter().chain(beside(&space)).collect::<Vec<_>>()
    };
    let back = |wrote: &dyn Fn()| world.written_and_taken_back(&item, &resource, &in_place, wrote);
    assert_eq!(back(&|| assert_eq!(server.sql("SELECT n FROM a"), "1")), None, "read alone");
    assert_eq!(places(), Vec::<PathBuf>::new());
    let kept = back(&|| drop(server.sql("UPDATE a SET n = 3"))).unwrap();
    server.resume(&[]);
    assert_eq!(server.sql("SELECT n FROM a"), "2");
    server.stop("fast");
    // A whole cluster, whose tablespace is its own.
    let data = std::mem::replace(&mut server.data, kept.clone().into());
    server.resume(&[]);
    assert_eq!(server.sql("SELECT n FROM a"), "3", "{kept}");
    server.stop("fast");
    server.data = data;

    let before = world.before(&item, &resource);
    let point = World::new();
    let undo_point = point.capture(&before, || (), || ()).unwrap();
    let left = places();
    world.restore(&item, &resource, &in_place);
    assert_eq!(server.sql("SELECT n FROM a"), "1");
    let refused = point.source(&before).plan().unwrap_err();
    assert!(refused.message().contains("a server (pid"), "{refused}");
    postgres::stop(&server.data, "fast");
    assert_eq!(places(), left, "what was replaced is in the undo point");
    point.undo_after_each_step(&undo_point, &before, &in_place, |count| {
        assert_eq!(places(), left, "undone after {count} steps");
    });
    point.restore(&undo_point, &before, &in_place);
    assert_eq!(server.sql("SELECT n FROM a"), "2");
    postgres::stop(&server.data, "fast");
}

/// Its log lies on a disk of its own.
#[test]
fn a_cluster_of_postgres_with_its_log_elsewhere() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    server.persist();
    server.sql("CREATE TABLE a AS SELECT 1 AS n");
    // What an earlier recovery by another program left in its configuration is none of ours.
    let marker = server.make_directory("marks").join("marker");
    server.sql("ALTER SYSTEM SET recovery_target_time = '2020-01-01 00:00:00+00'");
    server.sql(&format!("ALTER SYSTEM SET recovery_end_command = 'touch {}'", marker.display()));
    let resource = database("postgres", json!({ "host": server.host(), "port": server.port }));
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.stop("fast");
    let (log, elsewhere) =
        (server.data.join("pg_wal"), server.make_directory("own-disk").join("wal"));
    std::fs::rename(&log, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &log).unwrap();
    server.resume(&[]);
    server.sql("UPDATE a SET n = 2");
    // Only its log knows the last change, and it had no time to take its leave.
    server.stop("immediate");
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    std::fs::write(server.data.join("postmaster.pid"), format!("{}\n", gone.id())).unwrap();
    let (_, plan) = world.plan(&item, &resource, &Destination::InPlace);
    let warned = plan.checks.iter().find(|check| check.name == "log").unwrap();
    assert!(warned.message.contains(&*elsewhere.to_string_lossy()), "{warned:?}");
    let before = world.before(&item, &resource);
    let point = World::new();
    let undo_point = point.capture(&before, || (), || ()).unwrap();
    // The undo point has a log of its own.
    std::fs::rename(elsewhere.join("archive_status"), elsewhere.join("gone")).unwrap();
    world.restore(&item, &resource, &Destination::InPlace);
    assert!(!marker.exists());
    assert_eq!(server.sql("SELECT n FROM a"), "1");
    postgres::stop(&server.data, "fast");
    assert!(!log.is_symlink() && elsewhere.join("gone").is_dir(), "what lies there is not touched");
    point.restore(&undo_point, &before, &Destination::InPlace);
    assert_eq!(server.sql("SELECT n FROM a"), "2");
    postgres::stop(&server.data, "fast");
}

#[test]
fn a_database_of_postgres() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE shop");
    server.sql_in("shop", "CREATE TABLE a AS SELECT 1 AS n");
    let at = json!({
        "host": server.host(), "port": server.port, "mode": "logical", "databases": ["shop"],
    });
    let resource = database("postgres", at.clone());
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.sql_in("shop", "UPDATE a SET n = 2");
    let number = |name: &str| server.sql_in(name, "SELECT n FROM a");
    // Who asked before may still be taking leave.
    let alone = || {
        let users = "SELECT count(*) FROM pg_stat_activity WHERE datname IN ('shop', 'copy')";
        while server.sql(users) != "0" {}
    };
    let names = "SELECT count(*) FROM pg_database WHERE datname LIKE 'tintype%'";
    for (destination, name) in
        [(Destination::InPlace, "shop"), (as_new(&at, &[("database.shop", "copy")]), "copy")]
    {
        alone();
        let back = |wrote: &dyn Fn()| {
            world.written_and_taken_back(&item, &resource, &destination, || {
                wrote();
                alone();
            })
        };
        assert_eq!(back(&|| assert_eq!(number(name), "1")), None, "read alone");
        assert_eq!(server.sql(names), "0");
        alone();
        let kept = back(&|| drop(server.sql_in(name, "UPDATE a SET n = 3"))).unwrap();
        assert_eq!(number("shop"), "2");
        let kept = kept.strip_prefix("database ").unwrap();
        assert_eq!(number(kept), "3");
        server.sql(&format!("DROP DATABASE \"{kept}\""));
    }
    // Nobody knows then.
    server.sql("ALTER SYSTEM SET track_counts = off");
    server.sql("SELECT pg_reload_conf()");
    while server.sql("SHOW track_counts") != "off" {}
    alone();
    let kept = world.written_and_taken_back(&item, &resource, &Destination::InPlace, alone);
    assert!(kept.unwrap().starts_with("database "));
    assert_eq!(number("shop"), "2");
}

#[test]
fn a_database_of_mariadb() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a(n INT) ENGINE=InnoDB");
    server.sql("shop", "INSERT INTO a VALUES(1)");
    let resource = database("mariadb", json!({ "socket": server.socket }));
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.sql("shop", "UPDATE a SET n = 2");
    let at = json!({ "socket": server.socket });
    let ours = "SELECT GROUP_CONCAT(schema_name) FROM information_schema.schemata \
                WHERE CONCAT(schema_name, schema_comment) LIKE '%tintype%'";
    for (destination, name) in
        [(Destination::InPlace, "shop"), (as_new(&at, &[("database.shop", "copy")]), "copy")]
    {
        let number = |name: &str| server.sql(name, "SELECT n FROM a");
        let back =
            |wrote: &dyn Fn()| world.written_and_taken_back(&item, &resource, &destination, wrote);
        assert_eq!(back(&|| assert_eq!(number(name), "1")), None, "read alone");
        assert_eq!(server.sql("", ours), "NULL");
        let writes: [&dyn Fn(); 2] = [&|| drop(server.sql(name, "UPDATE a SET n = 3")), &|| {
            drop(server.sql(name, "CREATE PROCEDURE p() SELECT 3"));
        }];
        for (wrote, what) in writes.into_iter().zip(["SELECT n FROM a", "CALL p()"]) {
            let kept = back(wrote).unwrap();
            assert_eq!(number("shop"), "2");
            let kept = kept.strip_prefix("database ").unwrap();
            assert_eq!(server.sql(kept, what), "3");
            server.sql("", &format!("DROP DATABASE `{kept}`"));
        }
    }
    let (_, plan) = world.plan(&item, &resource, &Destination::InPlace);
    assert_eq!(blocked(&plan.checks).len(), 0);
}
