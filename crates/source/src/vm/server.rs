//! `qemu-nbd`: a disk image of any format that QEMU knows, as an export.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tintype_model::{Error, Result};

use super::socket::Waits;
use crate::connector::Context;
use crate::host::{self, processes};

const START: Duration = Duration::from_secs(20);
/// Connections at once.
const CLIENTS: &str = "--shared=16";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// Ends when it is dropped.
pub(crate) struct DiskServer {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    clock: std::sync::Arc<dyn tintype_model::env::Clock>,
}

impl DiskServer {
    pub(crate) fn start(file: &Path, format: &str, mode: Mode, context: &Context) -> Result<Self> {
        let (socket, log) = free_place(&context.scratch)?;
        let errors =
            std::fs::File::create(&log).map_err(|error| Error::io(error, log.display()))?;
        let mut command = host::command("qemu-nbd");
        command.arg("--persistent").arg(CLIENTS).arg("--socket").arg(&socket);
        command.arg("--format").arg(format);
        if mode == Mode::Read {
            command.arg("--read-only");
        } else {
            command.arg("--discard=unmap");
        }
        command.arg("--").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().map_err(|error| {
            Error::io(error, "qemu-nbd (of the package qemu-utils) cannot be started")
        })?;
        let mut server = Self { child, socket, log, clock: context.clock.clone() };
        server.wait(file, context)?;
        Ok(server)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait(&mut self, file: &Path, context: &Context) -> Result<()> {
        let patience = Waits::of(context).within(START);
        loop {
            // The socket is there a moment before somebody listens.
            if UnixStream::connect(&self.socket).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(|error| Error::io(error, "qemu-nbd"))?;
            if ended.is_some() {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let said: String = said.chars().take(2000).collect();
                return Err(Error::invalid(format!(
                    "{}: cannot be opened: {}",
                    file.display(),
                    said.trim()
                )));
            }
            patience.pause().map_err(|error| error.context("qemu-nbd does not start"))?;
        }
    }

    /// Ends it in order: what was written is then in the file.
    pub(crate) fn close(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        let failed = |error| Error::io(error, "qemu-nbd");
        if self.child.try_wait().map_err(failed)?.is_none() {
            let process = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(process, rustix::process::Signal::TERM)
                .map_err(|errno| failed(errno.into()))?;
        }
        let until = self.clock.elapsed() + START;
        let status = loop {
            match self.child.try_wait().map_err(failed)? {
                Some(status) => break status,
                None if self.clock.elapsed() > until => {
                    self.child.kill().map_err(failed)?;
                    break self.child.wait().map_err(failed)?;
                }
                None => self.clock.sleep(Duration::from_millis(5)),
            }
        };
        for left in [&self.socket, &self.log] {
            // Scratch is removed as a whole in the end.
            let _ = std::fs::remove_file(left);
        }
        if status.success() {
            Ok(())
        } else {
            Err(Error::unavailable(format!("qemu-nbd ended with {status}")))
        }
    }
}

impl Drop for DiskServer {
    fn drop(&mut self) {
        // `close` tells; here nothing was written, or it failed already.
        let _ = self.stop();
    }
}

/// Ends servers of sessions that are no more, which keep a machine from being started: told by
/// their sockets, which lie in the scratch directory of a session.
pub(crate) fn clean(context: &Context, done: &mut Vec<String>) -> Result<()> {
    for process in processes::all() {
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { continue };
        // What is looked at through it is what is ended.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let Some(file) = left_behind(&process.arguments(), context) else { continue };
        let ended = |within: Duration| {
            let until = context.clock.elapsed() + within;
            while !is_over(process.pid) {
                if context.clock.elapsed() >= until {
                    return false;
                }
                context.clock.sleep(Duration::from_millis(5));
            }
            true
        };
        for signal in [Signal::TERM, Signal::KILL] {
            match pidfd_send_signal(&handle, signal) {
                Err(Errno::SRCH) => break,
                sent => sent.map_err(|errno| Error::io(errno.into(), &process))?,
            }
            if ended(START) {
                break;
            }
        }
        done.push(format!("{process}, which held {file}"));
    }
    Ok(())
}

/// What a server of a dead session serves.
fn left_behind(arguments: &[String], context: &Context) -> Option<String> {
    let program = Path::new(arguments.first()?).file_name()?;
    let at = arguments.iter().position(|word| word == "--socket")?;
    let mut above = Path::new(arguments.get(at + 1)?).ancestors().filter_map(Path::file_name);
    let is_dead = above.any(|name| context.is_dead(&name.to_string_lossy()));
    (program == "qemu-nbd" && is_dead).then(|| arguments.last().cloned())?
}

/// One that nobody waits for stays, and holds nothing.
fn is_over(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_err()
}

fn free_place(scratch: &Path) -> Result<(PathBuf, PathBuf)> {
    for number in 0.. {
        let log = scratch.join(format!("nbd{number}.log"));
        match std::fs::File::create_new(&log) {
            Ok(_) => return Ok((scratch.join(format!("nbd{number}")), log)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(error, log.display())),
        }
    }
    unreachable!("a number is free")
}
