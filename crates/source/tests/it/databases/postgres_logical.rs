//! Single databases of PostgreSQL by dumps of one moment.

use serde_json::json;
use tintype_model::ErrorKind;
use tintype_model::item::Item;
use tintype_model::plan::{Stage, Verdict};
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::Destination;
use tintype_testkit::postgres::Postgres;

use super::world::{World, as_new, blocked, database};

#[test]
fn databases_are_dumped_at_the_freeze_and_restored_one_by_one() {
    let server = Postgres::start();
    server.sql(
        "CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE \"odd role\"; GRANT \"odd role\" TO app",
    );
    server.sql("CREATE DATABASE shop OWNER app");
    server.sql("CREATE DATABASE \"a/b='c\"");
    server.sql_in(
        "shop",
        "CREATE TABLE t(n int); INSERT INTO t VALUES(1); ALTER TABLE t OWNER TO app",
    );
    server.sql_in("a/b='c", "CREATE TABLE odd(n int); INSERT INTO odd VALUES(7)");
    let world = World::new();
    let at = json!({
        "host": server.host(), "port": server.port, "mode": "logical",
        "databases": ["shop", "a/b='c"],
    });
    let resource = database("postgres", at.clone());
    let insert = |n| server.sql_in("shop", &format!("INSERT INTO t VALUES({n})"));
    let item = world.capture(&resource, || drop(insert(2)), || drop(insert(3))).unwrap();
    assert_eq!(item.consistency, Some(Consistency::Application));
    assert!(world.stored.path(b"a%2Fb%3D%27c.dump").exists());

    // Under another name, beside the living one.
    let rules = [("database.shop", "copy"), ("database.a/b='c", "other")];
    world.restore(&item, &resource, &as_new(&at, &rules));
    assert_eq!(server.sql_in("copy", "SELECT string_agg(n::text, ',') FROM t"), "1,2");
    assert_eq!(server.sql_in("other", "SELECT n FROM odd"), "7");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 't'";
    assert_eq!(server.sql_in("copy", owner), "app");
    let (_, plan) = world.plan(&item, &resource, &as_new(&at, &rules));
    assert_eq!(blocked(&plan.checks).len(), 2, "the names are taken now");

    in_place(&world, &server, &item, &resource);
    into_another(&world, &item, &resource);
}

/// Over the living one, undone from every step first.
fn in_place(world: &World, server: &Postgres, item: &Item, resource: &Resource) {
    world.undo_after_each_step(item, resource, &Destination::InPlace, |count| {
        let rows = server.sql_in("shop", "SELECT string_agg(n::text, ',') FROM t");
        assert_eq!(rows, "1,2,3", "undone after {count} steps");
        let names = "SELECT count(*) FROM pg_database WHERE datname LIKE 'tintype%'";
        assert_eq!(server.sql(names), "0", "undone after {count} steps");
    });
    let mut user = std::process::Command::new(tintype_testkit::postgres::program("psql"))
        .args([
            "-h",
            &server.host(),
            "-p",
            &server.port.to_string(),
            "-U",
            "postgres",
            "-d",
            "shop",
        ])
        .args(["-c", "SELECT pg_sleep(600)"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let in_use = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'";
    while server.sql(in_use) == "0" {}
    let (_, plan) = world.plan(item, resource, &Destination::InPlace);
    assert_eq!(blocked(&plan.checks)[0].name, "running");
    user.kill().unwrap();
    user.wait().unwrap();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'");
    while server.sql(in_use) != "0" {}
    world.restore(item, resource, &Destination::InPlace);
    assert_eq!(server.sql_in("shop", "SELECT string_agg(n::text, ',') FROM t"), "1,2");
}

/// Written to after the undo point, before it is renamed: what was replaced is not dropped. What
/// autovacuum does in that time is no change.
/// Also the one in which a server is asked what concerns all of it.
#[test]
fn all_databases_come_back_over_themselves() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE shop");
    let all = ["postgres", "shop"];
    for name in all {
        server.sql_in(name, "CREATE TABLE t AS SELECT 1 AS n");
    }
    let at = json!({ "host": server.host(), "port": server.port, "mode": "logical" });
    let resource = database("postgres", at);
    let world = World::new();
    let item = world.capture(&resource, || (), || ()).unwrap();
    // Who asked before may still be taking leave.
    let alone = || {
        let users = "SELECT count(*) FROM pg_stat_activity WHERE datname IN ('postgres', 'shop')";
        while server.sql_in("template1", users) != "0" {}
    };
    all.iter().for_each(|name| drop(server.sql_in(name, "UPDATE t SET n = 2")));
    alone();
    let kept = world.written_and_taken_back(&item, &resource, &Destination::InPlace, alone);
    assert_eq!(kept, None);
    assert_eq!(all.map(|name| server.sql_in(name, "SELECT n FROM t")), ["2", "2"]);
    alone();
    world.restore(&item, &resource, &Destination::InPlace);
    assert_eq!(all.map(|name| server.sql_in(name, "SELECT n FROM t")), ["1", "1"]);
}

#[test]
fn a_database_that_changes_after_the_undo_point_stays() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE shop");
    server.sql("COMMENT ON DATABASE shop IS 'its own'");
    server.sql_in("shop", "CREATE TABLE t(n int); INSERT INTO t VALUES(1)");
    let wide = "CREATE TABLE wide AS SELECT n, repeat(md5(n::text), 28) AS text \
                FROM generate_series(1, 300) n; CREATE STATISTICS of_both ON n, text FROM wide";
    server.sql_in("shop", wide);
    let world = World::new();
    let at = json!({ "host": server.host(), "port": server.port, "mode": "logical" });
    let resource = Resource { excludes: vec!["postgres".into()], ..database("postgres", at) };
    let item = world.capture(&resource, || (), || ()).unwrap();
    let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database \
                   WHERE datname = 'shop'";
    let writings = [
        ("SELECT 1", "1"),
        ("VACUUM (FREEZE, ANALYZE)", "1"),
        ("CREATE TABLE later()", "1"),
        ("INSERT INTO t VALUES(2)", "1,2"),
    ];
    for (number, (writing, there)) in writings.into_iter().enumerate() {
        let writes = number > 1;
        let (mut target, plan) = world.plan(&item, &resource, &Destination::InPlace);
        let mut last = serde_json::Value::Null;
        for step in &plan.steps {
            last = target.apply(step, &world.stored).unwrap();
            if step.stage == Stage::Watch {
                // It is no part of what the undo point captures.
                let point = World::new().capture(&resource, || (), || ()).unwrap();
                let names = point.facts["databases"].to_string();
                assert!(names.contains("shop") && !names.contains("tintype"), "{names}");
                server.sql_in("shop", writing);
            }
        }
        assert_eq!(server.sql_in("shop", "SELECT string_agg(n::text, ',') FROM t"), "1");
        assert_eq!(server.sql(comment), "its own");
        let Some(kept) = last["kept"].as_str() else {
            assert!(!writes, "{writing}: {last}");
            continue;
        };
        assert!(writes, "{writing}: {kept}");
        let name = kept.strip_prefix("database ").unwrap();
        assert_eq!(server.sql_in(name, "SELECT string_agg(n::text, ',') FROM t"), there);
        let later = "SELECT count(*) FROM pg_class WHERE relname = 'later'";
        assert_eq!(server.sql_in(name, later), if there == "1" { "1" } else { "0" });
        // The next round has the same session.
        server.sql(&format!("DROP DATABASE \"{name}\""));
    }
}

/// Into a server that knows none of the roles.
fn into_another(world: &World, item: &Item, resource: &Resource) {
    let other = Postgres::start();
    let at = json!({ "host": other.host(), "port": other.port, "mode": "logical" });
    world.undo_after_each_step(item, resource, &as_new(&at, &[]), |count| {
        let roles = "SELECT count(*) FROM pg_roles WHERE rolname IN ('app', 'odd role')";
        assert_eq!(other.sql(roles), "0", "undone after {count} steps");
    });
    world.restore(item, resource, &as_new(&at, &[]));
    assert_eq!(other.sql_in("shop", "SELECT string_agg(n::text, ',') FROM t"), "1,2");
    assert_eq!(other.sql("SELECT pg_has_role('app', 'odd role', 'member')"), "t");
    let password = "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'app'";
    assert_eq!(other.sql(password), "t");
}

#[test]
fn a_replica_is_dumped_and_a_password_stays_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut server = Postgres::start();
    server.sql("CREATE TABLE t(n int); INSERT INTO t VALUES(1)");
    server.sql("CREATE ROLE saver LOGIN SUPERUSER PASSWORD 'a:b\\c'");
    server.stop("fast");
    std::fs::write(server.data.join("standby.signal"), "").unwrap();
    server.resume(&[]);
    let world = World::new();
    let file = world.context.scratch.parent().unwrap().join("password");
    std::fs::write(&file, "a:b\\c\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let at = json!({
        "host": "127.0.0.1", "port": server.port, "mode": "logical", "user": "saver",
        "password_file": file,
    });
    let item = world.capture(&database("postgres", at), || (), || ()).unwrap();
    assert_eq!(item.facts["databases"][0]["tables"], 1);
}

#[test]
fn a_dump_that_breaks_off_is_no_dump() {
    let server = Postgres::start();
    server.sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS n, repeat('x', 500) AS pad");
    let world = World::new();
    let at = json!({ "host": server.host(), "port": server.port, "mode": "logical" });
    let captured = world.capture(
        &database("postgres", at),
        || (),
        || {
            // The transaction that exported the snapshot ends, and with it the snapshot.
            server.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name LIKE 'tintype%' AND pid <> pg_backend_pid()",
            );
        },
    );
    let error = captured.map(|item| item.facts).unwrap_err();
    assert!(error.message().contains("shop"), "{error}");
}

/// What belongs to a database beside what it holds.
fn properties(server: &Postgres, database: &str) -> String {
    server.sql(&format!(
        "SELECT concat_ws('|', pg_get_userbyid(datdba), datconnlimit, spcname, \
         shobj_description(d.oid, 'pg_database'), \
         (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a), \
         (SELECT string_agg(setrole::regrole::text || array_to_string(setconfig, ','), ' ' \
          ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)) \
         FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace \
         WHERE datname = '{database}'"
    ))
}

#[test]
fn rights_settings_and_limits_of_a_database_come_back() {
    let server = Postgres::start();
    let space = server.make_directory("space");
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql("CREATE ROLE app; CREATE ROLE reader LOGIN");
    server.sql("CREATE DATABASE shop OWNER app TABLESPACE fast");
    server.sql_in("shop", "CREATE TABLE t AS SELECT 1 AS n");
    for statement in [
        "REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
        "GRANT CONNECT ON DATABASE shop TO reader WITH GRANT OPTION",
        "ALTER DATABASE shop SET search_path = \"$user\", app, public",
        "ALTER DATABASE shop SET default_transaction_read_only = on",
        "ALTER ROLE reader IN DATABASE shop SET my.setting = 'it''s = 7MB'",
        "ALTER DATABASE shop CONNECTION LIMIT 7",
        "COMMENT ON DATABASE shop IS 'orders, \"all\"'",
    ] {
        server.sql(statement);
    }
    let before = properties(&server, "shop");
    assert!(before.contains("fast") && before.contains("reader=c*/app"), "{before}");
    let world = World::new();
    let at = json!({
        "host": server.host(), "port": server.port, "mode": "logical", "databases": ["shop"],
    });
    let resource = database("postgres", at.clone());
    let item = world.capture(&resource, || (), || ()).unwrap();
    world.restore(&item, &resource, &as_new(&at, &[("database.shop", "copy")]));
    assert_eq!(properties(&server, "copy"), before);
    let path = server.sql_in("copy", "SHOW search_path");
    assert_eq!(path, "\"$user\", app, public");
    // In place they are those of the snapshot, whatever was done meanwhile.
    server.sql("GRANT CONNECT ON DATABASE shop TO PUBLIC");
    server.sql("ALTER DATABASE shop RESET ALL");
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'") != "0" {}
    world.restore(&item, &resource, &Destination::InPlace);
    assert_eq!(properties(&server, "shop"), before);
    // Where there is no such tablespace, that is said.
    let other = Postgres::start();
    let there = json!({ "host": other.host(), "port": other.port, "mode": "logical" });
    let (_, plan) = world.plan(&item, &resource, &as_new(&there, &[]));
    assert!(plan.checks.iter().any(|check| check.name == "tablespace"), "{:?}", plan.checks);
    world.restore(&item, &resource, &as_new(&there, &[]));
    assert_eq!(properties(&other, "shop"), before.replace("fast", "pg_default"));
}

#[test]
fn roles_are_made_all_or_none_and_only_own_ones_are_dropped() {
    let server = Postgres::start();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE team; GRANT team TO app");
    server.sql("COMMENT ON ROLE app IS 'of\nALTER ROLE app WITH SUPERUSER;\nus'");
    server.sql("CREATE DATABASE shop OWNER app");
    let world = World::new();
    let at = json!({
        "host": server.host(), "port": server.port, "mode": "logical", "databases": ["shop"],
    });
    let item = world.capture(&database("postgres", at), || (), || ()).unwrap();
    let other = Postgres::start();
    let there = json!({ "host": other.host(), "port": other.port, "mode": "logical" });
    let (resource, destination) = (database("postgres", there.clone()), as_new(&there, &[]));
    let made = || other.sql("SELECT count(*) FROM pg_roles WHERE rolname IN ('app', 'team')");

    // One statement that fails.
    let path = world.stored.path(b"globals.sql");
    let script = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{script}ALTER ROLE app SET no_such_setting TO 'x';\n")).unwrap();
    let (mut target, plan) = world.plan(&item, &resource, &destination);
    let roles = &plan.steps[0];
    assert_eq!(roles.action["logical"]["roles"]["roles"]["names"], json!(["app", "team"]));
    target.apply(roles, &world.stored).unwrap_err();
    assert_eq!(made(), "0");
    std::fs::write(&path, script).unwrap();
    // Made, and the process ends before it is written down; the next one goes on.
    target.apply(roles, &world.stored).unwrap();
    target.apply(roles, &world.stored).unwrap();
    assert_eq!(other.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'app'"), "t");
    assert_eq!(other.sql("SELECT pg_has_role('app', 'team', 'member')"), "t");
    target.undo(roles, &serde_json::Value::Null).unwrap();
    assert_eq!(made(), "0");
    // Somebody else makes one meanwhile: it stays theirs.
    other.sql("CREATE ROLE app");
    let error = target.apply(roles, &world.stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    target.undo(roles, &serde_json::Value::Null).unwrap();
    assert_eq!(made(), "1");
    other.sql("DROP ROLE app");

    world.restore(&item, &resource, &destination);
    let comments = "SELECT string_agg(coalesce(shobj_description(oid, 'pg_authid'), '-'), ',' \
                    ORDER BY rolname) FROM pg_roles WHERE rolname IN ('app', 'team')";
    assert_eq!(other.sql(comments), "of\nALTER ROLE app WITH SUPERUSER;\nus,-");
    assert_eq!(other.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'app'"), "f");
}

#[test]
fn a_user_that_may_not_restore_is_told_before() {
    let server = Postgres::start();
    server.sql("CREATE DATABASE shop");
    server.sql("CREATE ROLE less LOGIN");
    let world = World::new();
    let at = |user: &str| {
        json!({
            "host": server.host(), "port": server.port, "user": user, "mode": "logical",
            "databases": ["shop"],
        })
    };
    let resource = database("postgres", at("postgres"));
    let item = world.capture(&resource, || (), || ()).unwrap();
    let check = |user: &str, name: &str| {
        let to = as_new(&at(user), &[("database.shop", "copy")]);
        let (_, plan) = world.plan(&item, &resource, &to);
        plan.checks.into_iter().find(|check| check.name == name).unwrap()
    };
    let refused = check("less", "permissions");
    assert_eq!(refused.outcome, Verdict::Block);
    assert!(refused.message.contains("less may not make databases"), "{refused:?}");
    assert_eq!(check("less", "free-space").outcome, Verdict::Warn, "it may not ask where data is");
    server.sql("ALTER ROLE less CREATEDB");
    assert_eq!(check("less", "permissions").outcome, Verdict::Warn);
    assert_eq!(check("postgres", "permissions").outcome, Verdict::Pass);
    if rustix::process::geteuid().is_root() {
        assert_eq!(check("postgres", "free-space").outcome, Verdict::Pass);
    }
}
