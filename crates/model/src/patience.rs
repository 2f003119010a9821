//! How long a run waits for a storage that does not answer, and when it asks again. Pure: times are
//! those of the clock that never goes back.

use std::time::Duration;

/// At most so long, from when it was found away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub most: Duration,
}

/// A run that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    pub since: Duration,
    /// When it asks again.
    pub until: Duration,
}

const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);

impl Patience {
    /// After an attempt that found it away. The longer it is away, the more seldom it is asked. `None`:
    /// it was waited for long enough. An attempt that went on for longer than anybody would wait had
    /// found it there: then the wait begins anew.
    pub fn after(&self, before: Option<&Rest>, began: Duration, now: Duration) -> Option<Rest> {
        let is_same = |_: &&Rest| now.saturating_sub(began) <= self.most;
        let since = before.filter(is_same).map_or(now, |rest| rest.since);
        let waited = now.saturating_sub(since);
        if waited >= self.most {
            return None;
        }
        let pause = (waited / 4).clamp(SOONEST, LATEST);
        Some(Rest { since, until: (now + pause).min(since + self.most) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_asked_ever_more_seldom_and_not_for_ever() {
        let patience = Patience { most: Duration::from_mins(30) };
        let (mut rest, mut asked) = (None, Vec::new());
        let mut now = at(1000);
        while let Some(next) = patience.after(rest.as_ref(), now, now) {
            assert_eq!(next.since, at(1000));
            asked.push(next.until.saturating_sub(now).as_secs());
            (rest, now) = (Some(next), next.until);
        }
        assert_eq!(now, at(1000 + 1800), "the last attempt is at the end of it");
        assert_eq!(asked[..6], [1; 6]);
        assert!(asked.is_sorted_by(|a, b| a <= b || *b < 60) && asked.len() < 60, "{asked:?}");
        assert!(asked.contains(&60));
    }

    #[test]
    fn what_went_on_for_long_begins_to_wait_anew() {
        let patience = Patience { most: at(100) };
        let before = Rest { since: at(0), until: at(90) };
        let after = |began, now| patience.after(Some(&before), at(began), at(now));
        assert_eq!(after(90, 95).unwrap().since, at(0));
        assert_eq!(after(90, 100), None);
        assert_eq!(after(90, 191).unwrap().since, at(191));
        assert_eq!(Patience { most: at(0) }.after(None, at(0), at(0)), None, "it does not wait");
    }
}
