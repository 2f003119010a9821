//! Bounds upload and download in bytes per second, over all threads together, and over all backends
//! that share a [`Limit`].
//!
//! A call first waits until what was moved before it is paid off, then goes at full speed, so
//! that the average holds whatever the sizes are. Up to one second's worth of a pause is kept. What
//! holds may change while a call waits: it looks again every second.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::tz;
use tintype_model::Result;
use tintype_model::bandwidth::Bandwidth;

use super::{Backend, PutStream, SharedBackend};
use crate::env::{Clock, Env};

const BURST: Duration = Duration::from_secs(1);
/// What holds is looked at so often while somebody waits.
const LOOK: Duration = Duration::from_secs(1);
/// Debt is counted in bytes times this, so that nothing is lost by rounding.
const NANOSECONDS: i128 = 1_000_000_000;

/// What is to be paid off, which may be less than nothing.
#[derive(Default)]
struct Bucket(Mutex<Debt>);

#[derive(Default)]
struct Debt {
    /// Billionths of bytes.
    amount: i128,
    seen: Duration,
}

impl Bucket {
    fn pay(&self, clock: &dyn Clock, bytes: usize, rate: impl Fn() -> Option<NonZeroU64>) {
        loop {
            let rate = rate().map(|rate| i128::from(rate.get()));
            let wait = {
                let mut debt = self.0.lock().expect("nothing panics while it holds this");
                let now = clock.elapsed();
                let past = now.saturating_sub(std::mem::replace(&mut debt.seen, now));
                let Some(rate) = rate else {
                    debt.amount = 0;
                    return;
                };
                let burst = rate * BURST.as_nanos() as i128;
                debt.amount = (debt.amount - rate * past.as_nanos() as i128).max(-burst);
                if debt.amount <= 0 {
                    debt.amount += bytes as i128 * NANOSECONDS;
                    return;
                }
                let nanoseconds = (debt.amount + rate - 1) / rate;
                Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)).min(LOOK)
            };
            clock.sleep(wait);
        }
    }
}

/// By the time of the week, for all who share it.
#[derive(Default)]
pub struct Limit {
    bandwidth: RwLock<Option<Bandwidth>>,
    up: Bucket,
    down: Bucket,
}

impl Limit {
    pub fn new(bandwidth: Option<Bandwidth>) -> Self {
        Self { bandwidth: RwLock::new(bandwidth), ..Self::default() }
    }

    /// Holds from now on, also for what goes on.
    pub fn set(&self, bandwidth: Option<Bandwidth>) {
        *self.bandwidth.write().expect("no holder panics") = bandwidth;
    }

    pub fn bandwidth(&self) -> Option<Bandwidth> {
        self.bandwidth.read().expect("no holder panics").clone()
    }

    fn rate(&self, clock: &dyn Clock) -> Option<NonZeroU64> {
        let bandwidth = self.bandwidth.read().expect("no holder panics");
        bandwidth.as_ref()?.at(clock.now(), tz::db())
    }
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Limit").field(&self.bandwidth()).finish()
    }
}

/// One bound of a backend.
enum Bound {
    Fixed { up: Option<NonZeroU64>, down: Option<NonZeroU64>, buckets: [Bucket; 2] },
    Shared(Arc<Limit>),
}

struct Bounds {
    bound: Bound,
    clock: Arc<dyn Clock>,
}

impl Bounds {
    fn up(&self, bytes: usize) {
        match &self.bound {
            Bound::Fixed { up, buckets, .. } => buckets[0].pay(&*self.clock, bytes, || *up),
            Bound::Shared(limit) => {
                limit.up.pay(&*self.clock, bytes, || limit.rate(&*self.clock));
            }
        }
    }

    fn down(&self, bytes: usize) {
        match &self.bound {
            Bound::Fixed { down, buckets, .. } => buckets[1].pay(&*self.clock, bytes, || *down),
            Bound::Shared(limit) => {
                limit.down.pay(&*self.clock, bytes, || limit.rate(&*self.clock));
            }
        }
    }
}

pub struct LimitedBackend {
    inner: SharedBackend,
    bounds: Arc<Bounds>,
}

impl LimitedBackend {
    /// `None`: no limit.
    pub fn new(
        inner: SharedBackend,
        upload_bytes_per_second: Option<NonZeroU64>,
        download_bytes_per_second: Option<NonZeroU64>,
        env: &Env,
    ) -> Self {
        let (up, down) = (upload_bytes_per_second, download_bytes_per_second);
        Self::of(inner, Bound::Fixed { up, down, buckets: Default::default() }, env)
    }

    /// What holds at the moment.
    pub fn sharing(inner: SharedBackend, limit: Arc<Limit>, env: &Env) -> Self {
        Self::of(inner, Bound::Shared(limit), env)
    }

    fn of(inner: SharedBackend, bound: Bound, env: &Env) -> Self {
        Self { inner, bounds: Arc::new(Bounds { bound, clock: env.clock.clone() }) }
    }
}

impl Backend for LimitedBackend {
    crate::pass_on!(describe, stat, list, delete, conditional, store_features, sweep, reserve);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.bounds.up(data.len());
        self.inner.put(name, data)
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        Ok(Box::new(Stream { inner: self.inner.put_stream(name)?, bounds: self.bounds.clone() }))
    }

    /// Its size is known only afterwards: the next call pays for it.
    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.bounds.down(0);
        let data = self.inner.get(name, limit_bytes)?;
        self.bounds.down(data.len());
        Ok(data)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.bounds.down(out.len());
        self.inner.read_into(name, offset, out)
    }
}

struct Stream {
    inner: Box<dyn PutStream>,
    bounds: Arc<Bounds>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.bounds.up(data.len());
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.inner.finish()
    }
}
