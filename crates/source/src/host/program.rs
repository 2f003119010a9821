//! Programs of other projects: run to their end with a bound, or read from as a stream.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use tintype_model::{Error, Result};

use crate::connector::{Content, Context, EndOfStream};
use tintype_model::entry::{Kind, Node};

const TICK: Duration = Duration::from_millis(10);
/// What a program had written when it ended may still be on its way to a file.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
/// Of what a program says, the last part is shown in errors.
const SHOWN_BYTES: u64 = 2000;
/// One that says more than this has gone wrong: all of it is kept in memory.
const MOST_BYTES: u64 = 256 << 20;
/// What is asked of a pipe at once: it takes so much as soon as it can be written to.
const PIPE_BYTES: usize = 4096;

/// Where a program of this name lies: in one of these directories, or in `PATH`.
pub(crate) fn find(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = directories.iter().cloned().chain(std::env::split_paths(&path));
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// What a program printed to standard output. `Unavailable` if it failed, with what it said.
pub(crate) fn run(context: &Context, command: &mut Command, most: Duration) -> Result<Vec<u8>> {
    command.stdin(Stdio::null());
    run_with(context, command, most, |_| Ok(()))
}

/// A program that reads all of this; see [`run`].
pub(crate) fn feed(
    context: &Context,
    command: &mut Command,
    read: &mut dyn Read,
    most: Duration,
) -> Result<Vec<u8>> {
    command.stdin(Stdio::piped());
    run_with(context, command, most, |child| {
        let input = child.stdin.take().expect("it was asked for");
        let mut buffer = vec![0; 256 << 10];
        loop {
            context.cancel.check()?;
            let length = read.read(&mut buffer).map_err(|error| Error::io(error, "content"))?;
            // One that ends early says why itself.
            if length == 0 || !give(context, &input, &buffer[..length], most)? {
                return Ok(());
            }
        }
    })
}

/// Whether a program took all of it. It may take nothing for `most` at a time.
fn give(context: &Context, input: &ChildStdin, bytes: &[u8], most: Duration) -> Result<bool> {
    let tick = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
    let mut begun = context.clock.elapsed();
    let mut left = bytes;
    while !left.is_empty() {
        context.cancel.check()?;
        if context.clock.elapsed().saturating_sub(begun) > most {
            let seconds = most.as_secs();
            return Err(Error::unavailable(format!("it took nothing for {seconds} s")));
        }
        let mut polled = [PollFd::new(input, PollFlags::OUT)];
        match poll(&mut polled, Some(&tick)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(Error::io(errno.into(), "a pipe")),
        }
        match rustix::io::write(input, &left[..left.len().min(PIPE_BYTES)]) {
            Ok(length) => {
                left = &left[length..];
                begun = context.clock.elapsed();
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

fn run_with(
    context: &Context,
    command: &mut Command,
    most: Duration,
    fed: impl FnOnce(&mut Child) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut output = memory("output")?;
    let errors = memory("errors")?;
    let name = shown(command);
    command.stdout(shared(&output)?).stderr(shared(&errors)?);
    let mut child = spawn(command)?;
    if let Err(error) = fed(&mut child) {
        end(&mut child);
        return Err(error);
    }
    let begun = context.clock.elapsed();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Err(Error::io(error, name)),
        }
        let late = context.clock.elapsed().saturating_sub(begun) > most;
        let is_too_much = length(&output) + length(&errors) > MOST_BYTES;
        if late || is_too_much || context.cancel.is_canceled() {
            end(&mut child);
            context.cancel.check()?;
            let seconds = most.as_secs();
            let why = match is_too_much {
                true => format!("it says too much: {}", last_of(&errors)),
                false => format!("not done after {seconds} s"),
            };
            return Err(Error::unavailable(format!("{name}: {why}")));
        }
        context.clock.sleep(TICK);
    };
    if !status.success() {
        return Err(Error::unavailable(format!("{name}: {status}: {}", last_of(&errors))));
    }
    let mut bytes = Vec::new();
    output.seek(SeekFrom::Start(0)).map_err(|error| Error::io(error, &name))?;
    let read = output.take(MOST_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| Error::io(error, &name))?;
    Ok(bytes)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| Error::io(error, shown(command)))
}

/// Its name only: arguments can be long.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(OsStr::new("program")).to_string_lossy().into_owned()
}

fn memory(name: &str) -> Result<File> {
    let made = memfd_create(name, MemfdFlags::CLOEXEC);
    made.map(File::from).map_err(|errno| Error::io(errno.into(), name))
}

fn shared(file: &File) -> Result<Stdio> {
    file.try_clone().map(Stdio::from).map_err(|error| Error::io(error, "output"))
}

fn length(said: &File) -> u64 {
    said.metadata().map_or(0, |found| found.len())
}

/// Read by position: the offset belongs to the program, which may go on writing.
fn last_of(said: &File) -> String {
    let length = length(said);
    let mut bytes = vec![0; length.min(SHOWN_BYTES) as usize];
    // What cannot be read is not shown.
    let read = said.read_at(&mut bytes, length.saturating_sub(SHOWN_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..read]).trim().replace('\n', "; ")
}

/// It may have ended by itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A program that runs beside us. It is killed with this.
pub(crate) struct Beside {
    child: Child,
    errors: File,
    name: String,
    /// Tells what came of writing its output down, once that is done.
    written: Option<Receiver<io::Result<u64>>>,
}

impl Beside {
    /// One whose output goes to a file at its own speed, whatever else we do. It goes through a pipe,
    /// which breaks when we die: given the file itself, it would go on for as long as it takes.
    pub(crate) fn start_into(
        context: &Context,
        command: &mut Command,
        mut to: File,
    ) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut beside = Self::spawn(command)?;
        let mut output = beside.child.stdout.take().expect("it was asked for");
        let (tell, written) = channel();
        beside.written = Some(written);
        // Nobody need be there any more to hear it.
        context.tasks.spawn(Box::new(move || drop(tell.send(io::copy(&mut output, &mut to)))))?;
        Ok(beside)
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let errors = memory("errors")?;
        command.stderr(shared(&errors)?);
        Ok(Self { child: spawn(command)?, errors, name: shown(command), written: None })
    }

    /// What it said so far, if it is still running or written down; an error if it ended badly.
    pub(crate) fn said(&mut self) -> Result<Option<String>> {
        self.is_bounded()?;
        match self.written.as_ref().map(Receiver::try_recv) {
            None => {}
            Some(Ok(Ok(_))) => self.written = None,
            Some(Ok(Err(error))) => return Err(Error::io(error, &self.name)),
            Some(Err(TryRecvError::Empty)) => return Ok(Some(last_of(&self.errors))),
            Some(Err(TryRecvError::Disconnected)) => {
                return Err(Error::internal(format!("{}: it was not written down", self.name)));
            }
        }
        match self.child.try_wait() {
            Ok(None) => Ok(Some(last_of(&self.errors))),
            Ok(Some(status)) => self.ended(status).map(|()| None),
            Err(error) => Err(Error::io(error, &self.name)),
        }
    }

    /// An error once it says more than can be kept.
    fn is_bounded(&self) -> Result<()> {
        if length(&self.errors) <= MOST_BYTES {
            return Ok(());
        }
        let last = last_of(&self.errors);
        Err(Error::unavailable(format!("{}: it says too much: {last}", self.name)))
    }

    fn ended(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        Err(Error::unavailable(format!("{}: {status}: {}", self.name, last_of(&self.errors))))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        end(&mut self.child);
        // Then nobody writes to the file any more, unless the program left something behind.
        self.written.take().map(|written| written.recv_timeout(WRITTEN_WITHIN));
    }
}

/// A program whose standard output is read as a stream.
pub(crate) struct Running {
    program: Beside,
    output: ChildStdout,
    context: Context,
    patience: Option<Duration>,
}

impl Running {
    pub(crate) fn start(context: &Context, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::spawn(context, command)
    }

    /// One that is told what to do over its standard input.
    pub(crate) fn start_with_input(
        context: &Context,
        command: &mut Command,
    ) -> Result<(Self, ChildStdin)> {
        command.stdin(Stdio::piped());
        let mut running = Self::spawn(context, command)?;
        let input = running.program.child.stdin.take().expect("it was asked for");
        Ok((running, input))
    }

    fn spawn(context: &Context, command: &mut Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut program = Beside::spawn(command)?;
        let output = program.child.stdout.take().expect("it was asked for");
        Ok(Self { program, output, context: context.clone(), patience: None })
    }

    /// From now on each read waits no longer than this.
    pub(crate) fn wait_at_most(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// Whether it ended well after all was read.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let status = self.program.child.wait();
        let status = status.map_err(|error| Error::io(error, &self.program.name))?;
        self.program.ended(status)
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tick = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        let begun = self.context.clock.elapsed();
        loop {
            self.context.cancel.check().map_err(io::Error::other)?;
            self.program.is_bounded().map_err(io::Error::other)?;
            let waited = self.context.clock.elapsed().saturating_sub(begun);
            if self.patience.is_some_and(|patience| waited > patience) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it says nothing"));
            }
            let mut polled = [PollFd::new(&self.output, PollFlags::IN)];
            match poll(&mut polled, Some(&tick)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.output.read(buffer),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

type Slot = Arc<Mutex<Option<Running>>>;

/// A stream that one of several readers of the same state gives.
struct Lazy {
    start: Option<Box<dyn FnOnce() -> Result<Running> + Send>>,
    running: Slot,
}

impl Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = self.start.take() {
            *running = Some(start().map_err(io::Error::other)?);
        }
        running.as_mut().map_or(Ok(0), |running| running.read(buffer))
    }
}

/// Content that a program writes, started when it is first read. `kept` lives until its end.
pub(crate) fn stream(
    kept: impl Send + 'static,
    start: impl FnOnce() -> Result<Running> + Send + 'static,
) -> Content {
    let running = Slot::default();
    let read = Lazy { start: Some(Box::new(start)), running: Arc::clone(&running) };
    let end: EndOfStream = Box::new(move || {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let _kept = kept;
        match running.as_mut() {
            Some(running) => running.finish(),
            None => Err(Error::internal("a stream ended that was not read")),
        }
    });
    Content::Stream { node: Node::new(Kind::Stream), read: Box::new(read), end }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;
    use crate::host::tests::context;

    const INTO: &str = "TINTYPE_TEST_INTO";

    #[test]
    fn all_that_a_program_writes_is_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let script = "seq 100000; echo done >&2";
        let mut command = crate::host::command("sh");
        let mut beside =
            Beside::start_into(&context(), command.args(["-c", script]), file.try_clone().unwrap())
                .unwrap();
        while beside.said().unwrap().is_some() {
            context().clock.sleep(TICK);
        }
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 100_000);
        assert!(text.ends_with("\n100000\n"));
    }

    /// One that takes nothing is not waited for longer than it may.
    #[test]
    fn what_is_given_to_a_program_is_given_with_a_bound() {
        let context = context();
        let text = vec![b'x'; 1 << 20];
        let mut count = crate::host::command("sh");
        count.args(["-c", "sleep 0.2; wc -c"]);
        let said = feed(&context, &mut count, &mut &text[..], Duration::from_mins(1)).unwrap();
        assert_eq!(String::from_utf8_lossy(&said).trim(), "1048576");
        let sleep = || {
            let mut sleep = crate::host::command("sleep");
            sleep.arg("60");
            sleep
        };
        let error = feed(&context, &mut sleep(), &mut &text[..], TICK).unwrap_err();
        assert!(error.message().contains("took nothing"), "{error}");
        let mut early = crate::host::command("sh");
        early.args(["-c", "echo gone >&2; exit 3"]);
        let error = feed(&context, &mut early, &mut &text[..], Duration::from_mins(1)).unwrap_err();
        assert!(error.message().contains("gone"), "{error}");
        context.cancel.cancel();
        let error = feed(&context, &mut sleep(), &mut &text[..], Duration::from_mins(1));
        assert!(error.unwrap_err().is(tintype_model::ErrorKind::Canceled));
    }

    /// Run as a process of its own; alone it does nothing.
    #[test]
    fn one_that_starts_a_program() {
        let Some(into) = std::env::var_os(INTO) else { return };
        let script = "echo $$ >&2; while :; do echo more; sleep 0.01; done";
        let mut command = crate::host::command("sh");
        let file = File::create(into).unwrap();
        let mut beside =
            Beside::start_into(&context(), command.args(["-c", script]), file).unwrap();
        loop {
            let said = beside.said().unwrap().unwrap();
            context().clock.sleep(TICK);
            if !said.is_empty() {
                println!("\nstarted {said}");
                context().clock.sleep(Duration::from_mins(1));
            }
        }
    }

    #[test]
    fn what_we_started_ends_when_we_are_killed() {
        let into = tempfile::NamedTempFile::new().unwrap();
        let mut run = Command::new(std::env::current_exe().unwrap())
            .args(["host::program::tests::one_that_starts_a_program", "--exact", "--nocapture"])
            .env(INTO, into.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(run.stdout.take().unwrap()).lines();
        let mut started =
            lines.filter_map(|line| Some(line.ok()?.strip_prefix("started ")?.to_owned()));
        let pid: u32 = started.next().unwrap().parse().unwrap();
        // A dead one of which nobody has heard has no program any more.
        let is_there = || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        assert!(is_there());
        run.kill().unwrap();
        run.wait().unwrap();
        let clock = context().clock;
        let begun = clock.elapsed();
        while is_there() {
            if clock.elapsed().saturating_sub(begun) > Duration::from_secs(10) {
                let left = rustix::process::Pid::from_raw(pid as i32).unwrap();
                rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
                panic!("it went on");
            }
            clock.sleep(TICK);
        }
    }
}
