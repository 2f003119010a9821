//! The S3 driver with everything around it, against a real store behind a proxy that does what
//! networks do. The clock of the retries is the test's own: nothing waits.

use std::time::Duration;

use tintype_engine::ErrorKind;
use tintype_engine::backend::s3::{S3Backend, S3Config};
use tintype_engine::backend::url::Location;
use tintype_engine::backend::{
    Backend, BackendOptions, Retries, RetryBackend, RetryPolicy, SharedBackend, list_all,
    open_backend,
};
use tintype_engine::env::testing::manual;
use tintype_engine::env::{Env, Task};
use tintype_testkit::faulty_proxy::{Fault, FaultyProxy, Rule};
use tintype_testkit::seaweedfs;

use super::s3::{fresh_bucket, weed_key};
use crate::support::noise;

/// The real time (signatures hold it), sleeps that return at once.
fn env() -> Env {
    let system = Env::system();
    let (patient, _) = manual(1);
    struct Hurried(Env, Env);
    impl tintype_engine::env::Clock for Hurried {
        fn now(&self) -> jiff::Timestamp {
            self.0.clock.now()
        }
        fn elapsed(&self) -> Duration {
            self.0.clock.elapsed()
        }
        fn sleep(&self, duration: Duration) {
            self.1.clock.sleep(duration);
        }
    }
    let clock = std::sync::Arc::new(Hurried(system.clone(), patient));
    Env { clock, ..system }
}

fn behind(rules: Vec<Rule>) -> (FaultyProxy, SharedBackend) {
    let proxy = FaultyProxy::start(&seaweedfs::shared().endpoint, rules);
    let url = format!("s3://{}/p?endpoint={}", fresh_bucket(false), proxy.endpoint);
    let options = BackendOptions { access_key: Some(weed_key()), ..BackendOptions::default() };
    let backend = open_backend(&url, &options, &env()).unwrap().backend;
    (proxy, backend)
}

#[test]
fn trouble_that_passes_is_survived() {
    let (proxy, backend) = behind(Vec::new());
    backend.put("a/first", b"first").unwrap();
    let faults = [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(429, "TooManyRequests"),
        Fault::HalfBody,
        Fault::LostAnswer,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let each = |method| Rule::new(method, &[], fault).times(2);
        // Half a body needs a body.
        let half = matches!(fault, Fault::HalfBody);
        let methods = if half { &["GET"][..] } else { &["GET", "PUT", "DELETE", "HEAD"] };
        proxy.set(methods.iter().map(|method| each(*method)).collect());
        let name = format!("a/{number}");
        backend.put(&name, &noise(1, 100_000)).unwrap();
        assert_eq!(backend.get("a/first", 10).unwrap(), b"first", "{fault:?}");
        assert_eq!(list_all(&*backend, "a/").unwrap().len(), 2, "{fault:?}");
        let mut part = [0; 1000];
        backend.read_into(&name, 50_000, &mut part).unwrap();
        assert_eq!(part, noise(1, 100_000)[50_000..51_000]);
        assert_eq!(backend.stat(&name).unwrap(), 100_000, "{fault:?}");
        backend.delete(&name).unwrap();
        assert_eq!(backend.stat(&name).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(proxy.count("GET", "") >= 5, "{fault:?}: {:?}", proxy.asked());
    }
}

/// An upload in parts: its begin, one part twice, its end.
#[test]
fn a_part_is_sent_again() {
    let (proxy, backend) = behind(vec![
        Rule::new("POST", &["uploads"], Fault::Answer(503, "SlowDown")),
        Rule::new("PUT", &["partNumber=2"], Fault::Answer(500, "InternalError")),
        Rule::new("PUT", &["partNumber=2"], Fault::LostAnswer).from(1),
        Rule::new("POST", &["uploadId"], Fault::Answer(500, "InternalError")),
    ]);
    let bytes = noise(2, 20 << 20);
    let mut stream = backend.put_stream("data/large").unwrap();
    stream.write(&bytes).unwrap();
    stream.finish().unwrap();
    assert_eq!(proxy.count("PUT", "partNumber=2"), 3);
    assert_eq!(proxy.count("PUT", "partNumber=1"), 1);
    assert!(backend.get("data/large", 20 << 20).unwrap() == bytes);
}

/// The end of an upload in parts arrived, its answer did not.
#[test]
fn an_upload_that_ended_unheard_is_ours() {
    let lost = Rule::new("POST", &["uploadId"], Fault::LostAnswer);
    let (_proxy, backend) = behind(vec![lost]);
    let bytes = noise(3, 17 << 20);
    let mut stream = backend.put_stream("data/large").unwrap();
    stream.write(&bytes).unwrap();
    stream.finish().unwrap();
    assert!(backend.get("data/large", 17 << 20).unwrap() == bytes);
}

#[test]
fn a_listing_goes_on_in_its_middle() {
    let (proxy, backend) = behind(Vec::new());
    let names: Vec<String> = (0..1001).map(|number| format!("session/{number:08}")).collect();
    let put = |names: &[String]| names.iter().for_each(|name| backend.put(name, b"").unwrap());
    let tasks = names.chunks(126).map(|names| Box::new(move || put(names)) as Task<'_>);
    Env::system().tasks.run(tasks.collect());
    let second = &["list-type=2", "continuation-token"];
    proxy.set(vec![
        Rule::new("GET", second, Fault::Answer(503, "SlowDown")),
        Rule::new("GET", second, Fault::HalfBody).from(1),
        Rule::new("GET", second, Fault::LostAnswer).from(2),
    ]);
    let mut listed: Vec<String> =
        list_all(&*backend, "session/").unwrap().into_iter().map(|l| l.name).collect();
    listed.sort();
    assert_eq!(listed, names);
    assert_eq!(proxy.count("GET", "continuation-token"), 4);
}

#[test]
fn a_refusal_is_told_at_once() {
    let (proxy, backend) = behind(vec![Rule::new("PUT", &[], Fault::Answer(403, "AccessDenied"))]);
    let error = backend.put("a", b"a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("rights on bucket"), "{error}");
    assert_eq!(proxy.asked().len(), 1);
    backend.put("a", b"a").unwrap();
}

#[test]
fn a_store_that_never_answers_is_given_up() {
    let env = Env::system();
    let silent = |method| Rule::new(method, &[], Fault::Silence).times(usize::MAX);
    let proxy =
        FaultyProxy::start(&seaweedfs::shared().endpoint, vec![silent("HEAD"), silent("PUT")]);
    let url = format!("s3://{}?endpoint={}", fresh_bucket(false), proxy.endpoint);
    let Location::S3(location) = Location::parse(&url).unwrap() else { panic!("{url}") };
    let mut config = S3Config::new(location);
    config.access_key = Some(weed_key());
    config.deadline = Duration::from_millis(300);
    let policy = RetryPolicy { attempts: 2, first: Duration::ZERO, ..RetryPolicy::NETWORK };
    let retries = Retries::new(policy, &env);
    let driver = S3Backend::open(config, retries.clone(), &env).unwrap();
    let backend = RetryBackend::new(std::sync::Arc::new(driver), retries);
    for error in [backend.stat("a").unwrap_err(), backend.put("a", b"a").unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("no answer within"), "{error}");
    }
    assert_eq!((proxy.count("HEAD", ""), proxy.count("PUT", "")), (2, 2));
}

#[test]
fn a_slow_store_is_waited_for() {
    let slow = Fault::Delay(Duration::from_millis(200));
    let (proxy, backend) = behind(vec![Rule::new("PUT", &[], slow), Rule::new("GET", &[], slow)]);
    backend.put("a", b"slow").unwrap();
    assert_eq!(backend.get("a", 10).unwrap(), b"slow");
    assert_eq!(proxy.asked().len(), 2, "nothing was asked twice");
}

#[test]
fn a_store_that_vanishes_is_given_up_within_the_budget() {
    let (_proxy, backend) = behind(vec![Rule::new("PUT", &[], Fault::Vanish).from(1)]);
    backend.put("a", b"a").unwrap();
    for error in [backend.put("b", b"b").unwrap_err(), backend.get("a", 1).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("after 8 tries"), "{error}");
    }
}
