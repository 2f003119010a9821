//! MariaDB while others write, each database from one moment, and back into others.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::plan::{Stage, Verdict};
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::{Destination, Released, Turn};
use tintype_testkit::mariadb::{MariaDb, client};
use tintype_testkit::volumes::Mounted;

use super::world::{World, as_new, blocked, connector, database, kept};

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

/// With all that hangs together in it; what stands there goes when all is done.
#[test]
fn a_database_that_is_there_is_replaced_whole() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop CHARACTER SET latin1 COMMENT 'ours'; CREATE USER app@'%'");
    server.sql("", "GRANT SELECT ON shop.* TO app@'%'");
    for sql in [
        "CREATE TABLE t(n INT PRIMARY KEY, p INT) ENGINE=InnoDB",
        "CREATE TABLE c(n INT, FOREIGN KEY (n) REFERENCES t(n)) ENGINE=InnoDB",
        "CREATE SEQUENCE s START WITH 5",
        "CREATE VIEW v AS SELECT n FROM t",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.p = 7",
        "CREATE PROCEDURE p() SELECT 'it''s; \\\\! no command'",
        "INSERT INTO t VALUES(1, 0)",
        "INSERT INTO c VALUES(1)",
    ] {
        server.sql("shop", sql);
    }
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    let in_place = Destination::InPlace;
    server.sql("shop", "INSERT INTO t VALUES(2, 0)");
    let whole = |rows: &str, what: &str| {
        assert_eq!(server.sql("shop", "SELECT GROUP_CONCAT(n) FROM v"), rows, "{what}");
        assert_eq!(server.sql("shop", "CALL p()"), "it's; \\\\! no command", "{what}");
        let made =
            "INSERT INTO t VALUES(9, 0); SELECT p FROM t WHERE n = 9; DELETE FROM t WHERE n = 9";
        assert_eq!(server.sql("shop", made), "7", "{what}");
        let parent = client(&server.socket).args(["-e", "DELETE FROM shop.t WHERE n = 1"]).output();
        assert!(!parent.unwrap().status.success(), "{what}: a child refers to it");
        assert!(server.sql("", "SHOW CREATE DATABASE shop").contains("latin1"), "{what}");
        let ours = "SELECT COUNT(*) FROM information_schema.schemata \
                    WHERE schema_name LIKE 'tintype%' OR schema_comment LIKE 'tintype%'";
        assert_eq!(server.sql("", ours), "0", "{what}");
        let tables =
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_name LIKE 'tintype%'";
        assert_eq!(server.sql("", tables), "0", "{what}");
    };
    world.undo_after_each_step(&item, &resource(&server), &in_place, |count| {
        whole("1,2", &format!("undone after {count} steps"));
        assert!(server.sql("", "SHOW CREATE DATABASE shop").contains("ours"));
    });
    let mut user = client(&server.socket)
        .args(["--database=shop", "-e", "SELECT SLEEP(600)"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let users = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'shop'";
    while server.sql("", users) == "0" {}
    let (_, plan) = world.plan(&item, &resource(&server), &in_place);
    assert_eq!(blocked(&plan.checks)[0].name, "running");
    user.kill().unwrap();
    user.wait().unwrap();
    server.sql(
        "",
        "SELECT CONCAT('KILL ', id) INTO @k FROM information_schema.processlist \
                    WHERE db = 'shop'; EXECUTE IMMEDIATE @k",
    );
    while server.sql("", users) != "0" {}
    let before = world.before(&item, &resource(&server));
    assert_eq!(before.at["databases"], json!(["shop"]), "exactly what is replaced");
    world.restore(&item, &resource(&server), &in_place);
    whole("1", "restored");
    assert_eq!(
        server.sql("", "SELECT COUNT(*) FROM mysql.db WHERE user = 'app'"),
        "1",
        "its rights"
    );
}

#[test]
fn a_database_that_changes_after_the_undo_point_stays() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    server.sql("shop", "INSERT INTO t VALUES(1)");
    server.sql("shop", "CREATE VIEW v AS SELECT n FROM t");
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    let (mut target, plan) = world.plan(&item, &resource(&server), &Destination::InPlace);
    let mut last = Value::Null;
    for step in &plan.steps {
        last = target.apply(step, &world.stored).unwrap();
        if step.stage == Stage::Watch {
            server.sql("shop", "UPDATE t SET n = 2");
        }
    }
    assert_eq!(server.sql("shop", "SELECT n FROM t"), "1");
    let kept = kept(&last).unwrap();
    assert_eq!(server.sql(kept.strip_prefix("database ").unwrap(), "SELECT n FROM v"), "2");
    // A name that somebody took after the plan stays his.
    let rules = [("database.shop", "copy")];
    let (mut target, plan) = world.plan(&item, &resource(&server), &as_new(&at(&server), &rules));
    server.sql("", "CREATE DATABASE copy");
    target.apply(&plan.steps[0], &world.stored).unwrap_err();
    target.undo(&plan.steps[0], &Value::Null).unwrap();
    assert!(server.sql("", "SHOW DATABASES").contains("copy"));
    let (_, plan) = world.plan(&item, &resource(&server), &as_new(&at(&server), &rules));
    assert_eq!(blocked(&plan.checks)[0].name, "name");
}

/// Those that are missing are made, with password and rights; those that are there stay.
#[test]
fn accounts_of_the_snapshot_log_in_afterwards() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    server.sql("shop", "INSERT INTO t VALUES(1)");
    server.sql("", "CREATE USER app@'localhost' IDENTIFIED BY 'a;b''c'; CREATE ROLE reader");
    server.sql("", "GRANT SELECT ON shop.* TO reader; GRANT reader TO app@'localhost'");
    server.sql("", "SET DEFAULT ROLE reader FOR app@'localhost'");
    server.sql("", "CREATE USER other@'localhost' IDENTIFIED BY 'old'");
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    let copy = MariaDb::start();
    copy.sql("", "CREATE USER other@'localhost' IDENTIFIED BY 'new'");
    let logs_in = |user: &str, password: &str| {
        let mut client = client(&copy.socket);
        client.args([&format!("-u{user}"), &format!("-p{password}"), "-e", "SELECT n FROM shop.t"]);
        client.output().unwrap()
    };
    let to = as_new(&at(&copy), &[]);
    let (_, plan) = world.plan(&item, &resource(&server), &to);
    let check = plan.checks.iter().find(|check| check.name == "accounts").unwrap();
    assert!(check.message.contains("'app'@'localhost', 'reader'"), "{check:?}");
    assert!(!check.message.contains("'other'"), "{check:?}");
    let accounts = "SELECT GROUP_CONCAT(user ORDER BY 1) FROM mysql.user \
                    WHERE user IN ('app', 'reader', 'other')";
    world.undo_after_each_step(&item, &resource(&server), &to, |count| {
        assert_eq!(copy.sql("", accounts), "other", "undone after {count} steps");
    });
    world.restore(&item, &resource(&server), &to);
    let said = logs_in("app", "a;b'c");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "1", "{said:?}");
    assert!(!String::from_utf8_lossy(&logs_in("other", "old").stderr).contains("SELECT command"));
    assert!(String::from_utf8_lossy(&logs_in("other", "new").stderr).contains("SELECT command"));
    assert!(!copy.sql("", "SHOW DATABASES").contains("tintype"));
    // And none, if that is wanted.
    let none = MariaDb::start();
    world.restore(&item, &resource(&server), &as_new(&at(&none), &[("accounts", "none")]));
    assert_eq!(none.sql("", accounts), "NULL");
}

#[test]
fn a_user_that_may_not_restore_is_told_before() {
    let server = MariaDb::start();
    server.sql("", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t(n INT) ENGINE=InnoDB");
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    server
        .sql("", "CREATE USER less@'localhost'; GRANT SELECT, PROCESS ON *.* TO less@'localhost'");
    let at = json!({ "socket": server.socket, "user": "less" });
    let rules = [("database.shop", "copy"), ("accounts", "none")];
    let check = |at: &Value, name: &str| {
        let (_, plan) = world.plan(&item, &resource(&server), &as_new(at, &rules));
        plan.checks.into_iter().find(|check| check.name == name).unwrap()
    };
    let refused = check(&at, "permissions");
    assert_eq!(refused.outcome, Verdict::Block);
    assert!(refused.message.contains("less@localhost lacks INSERT, CREATE"), "{refused:?}");
    server.sql("", "GRANT ALL ON *.* TO less@'localhost'");
    assert_eq!(check(&at, "permissions").outcome, Verdict::Pass);
    let of_root = check(&at, "free-space");
    assert!(of_root.message.contains("MiB free"), "{of_root:?}");
    // Of another host it cannot be known.
    let far = json!({ "host": "127.0.0.2", "port": server.port, "user": "less" });
    server.sql("", "CREATE USER less@'%'; GRANT ALL ON *.* TO less@'%'");
    if std::net::TcpStream::connect(("127.0.0.2", server.port)).is_ok() {
        assert_eq!(check(&far, "free-space").outcome, Verdict::Warn);
    }
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
