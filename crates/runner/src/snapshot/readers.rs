//! How many workers read at once.
//!
//! From the page cache each processor reads as fast as it can. A disk, and more so a file server,
//! takes its time for each file and serves several at once; a spinning disk is faster with one.
//! A server that reads for us takes a processor for itself, and then all wait in turn. Nothing tells
//! beforehand, so while workers wait for much of their time for what they read the number is changed,
//! and stays where more comes in.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tintype_engine::env::Clock;

/// Long enough for a mean, short enough for many in a run.
const WINDOW: Duration = Duration::from_millis(500);
/// A thread is asked no more often how it spends its time.
const SAMPLE: Duration = Duration::from_millis(20);
/// Of the time of the workers: beyond it another number is tried.
const MUCH: f64 = 0.25;
/// A change that brings less is taken back.
const WORTH_IT: f64 = 1.1;
/// Windows until something is tried again.
const REST: u32 = 20;
/// What a file costs beside its bytes, as bytes.
const FILE_BYTES: u64 = 16 << 10;

pub(super) struct Readers {
    waited_nanoseconds: AtomicU64,
    read_bytes: AtomicU64,
    state: Mutex<(Duration, Climb)>,
}

impl Readers {
    pub(super) fn new(clock: &dyn Clock, active: usize, most: usize) -> Self {
        Self {
            waited_nanoseconds: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            state: Mutex::new((clock.elapsed(), Climb::new(active, most))),
        }
    }

    /// Begins to watch this thread.
    pub(super) fn watch<'r>(&'r self, clock: &'r dyn Clock) -> Watch<'r> {
        Watch { readers: self, clock, since: clock.elapsed(), ready: ready_time() }
    }

    /// After a while, how many are to read from now on.
    fn decide(&self, clock: &dyn Clock) -> Option<usize> {
        // Another worker that is here will do.
        let mut state = self.state.try_lock().ok()?;
        let (since, climb) = &mut *state;
        let now = clock.elapsed();
        let passed = now.saturating_sub(*since);
        if passed < WINDOW {
            return None;
        }
        *since = now;
        let waited = self.waited_nanoseconds.swap(0, Ordering::Relaxed) as f64 / 1e9;
        let bytes = self.read_bytes.swap(0, Ordering::Relaxed) as f64;
        let seconds = passed.as_secs_f64();
        Some(climb.next(waited / seconds / climb.active as f64, bytes / seconds))
    }
}

/// A thread that reads.
pub(super) struct Watch<'r> {
    readers: &'r Readers,
    clock: &'r dyn Clock,
    since: Duration,
    ready: Option<Duration>,
}

impl Watch<'_> {
    /// Notes what was read since the last call; sometimes, how many are to read from now on.
    pub(super) fn read(&mut self, files: u64, bytes: u64) -> Option<usize> {
        let readers = self.readers;
        readers.read_bytes.fetch_add(bytes + files * FILE_BYTES, Ordering::Relaxed);
        let now = self.clock.elapsed();
        let took = now.saturating_sub(self.since);
        if took < SAMPLE {
            return None;
        }
        let (before, after) = (self.ready?, ready_time()?);
        let blocked = took.saturating_sub(after.saturating_sub(before));
        (self.since, self.ready) = (now, Some(after));
        readers.waited_nanoseconds.fetch_add(blocked.as_nanos() as u64, Ordering::Relaxed);
        readers.decide(self.clock)
    }
}

/// How long this thread ran, or was ready to (proc(5), schedstat); `None` where nobody counts.
fn ready_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_whitespace().map(str::parse::<u64>);
    let (ran, queued) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Duration::from_nanos(ran + queued))
}

/// Looks for the number with which most comes in.
#[derive(Debug)]
struct Climb {
    active: usize,
    most: usize,
    upwards: bool,
    /// Before the change that is being tried: number and rate.
    tried_from: Option<(usize, f64)>,
    rest: u32,
}

impl Climb {
    fn new(active: usize, most: usize) -> Self {
        let most = most.max(active);
        Self { active, most, upwards: active < most, tried_from: None, rest: 0 }
    }

    /// After a window in which workers waited for a share of their time, at a rate.
    fn next(&mut self, waited: f64, rate: f64) -> usize {
        if let Some((before, old_rate)) = self.tried_from.take()
            && rate < old_rate * WORTH_IT
        {
            self.active = before;
            self.upwards = !self.upwards;
            self.rest = REST;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return self.active;
        }
        let next = if self.upwards { (self.active * 2).min(self.most) } else { self.active / 2 };
        if waited < MUCH {
            return self.active;
        }
        if next == 0 || next == self.active {
            self.upwards = !self.upwards;
            self.rest = REST;
            return self.active;
        }
        self.tried_from = Some((self.active, rate));
        self.active = next;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where so many readers get so much, each waiting for all of its time.
    fn settles(rate: impl Fn(usize) -> f64) -> usize {
        let mut climb = Climb::new(2, 8);
        let mut spent = [0; 9];
        for _ in 0..500 {
            let active = climb.active;
            spent[active] += 1;
            climb.next(1.0, rate(active));
        }
        (1..9).max_by_key(|active| spent[*active]).expect("not empty")
    }

    #[test]
    fn a_file_server_gets_many_and_a_spinning_disk_one() {
        assert_eq!(settles(|active| active as f64), 8);
        assert_eq!(settles(|active| active.min(4) as f64), 4);
        assert_eq!(settles(|active| 1.0 / active as f64), 1);
        assert_eq!(settles(|_| 1.0), 2, "what changes nothing is not done");
    }

    #[test]
    fn who_does_not_wait_changes_nothing() {
        let mut climb = Climb::new(2, 8);
        for rate in 1..100 {
            assert_eq!(climb.next(0.2, f64::from(rate)), 2);
        }
    }
}
