//! The guard: a process of its own that thaws what is frozen if the run dies or is late. A thread
//! would die with the process that it is to guard against.
//!
//! The run writes one line, what to thaw and until when; the guard answers `ready`. Then the run
//! freezes, thaws and writes `done`. If the pipe closes before that or the deadline passes, the
//! guard thaws, and says `thawed` for whoever still listens.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};
use tintype_source::connector::{Connector, Context, Guarded};

/// The guard must be up within this time.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
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
    guarded: Vec<Guarded>,
}

/// A guard that watches.
pub(super) struct Guard {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    pub(super) fn start(
        command: &GuardCommand,
        guarded: Vec<Guarded>,
        deadline: Duration,
    ) -> Result<Self> {
        let failed = |error| Error::io(error, "the guard that thaws if this process dies");
        let mut child = Command::new(&command.program)
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
        let order = Order { deadline_ms: deadline.as_millis() as u64, guarded };
        let line =
            serde_json::to_string(&order).map_err(|error| Error::internal(error.to_string()))?;
        let written = orders.as_mut().map(|pipe| writeln!(pipe, "{line}"));
        let mut guard = Self { child, orders, answers };
        written.transpose().map_err(failed)?;
        match guard.answer(STARTS_WITHIN)?.as_deref() {
            Some("ready") => Ok(guard),
            other => Err(Error::unavailable(format!(
                "the guard did not start ({}): nothing is frozen without it",
                other.unwrap_or("no answer")
            ))),
        }
    }

    /// Everything is thawed. Fails if the guard had to do it.
    pub(super) fn done(mut self) -> Result<()> {
        let told = self.orders.take().map(|mut pipe| writeln!(pipe, "done"));
        let answer = self.answer(STARTS_WITHIN);
        let _ = self.child.wait();
        match (told, answer?.as_deref()) {
            (Some(Ok(())), Some("ok")) => Ok(()),
            _ => Err(Error::unavailable(
                "the guard thawed because the deadline passed: what was frozen is not of one moment",
            )),
        }
    }

    fn answer(&mut self, within: Duration) -> Result<Option<String>> {
        if self.answers.buffer().is_empty() && !is_readable(self.answers.get_ref(), within)? {
            return Ok(None);
        }
        let mut line = String::new();
        let mut limited = (&mut self.answers).take(64);
        limited.read_line(&mut line).map_err(|error| Error::io(error, "the guard"))?;
        Ok(Some(line.trim().to_owned()).filter(|line| !line.is_empty()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The pipe closes, and a guard that was not told `done` thaws.
        drop(self.orders.take());
        let _ = self.child.wait();
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
    say("ready");
    let end = context.clock.elapsed() + Duration::from_millis(order.deadline_ms);
    let is_done = loop {
        let left = end.saturating_sub(context.clock.elapsed());
        if left.is_zero() {
            break false;
        }
        if orders.buffer().is_empty() && !is_readable(orders.get_ref(), left)? {
            continue;
        }
        line.clear();
        let read = (&mut orders).take(64).read_line(&mut line);
        break read.is_ok() && line.trim() == "done";
    };
    if is_done {
        say("ok");
        return Ok(Vec::new());
    }
    let mut thawed = Vec::new();
    // All are tried: one that hangs or fails must not keep the others frozen.
    let tasks = order.guarded.iter().map(|guarded| {
        let thaw = || {
            let connector = connectors.iter().find(|c| c.name() == guarded.connector);
            let result = connector.map(|connector| connector.thaw(&guarded.what, context));
            if let Some(Err(error)) = result {
                tracing::error!(resource = %guarded.name, %error, "cannot be thawed");
            }
        };
        thawed.push(guarded.name.clone());
        Box::new(thaw) as Box<dyn FnOnce() + Send + '_>
    });
    let tasks = tasks.collect();
    context.tasks.run(tasks);
    say("thawed");
    Ok(thawed)
}

/// Nobody may be there to hear it.
fn say(word: &str) {
    let _ = writeln!(std::io::stdout(), "{word}");
}
