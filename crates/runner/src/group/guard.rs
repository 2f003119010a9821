//! The guard: a process of its own for what must be done although the run died. It thaws what is
//! frozen if the run dies or is late, and removes what a dead run left. A thread would die with the
//! process that it is to guard against.
//!
//! The run writes lines, the guard's life is in [`life`]:
//!
//! | the run writes | the guard answers |
//! |---|---|
//! | the order: who it is, what it captures | `ready` |
//! | a window: what to thaw, and until when | `ready` |
//! | what is owed: hooks that must run because others ran before them | nothing |
//! | `done`: all of the window is thawed | `ok`, or `thawed` if the guard had to do it |
//! | `held`: not all of it is, and the run freezes no more | nothing; it goes on until all is |
//! | `released`: nothing of the run is left | nothing; it ends once nothing is frozen |
//!
//! If the pipe closes before `released`, the run is dead.

mod life;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use tintype_engine::env::Tasks;
use tintype_model::resource::{Hook, Resource};
use tintype_model::{Error, Result};
use tintype_source::connector::{Context, Guarded};
use tintype_source::host;

pub use life::guard;

/// The guard must be up within this time, and end when it has nothing to do any more.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// It must answer before so many deadlines have passed: it may be thawing itself.
const ANSWERS_WITHIN: u32 = 6;

/// How the guard is started: the program itself, with a hidden command.
#[derive(Clone, Debug)]
pub struct GuardCommand {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    /// The process that freezes.
    #[serde(default)]
    run: Option<u32>,
    session: String,
    /// Where it is known whether the session lives.
    runtime_dir: PathBuf,
    scratch: PathBuf,
    /// Where to look for what it left.
    resources: Vec<Resource>,
}

/// A hook that must run, because others before it did, and the resource or application that it is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OwedHook {
    pub of: Resource,
    pub hook: Hook,
}

#[derive(Serialize, Deserialize)]
struct Owed {
    owed: Vec<OwedHook>,
}

#[derive(Serialize, Deserialize)]
struct Window {
    deadline_ms: u64,
    guarded: Vec<Guarded>,
}

/// The guards of a run: one that watches, and those that have to go on.
pub(super) struct Guards {
    command: GuardCommand,
    order: String,
    tasks: Arc<dyn Tasks>,
    watching: Option<Guard>,
    left: Vec<Guard>,
}

impl Guards {
    /// `resources`: of which something outlives the run.
    pub(super) fn new(
        command: &GuardCommand,
        runtime_dir: PathBuf,
        resources: Vec<Resource>,
        context: &Context,
    ) -> Result<Self> {
        let order = Order {
            run: Some(std::process::id()),
            session: context.session.clone(),
            runtime_dir,
            scratch: context.scratch.clone(),
            resources,
        };
        Ok(Self {
            command: command.clone(),
            order: line(&order)?,
            tasks: Arc::clone(&context.tasks),
            watching: None,
            left: Vec::new(),
        })
    }

    /// Starts one, if none watches.
    pub(super) fn start(&mut self) -> Result<&mut Guard> {
        if self.watching.is_none() {
            self.watching = Some(Guard::start(&self.command, &self.order)?);
        }
        self.watching.as_mut().ok_or_else(|| Error::internal("there is a guard"))
    }

    /// If the run dies from now on, the guard runs these; none: all were run.
    pub(super) fn owe(&mut self, owed: Vec<OwedHook>) -> Result<()> {
        let line = line(&Owed { owed })?;
        let guard = self.start()?;
        guard.orders.write_all(line.as_bytes()).map_err(failed)
    }

    /// All that was owed was run; a guard that has to go on may still have it.
    pub(super) fn owe_nothing(&mut self) {
        let Ok(line) = line(&Owed { owed: Vec::new() }) else { return };
        for guard in self.watching.iter_mut().chain(&mut self.left) {
            guard.tell(line.trim_end());
        }
    }

    /// From now on something may freeze.
    pub(super) fn watch(&mut self, guarded: Vec<Guarded>, deadline: Duration) -> Result<()> {
        let watched = self.start()?.watch(guarded, deadline);
        if watched.is_err() {
            self.watching = None;
        }
        watched
    }

    /// Everything is thawed. Fails if the guard had to do it, or does not answer: nobody knows then
    /// what it has done, which is told by `unreleased`.
    pub(super) fn done(&mut self, unreleased: &mut Vec<String>) -> Result<()> {
        let Some(guard) = &mut self.watching else { return Ok(()) };
        guard.tell("done");
        match guard.answer(guard.deadline * ANSWERS_WITHIN)?.as_deref() {
            Some("ok") => Ok(()),
            Some("thawed") => Err(Error::unavailable(
                "the guard thawed because the deadline passed: what was frozen is not of one moment",
            )),
            _ => {
                let why = format!(
                    "the guard of {} did not answer and was killed: see whether all of it is thawed",
                    guard.names
                );
                guard.kill();
                self.watching = None;
                unreleased.push(why.clone());
                Err(Error::unavailable(why))
            }
        }
    }

    /// Not everything is thawed, and nothing more is frozen: it goes on by itself.
    pub(super) fn held(&mut self) {
        if let Some(mut guard) = self.watching.take() {
            guard.tell("held");
            self.left.push(guard);
        }
    }

    /// The run is over, and nothing of it is left.
    pub(super) fn released(mut self) {
        for guard in self.watching.iter_mut().chain(&mut self.left) {
            guard.tell("released");
        }
        if let Some(mut guard) = self.watching.take() {
            guard.end();
        }
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        for guard in self.watching.take().into_iter().chain(self.left.drain(..)) {
            // The pipe closes with it; somebody must hear of its end.
            let Guard { mut child, .. } = guard;
            let reap = self.tasks.spawn(Box::new(move || drop(child.wait())));
            if let Err(error) = reap {
                tracing::warn!(%error, "nobody waits for the end of a guard");
            }
        }
    }
}

/// A guard that watches.
pub(super) struct Guard {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    deadline: Duration,
    /// What it guards, for messages.
    names: String,
}

impl Guard {
    fn start(command: &GuardCommand, order: &str) -> Result<Self> {
        let mut child = host::command(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What stops the run from the terminal must not stop the guard.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let piped = || Error::internal("a guard without pipes");
        let orders = child.stdin.take().ok_or_else(piped)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(piped)?);
        let (deadline, names) = (STARTS_WITHIN, String::new());
        let mut guard = Self { child, orders, answers, deadline, names };
        let ready = guard.orders.write_all(order.as_bytes()).map_err(failed);
        let ready = ready.and_then(|()| guard.ready());
        if ready.is_err() {
            guard.kill();
        }
        ready.map(|()| guard)
    }

    fn ready(&mut self) -> Result<()> {
        match self.answer(STARTS_WITHIN)?.as_deref() {
            Some("ready") => Ok(()),
            other => Err(Error::unavailable(format!(
                "the guard did not start ({}): nothing is frozen without it",
                other.unwrap_or("no answer")
            ))),
        }
    }

    fn watch(&mut self, guarded: Vec<Guarded>, deadline: Duration) -> Result<()> {
        let names: Vec<_> = guarded.iter().map(|guarded| &guarded.name[..]).collect();
        (self.names, self.deadline) = (names.join(", "), deadline);
        let window = Window { deadline_ms: deadline.as_millis() as u64, guarded };
        self.orders.write_all(line(&window)?.as_bytes()).map_err(failed)?;
        self.ready()
    }

    /// One that is gone does not answer either.
    fn tell(&mut self, word: &str) {
        let _ = writeln!(self.orders, "{word}");
    }

    /// Waits for its end, after it was told that nothing is left for it to do.
    fn end(&mut self) {
        let ended = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        if ended.is_ok_and(|ended| is_readable(&ended, STARTS_WITHIN).is_ok_and(|ended| ended)) {
            let _ = self.child.wait();
        } else {
            self.kill();
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The guard's next word; what else comes with its output is passed over.
    fn answer(&mut self, within: Duration) -> Result<Option<String>> {
        loop {
            if self.answers.buffer().is_empty() && !is_readable(self.answers.get_ref(), within)? {
                return Ok(None);
            }
            let mut line = String::new();
            let mut limited = (&mut self.answers).take(64);
            let length = limited.read_line(&mut line);
            match (length.map_err(failed)?, line.trim()) {
                (0, _) => return Ok(None),
                (_, word @ ("ready" | "ok" | "thawed")) => return Ok(Some(word.to_owned())),
                _ => {}
            }
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io(error, "the guard that thaws if this process dies")
}

fn line(value: &impl Serialize) -> Result<String> {
    let line = serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))?;
    Ok(line + "\n")
}

/// A signal is no reason to wait less; it may make the wait longer.
pub(super) fn is_readable(fd: &impl AsFd, within: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let within =
        Timespec { tv_sec: within.as_secs() as i64, tv_nsec: i64::from(within.subsec_nanos()) };
    loop {
        match poll(&mut fds, Some(&within)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::io(errno.into(), "a pipe")),
        }
    }
}
