//! Two `init`s at one place: one of them wins, and its secrets open what it made.

use std::sync::{Arc, Mutex};

use tintype_engine::backend::count::Op;
use tintype_engine::backend::faults::Effect;
use tintype_engine::backend::{Backend as _, FaultyBackend, MemoryBackend};
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::format::records::names;
use tintype_engine::repo::Repository;
use tintype_engine::{ErrorKind, Result};

use crate::support::{Meddled, cheap_secret, files, find, options, read_back, snapshot};

fn init(
    backend: tintype_engine::backend::SharedBackend,
    key: u8,
    seed: u64,
) -> Result<(Repository, RecoveryKey)> {
    Repository::init(backend, &[(&cheap_secret(key), "test")], false, options(seed).0)
}

/// Both secrets open it, and it works.
fn is_whole(memory: &MemoryBackend, key: u8, words: RecoveryKey) {
    for (secret, seed) in [(cheap_secret(key), 63), (Secret::Recovery(words), 64)] {
        let backend = Arc::new(memory.clone());
        let repository = Repository::open(backend, &secret, options(seed).0).unwrap();
        let wanted = files(&[("files/a", b"kept".to_vec())]);
        let id = snapshot(&repository, &wanted, None).unwrap();
        let found = find(&repository, id).unwrap().unwrap();
        assert_eq!(read_back(&repository, &found).unwrap(), wanted);
        repository.gc(&tintype_engine::gc::GcOptions::default()).unwrap();
    }
}

/// What the first one puts, as `config` is about to be put.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// The second one begins and ends meanwhile, and wins.
    Wins,
    /// It takes what is there for rests; before it puts its own `config`, the first one is done.
    LosesLate,
    /// The first one is done while the second one removes rests.
    LosesWhileItClears,
    /// It is killed before it puts its own `config`.
    Dies,
}

#[test]
fn of_two_inits_at_once_one_makes_a_repository() {
    for rival in [Rival::Wins, Rival::LosesLate, Rival::LosesWhileItClears, Rival::Dies] {
        let memory = MemoryBackend::new();
        let words = Arc::new(Mutex::new(None));
        let (inner, theirs) = (memory.clone(), words.clone());
        let first = Meddled::before(&memory, move |op, name, config| {
            if op == Op::Put && name == names::CONFIG {
                let outcome = second(&inner, rival, config.to_vec());
                assert_eq!(outcome.is_ok(), rival == Rival::Wins);
                *theirs.lock().unwrap() = outcome.ok().map(|(_, words)| words);
            }
        });
        let outcome = init(first, 1, 61);
        match words.lock().unwrap().take() {
            Some(words) => {
                assert_eq!(outcome.err().unwrap().kind(), ErrorKind::AlreadyExists);
                is_whole(&memory, 2, words);
            }
            None => is_whole(&memory, 1, outcome.unwrap().1),
        }
        let slots = memory.names().into_iter().filter(|name| name.starts_with("keys/")).count();
        assert_eq!(slots, if rival == Rival::Dies { 4 } else { 2 }, "rests open nothing");
    }
}

/// `config`: what the first one is about to put.
fn second(
    memory: &MemoryBackend,
    rival: Rival,
    config: Vec<u8>,
) -> Result<(Repository, RecoveryKey)> {
    let record = memory.get(&names::gc(0), u64::MAX).unwrap();
    let inner = memory.clone();
    let backend = Meddled::before(memory, move |op, name, _| {
        let is_now = match rival {
            Rival::Wins | Rival::Dies => false,
            Rival::LosesLate => op == Op::Put && name == names::CONFIG,
            Rival::LosesWhileItClears => op == Op::Delete && name == names::gc(0),
        };
        if is_now && inner.stat(names::CONFIG).is_err() {
            inner.put(names::CONFIG, &config).unwrap();
            inner.put(names::CONFIG_COPY, &config).unwrap();
        }
    });
    if rival == Rival::Dies {
        let faulty = FaultyBackend::new(backend, options(62).0.env.clock);
        faulty.on(Op::Put, 1, names::CONFIG, Effect::Fail(ErrorKind::Unavailable));
        return init(Arc::new(faulty), 2, 62);
    }
    let outcome = init(backend, 2, 62);
    if let Err(error) = &outcome {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert_eq!(memory.get(&names::gc(0), u64::MAX).unwrap(), record, "it is given back");
    }
    outcome
}
