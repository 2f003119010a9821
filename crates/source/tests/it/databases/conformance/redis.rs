//! Redis with an append-only file: it keeps its data when it is stopped for a restore.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde_json::json;
use tintype_model::resource::{Kind, Resource};
use tintype_testkit::redis::Redis;

use super::super::world::as_new;
use super::ours;
use crate::conformance::{AsNew, Held, World, resource, sources_conform, targets_conform};

const APPEND: [&str; 4] = ["--save", "", "--appendonly", "yes"];
const DUMP: [&str; 2] = ["--save", ""];

struct RedisWorld {
    server: Mutex<Redis>,
    data: PathBuf,
}

/// The number that a server in a directory reads there.
fn number_in(directory: &Path, fill: impl FnOnce(&Path)) -> u64 {
    let mut server = Redis::start(&DUMP);
    server.stop();
    directory.clone_into(&mut server.data);
    fill(directory);
    server.resume(&DUMP);
    let both = server.ask(&["MGET", "a", "b"]);
    let (a, b) = both.split_once('\n').unwrap();
    assert_eq!(a, b, "torn");
    a.parse().unwrap()
}

impl RedisWorld {
    fn server(&self) -> MutexGuard<'_, Redis> {
        let mut server = self.server.lock().unwrap();
        if !server.is_running() {
            server.resume(&APPEND);
        }
        server
    }
}

impl World for RedisWorld {
    fn resource(&self) -> Resource {
        let socket = &self.server.lock().unwrap().socket;
        resource(Kind::Database, "shop", "redis", &[("socket", json!(socket))])
    }

    fn write(&self, number: u64) {
        let number = number.to_string();
        self.server().ask(&["MSET", "a", &number, "b", &number]);
    }

    fn now(&self) -> u64 {
        self.server().ask(&["GET", "a"]).parse().unwrap_or_default()
    }

    fn captured(&self, held: &Held) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        number_in(directory.path(), |place| {
            std::fs::copy(held.path(b"dump.rdb"), place.join("dump.rdb")).unwrap();
        })
    }

    fn state(&self) -> String {
        self.server().ask(&["MGET", "a", "b"])
    }

    fn leftovers(&self) -> Vec<String> {
        ours(&self.data)
    }

    fn make_way(&self) -> bool {
        self.server.lock().unwrap().stop();
        true
    }

    fn as_new(&self) -> Option<AsNew> {
        let copy = self.data.with_file_name("copy");
        let at = json!({ "socket": copy.join("sock"), "data_directory": copy });
        let destination = as_new(&at, &[("append-only", "no")]);
        Some(AsNew { destination, now: Box::new(move || number_in(&copy, |_| ())) })
    }
}

#[test]
fn redis() {
    let server = Redis::start(&APPEND);
    let data = server.data.clone();
    let world = RedisWorld { server: Mutex::new(server), data };
    sources_conform(&world);
    targets_conform(&world);
}
