//! Ctrl-C: children receive it too and end; we notice, unwind, and temporary directories go.

use anyhow::{Context, bail};
use std::sync::atomic::{AtomicBool, Ordering};

static HAPPENED: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt no longer ends the process at once.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| HAPPENED.store(true, Ordering::SeqCst)).context("cannot catch interrupts")
}

pub(crate) fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// An error after an interrupt, so that `?` unwinds and everything cleans up behind itself.
pub(crate) fn check() -> anyhow::Result<()> {
    if happened() {
        bail!("interrupted");
    }
    Ok(())
}
