//! Bytes that come from standard input or from a command, readable until Ctrl-C.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tintype_engine::cancel::Cancel;
use tintype_engine::{Error, Result};
use tintype_source::connector::EndOfStream;

use crate::secret;

/// A stop is noticed after this long although no byte arrives.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Reads a descriptor, and ends with an error when work is to stop.
pub(super) struct Interruptible {
    fd: OwnedFd,
    cancel: Cancel,
}

impl Interruptible {
    pub(super) fn stdin(cancel: Cancel) -> Result<Self> {
        let fd = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| Error::io(e, "standard input"))?;
        Ok(Self { fd, cancel })
    }
}

impl Read for Interruptible {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.cancel.is_canceled() {
                return Err(std::io::Error::other("stopped by request"));
            }
            let mut waiting = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut waiting, Some(&PATIENCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(rustix::io::read(&self.fd, out)?),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A command whose output is the stream. Dropped before its end it is stopped.
pub(super) struct CommandStream {
    child: Running,
    output: OwnedFd,
}

struct Running {
    child: Child,
    name: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl CommandStream {
    pub(super) fn start(words: &[OsString]) -> Result<Self> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| Error::invalid("the command is missing after --"))?;
        let name = program.to_string_lossy().into_owned();
        let mut child = secret::child(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Error::io(e, format_args!("cannot run {name}")))?;
        let output = child.stdout.take().ok_or_else(|| Error::internal("the output is piped"))?;
        Ok(Self { child: Running { child, name }, output: output.into() })
    }

    pub(super) fn split(self, cancel: Cancel) -> (Box<dyn Read + Send>, EndOfStream) {
        let Self { mut child, output } = self;
        let end = move || {
            let status = child
                .child
                .wait()
                .map_err(|e| Error::io(e, format_args!("waiting for {}", child.name)))?;
            if status.success() {
                return Ok(());
            }
            Err(Error::invalid(format!(
                "{} failed ({status}): its output is not kept as a snapshot",
                child.name
            )))
        };
        (Box::new(Interruptible { fd: output, cancel }), Box::new(end))
    }
}
