//! SQLite while others write, and back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::plan::{Check, Stage};
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::{Destination, Released, Turn};

use super::world::{World, as_new, blocked, connector, database};

fn make(path: &Path, mode: &str, rows: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
    let make = "CREATE TABLE a(n INTEGER PRIMARY KEY, pad TEXT); CREATE TABLE b(n INTEGER)";
    connection.execute_batch(make).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for number in 0..rows {
        write(&connection, number);
    }
    connection.execute_batch("COMMIT").unwrap();
    connection
}

/// Both tables or none.
fn write(connection: &Connection, number: u32) {
    let batch = format!(
        "SAVEPOINT w; INSERT INTO a VALUES({number}, hex(randomblob(300)));
         INSERT INTO b VALUES({number}); RELEASE w"
    );
    connection.execute_batch(&batch).unwrap();
}

fn last(path: &Path) -> u32 {
    let connection = Connection::open(path).unwrap();
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
    let ask = |table| {
        let query = format!("SELECT max(n), count(*) FROM {table}");
        connection.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let (a, b): ((u32, u32), (u32, u32)) = (ask("a"), ask("b"));
    assert_eq!(a, b, "one transaction is there whole");
    assert_eq!(a.0 + 1, a.1, "without holes");
    a.0
}

fn at(path: &Path) -> Resource {
    database("sqlite", json!({ "path": path }))
}

#[test]
fn what_is_captured_is_the_moment_of_the_freeze_while_a_writer_goes_on() {
    for mode in ["wal", "delete", "truncate", "persist"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let writer = make(&path, mode, 3000);
        let world = World::new();
        let stop = AtomicBool::new(false);
        let written = std::sync::atomic::AtomicU32::new(2999);
        let (mut before, mut after) = (0, 0);
        let (stop, written) = (&stop, &written);
        let item = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut number = 3000;
                while !stop.load(Ordering::Relaxed) {
                    write(&writer, number);
                    written.store(number, Ordering::Relaxed);
                    number += 1;
                    // The copy of a rollback journal's file begins again with each change.
                    std::thread::sleep(Duration::from_millis(30));
                }
            });
            let wait = || {
                let now = written.load(Ordering::Relaxed);
                let begun = Instant::now();
                while written.load(Ordering::Relaxed) < now + 3 {
                    assert!(begun.elapsed() < Duration::from_secs(30), "{mode}: the writer stands");
                    std::thread::sleep(Duration::from_millis(5));
                }
                written.load(Ordering::Relaxed)
            };
            let item = world.capture(&at(&path), || before = wait(), || after = wait());
            stop.store(true, Ordering::Relaxed);
            item.unwrap()
        });
        assert_eq!(item.consistency, Some(Consistency::Application), "{mode}");
        let got = last(&world.stored.path(b"database.sqlite"));
        assert!((before..after).contains(&got), "{mode}: {before} <= {got} < {after}");
    }
}

#[test]
fn a_copy_that_is_current_is_not_made_again_in_the_window() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let writer = make(&path, "delete", 100);
    let world = World::new();
    let mut source = world.source(&at(&path));
    let plan = source.plan().unwrap();
    assert!(plan.freezes.unwrap().contains("commits wait"));
    source.prepare(None).unwrap();
    let copy = std::fs::read_dir(&world.context.scratch).unwrap().next().unwrap().unwrap().path();
    let inode_time = || std::fs::metadata(&copy).unwrap().modified().unwrap();
    assert_eq!(source.turn(), Turn::Waits, "nothing else stands still while it is copied");
    // Hours may pass before the window.
    let prepared = inode_time();
    writer.execute_batch("INSERT INTO b VALUES(0)").unwrap();
    source.renew().unwrap();
    let before = inode_time();
    assert!(before > prepared);
    source.freeze().unwrap();
    assert_eq!(inode_time(), before);
    writer.busy_timeout(Duration::ZERO).unwrap();
    let refused = writer.execute_batch("INSERT INTO b VALUES(1)");
    assert!(refused.is_err(), "commits wait while it is frozen");
    source.thaw().unwrap();
    writer.execute_batch("INSERT INTO b VALUES(1)").unwrap();
    source.release(tintype_source::connector::Released::Failed).unwrap();
}

#[test]
fn it_is_restored_as_new_and_in_place_with_its_journals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let writer = make(&path, "wal", 500);
    let world = World::new();
    let resource = at(&path);
    let item = world.capture(&resource, || (), || ()).unwrap();

    let copy = directory.path().join("copy.db");
    world.restore(&item, &resource, &as_new(&json!({ "path": copy }), &[]));
    assert_eq!(last(&copy), 499);
    let (_, plan) = world.plan(&item, &resource, &as_new(&json!({ "path": copy }), &[]));
    assert_eq!(blocked(&plan.checks)[0].name, "place");

    // Later rows stand in the log only: it must go and come with its database.
    for number in 500..600 {
        write(&writer, number);
    }
    let (_, plan) = world.plan(&item, &resource, &Destination::InPlace);
    assert!(blocked(&plan.checks).is_empty(), "this process itself is not in its own way");
    assert!(plan.replaces);
    std::mem::forget(writer);
    world.undo_after_each_step(&item, &resource, &Destination::InPlace, |count| {
        assert_eq!(last(&path), 599, "undone after {count} steps");
    });
    world.restore(&item, &resource, &Destination::InPlace);
    assert_eq!(last(&path), 499);
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("tintype-"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// By a program that opens it for a moment, between the undo point and the switch.
#[test]
fn what_is_written_after_the_undo_point_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let writer = make(&path, "delete", 10);
    let world = World::new();
    let item = world.capture(&at(&path), || (), || ()).unwrap();
    write(&writer, 10);
    drop(writer);
    for is_written in [false, true] {
        let (mut target, plan) = world.plan(&item, &at(&path), &Destination::InPlace);
        let mut last_done = Value::Null;
        for step in &plan.steps {
            if step.stage == Stage::Switch && is_written {
                let writer = Connection::open(&path).unwrap();
                (10..30).for_each(|number| write(&writer, number));
            }
            last_done = target.apply(step, &world.stored).unwrap();
            // Interrupted before it was written down.
            assert_eq!(target.apply(step, &world.stored).unwrap(), last_done);
        }
        assert_eq!(last(&path), 9);
        assert_eq!(last_done["kept"].is_string(), is_written, "{last_done}");
        if let Some(kept) = last_done["kept"].as_str() {
            assert_eq!(last(Path::new(kept)), 29);
        }
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "it and what is kept");
}

#[test]
fn a_database_in_use_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(make(&path, "delete", 10));
    let world = World::new();
    let item = world.capture(&at(&path), || (), || ()).unwrap();
    let mut user = std::process::Command::new("tail")
        .args(["-f", path.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // It opens the file when it has begun.
    let begun = Instant::now();
    let blocked = loop {
        let (_, plan) = world.plan(&item, &at(&path), &Destination::InPlace);
        let blocks: Vec<_> = blocked(&plan.checks).into_iter().cloned().collect();
        if !blocks.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            break blocks;
        }
    };
    user.kill().unwrap();
    user.wait().unwrap();
    assert_eq!(blocked[0].name, "running");
    assert!(blocked[0].message.contains("tail (pid "), "{}", blocked[0].message);
}

/// Between the plan and the switch, and between that and its way back.
#[test]
fn a_database_that_was_opened_meanwhile_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let writer = make(&path, "delete", 10);
    let world = World::new();
    let item = world.capture(&at(&path), || (), || ()).unwrap();
    (10..20).for_each(|number| write(&writer, number));
    drop(writer);
    let (mut target, plan) = world.plan(&item, &at(&path), &Destination::InPlace);
    assert_eq!(blocked(&plan.checks), Vec::<&Check>::new());
    let of = |stage| plan.steps.iter().find(|step| step.stage == stage).unwrap();
    target.apply(of(Stage::Stage), &world.stored).unwrap();
    let user = || {
        let file = std::fs::File::open(&path).unwrap();
        std::process::Command::new("sleep").arg("60").stdin(file).spawn().unwrap()
    };
    let end = |mut user: std::process::Child| {
        user.kill().unwrap();
        user.wait().unwrap();
    };
    let used = user();
    let refused = target.apply(of(Stage::Switch), &world.stored).unwrap_err();
    end(used);
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    assert!(refused.message().contains("sleep (pid "), "{refused}");
    assert_eq!(last(&path), 19);
    target.apply(of(Stage::Switch), &world.stored).unwrap();
    assert_eq!(last(&path), 9);
    let used = user();
    // It is in its place: there is nothing to do.
    target.apply(of(Stage::Switch), &world.stored).unwrap();
    let refused = target.undo(of(Stage::Switch), &Value::Null).unwrap_err();
    end(used);
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    assert_eq!(last(&path), 9);
    target.undo(of(Stage::Switch), &Value::Null).unwrap();
    assert_eq!(last(&path), 19);
}

#[test]
fn what_cannot_be_captured_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let world = World::new();
    let plan = |resource: &Resource| world.source(resource).plan().unwrap_err();
    assert_eq!(plan(&at(&path)).kind(), ErrorKind::NotFound);
    std::fs::write(&path, "no database at all, but some text".repeat(99)).unwrap();
    let error = plan(&at(&path));
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().starts_with("shop: "), "{error}");
    std::fs::remove_file(&path).unwrap();
    let alone = make(&path, "delete", 10);
    alone.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let error = plan(&at(&path));
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let wrong =
        connector("sqlite").source(&database("sqlite", json!({ "file": 1 })), &world.context);
    assert_eq!(wrong.err().unwrap().kind(), ErrorKind::Invalid);
}

#[test]
fn a_lock_that_another_part_of_the_process_loses_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let _writer = make(&path, "wal", 100);
    let world = World::new();
    let mut source = world.source(&at(&path));
    source.prepare(None).unwrap();
    source.freeze().unwrap();
    source.thaw().unwrap();
    // As a walk of the directory does.
    drop(std::fs::File::open(directory.path().join("shop.db-shm")).unwrap());
    let error = source.view().err().expect("it is noticed");
    assert!(error.message().contains("lock"), "{error}");
    source.release(tintype_source::connector::Released::Failed).unwrap();
}

/// The manager and its agent look for databases while they capture some.
#[test]
fn a_discovery_in_the_same_process_loses_no_lock() {
    for mode in ["wal", "delete"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let writer = make(&path, mode, 100);
        let world = World::new();
        let discover = || {
            let found = connector("sqlite").discover(&world.context).unwrap();
            let at = json!({ "path": path });
            assert!(found.iter().any(|one| Value::from(one.resource.at.clone()) == at), "{mode}");
        };
        let mut source = world.source(&at(&path));
        source.plan().unwrap();
        source.prepare(None).unwrap();
        source.freeze().unwrap();
        discover();
        let shm = directory.path().join("shop.db-shm");
        let locked = if mode == "wal" { &shm } else { &path };
        assert!(is_locked(locked), "{mode}");
        source.thaw().unwrap();
        discover();
        source.view().unwrap_or_else(|error| panic!("{mode}: {error}"));
        source.release(Released::Committed).unwrap();
        drop((source, writer));
        assert!(!is_locked(locked), "{mode}");
    }
}

/// Whether this process holds a POSIX lock on a file.
fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(meta) = path.metadata() else { return false };
    let end = format!(":{}", meta.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let own = std::process::id().to_string();
    locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|fields| {
        fields.contains(&"POSIX")
            && fields.contains(&&own[..])
            && fields.iter().any(|f| f.ends_with(&end))
    })
}

#[test]
fn a_damaged_database_is_captured_and_said() {
    use std::os::unix::fs::FileExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(make(&path, "delete", 500));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 4096], 4096 * 5).unwrap();
    let world = World::new();
    let item = world.capture(&at(&path), || (), || ()).unwrap();
    assert_eq!(item.consistency, Some(Consistency::None));
    assert!(item.reason.unwrap().contains("damaged"));
}

#[test]
fn open_databases_are_discovered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let _open = make(&path, "wal", 10);
    let world = World::new();
    let found = connector("sqlite").discover(&world.context).unwrap();
    let path = path.canonicalize().unwrap();
    let ours = found.iter().find(|found| found.resource.at["path"] == json!(path)).unwrap();
    assert_eq!(ours.reaches, Consistency::Application);
    tintype_model::resource::check_name(&ours.resource.name).unwrap();
}
