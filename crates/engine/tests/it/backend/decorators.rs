use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tintype_engine::backend::count::Op;
use tintype_engine::backend::faults::{Condition, Effect};
use tintype_engine::backend::{
    Backend, Counters, CountingBackend, FaultyBackend, Limit, LimitedBackend, MemoryBackend,
    Retries, RetryBackend, RetryPolicy, list_all,
};
use tintype_engine::env::testing::{ManualClock, manual};
use tintype_engine::{Error, ErrorKind};

const UNAVAILABLE: Effect = Effect::Fail(ErrorKind::Unavailable);

fn faulty_and_retrying() -> (MemoryBackend, FaultyBackend, RetryBackend, Arc<ManualClock>) {
    let (env, clock) = manual(7);
    let memory = MemoryBackend::new();
    let faulty = FaultyBackend::new(Arc::new(memory.clone()), env.clock.clone());
    let retries = Retries::new(RetryPolicy::NETWORK, &env);
    let retrying = RetryBackend::new(Arc::new(faulty.clone()), retries);
    (memory, faulty, retrying, clock)
}

#[test]
fn trouble_that_ends_is_not_noticed() {
    let (_, faulty, retrying, clock) = faulty_and_retrying();
    for nth in 1..=5 {
        faulty.on(Op::Get, nth, "", UNAVAILABLE);
    }
    retrying.put("a", b"x").unwrap();
    assert_eq!(retrying.get("a", 1).unwrap(), b"x");
    let slept = clock.slept();
    assert_eq!(slept.len(), 5);
    for (round, wait) in slept.iter().enumerate() {
        assert!(*wait <= Duration::from_millis(250) * (1 << round), "{slept:?}");
    }
}

#[test]
fn only_unavailable_is_tried_again_and_not_for_ever() {
    let (_, faulty, retrying, clock) = faulty_and_retrying();
    for kind in [ErrorKind::Denied, ErrorKind::NoSpace, ErrorKind::Corrupt, ErrorKind::Invalid] {
        faulty.on(Op::Put, 1, &format!("{kind:?}").to_lowercase(), Effect::Fail(kind));
        let name = format!("{kind:?}").to_lowercase();
        assert_eq!(retrying.put(&name, b"").unwrap_err().kind(), kind);
    }
    assert!(clock.slept().is_empty());
    faulty.on(Op::Stat, 0, "", UNAVAILABLE);
    let error = retrying.stat("a").unwrap_err();
    assert!(error.message().starts_with("after 8 tries: "), "{error}");
}

#[test]
fn retry_budget_runs_dry_and_is_earned_back() {
    let (_, faulty, retrying, clock) = faulty_and_retrying();
    retrying.put("good", b"").unwrap();
    faulty.on(Op::Stat, 0, "bad", UNAVAILABLE);
    for _ in 0..40 {
        retrying.stat("bad").unwrap_err();
    }
    assert_eq!(clock.slept().len() as u32, RetryPolicy::NETWORK.budget);
    for _ in 0..50 {
        retrying.stat("good").unwrap();
    }
    retrying.stat("bad").unwrap_err();
    assert_eq!(clock.slept().len() as u32, RetryPolicy::NETWORK.budget + 7);
}

#[test]
fn put_whose_answer_was_lost_is_a_success_only_if_the_bytes_are_ours() {
    let (memory, faulty, retrying, _) = faulty_and_retrying();
    faulty.on(Op::Put, 1, "ours", Effect::FailAfter(ErrorKind::Unavailable));
    retrying.put("ours", b"mine").unwrap();

    faulty.on(Op::Put, 1, "theirs", UNAVAILABLE);
    memory.put("theirs", b"else").unwrap();
    let error = retrying.put("theirs", b"mine").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    faulty.on(Op::Put, 1, "longer", UNAVAILABLE);
    memory.put("longer", b"mine and more").unwrap();
    assert_eq!(retrying.put("longer", b"mine").unwrap_err().kind(), ErrorKind::AlreadyExists);
    // At the first try equal bytes are somebody else's.
    let error = retrying.put("ours", b"mine").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn listing_gives_nothing_twice_and_passes_its_readers_error_on() {
    let (memory, faulty, retrying, clock) = faulty_and_retrying();
    memory.put("a/1", b"").unwrap();
    faulty.on(Op::List, 1, "", UNAVAILABLE);
    assert_eq!(list_all(&retrying, "a/").unwrap().len(), 1);
    faulty.on(Op::List, 1, "", Effect::FailAfter(ErrorKind::Unavailable));
    assert!(list_all(&retrying, "a/").is_err());
    let before = clock.slept().len();
    let error = retrying.list("a/", &mut |_| Err(Error::unavailable("reader"))).unwrap_err();
    assert_eq!((error.message(), clock.slept().len()), ("reader", before));
}

#[test]
fn limits_hold_on_average_whatever_the_sizes() {
    let (env, clock) = manual(1);
    let memory = Arc::new(MemoryBackend::new());
    let rate = NonZeroU64::new(1_000_000);
    let limited = LimitedBackend::new(memory, rate, rate, &env);
    for (index, length) in [3_000_000, 1_000, 500_000, 1_500_000, 0].into_iter().enumerate() {
        limited.put(&format!("o-{index}"), &vec![0; length]).unwrap();
    }
    // All but the burst of one second that the first call found.
    assert_eq!(clock.slept().iter().sum::<Duration>(), Duration::from_millis(5_001));
    let before: Duration = clock.slept().iter().sum();
    clock.advance(Duration::from_hours(1));
    for _ in 0..10 {
        limited.read_into("o-0", 0, &mut vec![0; 1_000_000]).unwrap();
    }
    let after: Duration = clock.slept().iter().sum();
    assert_eq!(after, before + Duration::from_secs(8));
}

#[test]
fn a_limit_by_the_time_of_the_week_ends_while_somebody_waits_for_it() {
    let (env, clock) = manual(1);
    let now = env.clock.now();
    let window = |length: i64| {
        let minute = |at: jiff::Timestamp| at.strftime("%H:%M").to_string();
        let end = now + jiff::SignedDuration::from_mins(length);
        let windows =
            serde_json::json!([{ "from": minute(now), "to": minute(end), "rate": "64KiB/s" }]);
        serde_json::from_value(serde_json::json!({ "windows": windows })).unwrap()
    };
    let limit = Arc::new(Limit::new(Some(window(2))));
    let memory = Arc::new(MemoryBackend::new());
    let limited = LimitedBackend::sharing(memory.clone(), limit.clone(), &env);
    let other = LimitedBackend::sharing(memory, limit.clone(), &env);
    limited.put("a", &vec![0; 30 << 16]).unwrap();
    // Of another backend, which shares it.
    other.put("b", &vec![0; 300 << 16]).unwrap();
    assert_eq!(clock.slept().iter().sum::<Duration>(), Duration::from_secs(30));
    // Five minutes of debt, of which the window's end is in two.
    limited.put("c", b"x").unwrap();
    let waited: Duration = clock.slept().iter().sum();
    assert!(waited <= Duration::from_secs(121), "{waited:?}");
    assert!(waited > Duration::from_secs(31), "{waited:?}");
    let clock_of_window = env.clock.now();
    assert!(clock_of_window.duration_since(now) <= jiff::SignedDuration::from_mins(3));
    limit.set(None);
    other.put("d", &vec![0; 30 << 16]).unwrap();
    assert_eq!(clock.slept().iter().sum::<Duration>(), waited);
}

#[test]
fn counters_count_what_reaches_the_store() {
    let counters = Arc::new(Counters::default());
    let backend = CountingBackend::new(Arc::new(MemoryBackend::new()), counters.clone());
    backend.put("a", &[0; 10]).unwrap();
    backend.put("a", &[0; 10]).unwrap_err();
    let mut stream = backend.put_stream("b").unwrap();
    stream.write(&[0; 7]).unwrap();
    stream.finish().unwrap();
    backend.get("a", 10).unwrap();
    backend.read_into("a", 2, &mut [0; 3]).unwrap();
    list_all(&backend, "").unwrap();
    let now = counters.now();
    assert_eq!((now.puts, now.streams, now.gets, now.reads, now.lists), (2, 1, 1, 1, 1));
    assert_eq!((now.up_bytes, now.down_bytes, now.failures), (27, 13, 1));
}

#[test]
fn faults_do_as_told() {
    let (memory, faulty, _, clock) = faulty_and_retrying();
    memory.put("a", &[0; 8]).unwrap();
    faulty.on(Op::Get, 2, "a", Effect::FlipBit(9)).on(Op::Get, 3, "a", Effect::Short);
    assert_eq!(faulty.get("a", 8).unwrap(), [0; 8]);
    assert_eq!(faulty.get("a", 8).unwrap(), [0, 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(faulty.get("a", 8).unwrap(), [0; 7]);
    faulty.on(Op::Read, 1, "", Effect::Short).on(Op::Read, 2, "", Effect::FlipBit(0));
    let mut out = [0; 2];
    assert_eq!(faulty.read_into("a", 0, &mut out).unwrap_err().kind(), ErrorKind::Corrupt);
    faulty.read_into("a", 0, &mut out).unwrap();
    assert_eq!(out, [1, 0]);
    faulty.on(Op::Stat, 1, "", Effect::Slow(Duration::from_secs(3)));
    faulty.stat("a").unwrap();
    assert_eq!(clock.slept(), [Duration::from_secs(3)]);

    faulty.set(Condition::Full);
    assert_eq!(faulty.put("b", b"").unwrap_err().kind(), ErrorKind::NoSpace);
    faulty.set(Condition::ReadOnly);
    assert_eq!(faulty.delete("a").unwrap_err().kind(), ErrorKind::Denied);
    faulty.set(Condition::Gone);
    assert_eq!(faulty.stat("a").unwrap_err().kind(), ErrorKind::Unavailable);
    faulty.set(Condition::Full);
    faulty.delete("a").unwrap();
    faulty.heal();
    faulty.put("b", b"").unwrap();
}
