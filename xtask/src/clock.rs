//! The one place of this crate where the clock is read.
#![expect(
    clippy::disallowed_methods,
    reason = "the chores measure real time; nothing simulates them"
)]

use std::time::{Duration, Instant};

/// Measures one span of wall time.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

pub(crate) fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// Today's date in UTC, for reports.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Seconds since 1970, for what other programs log.
pub(crate) fn epoch_seconds() -> f64 {
    jiff::Timestamp::now().as_nanosecond() as f64 / 1e9
}
