//! A connection to a Unix socket on which nothing waits without end.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tintype_model::cancel::Cancel;
use tintype_model::env::Clock;
use tintype_model::resource::Hook;
use tintype_model::{Error, ErrorKind, Result};

use crate::connector::Context;

/// How often a wait looks at the clock and at a request to stop.
const GLANCE: Duration = Duration::from_millis(100);
/// Between two looks at something that does not tell.
const PAUSE: Duration = Duration::from_millis(10);

/// Tells the time, and whether a request to stop ends a wait.
#[derive(Clone)]
pub(crate) struct Waits {
    clock: Arc<dyn Clock>,
    cancel: Option<Cancel>,
}

impl Waits {
    pub(crate) fn new(clock: Arc<dyn Clock>, cancel: Cancel) -> Self {
        Self { clock, cancel: Some(cancel) }
    }

    pub(crate) fn of(context: &Context) -> Self {
        Self::new(context.clock.clone(), context.cancel.clone())
    }

    /// For what ends a freeze or cleans up: it is done also after a request to stop.
    pub(crate) fn stubborn(context: &Context) -> Self {
        Self { clock: context.clock.clone(), cancel: None }
    }

    pub(crate) fn of_hook(hook: &Hook, context: &Context) -> Self {
        if hook.phase.is_owed() { Self::stubborn(context) } else { Self::of(context) }
    }

    /// By a clock of a test's own.
    #[cfg(test)]
    pub(crate) fn by(clock: Arc<dyn Clock>) -> Self {
        Self { clock, cancel: None }
    }

    /// Since an arbitrary start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Only a request to stop ends it.
    pub(crate) fn without_end(&self) -> Patience {
        self.within(Duration::MAX)
    }

    pub(crate) fn within(&self, limit: Duration) -> Patience {
        let until = self.clock.elapsed().saturating_add(limit);
        Patience { clock: self.clock.clone(), until, cancel: self.cancel.clone() }
    }
}

/// Ends at a moment.
pub(crate) struct Patience {
    clock: Arc<dyn Clock>,
    until: Duration,
    cancel: Option<Cancel>,
}

impl Patience {
    pub(crate) fn check(&self) -> Result<()> {
        self.cancel.as_ref().map_or(Ok(()), Cancel::check)?;
        if self.clock.elapsed() < self.until {
            Ok(())
        } else {
            Err(Error::unavailable("no answer in time"))
        }
    }

    /// Waits a little for something that does not tell when it is there.
    pub(crate) fn pause(&self) -> Result<()> {
        self.check()?;
        self.clock.sleep(PAUSE);
        Ok(())
    }
}

pub(crate) struct Socket {
    stream: UnixStream,
    /// Of the other side, for messages.
    name: String,
    /// What came after the last line.
    rest: Vec<u8>,
}

impl Socket {
    /// `NotFound` if nothing is there, or nobody listens.
    pub(crate) fn connect(path: &Path, patience: &Patience) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |errno: Errno| Error::io(errno.into(), &name);
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        // A full queue of a server that takes nobody would hold a blocking one up for ever.
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let fd = fd.map_err(failed)?;
        loop {
            match connect(&fd, &address) {
                Ok(()) => break,
                Err(Errno::AGAIN) => patience.pause().map_err(|error| error.context(&name))?,
                Err(Errno::INTR) => {}
                Err(Errno::CONNREFUSED | Errno::NOENT) => {
                    return Err(Error::not_found(format!("{name}: nobody listens there")));
                }
                Err(errno) => return Err(failed(errno)),
            }
        }
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(false).map_err(|error| Error::io(error, &name))?;
        Self::of(stream, name)
    }

    /// One end of a pair; the other is a child's.
    pub(crate) fn of(stream: UnixStream, name: String) -> Result<Self> {
        let ready = stream
            .set_read_timeout(Some(GLANCE))
            .and_then(|()| stream.set_write_timeout(Some(GLANCE)));
        ready.map_err(|error| Error::io(error, &name))?;
        Ok(Self { stream, name, rest: Vec::new() })
    }

    /// Everything up to where the other side closes.
    pub(crate) fn read_to_end(
        &mut self,
        most_bytes: usize,
        patience: &Patience,
    ) -> Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.rest);
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(all),
                Ok(length) => all.extend_from_slice(&piece[..length]),
                Err(error) => self.retry(error, patience)?,
            }
            if all.len() > most_bytes {
                let name = &self.name;
                return Err(Error::invalid(format!("{name}: says more than {most_bytes} bytes")));
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The process that listens, as the kernel knows it.
    pub(crate) fn peer_process(&self) -> Option<i32> {
        let credentials = rustix::net::sockopt::socket_peercred(&self.stream).ok()?;
        Some(credentials.pid.as_raw_nonzero().get())
    }

    pub(crate) fn send(&mut self, mut bytes: &[u8], patience: &Patience) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) => self.retry(error, patience)?,
            }
        }
        Ok(())
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8], patience: &Patience) -> Result<()> {
        let mut filled = self.rest.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&self.rest[..filled]);
        self.rest.drain(..filled);
        while filled < buffer.len() {
            filled += self.read(buffer, filled, patience)?;
        }
        Ok(())
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self, most_bytes: usize, patience: &Patience) -> Result<Vec<u8>> {
        let mut looked_at = 0;
        loop {
            if let Some(end) = self.rest[looked_at..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=looked_at + end).collect();
                line.pop();
                return Ok(line);
            }
            looked_at = self.rest.len();
            if looked_at > most_bytes {
                let name = &self.name;
                return Err(Error::invalid(format!(
                    "{name}: sent a line of more than {most_bytes} bytes"
                )));
            }
            let mut piece = vec![0; 64 << 10];
            let length = self.read(&mut piece, 0, patience)?;
            self.rest.extend_from_slice(&piece[..length]);
        }
    }

    fn read(&mut self, buffer: &mut [u8], from: usize, patience: &Patience) -> Result<usize> {
        loop {
            match self.stream.read(&mut buffer[from..]) {
                Ok(0) => {
                    let name = &self.name;
                    return Err(Error::unavailable(format!("{name}: closed by the other side")));
                }
                Ok(length) => return Ok(length),
                Err(error) => self.retry(error, patience)?,
            }
        }
    }

    fn retry(&self, error: std::io::Error, patience: &Patience) -> Result<()> {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, TimedOut, WouldBlock};
        match error.kind() {
            WouldBlock | TimedOut | Interrupted => {
                patience.check().map_err(|error| error.context(&self.name))
            }
            BrokenPipe | ConnectionReset => {
                Err(Error::new(ErrorKind::Unavailable, format!("{}: {error}", self.name)))
            }
            _ => Err(Error::io(error, &self.name)),
        }
    }
}
