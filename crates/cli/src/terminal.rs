//! What goes to standard error, so that lines and the progress display do not mix.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::MultiProgress;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);
static ASKING: AtomicBool = AtomicBool::new(false);

/// Whether a question waits for its answer: nothing is under way that could be stopped.
pub(crate) fn is_asking() -> bool {
    ASKING.load(Ordering::SeqCst)
}

/// From now on lines are printed above these bars; `None`: there are none any more.
pub(crate) fn set_bars(bars: Option<MultiProgress>) {
    *BARS.lock().expect("no panic while held") = bars;
}

/// One line to standard error. That nobody reads it is no reason to stop.
pub(crate) fn line(text: &str) {
    write(format!("{}\n", crate::show::harmless(text)).as_bytes());
}

fn write(bytes: &[u8]) {
    let put = || {
        let _ = std::io::stderr().lock().write_all(bytes);
    };
    match &*BARS.lock().expect("no panic while held") {
        Some(bars) => bars.suspend(put),
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

/// The terminal and its settings while a secret is typed unseen.
static SEEN: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Asks for a secret at the terminal without showing what is typed.
pub(crate) fn ask_secret(prompt: &str) -> std::io::Result<String> {
    let settings = |tty: File| tcgetattr(&tty).ok().map(|settings| (tty, settings));
    *SEEN.lock().expect("no panic while held") = File::open("/dev/tty").ok().and_then(settings);
    let answer = rpassword::prompt_password(prompt);
    SEEN.lock().expect("no panic while held").take();
    answer
}

/// Before the process ends in the middle of [`ask_secret`].
pub(crate) fn restore() {
    if let Some((tty, settings)) = SEEN.lock().expect("no panic while held").take() {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&tty, OptionalActions::Now, &settings);
    }
}

/// Asks a person; `false` when there is none.
pub(crate) fn is_agreed(question: &str, nobody: bool) -> anyhow::Result<bool> {
    if nobody || !is_interactive() {
        return Ok(false);
    }
    write(format!("{question} [y/N] ").as_bytes());
    let mut answer = String::new();
    ASKING.store(true, Ordering::SeqCst);
    let read = std::io::stdin().read_line(&mut answer);
    ASKING.store(false, Ordering::SeqCst);
    read?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
