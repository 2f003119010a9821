//! What reads the clock, asks for randomness and starts threads, as traits: everything gets them
//! from its caller, so that tests and simulations can own all three. The real ones are in one
//! place, `tintype_engine::env`.

use std::time::Duration;

use jiff::Timestamp;

use crate::Result;

pub trait Clock: Send + Sync {
    /// Wall clock. Never decides a deletion of live data; see docs/format.md, protocol.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start, never going back.
    fn elapsed(&self) -> Duration;
    fn sleep(&self, duration: Duration);
}

pub trait Random: Send + Sync {
    /// Fills `out` with bytes fit for keys.
    fn fill(&self, out: &mut [u8]);
}

/// A piece of work that may borrow from its caller.
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

pub trait Tasks: Send + Sync {
    /// Runs all tasks, possibly at the same time, and returns when every one has ended.
    /// A panic of one is passed on after the others ended.
    fn run(&self, tasks: Vec<Task<'_>>);

    /// Lets a task go on beside its caller. It ends by itself: whoever starts one tells it when.
    fn spawn(&self, task: Task<'static>) -> Result<()>;
}
