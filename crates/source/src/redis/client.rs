//! A connection to a server, and as much of its protocol as is needed
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};

use super::At;
use crate::connector::Context;
use crate::host::secret;

const PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(10);
const MOST_LINE_BYTES: u64 = 64 << 10;
const MOST_VALUE_BYTES: usize = 16 << 20;
const MOST_VALUES: usize = 10_000;

pub(super) struct Client {
    reader: BufReader<Patient>,
    name: String,
}

/// A socket that waits with a bound, and looks whether the run was cancelled.
struct Patient {
    socket: Socket,
    context: Context,
    patience: Duration,
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Ends a connection from which somebody else reads.
pub(super) struct Stop(Socket);

impl Stop {
    pub(super) fn now(&self) {
        // It may be gone already.
        let _ = match &self.0 {
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = self.context.clock.elapsed();
        loop {
            let read = match &mut self.socket {
                Socket::Unix(stream) => stream.read(buffer),
                Socket::Tcp(stream) => stream.read(buffer),
            };
            match read {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    self.context.cancel.check().map_err(io::Error::other)?;
                    if self.context.clock.elapsed().saturating_sub(begun) > self.patience {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "it says nothing"));
                    }
                }
                other => return other,
            }
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    Text(String),
    Many(Vec<String>),
}

impl Client {
    pub(super) fn connect(name: &str, at: &At, context: &Context) -> Result<Self> {
        let socket = connect(at).map_err(|error| {
            let shown = at.shown();
            Error::unavailable(format!(
                "{name}: Redis at {shown}: {error}; is it running, and is this its address?"
            ))
        })?;
        let patient = Patient { socket, context: context.clone(), patience: PATIENCE };
        let mut client =
            Self { reader: BufReader::with_capacity(256 << 10, patient), name: name.to_owned() };
        if let Some(file) = &at.password_file {
            let password = secret::read(file, &context.passwords)?;
            let user = at.user.as_deref();
            let words: Vec<&str> =
                [Some("AUTH"), user, Some(&password)].into_iter().flatten().collect();
            client.ask(&words)?;
        }
        Ok(client)
    }

    /// How long the server may say nothing.
    pub(super) fn stop(&self) -> Result<Stop> {
        let copy = match &self.reader.get_ref().socket {
            Socket::Unix(stream) => stream.try_clone().map(Socket::Unix),
            Socket::Tcp(stream) => stream.try_clone().map(Socket::Tcp),
        };
        copy.map(Stop).map_err(|error| Error::io(error, &self.name))
    }

    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.reader.get_mut().patience = patience;
    }

    pub(super) fn send(&mut self, words: &[&str]) -> Result<()> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        let written = match &mut self.reader.get_mut().socket {
            Socket::Unix(stream) => stream.write_all(&bytes),
            Socket::Tcp(stream) => stream.write_all(&bytes),
        };
        written.map_err(|error| self.gone(&error))
    }

    pub(super) fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        self.send(words)?;
        self.reply()
    }

    /// Lines `key:value` of `INFO`, and one of them.
    pub(super) fn info(&mut self, section: &str) -> Result<String> {
        match self.ask(&["INFO", section])? {
            Reply::Text(text) => Ok(text),
            Reply::Many(_) => Err(self.strange()),
        }
    }

    /// None if the server does not say, or does not know the setting.
    pub(super) fn setting(&mut self, setting: &str) -> Result<Option<String>> {
        match self.ask(&["CONFIG", "GET", setting]) {
            Ok(Reply::Many(pair)) => Ok(pair.into_iter().nth(1)),
            Ok(Reply::Text(_)) => Err(self.strange()),
            Err(error) if error.is(ErrorKind::Denied) || error.is(ErrorKind::Unsupported) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A line, without its end. Empty ones, by which a server shows that it lives, are left out.
    pub(super) fn line(&mut self) -> Result<String> {
        loop {
            let mut line = Vec::new();
            let read =
                Read::by_ref(&mut self.reader).take(MOST_LINE_BYTES).read_until(b'\n', &mut line);
            match read {
                Ok(0) => return Err(self.gone(&"it was closed")),
                Ok(_) if line.ends_with(b"\n") => {}
                Ok(_) => return Err(self.strange()),
                Err(error) => return Err(self.gone(&error)),
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !text.is_empty() {
                return Ok(text);
            }
        }
    }

    pub(super) fn reply(&mut self) -> Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| self.strange())?;
        match kind {
            "+" | ":" => Ok(Reply::Text(rest.to_owned())),
            "-" => Err(self.refused(rest)),
            "$" => self.bulk(rest).map(Reply::Text),
            "*" => {
                let count: usize = rest.parse().map_err(|_| self.strange())?;
                if count > MOST_VALUES {
                    return Err(self.strange());
                }
                let mut values = Vec::new();
                for _ in 0..count {
                    let line = self.line()?;
                    let length = line.strip_prefix('$').ok_or_else(|| self.strange())?;
                    values.push(self.bulk(length)?);
                }
                Ok(Reply::Many(values))
            }
            _ => Err(self.strange()),
        }
    }

    fn bulk(&mut self, length: &str) -> Result<String> {
        let length: usize = length.parse().map_err(|_| self.strange())?;
        if length > MOST_VALUE_BYTES {
            return Err(self.strange());
        }
        let mut bytes = vec![0; length + 2];
        self.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.reader.read_exact(buffer).map_err(|error| self.gone(&error))
    }

    fn refused(&self, said: &str) -> Error {
        let kind = match said.split(' ').next().unwrap_or_default() {
            "NOAUTH" | "WRONGPASS" | "NOPERM" => ErrorKind::Denied,
            "ERR" if said.contains("unknown command") => ErrorKind::Unsupported,
            "ERR" if said.contains("AUTH") => ErrorKind::Denied,
            "BUSY" | "LOADING" | "MASTERDOWN" => ErrorKind::Locked,
            _ => ErrorKind::Unavailable,
        };
        let help = if said.starts_with("NOAUTH") { "; name a password_file" } else { "" };
        Error::new(kind, format!("{}: Redis says {said}{help}", self.name))
    }

    fn gone(&self, why: &dyn std::fmt::Display) -> Error {
        Error::unavailable(format!(
            "{}: the connection to Redis broke off ({why}); see its log",
            self.name
        ))
    }

    pub(super) fn strange(&self) -> Error {
        Error::corrupt(format!("{}: an answer that Redis does not give", self.name))
    }
}

fn connect(at: &At) -> io::Result<Socket> {
    if let Some(path) = &at.socket {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        return Ok(Socket::Unix(stream));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in (&at.host[..], at.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TICK))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(Socket::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A value of `INFO`.
pub(super) fn field<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}
