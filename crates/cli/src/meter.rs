//! Measures how long threads spend in calls to the store, so that progress can say what a run
//! waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tintype_engine::Result;
use tintype_engine::backend::{Backend, Listed, PutStream, SharedBackend};
use tintype_engine::env::Clock;

/// Time that all threads together spent in the store.
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    busy_nanoseconds: AtomicU64,
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, busy_nanoseconds: AtomicU64::new(0) })
    }

    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_nanoseconds.load(Ordering::Relaxed))
    }

    fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let start = self.clock.elapsed();
        let result = call();
        let spent = self.clock.elapsed().saturating_sub(start).as_nanos() as u64;
        self.busy_nanoseconds.fetch_add(spent, Ordering::Relaxed);
        result
    }
}

pub(crate) struct MeteredBackend {
    inner: SharedBackend,
    meter: Arc<Meter>,
}

impl MeteredBackend {
    pub(crate) fn new(inner: SharedBackend, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl Backend for MeteredBackend {
    tintype_engine::pass_on!(describe, conditional, store_features, sweep, reserve);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.meter.time(|| self.inner.put(name, data))
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        let inner = self.meter.time(|| self.inner.put_stream(name))?;
        Ok(Box::new(MeteredStream { inner, meter: self.meter.clone() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.meter.time(|| self.inner.get(name, limit_bytes))
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.meter.time(|| self.inner.read_into(name, offset, out))
    }

    fn stat(&self, name: &str) -> Result<u64> {
        self.meter.time(|| self.inner.stat(name))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.meter.time(|| self.inner.list(prefix, each))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.meter.time(|| self.inner.delete(name))
    }
}

struct MeteredStream {
    inner: Box<dyn PutStream>,
    meter: Arc<Meter>,
}

impl PutStream for MeteredStream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.meter.time(|| self.inner.write(data))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { inner, meter } = *self;
        meter.time(|| inner.finish())
    }
}
