//! Bounds how many calls are under way at once: a store that gets more answers none faster.

use std::sync::{Arc, Condvar, Mutex};

use tintype_model::Result;

use super::{Backend, PutStream, SharedBackend};

/// A counting semaphore for threads.
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    fn take(&self) -> Slot<'_> {
        const UNPOISONED: &str = "nothing panics while it holds this lock";
        let free = self.free.lock().expect(UNPOISONED);
        let mut free = self.freed.wait_while(free, |free| *free == 0).expect(UNPOISONED);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Ok(mut free) = self.0.free.lock() {
            *free += 1;
        }
        self.0.freed.notify_one();
    }
}

pub struct BoundedBackend {
    inner: SharedBackend,
    slots: Arc<Slots>,
}

impl BoundedBackend {
    /// At most `most` calls at once, at least one.
    pub fn new(inner: SharedBackend, most: usize) -> Self {
        let slots = Slots { free: Mutex::new(most.max(1)), freed: Condvar::new() };
        Self { inner, slots: Arc::new(slots) }
    }
}

impl Backend for BoundedBackend {
    // Listing holds no slot: `each` may call the backend itself, and would wait for ever.
    crate::pass_on!(describe, list, conditional, store_features, sweep, reserve);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        let _slot = self.slots.take();
        self.inner.put(name, data)
    }

    /// An open stream holds no slot, only its calls do.
    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        let _slot = self.slots.take();
        Ok(Box::new(Stream { inner: self.inner.put_stream(name)?, slots: self.slots.clone() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let _slot = self.slots.take();
        self.inner.get(name, limit_bytes)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        let _slot = self.slots.take();
        self.inner.read_into(name, offset, out)
    }

    fn stat(&self, name: &str) -> Result<u64> {
        let _slot = self.slots.take();
        self.inner.stat(name)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let _slot = self.slots.take();
        self.inner.delete(name)
    }
}

struct Stream {
    inner: Box<dyn PutStream>,
    slots: Arc<Slots>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        let _slot = self.slots.take();
        self.inner.write(data)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let slots = self.slots.clone();
        let _slot = slots.take();
        self.inner.finish()
    }
}
