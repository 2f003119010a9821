//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::Context as _;
use tintype_engine::cancel::Cancel;

use crate::exit::Exit;
use crate::terminal;

static ASKED: AtomicBool = AtomicBool::new(false);
/// What an interrupt stops, and whether that is told; nothing before the work begins.
static WORK: OnceLock<(Cancel, bool)> = OnceLock::new();

/// From now on an interrupt asks the work to stop.
pub(crate) fn install(cancel: Cancel, is_quiet: bool) -> anyhow::Result<()> {
    // The first work is the only one.
    let _ = WORK.set((cancel, is_quiet));
    guard()
}

/// From now on an interrupt leaves the terminal as it was, also in the middle of a prompt.
pub(crate) fn guard() -> anyhow::Result<()> {
    static GUARDED: Mutex<bool> = Mutex::new(false);
    let mut is_guarded = GUARDED.lock().expect("no panic while held");
    if !*is_guarded {
        ctrlc::set_handler(interrupted).context("cannot catch interrupts")?;
        *is_guarded = true;
    }
    Ok(())
}

fn interrupted() {
    let is_second = ASKED.swap(true, Ordering::SeqCst);
    let Some((cancel, is_quiet)) = WORK.get().filter(|_| !is_second && !terminal::is_asking())
    else {
        terminal::restore();
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    cancel.cancel();
    if !is_quiet {
        terminal::line(
            "stopping; the next run goes on from what is done (once more: stop at once)",
        );
    }
}

pub(crate) fn happened() -> bool {
    ASKED.load(Ordering::SeqCst)
}
