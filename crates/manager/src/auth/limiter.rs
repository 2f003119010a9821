//! How often somebody may try to log in.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// So many failures are allowed at once; each is forgiven after a while.
const FAILURES: u32 = 10;
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// When more are known, those that are forgiven go; if none is, everybody waits.
const MOST_KNOWN: usize = 100_000;

/// Counts failures by who is tried and by where from. Kept in memory: a restart forgives.
#[derive(Default)]
pub struct Limiter(Mutex<HashMap<String, Tried>>);

#[derive(Clone, Copy)]
struct Tried {
    failures: u32,
    since: Timestamp,
}

impl Tried {
    fn at(self, now: Timestamp) -> u32 {
        let seconds = now.duration_since(self.since).as_secs().max(0);
        let forgiven = seconds / FORGIVEN_AFTER.as_secs();
        self.failures.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl Limiter {
    /// Whether any of those keys must wait.
    pub fn must_wait(&self, keys: &[String], now: Timestamp) -> bool {
        let mut known = self.0.lock().expect("no panic while held");
        if known.len() >= MOST_KNOWN {
            known.retain(|_, tried| tried.at(now) > 0);
        }
        known.len() >= MOST_KNOWN
            || keys.iter().any(|key| known.get(key).is_some_and(|t| t.at(now) >= FAILURES))
    }

    pub fn failed(&self, keys: Vec<String>, now: Timestamp) {
        let mut known = self.0.lock().expect("no panic while held");
        for key in keys {
            let failures = known.get(&key).map_or(0, |tried| tried.at(now)) + 1;
            known.insert(key, Tried { failures, since: now });
        }
    }

    pub fn succeeded(&self, key: &str) {
        self.0.lock().expect("no panic while held").remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_and_then_one_a_minute() {
        let limiter = Limiter::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let keys = || vec!["user".to_owned(), "address".to_owned()];
        for _ in 0..FAILURES {
            assert!(!limiter.must_wait(&keys(), at(0)));
            limiter.failed(keys(), at(0));
        }
        assert!(limiter.must_wait(&keys(), at(59)) && !limiter.must_wait(&keys(), at(60)));
        assert!(limiter.must_wait(&["address".to_owned()], at(0)));
        assert!(!limiter.must_wait(&["other".to_owned()], at(0)));
        // A clock that goes back forgives nothing, and panics nowhere.
        assert!(limiter.must_wait(&keys(), at(-10_000)));
        limiter.succeeded("user");
        assert!(!limiter.must_wait(&["user".to_owned()], at(0)));
    }
}
