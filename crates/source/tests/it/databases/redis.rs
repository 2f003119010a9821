//! Redis while others write, and back into a server with and without an append-only file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_model::ErrorKind;
use tintype_model::plan::Stage;
use tintype_model::resource::{Consistency, Resource};
use tintype_source::connector::{Destination, Released};
use tintype_testkit::redis::Redis;

use super::world::{World, as_new, blocked, connector, database};

fn at(server: &Redis) -> Value {
    json!({ "socket": server.socket })
}

fn resource(server: &Redis) -> Resource {
    database("redis", at(server))
}

#[test]
fn what_is_captured_is_the_moment_of_the_freeze_while_a_writer_goes_on() {
    let server = Redis::start(&["--save", ""]);
    server.ask(&[
        "EVAL",
        "for i=1,200000 do redis.call('SET', 'k'..i, string.rep('x', 50)) end",
        "0",
    ]);
    let world = World::new();
    let (stop, written) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let (mut before, mut after) = (0, 0);
    let server = &server;
    let item = std::thread::scope(|scope| {
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let number = server.ask(&["INCR", "seq"]);
                written.store(number.parse().unwrap(), Ordering::Relaxed);
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
    assert_eq!(item.consistency, Some(Consistency::Application));
    let directory = tempfile::tempdir().unwrap();
    let mut copy = Redis::start(&["--save", ""]);
    copy.stop();
    let to = json!({ "socket": copy.socket, "data_directory": copy.data });
    world.restore(&item, &resource(server), &as_new(&to, &[]));
    copy.resume(&["--save", ""]);
    let got: u64 = copy.ask(&["GET", "seq"]).parse().unwrap();
    assert!((before..after).contains(&got), "{before} <= {got} < {after}");
    assert_eq!(copy.ask(&["DBSIZE"]), "200001");
    drop(directory);
}

#[test]
fn it_is_restored_in_place_for_a_server_that_reads_its_append_only_file() {
    let settings = ["--appendonly", "yes", "--save", ""];
    let mut server = Redis::start(&settings);
    server.ask(&["SET", "a", "1"]);
    let world = World::new();
    let item = world.capture(&resource(&server), || (), || ()).unwrap();
    server.ask(&["SET", "a", "2"]);
    let (_, plan) = world.plan(&item, &resource(&server), &Destination::InPlace);
    let running = blocked(&plan.checks)[0];
    assert_eq!(running.name, "running");
    assert!(running.message.contains("redis-server (pid"), "{}", running.message);
    server.stop();
    world.undo_after_each_step(&item, &resource(&server), &Destination::InPlace, |count| {
        server.resume(&settings);
        assert_eq!(server.ask(&["GET", "a"]), "2", "undone after {count} steps");
        server.stop();
    });
    // Somebody starts it between the plan and the switch.
    let (mut target, plan) = world.plan(&item, &resource(&server), &Destination::InPlace);
    target.apply(&plan.steps[0], &world.stored).unwrap();
    server.resume(&settings);
    let switch = plan.steps.iter().find(|step| step.stage == Stage::Switch).unwrap();
    let refused = target.apply(switch, &world.stored).unwrap_err();
    assert!(refused.message().contains("redis-server (pid"), "{refused}");
    assert_eq!(server.ask(&["GET", "a"]), "2");
    server.stop();
    target.undo(&plan.steps[0], &Value::Null).unwrap();
    world.restore(&item, &resource(&server), &Destination::InPlace);
    server.resume(&settings);
    assert_eq!(server.ask(&["GET", "a"]), "1");
    server.ask(&["SET", "a", "3"]);
    server.stop();
    server.resume(&settings);
    assert_eq!(server.ask(&["GET", "a"]), "3", "its append-only file goes on");
    // And into one that has none.
    let mut copy = Redis::start(&["--save", ""]);
    copy.stop();
    let to = json!({ "socket": copy.socket, "data_directory": copy.data });
    world.restore(&item, &resource(&server), &as_new(&to, &[("append-only", "no")]));
    copy.resume(&["--save", ""]);
    assert_eq!(copy.ask(&["GET", "a"]), "1");
}

#[test]
fn what_cannot_be_captured_says_why() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut server = Redis::start(&["--requirepass", "a b"]);
    let world = World::new();
    let error = world.source(&resource(&server)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("password_file"), "{error}");
    let file = world.context.scratch.parent().unwrap().join("password");
    let plan = |password: &str| {
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let at = json!({ "socket": server.socket, "password_file": file });
        world.source(&database("redis", at)).plan()
    };
    assert_eq!(plan("wrong").unwrap_err().kind(), ErrorKind::Denied);
    plan("a b\n").unwrap();
    server.stop();
    server.resume(&["--replicaof", "127.0.0.1 1"]);
    let error = world.source(&resource(&server)).plan().unwrap_err();
    assert!(error.message().contains("capture the master"), "{error}");
    server.stop();
    let error = world.source(&resource(&server)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[test]
fn a_server_that_cannot_save_or_dies_fails_the_item_only() {
    let mut server = Redis::start(&["--save", ""]);
    server.ask(&["SET", "a", "1"]);
    let world = World::new();
    let directory = server.data.clone();
    let saved = world.capture(
        &resource(&server),
        // Nothing can be written where it is.
        || std::fs::remove_dir(&directory).unwrap(),
        || (),
    );
    let error = saved.map(|item| item.facts).unwrap_err();
    assert!(error.message().contains("shop"), "{error}");
    std::fs::create_dir(&directory).unwrap();
    let mut source = world.source(&resource(&server));
    source.prepare(None).unwrap();
    server.stop();
    assert_eq!(source.freeze().unwrap_err().kind(), ErrorKind::Unavailable);
    source.thaw().unwrap();
    source.release(Released::Failed).unwrap();
}

#[test]
fn running_servers_are_discovered() {
    let server = Redis::start(&["--save", ""]);
    let world = World::new();
    let found = connector("redis").discover(&world.context).unwrap();
    let is_ours = |at: &Value| at["socket"] == json!(server.socket);
    let ours =
        found.iter().find(|found| is_ours(&Value::Object(found.resource.at.clone()))).unwrap();
    assert_eq!(ours.resource.at["data_directory"], json!(server.data.canonicalize().unwrap()));
    world.source(&ours.resource).plan().unwrap();
}
