//! Several parts that come one after the other over one connection, each read to its end before
//! the next.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, Result};

use crate::connector::{Content, Part};

pub(super) trait InOrder: Send + 'static {
    /// Fills the buffer with what comes next of the part with this number; 0 at its end.
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize>;

    /// Whether the part was read to its end.
    fn ended(&mut self, number: usize) -> Result<()>;
}

pub(super) type Shared<T> = Arc<Mutex<T>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reader<T> {
    shared: Shared<T>,
    number: usize,
}

impl<T: InOrder> Read for Reader<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.shared).read(self.number, buffer).map_err(io::Error::other)
    }
}

/// `bytes`: as far as it is known.
pub(super) fn part<T: InOrder>(shared: &Shared<T>, number: usize, at: &str, bytes: u64) -> Part {
    let node = Node { size: bytes, ..Node::new(Kind::Stream) };
    let read = Box::new(Reader { shared: Arc::clone(shared), number });
    let shared = Arc::clone(shared);
    let end = Box::new(move || lock(&shared).ended(number));
    Part { at: at.into(), content: Content::Stream { node, read, end } }
}

pub(super) fn out_of_order() -> Error {
    Error::internal("parts that come over one connection were not read one after the other")
}
