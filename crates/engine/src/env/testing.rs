//! An environment that a test owns: a clock that moves only when told or slept on, and
//! randomness that repeats with its seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use tintype_model::{Error, Result};

use super::{Clock, Env, Random, Task, Tasks};

/// `sleep` returns at once and moves the clock by what was asked for.
pub struct ManualClock {
    start: Timestamp,
    state: Mutex<ClockState>,
}

#[derive(Default)]
struct ClockState {
    elapsed: Duration,
    slept: Vec<Duration>,
}

impl ManualClock {
    pub fn new(start: Timestamp) -> Self {
        Self { start, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ClockState> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    pub fn advance(&self, by: Duration) {
        self.state().elapsed += by;
    }

    /// Every sleep so far, in order.
    pub fn slept(&self) -> Vec<Duration> {
        self.state().slept.clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.state().elapsed)
            .expect("no test runs for centuries");
        self.start + elapsed
    }

    fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    fn sleep(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed += duration;
        state.slept.push(duration);
    }
}

/// The BLAKE3 stream of a seed.
pub struct SeededRandom(Mutex<blake3::OutputReader>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        Self(Mutex::new(hasher.finalize_xof()))
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().expect("nothing panics while it holds this lock").fill(out);
    }
}

/// Runs one task after the other on the caller's thread, in order.
pub struct Sequential;

impl Tasks for Sequential {
    fn run(&self, tasks: Vec<Task<'_>>) {
        for task in tasks {
            task();
        }
    }

    fn spawn(&self, _task: Task<'static>) -> Result<()> {
        Err(Error::unsupported("nothing goes on beside the only thread"))
    }
}

/// A manual clock at 2030-01-01T00:00:00Z, seeded randomness and real threads; and the clock.
pub fn manual(seed: u64) -> (Env, Arc<ManualClock>) {
    let start = Timestamp::from_second(1_893_456_000).expect("2030 is a year jiff knows");
    let clock = Arc::new(ManualClock::new(start));
    let env = Env {
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(seed)),
        tasks: Env::system().tasks,
    };
    (env, clock)
}
