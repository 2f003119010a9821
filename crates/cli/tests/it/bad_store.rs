//! A bucket that fails in the middle of the work: the program, a real store, and between them
//! a proxy that does what networks do.

use serde_json::Value;
use tintype_engine::backend::{AccessKey, BackendOptions, open_backend};
use tintype_engine::env::Env;
use tintype_testkit::faulty_proxy::{Fault, FaultyProxy, Rule};
use tintype_testkit::seaweedfs;

use crate::support::{Lab, Ran, noise};

struct Bucket {
    lab: Lab,
    proxy: FaultyProxy,
    name: &'static str,
}

impl Bucket {
    /// A lab with a repository in a bucket of its own.
    fn new(name: &'static str) -> Self {
        make_bucket(name);
        let proxy = FaultyProxy::start(&seaweedfs::shared().endpoint, Vec::new());
        let bucket = Self { lab: Lab::new(), proxy, name };
        let sheet = bucket.lab.text("sheet");
        bucket.run(&["init", "--no-probe", "--recovery-key-out", &sheet]).expect(0);
        bucket
    }

    fn at(&self, endpoint: &str, args: &[&str]) -> Ran {
        let store = seaweedfs::shared();
        let mut command = self.lab.command(args);
        command
            .env("TINTYPE_REPOSITORY", format!("s3://{}/repository?endpoint={endpoint}", self.name))
            .env("AWS_ACCESS_KEY_ID", store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", store.secret_key);
        Ran::of(&command.output().unwrap())
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.at(&self.proxy.endpoint, args)
    }

    /// Past the proxy.
    fn directly(&self, args: &[&str]) -> Ran {
        self.at(&seaweedfs::shared().endpoint, args)
    }

    #[track_caller]
    fn snapshot_directly(&self) -> Value {
        self.directly(&["snapshot", "--json", &self.lab.text("source")]).expect(0).summary()
    }
}

/// SeaweedFS makes a bucket for the first object that is put into it.
fn make_bucket(name: &str) {
    let store = seaweedfs::shared();
    let key = AccessKey::new(store.access_key, store.secret_key, None);
    let options = BackendOptions { access_key: Some(key), ..BackendOptions::default() };
    let url = format!("s3://{name}?endpoint={}", store.endpoint);
    let opened = open_backend(&url, &options, &Env::system()).unwrap();
    opened.backend.put("first", b"").unwrap();
}

#[test]
fn a_snapshot_and_a_restore_survive_trouble() {
    let bucket = Bucket::new("survives");
    let lab = &bucket.lab;
    lab.write("source/file", noise(20 << 20, "survives"));
    let busy = |method, target: &[&str]| Rule::new(method, target, Fault::Answer(503, "SlowDown"));
    bucket.proxy.set(vec![
        busy("GET", &["list-type=2"]),
        busy("POST", &["uploads"]),
        Rule::new("PUT", &["partNumber=1"], Fault::Answer(500, "InternalError")),
        Rule::new("PUT", &["partNumber=2"], Fault::LostAnswer),
        Rule::new("PUT", &["/meta/"], Fault::Answer(500, "InternalError")),
        Rule::new("PUT", &["/fate/"], Fault::LostAnswer),
    ]);
    bucket.run(&["snapshot", &lab.text("source")]).expect(0);
    assert_eq!(bucket.proxy.count("PUT", "partNumber=1"), 2);
    assert!(bucket.proxy.count("PUT", "/fate/") >= 2, "{:?}", bucket.proxy.asked());
    bucket.proxy.set(vec![
        Rule::new("GET", &["/data/"], Fault::HalfBody).times(3),
        Rule::new("GET", &["/meta/"], Fault::HalfBody),
        Rule::new("GET", &["list-type=2"], Fault::HalfBody),
        Rule::new("GET", &["/data/"], Fault::Answer(500, "InternalError")).from(3),
    ]);
    bucket.run(&["restore", "latest", "--to", &lab.text("out"), "--verify"]).expect(0);
    assert!(lab.read("out/source/file") == noise(20 << 20, "survives"));
    assert!(bucket.proxy.count("GET", "/data/") > 4);
    bucket.directly(&["verify", "--all"]).expect(0);
}

#[test]
fn a_refusal_ends_the_run_and_loses_nothing() {
    let bucket = Bucket::new("refuses");
    let lab = &bucket.lab;
    lab.write("source/file", noise(3 << 20, "first"));
    bucket.snapshot_directly();
    let forbid = |target: &str| {
        vec![Rule::new("PUT", &[target], Fault::Answer(403, "AccessDenied")).times(usize::MAX)]
    };
    for target in ["/session/", "/data/", "/meta/", "/index/", "/fate/"] {
        lab.write("source/file", noise(3 << 20, target));
        bucket.proxy.set(forbid(target));
        let refused = bucket.run(&["snapshot", &lab.text("source")]).expect(1);
        assert!(refused.err.contains("access denied"), "{target}: {}", refused.err);
        assert!(refused.err.contains("hint: check who may"), "{target}: {}", refused.err);
        let listed = bucket.directly(&["list", "--json"]).expect(0).summary();
        assert_eq!(listed["snapshots"], 1, "{target}");
    }
    bucket.snapshot_directly();
    bucket.directly(&["restore", "latest~1", "--to", &lab.text("out")]).expect(0);
    assert!(lab.read("out/source/file") == noise(3 << 20, "first"));
    bucket.directly(&["verify", "--all"]).expect(0);
}

#[test]
fn a_store_that_vanishes_ends_the_run_and_the_next_one_goes_on() {
    let bucket = Bucket::new("vanishes");
    let lab = &bucket.lab;
    // Two packs, so that the first is whole and the second is on its way.
    lab.write("source/file", noise(100 << 20, "vanishes"));
    bucket.proxy.set(vec![Rule::new("PUT", &["partNumber=3"], Fault::Vanish).from(1)]);
    let gone = bucket.run(&["snapshot", &lab.text("source"), "--tries", "3"]).expect(1);
    assert!(gone.err.contains("after 3 tries"), "{}", gone.err);
    assert!(gone.err.contains("hint: run it again later"), "{}", gone.err);
    let listed = bucket.directly(&["list", "--json"]).expect(0).summary();
    assert_eq!(listed["snapshots"], 0);
    bucket.snapshot_directly();
    bucket.directly(&["gc"]).expect(0);
    bucket.directly(&["verify", "--all"]).expect(0);
}
