//! The first error of work that many threads share; everyone else stops at it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tintype_model::{Error, Result};

#[derive(Default)]
pub(crate) struct Failure {
    failed: AtomicBool,
    first: Mutex<Option<Error>>,
}

impl Failure {
    pub(crate) fn set(&self, error: Error) {
        let mut first = self.first.lock().expect("no panic while held");
        first.get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn into_result(self) -> Result<()> {
        self.first.into_inner().expect("no panic while held").map_or(Ok(()), Err)
    }
}
