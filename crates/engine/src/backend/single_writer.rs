//! For stores without a true conditional put: looks first, then puts. One writer alone sees
//! put-if-absent; two at once may both win, so `conditional` is false and the repository must
//! have a single writer.

use tintype_model::{Error, ErrorKind, Result};

use super::{Backend, PutStream, SharedBackend};

pub struct SingleWriterBackend {
    inner: SharedBackend,
}

impl SingleWriterBackend {
    pub fn new(inner: SharedBackend) -> Self {
        Self { inner }
    }
}

impl Backend for SingleWriterBackend {
    crate::pass_on!(describe, stat, list, delete, store_features, sweep, reserve);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        match self.inner.stat(name) {
            Ok(_) => Err(Error::already_exists(format!("object {name} exists already"))),
            Err(error) if error.is(ErrorKind::NotFound) => self.inner.put(name, data),
            Err(error) => Err(error),
        }
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        self.inner.put_stream(name)
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.inner.get(name, limit_bytes)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.inner.read_into(name, offset, out)
    }

    fn conditional(&self) -> bool {
        false
    }
}
