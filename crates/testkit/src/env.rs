//! The clock and the threads of this machine, for what asks for them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tintype_model::env::{Clock, Task, Tasks};

pub struct RealClock(Instant);

impl RealClock {
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

pub struct Threads;

impl Tasks for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| {
            for task in tasks {
                scope.spawn(task);
            }
        });
    }

    fn spawn(&self, task: Task<'static>) -> tintype_model::Result<()> {
        std::thread::spawn(task);
        Ok(())
    }
}
