//! The guard: a process of its own that thaws what is frozen if the run dies or is late. A thread
//! would die with the process that it is to guard against.
//!
//! The run writes one line, what to thaw and until when; the guard answers `ready`. Then the run
//! freezes, thaws and writes `done`. If the pipe closes before that or the deadline passes, the
//! guard thaws, and says `thawed` for whoever still listens.
//!
//! What is needed for that may be held by the run itself: a monitor and an agent take one client at
//! a time. So a run that was stopped is told to go on, and one that is stuck is killed.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};
use tintype_source::connector::{Connector, Context, Guarded};
use tintype_source::host;

/// The guard must be up within this time.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// And must end, after it was told that all is thawed, before so many deadlines have passed: it may
/// be thawing itself.
const ENDS_WITHIN: u32 = 6;
/// So long after the deadline, in parts of it, a run may still be waiting for what it thaws.
const LATE: (u32, u32) = (3, 2);
/// A longer order is refused.
const ORDER_BYTES: u64 = 16 << 20;

/// How the guard is started: the program itself, with a hidden command.
#[derive(Clone, Debug)]
pub struct GuardCommand {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    deadline_ms: u64,
    /// The process that freezes.
    #[serde(default)]
    run: Option<u32>,
    guarded: Vec<Guarded>,
}

/// A guard that watches.
pub(super) struct Guard {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    deadline: Duration,
    /// What it guards, for messages.
    names: String,
}

impl Guard {
    pub(super) fn start(
        command: &GuardCommand,
        guarded: Vec<Guarded>,
        deadline: Duration,
    ) -> Result<Self> {
        let failed = |error| Error::io(error, "the guard that thaws if this process dies");
        let mut child = host::command(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What stops the run from the terminal must not stop the guard.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let run = Some(std::process::id());
        let names: Vec<_> = guarded.iter().map(|guarded| &guarded.name[..]).collect();
        let names = names.join(", ");
        let order = Order { deadline_ms: deadline.as_millis() as u64, run, guarded };
        let line =
            serde_json::to_string(&order).map_err(|error| Error::internal(error.to_string()))?;
        let written = orders.as_mut().map(|pipe| writeln!(pipe, "{line}"));
        let mut guard = Self { child, orders, answers, deadline, names };
        written.transpose().map_err(failed)?;
        match guard.answer(STARTS_WITHIN)?.as_deref() {
            Some("ready") => Ok(guard),
            other => Err(Error::unavailable(format!(
                "the guard did not start ({}): nothing is frozen without it",
                other.unwrap_or("no answer")
            ))),
        }
    }

    /// Everything is thawed. Fails if the guard had to do it, or did not end; that also goes to
    /// `unreleased`, because nobody knows then what it has done.
    pub(super) fn done(mut self, unreleased: &Mutex<Vec<String>>) -> Result<()> {
        let told = self.orders.take().map(|mut pipe| writeln!(pipe, "done"));
        let answer = self.answer(STARTS_WITHIN);
        if let Err(error) = self.end() {
            unreleased.lock().expect("no panic while held").push(error.to_string());
            return Err(error);
        }
        match (told, answer?.as_deref()) {
            (Some(Ok(())), Some("ok")) => Ok(()),
            _ => Err(Error::unavailable(
                "the guard thawed because the deadline passed: what was frozen is not of one moment",
            )),
        }
    }

    /// Waits for its end, which a thaw of its own may hold up.
    fn end(&mut self) -> Result<()> {
        let failed = |error| Error::io(error, "the guard");
        if self.child.try_wait().map_err(failed)?.is_some() {
            return Ok(());
        }
        let ended = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        let ended = ended.map_err(|errno| failed(errno.into()))?;
        if is_readable(&ended, self.deadline * ENDS_WITHIN)? {
            return self.child.wait().map(drop).map_err(failed);
        }
        self.child.kill().and_then(|()| self.child.wait()).map_err(failed)?;
        Err(Error::unavailable(format!(
            "the guard of {} did not end and was killed: see whether all of it is thawed",
            self.names
        )))
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
            match (length.map_err(|error| Error::io(error, "the guard"))?, line.trim()) {
                (0, _) => return Ok(None),
                (_, word @ ("ready" | "ok" | "thawed")) => return Ok(Some(word.to_owned())),
                _ => {}
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The pipe closes, and a guard that was not told `done` thaws.
        drop(self.orders.take());
        if let Err(error) = self.end() {
            tracing::error!(%error, "the guard");
        }
    }
}

pub(super) fn is_readable(fd: &impl AsFd, within: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let within =
        Timespec { tv_sec: within.as_secs() as i64, tv_nsec: i64::from(within.subsec_nanos()) };
    match poll(&mut fds, Some(&within)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::io(errno.into(), "a pipe")),
    }
}

/// The guard's life: standard input is where orders come from. Gives what it thawed.
pub fn guard(connectors: &[Box<dyn Connector>], context: &Context) -> Result<Vec<String>> {
    let mut orders = BufReader::new(std::io::stdin().lock());
    let mut line = String::new();
    (&mut orders)
        .take(ORDER_BYTES)
        .read_line(&mut line)
        .map_err(|error| Error::io(error, "standard input"))?;
    let order: Order = serde_json::from_str(&line)
        .map_err(|error| Error::invalid(format!("this is no order for a guard: {error}")))?;
    let run = order.run.and_then(Run::of_parent);
    say("ready");
    let deadline = Duration::from_millis(order.deadline_ms);
    let end = context.clock.elapsed() + deadline;
    let is_closed = match told(&mut orders, end, context)? {
        Some(word) if word == "done" => {
            say("ok");
            return Ok(Vec::new());
        }
        told => told.is_some(),
    };
    let run = run.filter(|_| !is_closed);
    // One that was stopped thaws as soon as it goes on.
    run.iter().for_each(|run| run.signal(Signal::CONT));
    let frozen = thaw(order.guarded.iter().collect(), connectors, context);
    let late = end + deadline * LATE.0 / LATE.1;
    if !frozen.is_empty()
        && let Some(run) = &run
        && told(&mut orders, late, context)?.is_none()
    {
        tracing::error!("the run is stuck and holds what is needed to thaw: it is killed");
        run.kill()?;
    }
    for (guarded, first) in &frozen {
        if let [(_, error)] = &thaw(vec![guarded], connectors, context)[..] {
            tracing::error!(resource = %guarded.name, %error, %first, "cannot be thawed");
        }
    }
    say("thawed");
    // One that is late may freeze only now, and one that was being stopped go on only now.
    loop {
        let word = told(&mut orders, context.clock.elapsed() + deadline, context)?;
        if word.as_deref() == Some("done") {
            break;
        }
        run.iter().for_each(|run| run.signal(Signal::CONT));
        thaw(order.guarded.iter().collect(), connectors, context);
        if word.is_some() {
            break;
        }
    }
    Ok(order.guarded.into_iter().map(|guarded| guarded.name).collect())
}

/// The next word of the run until a moment; an empty one if it is dead.
fn told(
    orders: &mut BufReader<impl Read + AsFd>,
    until: Duration,
    context: &Context,
) -> Result<Option<String>> {
    loop {
        let left = until.saturating_sub(context.clock.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        if orders.buffer().is_empty() && !is_readable(orders.get_ref(), left)? {
            continue;
        }
        let mut line = String::new();
        // What cannot be read says as much as an end.
        let _ = orders.by_ref().take(64).read_line(&mut line);
        return Ok(Some(line.trim().to_owned()));
    }
}

/// All are tried: one that hangs or fails must not keep the others frozen. Gives what failed.
fn thaw<'g>(
    guarded: Vec<&'g Guarded>,
    connectors: &[Box<dyn Connector>],
    context: &Context,
) -> Vec<(&'g Guarded, Error)> {
    let failed = Mutex::new(Vec::new());
    let tasks = guarded.into_iter().map(|guarded| {
        let failed = &failed;
        let thaw = move || {
            let connector = connectors.iter().find(|c| c.name() == guarded.connector);
            let result = connector.map(|connector| connector.thaw(&guarded.what, context));
            if let Some(Err(error)) = result {
                failed.lock().expect("no panic while held").push((guarded, error));
            }
        };
        Box::new(thaw) as Box<dyn FnOnce() + Send + '_>
    });
    context.tasks.run(tasks.collect());
    failed.into_inner().expect("no panic while held")
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
        is_readable(&self.0, STARTS_WITHIN).map(drop)
    }
}

/// Nobody may be there to hear it.
fn say(word: &str) {
    let _ = writeln!(std::io::stdout(), "{word}");
}
