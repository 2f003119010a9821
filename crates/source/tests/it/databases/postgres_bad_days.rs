//! PostgreSQL in trouble: each fails its own item, and leaves nothing on the server.

use serde_json::json;
use tintype_model::ErrorKind;
use tintype_source::connector::Released;
use tintype_testkit::postgres::Postgres;

use super::postgres::{read_ahead, resource, slots};
use super::world::{World, database};
use crate::support::skipped_without_root;

#[test]
fn a_disk_of_the_server_that_fills_up_during_the_base_backup() {
    if skipped_without_root("postgres") {
        return;
    }
    let (mut server, memory) = Postgres::start_in_memory(128);
    server.sql("CREATE TABLE t(n int, pad text); INSERT INTO t VALUES(1, '')");
    let world = World::new();
    let mut source = world.source(&resource(&server));
    source.plan().unwrap();
    source.prepare(None).unwrap();
    let filler = memory.path.join("filler");
    let mut said = None;
    let ahead = read_ahead(&mut *source, |bytes| {
        if bytes > 100_000 && said.is_none() {
            // As much as fits; then somebody writes more log than the last segment takes.
            let _ = std::io::copy(
                &mut std::io::repeat(1),
                &mut std::fs::File::create(&filler).unwrap(),
            );
            let write =
                "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(2, 60000) n";
            said = server.try_sql(write).err();
        }
        false
    });
    let said = said.expect("there was room");
    assert!(said.contains("No space left") || said.contains("terminat"), "{said}");
    let error = ahead.and_then(|()| source.freeze()).and_then(|()| source.view().map(drop));
    let error = error.unwrap_err();
    assert!(error.message().contains("shop"), "{error}");
    source.thaw().unwrap();
    // Another one does not hang, either.
    let full = world.capture(&resource(&server), || (), || ()).map(|item| item.facts).unwrap_err();
    assert!(full.message().contains("shop"), "{full}");
    source.release(Released::Failed).unwrap();
    std::fs::remove_file(&filler).unwrap();
    server.stop("immediate");
    server.resume(&[]);
    assert_eq!(slots(&server), "0");
    assert_eq!(server.sql("SELECT max(n) FROM t"), "1");
    World::new().capture(&resource(&server), || (), || ()).unwrap();
}

#[test]
fn a_replica_is_dumped_and_not_copied_and_one_that_only_recovers_says_so() {
    let primary = Postgres::start();
    primary.sql("CREATE TABLE t(n int); INSERT INTO t VALUES(1)");
    let mut replica = primary.replica(&[]);
    let world = World::new();
    let error = world.source(&resource(&replica)).plan().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("capture its primary"), "{error}");
    let at = json!({ "host": replica.host(), "port": replica.port, "mode": "logical" });
    let dump = database("postgres", at);
    let item = world.capture(&dump, || (), || ()).unwrap();
    assert_eq!(item.facts["databases"][0]["tables"], 1);
    assert_eq!(slots(&primary), "0");
    replica.stop("fast");
    replica.resume_closed(&["hot_standby=off"]);
    for closed in [&resource(&replica), &dump] {
        let error = World::new().capture(closed, || (), || ()).map(|item| item.facts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("shop"), "{error}");
        assert!(error.message().contains("not accepting connections"), "{error}");
    }
}
