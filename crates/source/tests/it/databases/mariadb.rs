//! MariaDB while others write, each database from one moment, and back into others.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::{Destination, Released, Turn};
use tintype_testkit::mariadb::{MariaDb, client};
use tintype_testkit::volumes::Mounted;

use super::world::{World, as_new, blocked, connector, database};

fn at(server: &MariaDb) -> Value {
    json!({ "socket": server.socket })
}

fn resource(server: &MariaDb) -> Resource {
    database("mariadb", at(server))
}

#[test]
fn all_databases_are_of_the_moment_of_the_freeze_while_a_writer_goes_on() {
    let server = MariaDb::start();
    for name in ["one", "two", "odd `na/me"] {
        server.sql(
            "",
            &format!("CREATE DATABASE `{}` CHARACTER SET latin1", name.replace('`', "``")),
        );
        server.sql(name, "CREATE TABLE t(n INT PRIMARY KEY, pad BLOB) ENGINE=InnoDB");
    }
    server.sql("one", "INSERT INTO t SELECT seq, REPEAT('x', 500) FROM seq_1_to_20000");
    server.sql("one", "CREATE VIEW v AS SELECT COUNT(*) FROM t");
    server.sql("one", "CREATE PROCEDURE p() SELECT 1");
    server.sql("", "CREATE DATABASE empty");
    let world = World::new();
    let (stop, written) = (&AtomicBool::new(false), &AtomicU32::new(20_000));
    let (mut before, mut after) = (0, 0);
    let server = &server;
    let item = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut number = 20_000;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                // First the one, then the other: never is `two` ahead.
                server.sql("one", &format!("INSERT INTO t VALUES({number}, '')"));
                server.sql("two", &format!("INSERT INTO t VALUES({number}, '')"));
                written.store(number, Ordering::Relaxed);
            }
        });
        let wait = || {
            let (begun, now) = (Instant::now(), written.load(Ordering::Relaxed));
            while written.load(Ordering::Relaxed) < now + 2 {
                assert!(begun.elapsed() < Duration::from_mins(1), "the writer stands");
                std::thread::sleep(Duration::from_millis(2));
            }
            written.load(Ordering::Relaxed)
        };
        let item = world.capture(&resource(server), || before = wait(), || after = wait());
        stop.store(true, Ordering::Relaxed);
        item.unwrap()
    });
    assert_eq!(item.consistency, Some(Consistency::Application), "{:?}", item.reason);
    assert!(item.version.as_ref().unwrap().contains("MariaDB"));

    let copy = MariaDb::start();
    world.undo_after_each_step(&item, &resource(server), &as_new(&at(&copy), &[]), |count| {
        assert!(!copy.sql("", "SHOW DATABASES").contains("one"), "undone after {count} steps");
    });
    world.restore(&item, &resource(server), &as_new(&at(&copy), &[]));
    let last = |name| copy.sql(name, "SELECT MAX(n) FROM t").parse::<u32>().unwrap();
    let (one, two) = (last("one"), last("two"));
    assert!((before..after).contains(&two), "{before} <= {two} < {after}");
    assert!(one == two || one == two + 1, "of one moment: {one}, {two}");
    assert_eq!(copy.sql("one", "SELECT * FROM v"), one.to_string());
    assert_eq!(copy.sql("one", "CALL p()"), "1");
    assert!(copy.sql("odd `na/me", "SHOW CREATE DATABASE `odd ``na/me`").contains("latin1"));
    assert!(!copy.sql("", "SHOW CREATE DATABASE one").contains("tintype"));
    assert!(copy.sql("", "SHOW DATABASES").contains("empty"));
    let users = std::fs::read_to_string(world.stored.path(b"users.sql")).unwrap();
    assert!(users.contains("CREATE USER"), "{users}");
}

#[test]
fn a_database_that_is_there_is_never_replaced() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    server.sql("shop", "INSERT INTO t VALUES(1)");
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    let (_, plan) = world.plan(&item, &resource(&server), &Destination::InPlace);
    assert_eq!(blocked(&plan.checks)[0].name, "name");
    // Made by somebody else after the plan: it stays.
    let rules = [("database.shop", "copy")];
    let (mut target, plan) = world.plan(&item, &resource(&server), &as_new(&at(&server), &rules));
    server.sql("", "CREATE DATABASE copy");
    target.apply(&plan.steps[0], &world.stored).unwrap_err();
    target.undo(&plan.steps[0], &Value::Null).unwrap();
    assert!(server.sql("", "SHOW DATABASES").contains("copy"));
    server.sql("", "DROP DATABASE copy");
    world.restore(&item, &resource(&server), &as_new(&at(&server), &rules));
    assert_eq!(server.sql("copy", "SELECT n FROM t"), "1");
    server.sql("", "DROP DATABASE shop");
    world.restore(&item, &resource(&server), &Destination::InPlace);
    assert_eq!(server.sql("shop", "SELECT n FROM t"), "1");
}

#[test]
fn tables_without_transactions_are_said() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE old(n INT) ENGINE=MyISAM");
    let world = World::new();
    let plan = world.source(&resource(&server)).plan().unwrap();
    assert_eq!(plan.reaches, Consistency::None);
    assert!(plan.why_not_more.unwrap().contains("shop.old"));
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    assert_eq!(item.consistency, Some(Consistency::None));
    let without = json!({ "socket": server.socket, "databases": ["nothing"] });
    let error = world.source(&database("mariadb", without)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A dump of accounts needs more than one of data.
#[test]
fn accounts_that_cannot_be_read_are_said() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE small; CREATE TABLE small.a(n int) ENGINE=InnoDB");
    let rights = "GRANT RELOAD, PROCESS ON *.* TO saver@'localhost'; GRANT SELECT, SHOW VIEW, \
                  TRIGGER, EVENT, LOCK TABLES ON small.* TO saver@'localhost'";
    server.sql("", &format!("CREATE USER saver@'localhost'; {rights}"));
    let mut resource = resource(&server);
    resource.at.insert("user".into(), json!("saver"));
    let world = World::new();
    let mut source = world.source(&resource);
    source.plan().unwrap();
    source.prepare(None).unwrap();
    assert_eq!(source.turn(), Turn::Waits);
    source.freeze().unwrap();
    source.thaw().unwrap();
    let view = source.view().unwrap();
    let why = view.why_not_more.unwrap_or_default();
    assert_eq!(view.consistency, Consistency::Application);
    assert!(why.contains("accounts are not in it"), "{why}");
    source.release(Released::Failed).unwrap();
}

#[test]
fn passwords_are_checked_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = MariaDb::start();
    server.sql("", "CREATE USER saver@'%' IDENTIFIED BY 'a\"b\\\\c #d'");
    server.sql("", "GRANT ALL ON *.* TO saver@'%'");
    let world = World::new();
    let file = world.context.scratch.parent().unwrap().join("password");
    let plan = |password: &str| {
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let at = json!({ "host": "127.0.0.1", "port": server.port, "user": "saver", "password_file": file });
        world.source(&database("mariadb", at)).plan()
    };
    plan("a\"b\\c #d\n").unwrap();
    let error = plan("wrong").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().starts_with("shop: ") && !error.message().contains("wrong"), "{error}");
    let left: Vec<_> = std::fs::read_dir(&world.context.scratch).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_statement_that_runs_for_long_or_a_dead_server_fails_the_item_and_holds_nothing() {
    let mut server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    let world = World::new();
    let mut holder = client(&server.socket)
        .args(["-e", "LOCK TABLES shop.t WRITE; SELECT SLEEP(600)"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let held = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(600)' AND id <> CONNECTION_ID()";
    while server.sql("", held) == "0" {}
    let begun = Instant::now();
    let error = world.capture(&resource(&server), || (), || ()).map(|item| item.facts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    holder.kill().unwrap();
    holder.wait().unwrap();
    server.sql("", "SELECT 1");
    let mut source = world.source(&resource(&server));
    source.prepare(None).unwrap();
    source.freeze().unwrap();
    // Dropped while it is frozen, as with a killed process: the lock dies with its connection.
    drop(source);
    while server.sql("", "SELECT COUNT(*) FROM information_schema.processlist") != "1" {}
    server.sql("shop", "INSERT INTO t VALUES(1)");
    let mut source = world.source(&resource(&server));
    source.prepare(None).unwrap();
    server.stop();
    assert!(source.freeze().is_err());
    assert!(source.thaw().is_err(), "the view is worth nothing");
    source.release(Released::Failed).unwrap();
}

#[test]
fn running_servers_are_discovered() {
    let server = MariaDb::start();
    let world = World::new();
    let found = connector("mariadb").discover(&world.context).unwrap();
    let ours =
        found.iter().find(|found| found.resource.at["socket"] == json!(server.socket)).unwrap();
    world.source(&ours.resource).plan().unwrap();
}

/// Two databases, each larger than what pipes and sockets hold.
fn large(server: &MariaDb) {
    for name in ["one", "two"] {
        server.sql("", &format!("CREATE DATABASE {name}"));
        server.sql(name, "CREATE TABLE t(n INT PRIMARY KEY, pad TEXT) ENGINE=InnoDB");
        server.sql(name, "INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_6000");
    }
}

#[test]
fn dumps_go_on_while_the_run_does_something_else() {
    let server = MariaDb::start();
    large(&server);
    // The server ends whoever makes it wait.
    server.sql("", "SET GLOBAL net_write_timeout = 1");
    let world = World::new();
    let slow = || std::thread::sleep(Duration::from_secs(3));
    world.capture(&resource(&server), || (), slow).unwrap();
    for name in ["one", "two"] {
        let dump = std::fs::read(world.stored.path(format!("databases/{name}.sql").as_bytes()));
        let dump = dump.unwrap();
        assert!(dump.len() > 6_000_000, "{name}: {} bytes", dump.len());
        assert!(String::from_utf8_lossy(&dump[dump.len() - 100..]).contains("-- Dump completed"));
    }
    // Each takes a connection.
    server.sql("", "SET GLOBAL max_connections = 10");
    (0..6).for_each(|number| drop(server.sql("", &format!("CREATE DATABASE more{number}"))));
    let error = world.source(&resource(&server)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("raise max_connections"), "{error}");
    server.sql("", "SET GLOBAL max_connections = 100");
    world.source(&resource(&server)).plan().unwrap();
}

#[test]
fn scratch_that_fills_up_fails_the_item_and_says_so() {
    if crate::support::skipped_without_root("tmpfs") {
        return;
    }
    let server = MariaDb::start();
    large(&server);
    let world = World::new();
    let memory = Mounted::tmpfs(&world.context.scratch, 32);
    let mut source = world.source(&resource(&server));
    source.plan().unwrap();
    source.prepare(None).unwrap();
    // Somebody else takes the room.
    std::fs::write(memory.path.join("filler"), vec![1; 28 << 20]).unwrap();
    let frozen = source.freeze();
    let thawed = source.thaw();
    let error = frozen.and(thawed).and_then(|()| source.view().map(drop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(
        error.message().starts_with("shop: ") && error.message().contains("scratch"),
        "{error}"
    );
    source.release(Released::Failed).unwrap();
    while server.sql("", "SELECT COUNT(*) FROM information_schema.processlist") != "1" {}
    let left: Vec<_> = std::fs::read_dir(&world.context.scratch).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_crafted_dump_runs_nothing_on_this_host() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    server.sql("", "DROP DATABASE shop");
    let (mut target, plan) = world.plan(&item, &resource(&server), &Destination::InPlace);
    assert!(plan.checks.iter().any(|check| check.name == "client"), "{:?}", plan.checks);
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let script = directory.path().join("script.sql");
    std::fs::write(&script, "CREATE TABLE sourced(n INT);\n").unwrap();
    let (mark, script) = (mark.to_str().unwrap(), script.to_str().unwrap());
    for crafted in [
        format!("\\! touch {mark}\n"),
        format!("system touch {mark}\n"),
        format!("SELECT 1; \\! touch {mark}\n"),
        format!("\\T {mark}\nSELECT 1;\n"),
        format!("pager touch {mark}\nSELECT 1;\n"),
        format!("source {script}\nSELECT * FROM sourced INTO OUTFILE '{mark}';\n"),
        format!("CREATE TABLE l(t TEXT);\nLOAD DATA LOCAL INFILE '{script}' INTO TABLE l;\n"),
    ] {
        std::fs::write(world.stored.path(b"databases/shop.sql"), &crafted).unwrap();
        let filled = target.apply(&plan.steps[0], &world.stored);
        assert!(!std::path::Path::new(mark).exists(), "{crafted}: ran");
        let rows = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'sourced'";
        assert_eq!(server.sql("", rows), "0", "{crafted}: {filled:?}");
        if crafted.contains("LOCAL") {
            filled.unwrap_err();
        }
        target.undo(&plan.steps[0], &Value::Null).unwrap();
    }
}
