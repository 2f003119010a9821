//! A flag that asks long work to stop at the next safe point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Canceled` once [`Cancel::cancel`] was called.
    pub fn check(&self) -> Result<()> {
        if self.is_canceled() { Err(Error::canceled("stopped by request")) } else { Ok(()) }
    }
}
