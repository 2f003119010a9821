//! Bounds upload and download in bytes per second, over all threads together.
//!
//! A call first waits until what was moved before it is paid off, then goes at full speed, so
//! that the average holds whatever the sizes are. Up to one second's worth of a pause is kept.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tintype_model::Result;

use super::{Backend, PutStream, SharedBackend};
use crate::env::{Clock, Env};

const BURST: Duration = Duration::from_secs(1);

/// A token bucket that is kept as the moment at which all debt is paid.
struct Bucket {
    clock: Arc<dyn Clock>,
    bytes_per_second: Option<NonZeroU64>,
    paid_off: Mutex<Duration>,
}

impl Bucket {
    fn new(clock: Arc<dyn Clock>, bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { clock, bytes_per_second, paid_off: Mutex::default() }
    }

    fn pay(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let price = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let now = self.clock.elapsed();
        let wait = {
            let mut paid_off = self.paid_off.lock().expect("nothing panics while it holds this");
            let start = (*paid_off).max(now.saturating_sub(BURST));
            *paid_off = start + price;
            start.saturating_sub(now)
        };
        if !wait.is_zero() {
            self.clock.sleep(wait);
        }
    }
}

pub struct LimitedBackend {
    inner: SharedBackend,
    up: Arc<Bucket>,
    down: Bucket,
}

impl LimitedBackend {
    /// `None`: no limit.
    pub fn new(
        inner: SharedBackend,
        upload_bytes_per_second: Option<NonZeroU64>,
        download_bytes_per_second: Option<NonZeroU64>,
        env: &Env,
    ) -> Self {
        Self {
            inner,
            up: Arc::new(Bucket::new(env.clock.clone(), upload_bytes_per_second)),
            down: Bucket::new(env.clock.clone(), download_bytes_per_second),
        }
    }
}

impl Backend for LimitedBackend {
    crate::pass_on!(describe, stat, list, delete, conditional, store_features, sweep, reserve);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.up.pay(data.len());
        self.inner.put(name, data)
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        Ok(Box::new(Stream { inner: self.inner.put_stream(name)?, up: self.up.clone() }))
    }

    /// Its size is known only afterwards: the next call pays for it.
    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.down.pay(0);
        let data = self.inner.get(name, limit_bytes)?;
        self.down.pay(data.len());
        Ok(data)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.down.pay(out.len());
        self.inner.read_into(name, offset, out)
    }
}

struct Stream {
    inner: Box<dyn PutStream>,
    up: Arc<Bucket>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.up.pay(data.len());
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.inner.finish()
    }
}
