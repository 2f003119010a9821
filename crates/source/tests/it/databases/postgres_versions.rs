//! PostgreSQL beyond Debian's 15, and from one major version to another.

use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::Check;
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::Destination;
use tintype_testkit::postgres::{Postgres, query, stop};
use tintype_testkit::server::free_ports;

use super::world::{World, as_new, blocked, database};
use crate::support::skipped_without_root;

fn at(server: &Postgres, more: Value) -> Value {
    let mut at = json!({
        "host": server.host(), "port": server.port, "programs": server.programs,
    });
    let Value::Object(more) = more else { panic!("fields") };
    at.as_object_mut().unwrap().extend(more);
    at
}

fn physical(server: &Postgres) -> Resource {
    database("postgres", at(server, json!({})))
}

fn logical(server: &Postgres) -> Resource {
    database("postgres", at(server, json!({ "mode": "logical" })))
}

/// All of it, with a tablespace, as a new cluster that runs beside the old one, and over it.
fn whole(major: u32) {
    let mut server = Postgres::start_version(major);
    server.persist();
    let space = server.make_directory("space");
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql("CREATE TABLE t(n int) TABLESPACE fast; INSERT INTO t VALUES(1)");
    let mut world = World::new();
    let resource = physical(&server);
    let item = world
        .capture(
            &resource,
            || drop(server.sql("INSERT INTO t VALUES(2)")),
            || drop(server.sql("INSERT INTO t VALUES(3)")),
        )
        .unwrap();
    assert_eq!(item.consistency, Some(Consistency::Application));
    assert!(item.version.as_ref().unwrap().starts_with(&major.to_string()), "{:?}", item.version);
    assert_eq!(server.sql("SELECT count(*) FROM pg_replication_slots"), "0");
    let [port] = free_ports();
    let copy = server.data.with_file_name("copy");
    let new = at(&server, json!({ "port": port, "data_directory": copy }));
    world.restore(&item, &resource, &as_new(&new, &[("identity", "keep")]));
    let rows = "SELECT string_agg(n::text, ',' ORDER BY n) FROM t";
    let restored = query(&server.host(), port, "postgres", rows);
    stop(&copy, "immediate");
    assert_eq!(restored, "1,2");
    server.stop("fast");
    let mut again = World::new();
    std::mem::swap(&mut again.stored, &mut world.stored);
    again.restore(&item, &resource, &Destination::InPlace);
    assert_eq!(server.sql(rows), "1,2");
}

fn version_checks(checks: &[Check]) -> Vec<&str> {
    blocked(checks).iter().map(|check| &check.message[..]).collect()
}

fn captured(server: &Postgres) -> (World, Resource, Item) {
    let (world, resource) = (World::new(), physical(server));
    let item = world.capture(&resource, || (), || ()).unwrap();
    (world, resource, item)
}

/// Files of one major version are nothing to another one, whose server would be started on them.
#[test]
fn seventeen_comes_back_and_does_not_take_what_is_of_fifteen() {
    if skipped_without_root("postgres") {
        return;
    }
    whole(17);
    let old = Postgres::start();
    let (world, resource, item) = captured(&old);
    let mut new = Postgres::start_version(17);
    new.sql("CREATE TABLE t(n int)");
    new.stop("fast");
    // Its programs, and a place that is new.
    let place = new.data.with_file_name("copy");
    let [port] = free_ports();
    let into = at(&new, json!({ "port": port, "data_directory": place }));
    let (_, plan) = world.plan(&item, &resource, &as_new(&into, &[("identity", "keep")]));
    assert_eq!(version_checks(&plan.checks), ["the snapshot is of PostgreSQL 15, here is 17"]);
    // The programs of 15, over the data of 17.
    let over = json!({ "host": new.host(), "port": new.port, "data_directory": new.data });
    let (_, plan) = world.plan(&item, &database("postgres", over), &Destination::InPlace);
    let shown = new.data.display();
    let wanted = format!("{shown} holds data of PostgreSQL 17, the snapshot is of 15");
    assert_eq!(version_checks(&plan.checks), [wanted]);
    new.resume(&[]);
    assert_eq!(new.sql("SELECT count(*) FROM t"), "0");
}

#[test]
#[ignore = "downloads PostgreSQL 18: cargo test --workspace --all-features --test it -- --ignored eighteen"]
fn eighteen_comes_back() {
    if skipped_without_root("postgres") {
        return;
    }
    whole(18);
}

/// Dumps go to the same or a newer version, with the way in which each database sorts.
#[test]
#[ignore = "downloads PostgreSQL 18: cargo test --workspace --all-features --test it -- --ignored eighteen"]
fn dumps_go_into_eighteen_and_not_back() {
    let old = Postgres::start();
    old.sql("CREATE ROLE app LOGIN PASSWORD 'x'");
    old.sql("CREATE DATABASE shop OWNER app");
    old.sql_in(
        "shop",
        "CREATE TABLE t(n int); INSERT INTO t VALUES(1); ALTER TABLE t OWNER TO app",
    );
    let new = Postgres::start_version(18);
    let world = World::new();
    let resource = logical(&old);
    let item = world.capture(&resource, || (), || ()).unwrap();
    let into = at(&new, json!({ "mode": "logical", "databases": ["shop"] }));
    world.restore(&item, &resource, &as_new(&into, &[]));
    assert_eq!(new.sql_in("shop", "SELECT n FROM t"), "1");
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'";
    assert_eq!(new.sql(owner), "app");

    new.sql(
        "CREATE DATABASE plain TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
    );
    new.sql_in("plain", "CREATE TABLE t(n int); INSERT INTO t VALUES(2)");
    let world = World::new();
    let resource = logical(&new);
    let item = world.capture(&resource, || (), || ()).unwrap();
    let into = at(&new, json!({ "mode": "logical", "databases": ["plain"] }));
    world.restore(&item, &resource, &as_new(&into, &[("database.plain", "copy")]));
    assert_eq!(new.sql_in("copy", "SELECT n FROM t"), "2");
    let sorts = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'copy'";
    assert_eq!(new.sql(sorts), "bC.UTF-8");

    let back = at(&old, json!({ "mode": "logical", "databases": ["plain"] }));
    let (_, plan) = world.plan(&item, &resource, &as_new(&back, &[]));
    assert_eq!(version_checks(&plan.checks), ["the dump is of PostgreSQL 18, the server is 15"]);
}
