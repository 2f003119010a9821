//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tintype_engine::cancel::Cancel;

use crate::exit::Exit;
use crate::terminal;

static ASKED: AtomicBool = AtomicBool::new(false);

pub(crate) fn install(cancel: Cancel, is_quiet: bool) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::SeqCst) || terminal::is_asking() {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        cancel.cancel();
        if !is_quiet {
            terminal::line(
                "stopping; what was uploaded is reused by the next run (once more: stop at once)",
            );
        }
    })
    .context("cannot catch interrupts")
}

pub(crate) fn happened() -> bool {
    ASKED.load(Ordering::SeqCst)
}
