//! PostgreSQL 15, whole, under load, with a tablespace, and back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tintype_model::ErrorKind;
use tintype_model::plan::Stage;
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::{Content, Destination, Released, Source};
use tintype_testkit::postgres::{Postgres, query, stop};
use tintype_testkit::server::free_ports;

use super::world::{World, as_new, blocked, connector, database};
use crate::conformance::cleaned;
use crate::support::skipped_without_root;

pub(super) fn resource(server: &Postgres) -> Resource {
    database("postgres", json!({ "host": server.host(), "port": server.port }))
}

pub(super) fn slots(server: &Postgres) -> String {
    server.sql("SELECT count(*) FROM pg_replication_slots")
}

/// One row after the other, each acknowledged before the next; returns what the closure does,
/// which is told how to learn the last number.
fn while_writing<T>(server: &Postgres, work: impl FnOnce(&dyn Fn() -> u32) -> T) -> T {
    server.sql("CREATE TABLE IF NOT EXISTS seq(n int)");
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let (stop, written) = (&stop, &written);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                server.sql(&format!("INSERT INTO seq VALUES({number})"));
                written.store(number, Ordering::Relaxed);
            }
        });
        let wait = move || {
            let begun = Instant::now();
            let now = written.load(Ordering::Relaxed);
            while written.load(Ordering::Relaxed) < now + 2 {
                assert!(begun.elapsed() < Duration::from_mins(1), "the writer stands");
                std::thread::sleep(Duration::from_millis(5));
            }
            written.load(Ordering::Relaxed)
        };
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(stop);
        work(&wait)
    })
}

pub(super) fn data_beside(server: &Postgres, name: &str) -> PathBuf {
    server.data.with_file_name(name)
}

/// The server of a data directory that a restore started.
pub(super) struct Started(pub(super) PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        stop(&self.0, "immediate");
    }
}

#[test]
fn a_cluster_is_captured_under_load_and_restored_as_new() {
    if skipped_without_root("postgres") {
        return;
    }
    let server = Postgres::start();
    server.persist();
    let space = server.make_directory("fast disk");
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql("CREATE TABLE there(n int) TABLESPACE fast");
    server.sql("INSERT INTO there SELECT generate_series(1, 10000)");
    server.sql("CREATE DATABASE \"odd name\"");
    let made = server.pgbench(&["-i", "-q", "-s", "2"]).wait().unwrap();
    assert!(made.success());
    let mut load = server.pgbench(&["-n", "-c", "2", "-T", "600"]);
    let world = World::new();
    let resource = resource(&server);
    let (mut before, mut after) = (0, 0);
    let item = while_writing(&server, |wait| {
        world.capture(&resource, || before = wait(), || after = wait()).unwrap()
    });
    load.kill().unwrap();
    load.wait().unwrap();
    assert_eq!(slots(&server), "0");
    assert_eq!(item.consistency, Some(Consistency::Application));
    assert!(item.version.as_ref().unwrap().starts_with("15."), "{:?}", item.version);

    // As new, beside the living one.
    let [port] = free_ports();
    let copy = data_beside(&server, "copy");
    let at = json!({ "host": server.host(), "port": port, "data_directory": copy });
    let (_, plan) = world.plan(&item, &resource, &as_new(&at, &[]));
    let names: Vec<&str> = blocked(&plan.checks).iter().map(|check| &check.name[..]).collect();
    assert_eq!(names, ["identity"], "{:?}", plan.checks);
    world.restore(&item, &resource, &as_new(&at, &[("identity", "keep")]));
    let started = Started(copy.clone());
    let ask = |port, sql: &str| query(&server.host(), port, "postgres", sql);
    let check = |port| {
        let got: u32 = ask(port, "SELECT max(n) FROM seq").parse().unwrap();
        assert!((before..after).contains(&got), "{before} <= {got} < {after}");
        assert_eq!(ask(port, "SELECT count(*) FROM seq"), got.to_string(), "without holes");
        assert_eq!(ask(port, "SELECT count(*) FROM there"), "10000");
        assert_eq!(ask(port, "SELECT pg_is_in_recovery()"), "f");
        let balances = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = \
                        (SELECT sum(bbalance) FROM pgbench_branches)";
        assert_eq!(ask(port, balances), "t");
    };
    check(port);
    assert_eq!(ask(port, "SHOW archive_mode"), "off");
    let places =
        ask(port, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'");
    assert!(places.starts_with(&copy.display().to_string()), "{places}");
    drop(started);

    let (_, plan) = world.plan(&item, &resource, &Destination::InPlace);
    let names: Vec<&str> = blocked(&plan.checks).iter().map(|check| &check.name[..]).collect();
    assert!(names.contains(&"running"), "{names:?}");
}

#[test]
fn a_stopped_cluster_is_replaced() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    let space = server.make_directory("space");
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", space.display()));
    server.sql("CREATE TABLE a(n int) TABLESPACE fast");
    server.sql("INSERT INTO a VALUES(1)");
    server.persist();
    server.sql("ALTER SYSTEM SET logging_collector = on");
    server.stop("fast");
    // As `pg_ctl -o` gives it: no file says so.
    server.resume(&["work_mem=5MB", "cluster_name=it's one"]);
    let world = World::new();
    let resource = resource(&server);
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.sql("INSERT INTO a VALUES(2)");
    server.stop("fast");
    let (_, plan) = world.plan(&item, &resource, &Destination::InPlace);
    let told = plan.checks.iter().find(|check| check.name == "options").unwrap();
    assert!(told.message.contains("work_mem"), "{}", told.message);
    // Somebody starts it between the plan and the switch.
    let options = ["work_mem=5MB", "cluster_name=it's one"];
    server.resume(&options);
    let (mut target, _) = world.plan(&item, &resource, &Destination::InPlace);
    let switch = plan.steps.iter().find(|step| step.stage == Stage::Switch).unwrap();
    let refused = target.apply(switch, &world.stored).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    assert_eq!(server.sql("SELECT count(*) FROM a"), "2");
    server.stop("fast");
    world.restore(&item, &resource, &Destination::InPlace);
    let _started = Started(server.data.clone());
    assert_eq!(server.sql("SHOW work_mem"), "5MB");
    assert_eq!(server.sql("SHOW cluster_name"), "it's one");
    assert_eq!(server.sql("SELECT string_agg(n::text, ',') FROM a"), "1");
    let beside: Vec<String> = std::fs::read_dir(server.data.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("tintype-"))
        .collect();
    assert_eq!(beside, Vec::<String>::new(), "it is in the undo point");
    let log = server.data.join("tintype-start.log");
    assert!(!log.exists(), "the server keeps a log of its own");
    // A timeline later it is captured again, with that timeline's history.
    let again = World::new();
    let item = again.capture(&resource, || (), || ()).unwrap();
    assert!(again.stored.path(b"wal/00000002.history").exists());
    server.sql("INSERT INTO a VALUES(3)");
    stop(&server.data, "fast");
    again.restore(&item, &resource, &Destination::InPlace);
    assert_eq!(server.sql("SELECT string_agg(n::text, ',') FROM a"), "1");
}

/// As Debian has it, and more: a directory of files, one of which includes another.
fn include_more(file: &Path) {
    let place = file.parent().unwrap();
    std::fs::create_dir(place.join("conf.d")).unwrap();
    std::fs::write(place.join("conf.d/10-a.conf"), "work_mem = '6MB'\ninclude '../more.conf'\n")
        .unwrap();
    std::fs::write(place.join("conf.d/20-b.conf"), "work_mem = '7MB'\n").unwrap();
    std::fs::write(place.join("more.conf"), "maintenance_work_mem = '9MB'\n").unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text + "include_dir 'conf.d'\n").unwrap();
}

#[test]
fn configuration_outside_of_the_data_directory_is_captured_and_used() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    server.sql("CREATE TABLE a AS SELECT 1 AS n");
    server.stop("fast");
    let file = server.configure_outside();
    include_more(&file);
    server.resume(&[]);
    assert_eq!(server.sql("SHOW work_mem"), "7MB");
    let world = World::new();
    let resource = resource(&server);
    let item = world.capture(&resource, || (), || ()).unwrap();
    assert_eq!(item.facts["configuration"], json!(file));
    assert!(world.stored.path(b"configuration/pg_hba.conf").exists());
    assert_eq!(item.facts["included"].as_array().unwrap().len(), 3, "{}", item.facts["included"]);
    // A copy has it in its own directory, and points at nothing of the original.
    let [port] = free_ports();
    let copy = data_beside(&server, "copy");
    let at = json!({ "host": server.host(), "port": port, "data_directory": copy });
    world.restore(&item, &resource, &as_new(&at, &[("identity", "keep")]));
    let started = Started(copy.clone());
    let ask = |sql: &str| query(&server.host(), port, "postgres", sql);
    assert_eq!(ask("SELECT n FROM a"), "1");
    assert_eq!(ask("SHOW work_mem"), "7MB");
    assert_eq!(ask("SHOW maintenance_work_mem"), "9MB");
    let of_the_original = "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%/etc/%'";
    assert_eq!(ask(of_the_original), "0");
    assert_eq!(ask("SHOW hba_file"), copy.join("pg_hba.conf").display().to_string());
    assert_eq!(ask("SHOW data_directory"), copy.display().to_string());
    drop(started);
    // In place it stays where it is.
    server.sql("INSERT INTO a VALUES(2)");
    server.stop("fast");
    world.restore(&item, &resource, &Destination::InPlace);
    let _started = Started(server.data.clone());
    assert_eq!(server.sql("SELECT string_agg(n::text, ',') FROM a"), "1");
    assert_eq!(server.sql("SHOW config_file"), file.display().to_string());
}

#[test]
fn restored_twice_over_an_archiving_cluster_it_goes_on_archiving() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    let archive = server.make_directory("archive");
    let to = archive.display();
    server.persist();
    server.sql("ALTER SYSTEM SET archive_mode = on");
    server.sql(&format!("ALTER SYSTEM SET archive_command = 'test ! -f {to}/%f && cp %p {to}/%f'"));
    server.stop("fast");
    server.resume(&[]);
    server.sql("CREATE TABLE a AS SELECT 1 AS n");
    let world = World::new();
    let resource = resource(&server);
    let item = world.capture(&resource, || (), || ()).unwrap();
    for timeline in [2, 3] {
        stop(&server.data, "fast");
        let mut again = World::new();
        again.stored.root.clone_from(&world.stored.root);
        let (_, plan) = again.plan(&item, &resource, &Destination::InPlace);
        let warned = plan.checks.iter().find(|check| check.name == "archive").unwrap();
        assert!(warned.message.contains(&format!("timeline {timeline}:")), "{}", warned.message);
        again.restore(&item, &resource, &Destination::InPlace);
        for _ in 0..3 {
            server.sql("INSERT INTO a VALUES(2)");
            server.sql("SELECT pg_switch_wal()");
            server.sql("CHECKPOINT");
        }
        let begun = Instant::now();
        let history = archive.join(format!("{timeline:08X}.history"));
        let segment = || {
            std::fs::read_dir(&archive).unwrap().any(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.starts_with(&format!("{timeline:08X}0"))
            })
        };
        let waits = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
        while !history.exists() || !segment() || server.sql(waits) != "0" {
            let failed = server.sql("SELECT failed_count FROM pg_stat_archiver");
            assert_eq!(failed, "0", "archiving fails");
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing is archived");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _started = Started(server.data.clone());
    assert_eq!(server.sql("SELECT count(*) FROM a"), "4");
}

#[test]
fn a_restore_that_is_cancelled_while_it_recovers_leaves_no_server() {
    if skipped_without_root("postgres") {
        return;
    }
    let mut server = Postgres::start();
    server.sql("CREATE TABLE a AS SELECT 1 AS n");
    let world = World::new();
    let resource = resource(&server);
    let item = world.capture(&resource, || (), || ()).unwrap();
    server.stop("fast");
    let (mut target, plan) = world.plan(&item, &resource, &Destination::InPlace);
    let steps = super::world::in_order(&plan.steps);
    target.apply(steps[0], &world.stored).unwrap();
    let staged = server.data.with_file_name(format!("{}-new-data", world.context.label()));
    let cancel = world.context.cancel.clone();
    let (recovered, process) = std::thread::scope(|scope| {
        // As soon as there is a server.
        let watch = scope.spawn(|| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_mins(1) {
                let file = std::fs::read_to_string(staged.join("postmaster.pid"));
                let text = file.unwrap_or_default();
                if let Some((process, _)) = text.split_once('\n') {
                    cancel.cancel();
                    return process.to_owned();
                }
            }
            panic!("no server was started");
        });
        (target.apply(steps[1], &world.stored), watch.join().unwrap())
    });
    assert_eq!(recovered.unwrap_err().kind(), ErrorKind::Canceled);
    let works_at = std::fs::read_link(format!("/proc/{process}/cwd"));
    assert!(works_at.is_err(), "still there: {works_at:?}");
    target.undo(steps[1], &serde_json::Value::Null).unwrap();
    target.undo(steps[0], &serde_json::Value::Null).unwrap();
    assert!(!staged.exists());
}

#[test]
fn cleaning_up_leaves_the_backups_of_others_alone() {
    let server = Postgres::start();
    let (theirs, ours) = (World::new(), World::new());
    let resource = resource(&server);
    let mut source = theirs.source(&resource);
    source.prepare(None).unwrap();
    assert!(!ours.context.living.is_alive(&theirs.context.session));
    let clean = || cleaned(&*connector("postgres"), &[&resource], &ours.context).unwrap();
    assert!(clean().is_empty());
    read_ahead(&mut *source, |_| false).unwrap();
    source.freeze().unwrap();
    source.thaw().unwrap();
    source.release(Released::Failed).unwrap();
    server.sql("SELECT pg_create_physical_replication_slot('tintype_0123456789abcdef_shop')");
    assert_eq!(clean(), ["replication slot tintype_0123456789abcdef_shop of shop"]);
    assert_eq!(slots(&server), "0");
}

#[test]
fn root_acts_as_the_servers_account_where_the_rule_is_peer() {
    if skipped_without_root("postgres") {
        return;
    }
    let server = Postgres::start_with(&["--auth-local", "peer"], &[]);
    server.sql("CREATE TABLE t(n int)");
    for mode in ["physical", "logical"] {
        let at = json!({ "host": server.host(), "port": server.port, "mode": mode });
        let world = World::new();
        let item = world.capture(&database("postgres", at), || (), || ()).unwrap();
        assert_eq!(item.consistency, Some(Consistency::Application));
    }
    let at = json!({ "host": server.host(), "port": server.port, "user": "other" });
    let error = World::new().source(&database("postgres", at)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[test]
fn passwords_are_checked_and_come_from_private_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Postgres::start();
    let world = World::new();
    server.sql("CREATE ROLE saver LOGIN SUPERUSER PASSWORD 'it''s:sé\\cret'");
    server.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN SUPERUSER PASSWORD 'x'");
    let hba = server.data.join("pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("host all old 127.0.0.1/32 md5\n{rules}")).unwrap();
    server.sql("SELECT pg_reload_conf()");
    let file = world.context.scratch.parent().unwrap().join("password");
    let plan = |user: &str, password: &str, mode: u32| {
        std::fs::write(&file, format!("{password}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let at = json!({
            "host": "127.0.0.1", "port": server.port, "user": user, "password_file": file,
        });
        world.source(&database("postgres", at)).plan()
    };
    let wait = Instant::now();
    while plan("old", "x", 0o600).is_err() {
        // Until the new rules are read.
        assert!(wait.elapsed() < Duration::from_secs(10), "{:?}", plan("old", "x", 0o600));
    }
    plan("saver", "it's:sé\\cret", 0o600).unwrap();
    for user in ["saver", "old"] {
        let error = plan(user, "wrong", 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().contains("shop") && !error.message().contains("wrong"), "{error}");
    }
    let error = plan("saver", "it's:sé\\cret", 0o640).unwrap_err();
    assert!(error.message().contains("chmod 600"), "{error}");
    let at = json!({ "host": "127.0.0.1", "port": server.port, "user": "saver" });
    let error = world.source(&database("postgres", at)).plan().unwrap_err();
    assert!(error.message().contains("password_file"), "{error}");
}

#[test]
fn what_cannot_be_captured_is_refused_with_what_helps() {
    let mut server = Postgres::start_with(&[], &["wal_level=minimal", "max_wal_senders=0"]);
    let world = World::new();
    let resource = resource(&server);
    let refused = || world.source(&resource).plan().unwrap_err();
    assert!(refused().message().contains("wal_level"), "{}", refused());
    server.stop("fast");
    let gone = refused();
    assert_eq!(gone.kind(), ErrorKind::Unavailable);
    assert!(gone.message().contains("is it running"), "{gone}");
    server.resume(&["max_replication_slots=0"]);
    assert!(refused().message().contains("max_replication_slots"), "{}", refused());
    server.sql("CREATE ROLE nobody LOGIN REPLICATION");
    let at = json!({ "host": server.host(), "port": server.port, "user": "nobody" });
    server.stop("fast");
    server.resume(&[]);
    let error = world.source(&database("postgres", at)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    server.stop("fast");
    std::fs::write(server.data.join("standby.signal"), "").unwrap();
    server.resume(&[]);
    let error = refused();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("replica"), "{error}");
}

/// Reads the parts that come before the window, until `stop` says so.
pub(super) fn read_ahead(
    source: &mut dyn Source,
    mut stop: impl FnMut(u64) -> bool,
) -> tintype_model::Result<()> {
    use std::io::Read as _;
    for part in source.ahead()? {
        let Content::Stream { mut read, end, .. } = part.content else { panic!("not a stream") };
        let mut buffer = vec![0; 64 << 10];
        let mut all = 0;
        loop {
            let count =
                read.read(&mut buffer).map_err(|error| tintype_model::Error::io(error, "part"))?;
            all += count as u64;
            if stop(all) {
                return Ok(());
            }
            if count == 0 {
                break;
            }
        }
        end()?;
    }
    Ok(())
}

#[test]
fn a_connection_that_is_ended_in_the_middle_leaves_no_slot() {
    let server = Postgres::start();
    let world = World::new();
    let mut source = world.source(&resource(&server));
    source.prepare(None).unwrap();
    assert_eq!(slots(&server), "1");
    let mut ended = false;
    let error = read_ahead(&mut *source, |bytes| {
        if bytes > 100_000 && !ended {
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'");
            ended = true;
        }
        false
    })
    .unwrap_err();
    assert!(error.message().contains("shop"), "{error}");
    assert!(source.freeze().is_err());
    source.thaw().unwrap();
    source.release(Released::Failed).unwrap();
    assert_eq!(slots(&server), "0");
}

#[test]
fn a_log_that_was_removed_is_an_error_and_a_vanished_server_too() {
    let mut server = Postgres::start_with(
        &["--wal-segsize=1"],
        &["max_slot_wal_keep_size=1MB", "min_wal_size=2MB", "max_wal_size=2MB", "wal_keep_size=0"],
    );
    server.sql("CREATE TABLE a(t text)");
    let world = World::new();
    let removed = world.capture(
        &resource(&server),
        || {
            for _ in 0..8 {
                server.sql("INSERT INTO a SELECT repeat('x', 1000) FROM generate_series(1, 3000)");
                server.sql("CHECKPOINT");
            }
        },
        || (),
    );
    let error = removed.map(|item| item.facts).unwrap_err();
    assert!(error.message().contains("shop"), "{error}");
    assert_eq!(slots(&server), "0");
    let mut source = world.source(&resource(&server));
    source.prepare(None).unwrap();
    server.kill();
    let error = read_ahead(&mut *source, |_| false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    source.release(Released::Failed).unwrap();
}

#[test]
fn running_servers_are_discovered() {
    if skipped_without_root("postgres") {
        return;
    }
    let server = Postgres::start();
    let world = World::new();
    let found = connector("postgres").discover(&world.context).unwrap();
    let ours = found
        .iter()
        .find(|found| found.resource.at["port"] == json!(server.port))
        .expect("it is found");
    assert_eq!(ours.resource.at["host"], json!(server.host()));
    assert_eq!(ours.reaches, Consistency::Application);
    world.source(&ours.resource).plan().unwrap();
}
