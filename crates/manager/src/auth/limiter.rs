//! How often somebody may try a password.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// So many failures are allowed at once; each is forgiven after a while.
const FAILURES: u32 = 10;
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// When more are known, those that are forgiven go; if none is, everybody waits.
const MOST_KNOWN: usize = 100_000;

/// Counts attempts by who is tried and by where from: each as a failure from its beginning, so that
/// many at once are no more than one after another. Kept in memory: a restart forgives.
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

/// Where somebody tries from. One who has an address of version 6 has all of its /64.
pub fn of_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("address {address}"),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from(u128::from(address) >> 64 << 64);
            format!("address {network}/64")
        }
    }
}

impl Limiter {
    /// Counts an attempt under each key; false where one of them must wait, and nothing is counted.
    pub fn may_try(&self, keys: &[String], now: Timestamp) -> bool {
        let mut known = self.0.lock().expect("no panic while held");
        if known.len() >= MOST_KNOWN {
            known.retain(|_, tried| tried.at(now) > 0);
        }
        let must_wait = |key: &String| known.get(key).is_some_and(|t| t.at(now) >= FAILURES);
        if known.len() >= MOST_KNOWN || keys.iter().any(must_wait) {
            return false;
        }
        for key in keys {
            // Not above `FAILURES`, since this was below it.
            let failures = known.get(key).map_or(0, |tried| tried.at(now)) + 1;
            known.insert(key.clone(), Tried { failures, since: now });
        }
        true
    }

    /// The attempt was right: who was tried is forgiven all, where from that one.
    pub fn was_right(&self, who: &str, from: Option<&str>) {
        let mut known = self.0.lock().expect("no panic while held");
        known.remove(who);
        if let Some(from) = from
            && let Some(tried) = known.get_mut(from)
        {
            tried.failures = tried.failures.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn ten_failures_and_then_one_a_minute() {
        let limiter = Limiter::default();
        let keys = ["user".to_owned(), "address".to_owned()];
        for n in 0..FAILURES {
            assert!(limiter.may_try(&keys, at(0)), "{n}");
        }
        // However many come at once, and however often they are refused.
        for _ in 0..1000 {
            assert!(!limiter.may_try(&keys, at(59)));
        }
        assert!(!limiter.may_try(&["address".to_owned()], at(0)));
        assert!(limiter.may_try(&["other".to_owned()], at(0)));
        // A clock that goes back forgives nothing, and panics nowhere.
        assert!(!limiter.may_try(&keys, at(-10_000)));
        assert!(limiter.may_try(&keys, at(60)) && !limiter.may_try(&keys, at(60)));
        limiter.was_right("user", Some("address"));
        for _ in 0..FAILURES {
            assert!(limiter.may_try(&["user".to_owned()], at(60)));
        }
        assert!(limiter.may_try(&["address".to_owned()], at(60)));
        assert!(!limiter.may_try(&["address".to_owned()], at(60)));
    }

    #[test]
    fn an_address_is_a_network_where_everybody_has_one() {
        for (address, want) in [
            ("192.0.2.7", "address 192.0.2.7"),
            ("::ffff:192.0.2.7", "address 192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", "address 2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "address 2001:db8:1:3::/64"),
        ] {
            assert_eq!(of_address(address.parse().unwrap()), want);
        }
    }
}
