//! The one small trait behind which bytes are stored. A backend is thin; retries, limits,
//! counting and faults are decorators around it. Every backend passes [`conformance`].
//!
//! Nothing in the protocol overwrites an object. Names are lower case letters, digits,
//! `.`, `_`, `-` and `/`, at most 200 bytes, no empty component and none that starts with
//! a dot, none below `tmp/`: see [`name`].

mod clock;
pub mod cloud;
pub mod concurrency;
pub mod conformance;
pub mod count;
#[cfg(feature = "testing")]
pub mod crash;
#[cfg(feature = "testing")]
pub mod faults;
pub mod limit;
pub mod local;
pub mod memory;
pub mod name;
pub mod open;
pub mod probe;
pub mod retry;
pub mod s3;
pub mod single_writer;
pub mod url;

use std::sync::Arc;

pub use jiff::Timestamp;
use tintype_model::{Error, Result};

pub use concurrency::BoundedBackend;
pub use count::{Counters, CountingBackend, Counts};
#[cfg(feature = "testing")]
pub use crash::{CrashBackend, CrashMode};
#[cfg(feature = "testing")]
pub use faults::FaultyBackend;
pub use limit::{Limit, LimitedBackend};
pub use local::LocalBackend;
pub use memory::MemoryBackend;
pub use open::{BackendOptions, Opened, open_backend};
pub use probe::{ProbeReport, probe};
pub use retry::{Retries, RetryBackend, RetryPolicy};
pub use s3::{AccessKey, S3Backend, S3Config};
pub use single_writer::SingleWriterBackend;

/// What `list` says about an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub name: String,
    pub size_bytes: u64,
}

/// All calls block; all may be made from many threads at once.
///
/// Errors: `NotFound`, `AlreadyExists`, `Denied`, `NoSpace`, `Invalid`, `Unsupported`, and
/// `Unavailable` for whatever may work later.
pub trait Backend: Send + Sync {
    /// Where this is, for people, without secrets.
    fn describe(&self) -> String;

    /// Stores a whole object under a name that must not exist: durable when it returns, never
    /// visible in part. `AlreadyExists` if the name is taken and the store can tell (see
    /// [`Backend::conditional`]). After `Unavailable` the object may or may not exist.
    fn put(&self, name: &str, data: &[u8]) -> Result<()>;

    /// Begins an object that is written piece by piece, under a name that is used only once
    /// (random 128 bits), so that no condition is needed. Invisible until `finish`.
    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>>;

    /// The whole object. `Invalid` if it is larger than `limit_bytes`: nothing is allocated then.
    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>>;

    /// Fills `out` from the object at `offset`. `Corrupt` if the object ends before.
    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()>;

    /// Size in bytes.
    fn stat(&self, name: &str) -> Result<u64>;

    /// Calls `each` for every object whose name starts with `prefix` (a whole directory such as
    /// `fate/`, or empty), in any order. Objects put before the call are always listed.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()>;

    /// Deletes; an object that does not exist is no error.
    fn delete(&self, name: &str) -> Result<()>;

    /// Whether `put` really refuses a taken name, also when several put at once. What the
    /// driver believes; `probe` finds out.
    fn conditional(&self) -> bool;

    /// What the store says of itself beyond objects; asked by `probe`.
    fn store_features(&self) -> Result<StoreFeatures> {
        Ok(StoreFeatures::default())
    }

    /// What time the store says it is, to the second at best; `None` where it does not tell.
    fn now(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Removes what interrupted writers left that is not an object: temporary files, unfinished
    /// multipart uploads. Gives how many. May make a very slow writer fail; loses nothing.
    fn sweep(&self) -> Result<u64> {
        Ok(0)
    }

    /// Keeps a little room for the day on which the store is full, where that is possible.
    fn keep_reserve(&self) {}

    /// Gives that room up, so that something can be deleted; false if there was none.
    fn give_up_reserve(&self) -> Result<bool> {
        Ok(false)
    }
}

/// In `impl Backend` of a decorator: the calls that go to `self.inner` as they are.
#[macro_export]
macro_rules! pass_on {
    (@ describe) => {
        fn describe(&self) -> String {
            self.inner.describe()
        }
    };
    (@ stat) => {
        fn stat(&self, name: &str) -> $crate::Result<u64> {
            self.inner.stat(name)
        }
    };
    (@ list) => {
        fn list(
            &self,
            prefix: &str,
            each: &mut dyn FnMut($crate::backend::Listed) -> $crate::Result<()>,
        ) -> $crate::Result<()> {
            self.inner.list(prefix, each)
        }
    };
    (@ delete) => {
        fn delete(&self, name: &str) -> $crate::Result<()> {
            self.inner.delete(name)
        }
    };
    (@ conditional) => {
        fn conditional(&self) -> bool {
            self.inner.conditional()
        }
    };
    (@ store_features) => {
        fn store_features(&self) -> $crate::Result<$crate::backend::StoreFeatures> {
            self.inner.store_features()
        }

        fn now(&self) -> $crate::Result<Option<$crate::backend::Timestamp>> {
            self.inner.now()
        }
    };
    (@ sweep) => {
        fn sweep(&self) -> $crate::Result<u64> {
            self.inner.sweep()
        }
    };
    (@ reserve) => {
        fn keep_reserve(&self) {
            self.inner.keep_reserve();
        }

        fn give_up_reserve(&self) -> $crate::Result<bool> {
            self.inner.give_up_reserve()
        }
    };
    ($($call:ident),+) => { $($crate::pass_on!(@ $call);)+ };
}

/// `None`: the store cannot tell or was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFeatures {
    pub versioning: Option<bool>,
    pub object_lock: Option<bool>,
    /// For us.
    pub free_bytes: Option<u64>,
    /// What is taken and what is free for us, together.
    pub total_bytes: Option<u64>,
}

/// An object being written. Dropped before `finish`: the object never existed.
pub trait PutStream: Send {
    fn write(&mut self, data: &[u8]) -> Result<()>;
    /// Durable and visible when it returns.
    fn finish(self: Box<Self>) -> Result<()>;
}

pub type SharedBackend = Arc<dyn Backend>;

/// All objects below `prefix`, in memory, sorted by name.
pub fn list_all(backend: &dyn Backend, prefix: &str) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    backend.list(prefix, &mut |listed| {
        all.push(listed);
        Ok(())
    })?;
    all.sort_unstable();
    Ok(all)
}

/// What [`probe()`] and [`conformance`] write begins so; they remove it, directories included.
pub const SCRATCH: &str = "probe-";

/// Refuses to read an object that is larger than the caller expects.
fn check_limit(name: &str, size_bytes: u64, limit_bytes: u64) -> Result<()> {
    if size_bytes <= limit_bytes {
        return Ok(());
    }
    Err(Error::invalid(format!("object {name} has {size_bytes} bytes, more than {limit_bytes}")))
}

fn too_short(name: &str, size_bytes: u64, offset: u64, length: usize) -> Error {
    Error::corrupt(format!(
        "object {name} has {size_bytes} bytes, expected {length} at offset {offset}"
    ))
}
