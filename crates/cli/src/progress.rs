//! Progress: a bar on a terminal, lines every few seconds elsewhere, events with `--json`.
//!
//! The work runs in one task and this in another; nothing here decides anything.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use tintype_engine::env::Task;
use tintype_engine::repo::session::Session;
use tintype_runner::progress::Progress;

use crate::app::App;
use crate::report::with_bytes;
use crate::{show, terminal};

const REDRAW: Duration = Duration::from_millis(100);
const EVENTS: Duration = Duration::from_secs(1);
const LINES: Duration = Duration::from_secs(5);
/// Of the time of all workers: what takes more than this is what they wait for.
const CLEAR_SHARE: f64 = 0.4;
/// Rates are means over about this long.
const SMOOTHING_SECONDS: f64 = 4.0;

/// What is shown while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'w> {
    /// `snapshot`, `restore`…
    pub(crate) what: &'static str,
    /// What the work waits for when it is neither the store nor the processor.
    pub(crate) other_side: &'static str,
    pub(crate) progress: &'w Progress,
    /// Totals come from an earlier snapshot.
    pub(crate) is_estimate: bool,
    /// A session that must show that it lives.
    pub(crate) pin: Option<&'w Session<'w>>,
    /// Stands in for `what` where the work has stages.
    pub(crate) phase: Option<&'w Mutex<&'static str>>,
    /// What is counted: one, many.
    pub(crate) unit: (&'static str, &'static str),
    /// What the paths of the progress lie in, for people.
    pub(crate) below: &'w Path,
    /// Nothing is shown: the work ends when somebody else says so.
    pub(crate) is_silent: bool,
}

impl<'w> Watched<'w> {
    pub(crate) fn new(
        what: &'static str,
        progress: &'w Progress,
        other_side: &'static str,
    ) -> Self {
        let unit = ("file", "files");
        let below = Path::new("/");
        Self {
            what,
            other_side,
            progress,
            is_estimate: false,
            pin: None,
            phase: None,
            unit,
            below,
            is_silent: false,
        }
    }
}

#[derive(Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    fn set(&self) {
        *self.ended.lock().expect("no panic while held") = true;
        self.changed.notify_all();
    }

    /// Waits; true when the work has ended.
    fn wait(&self, time: Duration) -> bool {
        let ended = self.ended.lock().expect("no panic while held");
        let (ended, _) = self
            .changed
            .wait_timeout_while(ended, time, |ended| !*ended)
            .expect("no panic while held");
        *ended
    }
}

/// Ends the display also when the work panics.
struct EndOnDrop<'e>(&'e Ended);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl App {
    /// Work that counts nothing: only that it goes on is shown.
    pub(crate) fn busy<T: Send>(&self, what: &'static str, work: impl FnOnce() -> T + Send) -> T {
        self.watch(&Watched::new(what, &Progress::default(), "the store"), work)
    }

    /// Does the work while its progress is shown.
    pub(crate) fn watch<T: Send>(
        &self,
        watched: &Watched<'_>,
        work: impl FnOnce() -> T + Send,
    ) -> T {
        let ended = Ended::default();
        let result = Mutex::new(None);
        let tasks: Vec<Task<'_>> = vec![
            Box::new(|| {
                let _end = EndOnDrop(&ended);
                let done = work();
                *result.lock().expect("no panic while held") = Some(done);
            }),
            Box::new(|| self.show_until(&ended, watched)),
        ];
        self.env.tasks.run(tasks);
        result.into_inner().expect("no panic while held").expect("the work ended")
    }

    fn show_until(&self, ended: &Ended, watched: &Watched<'_>) {
        use std::io::IsTerminal as _;
        let silent = self.global.no_progress || self.report.is_quiet() || watched.is_silent;
        let on_terminal = std::io::stderr().is_terminal() && !self.report.is_json();
        let step = match (self.report.is_json(), on_terminal) {
            (true, _) => EVENTS,
            (_, true) => REDRAW,
            _ => LINES,
        };
        let step = if silent { EVENTS } else { step };
        let bars = (on_terminal && !silent).then(Bars::new);
        terminal::set_bars(bars.as_ref().map(|bars| bars.all.clone()));
        let mut speed = Speed::new(self);
        while !ended.wait(step) {
            if let Some(pin) = watched.pin
                && let Err(error) = pin.beat()
            {
                tracing::debug!(%error, "heartbeat");
            }
            let view = View::of(self, watched, &mut speed);
            match &bars {
                _ if silent => {}
                Some(bars) => view.draw(bars, watched.below),
                None if self.report.is_json() => view.event(self),
                None => terminal::line(&view.timed_line()),
            }
        }
        terminal::set_bars(None);
        if let Some(Bars { all, .. }) = bars {
            // A terminal that cannot be cleared is not worth a word.
            let _ = all.clear();
        }
    }
}

/// Two lines, each cut to the width of the terminal: figures, and what is worked on.
struct Bars {
    all: MultiProgress,
    figures: ProgressBar,
    current: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let line = || {
            let style = ProgressStyle::with_template("{wide_msg}").expect("the template is right");
            all.add(ProgressBar::new(0).with_style(style))
        };
        Self { figures: line(), current: line(), all }
    }
}

/// How fast it goes, as a moving mean.
struct Speed {
    started: Duration,
    at: Duration,
    bytes: u64,
    entries: u64,
    busy: Duration,
    processor: Duration,
    bytes_per_second: f64,
    entries_per_second: f64,
    store_share: f64,
    processor_share: f64,
}

impl Speed {
    fn new(app: &App) -> Self {
        Self {
            started: app.env.clock.elapsed(),
            at: app.env.clock.elapsed(),
            bytes: 0,
            entries: 0,
            busy: app.meter.busy(),
            processor: processor_time(),
            bytes_per_second: 0.0,
            entries_per_second: 0.0,
            store_share: 0.0,
            processor_share: 0.0,
        }
    }

    fn update(&mut self, app: &App, bytes: u64, entries: u64) {
        let now = app.env.clock.elapsed();
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        // At first a plain mean: there is nothing older to be smoothed with.
        let since_start = now.saturating_sub(self.started).as_secs_f64();
        let weight = (1.0 - (-seconds / SMOOTHING_SECONDS).exp()).max(seconds / since_start);
        let mix = |old: &mut f64, new: f64| *old += weight * (new - *old);
        let workers = app.budget.workers as f64;
        let (busy, processor) = (app.meter.busy(), processor_time());
        let share = |spent: Duration| spent.as_secs_f64() / seconds / workers;
        mix(&mut self.bytes_per_second, bytes.saturating_sub(self.bytes) as f64 / seconds);
        mix(&mut self.entries_per_second, entries.saturating_sub(self.entries) as f64 / seconds);
        mix(&mut self.store_share, share(busy.saturating_sub(self.busy)));
        mix(&mut self.processor_share, share(processor.saturating_sub(self.processor)));
        (self.at, self.bytes, self.entries) = (now, bytes, entries);
        (self.busy, self.processor) = (busy, processor);
    }
}

/// What all threads of this process computed so far, or were ready to but had to wait for a
/// processor (proc(5), schedstat).
fn processor_time() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let of_thread = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let fields = text.split_whitespace().take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>()
    };
    Duration::from_nanos(threads.flatten().map(of_thread).sum())
}

/// One look at a run.
struct View {
    what: &'static str,
    entries: u64,
    files: u64,
    bytes: u64,
    moved_bytes: u64,
    problems: u64,
    total_bytes: Option<u64>,
    total_entries: Option<u64>,
    is_estimate: bool,
    bytes_per_second: f64,
    eta_seconds: Option<f64>,
    current: Vec<u8>,
    waits_for: &'static str,
    seconds: f64,
    unit: (&'static str, &'static str),
}

impl View {
    fn of(app: &App, watched: &Watched<'_>, speed: &mut Speed) -> Self {
        let progress = watched.progress;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        // A large file counts as it is moved, not only when it is done.
        let bytes = get(&progress.bytes).max(get(&progress.moved_bytes));
        let entries = get(&progress.entries);
        speed.update(app, bytes, entries);
        // An estimate that was passed is none any more.
        let total = |total: u64, done: u64| (total > 0 && total >= done).then_some(total);
        let total_bytes = total(get(&progress.total_bytes), bytes);
        let total_entries = total(get(&progress.total_entries), entries);
        let rest = |total: Option<u64>, done: u64, rate: f64| {
            total.filter(|_| rate > 0.0).map(|total| (total - done) as f64 / rate)
        };
        let by_bytes = rest(total_bytes, bytes, speed.bytes_per_second);
        let by_entries = rest(total_entries, entries, speed.entries_per_second);
        let eta_seconds = match (by_bytes, by_entries) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let waits_for = if speed.store_share.max(speed.processor_share) < CLEAR_SHARE {
            watched.other_side
        } else if speed.store_share > speed.processor_share {
            "the store"
        } else {
            "the processor"
        };
        Self {
            what: watched
                .phase
                .map_or(watched.what, |phase| *phase.lock().expect("no panic while held")),
            unit: watched.unit,
            entries,
            files: get(&progress.files),
            bytes,
            moved_bytes: get(&progress.moved_bytes),
            problems: get(&progress.problems),
            total_bytes,
            total_entries,
            is_estimate: watched.is_estimate,
            bytes_per_second: speed.bytes_per_second,
            eta_seconds,
            current: progress.current(),
            waits_for,
            seconds: app.seconds(),
        }
    }

    fn line(&self) -> String {
        if self.files == 0 && self.bytes == 0 && self.total_bytes.is_none() {
            return format!("{}: waits for {}", self.what, self.waits_for);
        }
        let about = if self.is_estimate { "~" } else { "" };
        let of = self.total_bytes.map(|total| format!(" of {about}{}", show::bytes(total)));
        let mut line = format!(
            "{}: {}, {}{}, {}/s",
            self.what,
            show::counted(self.files, self.unit.0, self.unit.1),
            show::bytes(self.bytes),
            of.unwrap_or_default(),
            show::bytes(self.bytes_per_second as u64),
        );
        if let Some(eta) = self.eta_seconds {
            let _ = write!(line, ", ETA {about}{}", show::seconds(eta));
        }
        if self.problems > 0 {
            let _ = write!(line, ", {}", show::counted(self.problems, "problem", "problems"));
        }
        let _ = write!(line, ", waits for {}", self.waits_for);
        line
    }

    /// Begins with the time that went by, so that nobody takes it for the result.
    fn timed_line(&self) -> String {
        format!("[{}] {}", show::seconds(self.seconds), self.line())
    }

    fn draw(&self, bars: &Bars, below: &Path) {
        bars.figures.set_message(self.timed_line());
        let current = below.join(OsStr::from_bytes(&self.current));
        let current = match &self.current[..] {
            b"" => String::new(),
            _ => show::path(current.as_os_str().as_bytes()),
        };
        bars.current.set_message(current);
        bars.figures.tick();
        bars.current.tick();
    }

    fn event(&self, app: &App) {
        let fields = json!({
            "phase": self.what,
            "seconds": self.seconds,
            "entries": self.entries,
            "files": self.files,
            "bytes": self.bytes,
            "moved_bytes": self.moved_bytes,
            "problems": self.problems,
            "total_bytes": self.total_bytes,
            "total_entries": self.total_entries,
            "totals_are_estimates": self.is_estimate,
            "bytes_per_second": self.bytes_per_second,
            "eta_seconds": self.eta_seconds,
            "waits_for": self.waits_for,
        });
        let fields = with_bytes(fields, "current", &self.current);
        if app.report.event("progress", fields).is_err() {
            // Nobody reads any more.
            app.cancel.cancel();
        }
    }
}
