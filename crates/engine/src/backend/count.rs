//! Counts what reaches the store: requests by kind, bytes each way, failures. For progress, for
//! bench, and for the bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tintype_model::Result;

use super::{Backend, Listed, PutStream, SharedBackend};

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    Put,
    /// Beginning of a stream.
    PutStream,
    /// A piece of a stream.
    Write,
    /// End of a stream.
    Finish,
    Get,
    Read,
    Stat,
    List,
    Delete,
    Sweep,
}

const OPS: usize = 10;

#[derive(Default)]
pub struct Counters {
    requests: [AtomicU64; OPS],
    failures: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

/// Counters at one moment. A request is a call of the driver; a stream of many parts may be
/// more requests to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub puts: u64,
    pub streams: u64,
    pub gets: u64,
    pub reads: u64,
    pub stats: u64,
    pub lists: u64,
    pub deletes: u64,
    /// Calls that ended in an error of any kind.
    pub failures: u64,
    pub up_bytes: u64,
    pub down_bytes: u64,
}

impl Counters {
    pub fn requests(&self, op: Op) -> u64 {
        self.requests[op as usize].load(Ordering::Relaxed)
    }

    pub fn now(&self) -> Counts {
        Counts {
            puts: self.requests(Op::Put),
            streams: self.requests(Op::PutStream),
            gets: self.requests(Op::Get),
            reads: self.requests(Op::Read),
            stats: self.requests(Op::Stat),
            lists: self.requests(Op::List),
            deletes: self.requests(Op::Delete),
            failures: self.failures.load(Ordering::Relaxed),
            up_bytes: self.up_bytes.load(Ordering::Relaxed),
            down_bytes: self.down_bytes.load(Ordering::Relaxed),
        }
    }

    fn note<T>(&self, op: Op, up_bytes: usize, result: Result<T>) -> Result<T> {
        self.requests[op as usize].fetch_add(1, Ordering::Relaxed);
        self.up_bytes.fetch_add(up_bytes as u64, Ordering::Relaxed);
        if result.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn note_down(&self, bytes: usize) {
        self.down_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

pub struct CountingBackend {
    inner: SharedBackend,
    counters: Arc<Counters>,
}

impl CountingBackend {
    pub fn new(inner: SharedBackend, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }
}

impl Backend for CountingBackend {
    crate::pass_on!(describe, conditional, store_features);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.counters.note(Op::Put, data.len(), self.inner.put(name, data))
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        let inner = self.counters.note(Op::PutStream, 0, self.inner.put_stream(name))?;
        Ok(Box::new(Stream { inner, counters: self.counters.clone() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let data = self.counters.note(Op::Get, 0, self.inner.get(name, limit_bytes))?;
        self.counters.note_down(data.len());
        Ok(data)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.counters.note(Op::Read, 0, self.inner.read_into(name, offset, out))?;
        self.counters.note_down(out.len());
        Ok(())
    }

    fn stat(&self, name: &str) -> Result<u64> {
        self.counters.note(Op::Stat, 0, self.inner.stat(name))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.counters.note(Op::List, 0, self.inner.list(prefix, each))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.counters.note(Op::Delete, 0, self.inner.delete(name))
    }

    crate::pass_on!(reserve);

    fn sweep(&self) -> Result<u64> {
        self.counters.note(Op::Sweep, 0, self.inner.sweep())
    }
}

struct Stream {
    inner: Box<dyn PutStream>,
    counters: Arc<Counters>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.counters.note(Op::Write, data.len(), self.inner.write(data))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.counters.note(Op::Finish, 0, self.inner.finish())
    }
}
