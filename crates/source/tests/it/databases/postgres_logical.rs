//! Single databases of PostgreSQL by dumps of one moment.

use serde_json::json;
use tintype_model::item::Item;
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
