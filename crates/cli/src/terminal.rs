//! What goes to standard error, so that lines and the progress display do not mix.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;

use indicatif::ProgressBar;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on lines are printed above this bar; `None`: there is none any more.
pub(crate) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().expect("no panic while held") = bar;
}

/// One line to standard error. That nobody reads it is no reason to stop.
pub(crate) fn line(text: &str) {
    write(format!("{text}\n").as_bytes());
}

fn write(bytes: &[u8]) {
    let put = || {
        let _ = std::io::stderr().lock().write_all(bytes);
    };
    match &*BAR.lock().expect("no panic while held") {
        Some(bar) => bar.suspend(put),
        None => put(),
    }
}

/// Whether a person sits there who can be asked.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// For `tracing`: collects one message and writes it at once.
pub(crate) struct LogLine(Vec<u8>);

impl LogLine {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }
}

impl std::io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        write(&self.0);
    }
}

/// Asks a person; `false` when there is none.
pub(crate) fn is_agreed(question: &str, nobody: bool) -> anyhow::Result<bool> {
    if nobody || !is_interactive() {
        return Ok(false);
    }
    write(format!("{question} [y/N] ").as_bytes());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
