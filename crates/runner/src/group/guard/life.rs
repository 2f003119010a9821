//! The guard's life.
//!
//! What is needed to thaw may be held by the run itself: a monitor and an agent take one client at
//! a time. So a run that was stopped is told to go on, and one that is stuck is killed.

use std::io::{BufRead as _, BufReader, Read as _, StdinLock, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use tintype_model::resource::HookPlace;
use tintype_model::{Error, Result};
use tintype_source::connector::{Connector, Context, Guarded, Living};

use super::{Order, Owed, OwedHook, Window, is_readable};
use crate::group::hooks;
use crate::group::restore::in_guest;
use crate::group::sessions::{self, Locks};
use crate::group::sweep;

/// So long after the deadline, in parts of it, a run may still be waiting for what it thaws.
const LATE: (u32, u32) = (3, 2);
/// A longer order is refused.
const ORDER_BYTES: u64 = 64 << 20;
/// A run that was killed lets go of what it held within this time.
const DIES_WITHIN: Duration = Duration::from_secs(10);
/// A guest that still flushes cannot answer; one that does not for so long never will.
const GOES_ON: Duration = Duration::from_mins(15);
const PAUSE: Duration = Duration::from_secs(1);
/// What could not be removed is tried so often, so far apart.
const CLEANS: u32 = 30;
/// Without words the guard looks so often whether the pipe is still there.
const IDLE: Duration = Duration::from_hours(1);

/// What a run says.
enum Word {
    Window(Window),
    Done,
    Held,
    Released,
    /// The run is dead.
    Closed,
}

/// Standard input is where orders come from. Gives what it did that the run should have done, in
/// words.
pub fn guard(connectors: &[Box<dyn Connector>], context: &Context) -> Result<Vec<String>> {
    let mut orders = BufReader::new(std::io::stdin().lock());
    let line = line(&mut orders)?;
    let order: Order = serde_json::from_str(&line)
        .map_err(|error| Error::invalid(format!("this is no order for a guard: {error}")))?;
    let run = order.run.and_then(Run::of_parent);
    let (owed, did) = (Vec::new(), Vec::new());
    let mut life = Life { orders, connectors, context, order, run, owed, did };
    say("ready");
    loop {
        let word = match life.told(context.clock.elapsed() + IDLE)? {
            Some(Word::Window(window)) => life.window(&window)?,
            word => word,
        };
        match word {
            Some(Word::Released) => break,
            Some(Word::Closed) => {
                life.clean();
                break;
            }
            _ => {}
        }
    }
    Ok(life.did)
}

struct Life<'l> {
    orders: BufReader<StdinLock<'static>>,
    connectors: &'l [Box<dyn Connector>],
    context: &'l Context,
    order: Order,
    run: Option<Run>,
    /// What the run must still do for whom it stopped.
    owed: Vec<OwedHook>,
    did: Vec<String>,
}

impl Life<'_> {
    fn now(&self) -> Duration {
        self.context.clock.elapsed()
    }

    /// From the order to freeze up to where all is thawed; gives the last word of the run, if that
    /// says more.
    fn window(&mut self, window: &Window) -> Result<Option<Word>> {
        say("ready");
        let deadline = Duration::from_millis(window.deadline_ms);
        let end = self.now() + deadline;
        let mut word = self.told(end)?;
        let is_late = word.is_none();
        if is_late {
            // One that was stopped thaws as soon as it goes on.
            self.go_on();
            if !self.thaw(window.guarded.iter().collect()).is_empty() {
                word = self.told(end + deadline * LATE.0 / LATE.1)?;
                if word.is_none()
                    && let Some(run) = &self.run
                {
                    tracing::error!(
                        "the run is stuck and holds what is needed to thaw: it is killed"
                    );
                    run.kill()?;
                    word = Some(Word::Closed);
                }
            }
        }
        loop {
            match word {
                Some(Word::Done) => {
                    say(if is_late { "thawed" } else { "ok" });
                    return Ok(None);
                }
                Some(over) => return self.go_on_thawing(window, over),
                // One that is late may freeze only now, and one that was being stopped go on only
                // now.
                None => {
                    self.go_on();
                    self.thaw(window.guarded.iter().collect());
                    word = self.told(self.now() + deadline)?;
                }
            }
        }
    }

    /// The run freezes no more, and did not thaw all: until nothing is frozen. What was asked to
    /// freeze may do so only now, and answers afterwards.
    fn go_on_thawing(&mut self, window: &Window, mut word: Word) -> Result<Option<Word>> {
        let until = self.now() + GOES_ON;
        let mut frozen: Vec<&Guarded> = window.guarded.iter().collect();
        let mut is_clean = false;
        loop {
            let tried = std::mem::take(&mut frozen);
            let count = tried.len();
            frozen = self.thaw(tried);
            if frozen.len() < count {
                let thawed = window.guarded.iter().filter(|one| !frozen.contains(one));
                let names: Vec<_> = thawed.map(|one| &one.name[..]).collect();
                tracing::info!(resources = names.join(", "), "thawed");
            }
            // Its jobs and exports need not wait for a guest that does not answer.
            if matches!(word, Word::Closed) && !is_clean {
                self.clean();
                is_clean = true;
            }
            if frozen.is_empty() || self.now() >= until {
                break;
            }
            if matches!(word, Word::Held) {
                let next = self.told(self.now() + PAUSE)?;
                word = next.unwrap_or(word);
            } else {
                self.context.clock.sleep(PAUSE);
            }
            if matches!(word, Word::Released | Word::Closed) {
                // The run has ended, and nobody must wait for the end of what it says.
                quiet();
            }
        }
        for guarded in &window.guarded {
            let name = &guarded.name;
            if frozen.contains(&guarded) {
                tracing::error!(resource = %name, "cannot be thawed: the guard gives up");
            } else {
                self.did.push(format!("{name} was thawed: the run died or could not do it"));
            }
        }
        Ok(match word {
            Word::Held => None,
            Word::Closed if is_clean => Some(Word::Released),
            word => Some(word),
        })
    }

    /// All are tried: one that hangs or fails must not keep the others frozen. Gives those that
    /// may still be frozen.
    fn thaw<'g>(&self, guarded: Vec<&'g Guarded>) -> Vec<&'g Guarded> {
        let failed = Mutex::new(Vec::new());
        let tasks = guarded.into_iter().map(|guarded| {
            let failed = &failed;
            let thaw = move || {
                let mut connectors = self.connectors.iter();
                let connector = connectors.find(|c| c.name() == guarded.connector);
                let result = connector.map(|connector| connector.thaw(&guarded.what, self.context));
                if let Some(Err(error)) = result {
                    tracing::warn!(resource = %guarded.name, %error, "cannot be thawed yet");
                    failed.lock().expect("no panic while held").push(guarded);
                }
            };
            Box::new(thaw) as Box<dyn FnOnce() + Send + '_>
        });
        self.context.tasks.run(tasks.collect());
        failed.into_inner().expect("no panic while held")
    }

    /// What the run left goes, as the next start would remove it.
    fn clean(&mut self) {
        let (locks, session) = (Locks(self.order.runtime_dir.clone()), self.order.session.clone());
        let until = self.now() + DIES_WITHIN;
        while locks.is_alive(&session) {
            if self.now() >= until {
                // It closed the pipe and lives: it cleans by itself, or the next start does.
                return;
            }
            self.context.clock.sleep(Duration::from_millis(20));
        }
        self.pay();
        let context = Context {
            series: String::new(),
            living: Arc::new(AllBut(session)),
            scratch: self.order.scratch.clone(),
            ..self.context.clone()
        };
        let _alone = sessions::alone(&self.order.runtime_dir, &context);
        for attempt in 1..=CLEANS {
            let (cleaned, failed) = sweep(self.connectors, &self.order.resources, &context);
            self.did.extend(cleaned.into_iter().map(|what| format!("removed: {what}")));
            for (connector, error) in &failed {
                tracing::warn!(connector, %error, attempt, "what the run left cannot be removed yet");
            }
            if failed.is_empty() {
                return;
            }
            self.context.clock.sleep(PAUSE);
        }
    }

    /// What was stopped goes on: nobody else is there to say so.
    fn pay(&mut self) {
        for OwedHook { of, hook } in std::mem::take(&mut self.owed) {
            let (clock, tasks) = (&*self.context.clock, &*self.context.tasks);
            let run = match hook.place {
                HookPlace::Host => {
                    hooks::run(&hook, &of.name, (clock, tasks), &self.context.cancel)
                }
                HookPlace::Guest => in_guest(self.connectors, &hook, &of, self.context)
                    .unwrap_or_else(|error| hooks::failed(&hook, &error)),
            };
            let (name, command) = (&of.name, &hook.command[0]);
            match run.failure {
                None => self.did.push(format!("{name}: hook {command} was run: the run died")),
                Some(failure) => {
                    tracing::error!(resource = %name, hook = %command, failure, "the run died, and \
                        what it owed could not be run");
                }
            }
        }
    }

    /// The next word of the run until a moment.
    fn told(&mut self, until: Duration) -> Result<Option<Word>> {
        loop {
            let left = until.saturating_sub(self.now());
            if left.is_zero() {
                return Ok(None);
            }
            if self.orders.buffer().is_empty() && !is_readable(self.orders.get_ref(), left)? {
                continue;
            }
            // What cannot be read says as much as an end.
            let line = line(&mut self.orders).unwrap_or_default();
            if let Ok(Owed { owed }) = serde_json::from_str(line.trim()) {
                self.owed = owed;
                continue;
            }
            return Ok(Some(match line.trim() {
                "done" => Word::Done,
                "held" => Word::Held,
                "released" => Word::Released,
                line => serde_json::from_str(line).map_or(Word::Closed, Word::Window),
            }));
        }
    }

    fn go_on(&self) {
        self.run.iter().for_each(|run| run.signal(Signal::CONT));
    }
}

fn line(orders: &mut BufReader<StdinLock<'static>>) -> Result<String> {
    let mut line = String::new();
    let read = orders.by_ref().take(ORDER_BYTES).read_line(&mut line);
    read.map(|_| line).map_err(|error| Error::io(error, "standard input"))
}

/// One session is dead; of others the guard knows nothing, and touches nothing.
struct AllBut(String);

impl Living for AllBut {
    fn is_alive(&self, session: &str) -> bool {
        session != self.0
    }
}

/// The process that freezes.
struct Run(OwnedFd);

impl Run {
    /// None if it is dead already: then the parent is another.
    fn of_parent(process: u32) -> Option<Self> {
        let parent =
            getppid().filter(|pid| pid.as_raw_nonzero().get().unsigned_abs() == process)?;
        let opened = pidfd_open(parent, PidfdFlags::empty()).ok()?;
        (getppid() == Some(parent)).then_some(Self(opened))
    }

    fn signal(&self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = pidfd_send_signal(&self.0, signal);
    }

    /// Its sockets are closed when this returns, unless the kernel holds it.
    fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL);
        is_readable(&self.0, DIES_WITHIN).map(drop)
    }
}

/// Nobody may be there to hear it.
fn say(word: &str) {
    let _ = writeln!(std::io::stdout(), "{word}");
}

/// From now on what is said goes nowhere.
fn quiet() {
    let nowhere = std::fs::File::options().write(true).open(PathBuf::from("/dev/null"));
    if let Ok(nowhere) = nowhere {
        // Else somebody waits longer.
        let _ = rustix::stdio::dup2_stderr(&nowhere);
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}
