//! What a store really does, for `init` and for people: only what was seen counts, since a store
//! may accept a condition and ignore it.
//!
//! Works below `probe-<random>/` and removes it. A store that keeps versions or has a default
//! lock keeps the few bytes for as long as its own rules say.

use std::time::Duration;

use serde::Serialize;
use tintype_model::{ErrorKind, Result};

use super::conformance::{self, Extent};
use super::{Backend, SCRATCH, StoreFeatures, list_all};
use crate::env::Env;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: String,
    pub outcome: Answer,
    /// What was seen.
    pub detail: String,
    /// What it means for the user; empty if all is well.
    pub consequence: String,
    /// Of what it was not seen for.
    #[serde(skip)]
    pub why: Option<ErrorKind>,
}

/// Of objects of 1 KiB, the middle of nine, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latencies {
    pub put_milliseconds: f64,
    pub get_milliseconds: f64,
    pub list_milliseconds: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    pub storage: String,
    pub findings: Vec<Finding>,
    pub latencies: Latencies,
}

/// Fine for a repository with any number of writers.
const MUST: [&str; 6] =
    ["put-get", "put-if-absent", "range-reads", "list-after-put", "list-many", "streams"];

impl ProbeReport {
    pub fn outcome(&self, name: &str) -> Answer {
        let finding = self.findings.iter().find(|finding| finding.name == name);
        finding.map_or(Answer::Unknown, |finding| finding.outcome)
    }

    /// Whether several writers may use a repository here at once: a taken name was refused,
    /// and of eight that put at once exactly one won, each time.
    pub fn many_writers(&self) -> bool {
        ["put-if-absent", "put-if-absent-race"].map(|name| self.outcome(name)) == [Answer::Yes; 2]
    }

    /// Whether the store can hold a repository with a single writer. A store that overwrites
    /// still can, behind [`super::SingleWriterBackend`].
    pub fn usable(&self) -> bool {
        let must = MUST.iter().filter(|name| **name != "put-if-absent");
        must.into_iter().all(|name| self.outcome(name) == Answer::Yes)
    }
}

/// An error: the store could not be reached at all, or not cleaned up.
pub fn probe(backend: &dyn Backend, env: &Env) -> Result<ProbeReport> {
    let latencies = measure(backend, env)?;
    let claims_nothing = !backend.conditional();
    let mut findings = Vec::new();
    for outcome in conformance::run(backend, env, Extent::PROBE)? {
        let race = outcome.check.name == "put-if-absent-race";
        findings.push(match outcome.result {
            Ok(()) if race && claims_nothing => Finding {
                name: outcome.check.name.to_owned(),
                outcome: Answer::No,
                detail: "the store cannot tell writers apart; the driver looks before it puts"
                    .to_owned(),
                consequence: outcome.check.consequence.to_owned(),
                why: None,
            },
            Ok(()) => Finding {
                name: outcome.check.name.to_owned(),
                outcome: Answer::Yes,
                detail: String::new(),
                consequence: String::new(),
                why: None,
            },
            // Not seen to be wrong, only not seen.
            Err(error) => Finding {
                name: outcome.check.name.to_owned(),
                outcome: match error.kind() {
                    ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::NoSpace => {
                        Answer::Unknown
                    }
                    _ => Answer::No,
                },
                detail: error.to_string(),
                consequence: outcome.check.consequence.to_owned(),
                why: Some(error.kind()),
            },
        });
    }
    let features = backend.store_features();
    findings.extend(told(features.as_ref().copied().unwrap_or_default()));
    Ok(ProbeReport { storage: backend.describe(), findings, latencies })
}

/// What the store says of itself; not tried.
fn told(features: StoreFeatures) -> [Finding; 3] {
    let answer = |value: Option<bool>| match value {
        Some(true) => Answer::Yes,
        Some(false) => Answer::No,
        None => Answer::Unknown,
    };
    let without = |outcome: Answer, consequence: &str| {
        if outcome == Answer::Yes { String::new() } else { consequence.to_owned() }
    };
    let (versioning, lock) = (answer(features.versioning), answer(features.object_lock));
    [
        Finding {
            name: "versioning".to_owned(),
            outcome: versioning,
            detail: "as configured; not tried".to_owned(),
            consequence: without(versioning, "who has the store's key can delete for good"),
            why: None,
        },
        Finding {
            name: "object-lock".to_owned(),
            outcome: lock,
            detail: "as configured; the deletion of a locked version was not tried, because the \
                     object would stay until its lock ends"
                .to_owned(),
            consequence: without(lock, "locks of snapshots are kept by Tintype, not by the store"),
            why: None,
        },
        Finding {
            name: "free-space".to_owned(),
            outcome: if features.free_bytes.is_some() { Answer::Yes } else { Answer::Unknown },
            detail: features.free_bytes.map_or_else(
                || "the store does not tell".to_owned(),
                |bytes| format!("{bytes} bytes free"),
            ),
            consequence: String::new(),
            why: None,
        },
    ]
}

fn measure(backend: &dyn Backend, env: &Env) -> Result<Latencies> {
    const TIMES: usize = 9;
    let directory = format!("{SCRATCH}{:016x}/latency/", u64::from_le_bytes(env.bytes()));
    let name = |index: usize| format!("{directory}{index}");
    let middle = |call: &dyn Fn(usize) -> Result<()>| -> Result<f64> {
        let mut times = Vec::with_capacity(TIMES);
        for index in 0..TIMES {
            let begun = env.clock.elapsed();
            call(index)?;
            times.push(env.clock.elapsed().saturating_sub(begun));
        }
        times.sort_unstable();
        Ok(milliseconds(times[TIMES / 2]))
    };
    let data: [u8; 1024] = env.bytes();
    let measured = (|| {
        Ok(Latencies {
            put_milliseconds: middle(&|index| backend.put(&name(index), &data))?,
            get_milliseconds: middle(&|index| backend.get(&name(index), 1024).map(drop))?,
            list_milliseconds: middle(&|_| list_all(backend, &directory).map(drop))?,
        })
    })();
    let cleaned = conformance::clean_up(backend, env, &directory);
    let measured = measured?;
    cleaned.map(|()| measured)
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}
