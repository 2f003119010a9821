//! The one place that reads the clock, asks for randomness and starts threads. Everything
//! else gets an [`Env`], so that tests and simulations can own all three.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use ring::rand::SecureRandom as _;
pub use tintype_model::env::{Clock, Random, Task, Tasks};
use tintype_model::{Error, Result};

#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub tasks: Arc<dyn Tasks>,
}

impl Env {
    /// The real clock, the operating system's randomness, real threads.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock(Instant::now())),
            random: Arc::new(SystemRandom(ring::rand::SystemRandom::new())),
            tasks: Arc::new(Threads),
        }
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.random.fill(&mut out);
        out
    }
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock outside the years jiff knows is read as its nearest end.
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

struct SystemRandom(ring::rand::SystemRandom);

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system gives randomness");
    }
}

struct Threads;

impl Tasks for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| {
            for task in tasks {
                scope.spawn(task);
            }
        });
    }

    fn spawn(&self, task: Task<'static>) -> Result<()> {
        let spawned = std::thread::Builder::new().spawn(task);
        spawned.map(drop).map_err(|error| Error::io(error, "a thread"))
    }
}
