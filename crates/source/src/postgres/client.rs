//! A connection to a server: authentication, simple queries, and messages for what streams.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tintype_model::{Error, Result};

use super::At;
use super::scram::{MECHANISM, Scram};
use super::tls;
use super::wire::{Fields, Message, Row, body_bytes, error, message, row, startup, text};
use crate::connector::Context;
use crate::host::account::acting;
use crate::host::secret;
use zeroize::Zeroizing;

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(200);
const CONNECT: Duration = Duration::from_secs(10);
const MOST_ROWS: usize = 1_000_000;

/// What a connection is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    Database(&'a str),
    /// Commands of <https://www.postgresql.org/docs/15/protocol-replication.html>.
    Replication,
}

pub(super) struct Client {
    reader: BufReader<Socket>,
    name: String,
    context: Context,
    pub(super) patience: Duration,
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Encrypted(Box<tls::Stream>),
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Encrypted(stream) => stream.flush(),
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
        }
    }
}

impl At {
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let directory = Path::new(&self.host);
        directory.is_absolute().then(|| directory.join(format!(".s.PGSQL.{}", self.port)))
    }

    /// The account of the server. Root acts as it towards the server: that is whom the usual
    /// `peer` rule lets in, and whom the programs of PostgreSQL want to run as.
    pub(super) fn account(&self) -> Option<(u32, u32)> {
        let meta = self.socket()?.metadata().ok()?;
        let differs = rustix::process::geteuid().is_root() && meta.uid() != 0;
        differs.then(|| (meta.uid(), meta.gid()))
    }

    pub(super) fn shown(&self) -> String {
        match self.socket() {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    fn connect(&self, name: &str, context: &Context) -> Result<Socket> {
        self.check_tls(name)?;
        let failed = |error| {
            let what = format!("{name}: PostgreSQL at {}", self.shown());
            Error::unavailable(format!("{what}: {error}; is it running, and is this its address?"))
        };
        if self.socket().is_some() {
            return self.connect_unix().map(Socket::Unix).map_err(failed);
        }
        let stream = connect_tcp(&self.host, self.port).map_err(failed)?;
        Ok(match tls::ask(name, self, stream, context)? {
            tls::Asked::Plain(stream) => Socket::Tcp(stream),
            tls::Asked::Encrypted(stream) => Socket::Encrypted(stream),
        })
    }

    fn connect_unix(&self) -> io::Result<UnixStream> {
        let path = self.socket().unwrap_or_default();
        let stream = acting(self.account(), || UnixStream::connect(path))?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TICK))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Client {
    pub(super) fn connect(
        name: &str,
        at: &At,
        purpose: Purpose<'_>,
        context: &Context,
    ) -> Result<Self> {
        let shown = at.shown();
        let socket = at.connect(name, context)?;
        let mut client = Self {
            reader: BufReader::with_capacity(256 << 10, socket),
            name: name.to_owned(),
            context: context.clone(),
            patience: PATIENCE,
        };
        let label = context.label();
        let mut parameters =
            vec![("user", &at.user[..]), ("application_name", &label), ("client_encoding", "UTF8")];
        match purpose {
            Purpose::Database(database) => parameters.push(("database", database)),
            // Whoever reads may be slow; nothing is lost by waiting for it. A host that is no more
            // is found out, so that its slot does not keep the log.
            Purpose::Replication => parameters.extend([
                ("replication", "true"),
                (
                    "options",
                    "-c wal_sender_timeout=0 -c tcp_keepalives_idle=60 \
                     -c tcp_keepalives_interval=10 -c tcp_keepalives_count=6",
                ),
            ]),
        }
        client.write(&startup(&parameters))?;
        client
            .authenticate(at)
            .map_err(|error| error.context(format_args!("user {} at {shown}", at.user)))?;
        if matches!(purpose, Purpose::Database(_)) {
            client.query("SET statement_timeout = 0")?;
            client.query("SET idle_in_transaction_session_timeout = 0")?;
            client.query("SET lock_timeout = '10s'")?;
        }
        Ok(client)
    }

    fn authenticate(&mut self, at: &At) -> Result<()> {
        let mut scram = None;
        loop {
            let Message { tag, body } = self.receive()?;
            if tag == b'Z' {
                return Ok(());
            }
            if tag != b'R' {
                continue;
            }
            let mut fields = Fields(&body);
            let ask = fields.u32()?;
            if matches!(ask, 3 | 5 | 10) && at.password_file.is_none() {
                return Err(Error::denied(format!(
                    "{}: the server asks for a password; name a password_file",
                    self.name
                )));
            }
            let password = match &at.password_file {
                Some(path) if matches!(ask, 3 | 5 | 10) => {
                    secret::read(path, &self.context.passwords)?
                }
                _ => Zeroizing::default(),
            };
            match ask {
                0 => {}
                3 if self.is_private(at) => self.write(&text(b'p', &password))?,
                5 => self.write(&text(b'p', &md5(&at.user, &password, fields.take(4)?)))?,
                10 => {
                    let random = random().map_err(|error| Error::io(error, "random bytes"))?;
                    let exchange = scram.insert(Scram::new(&password, &random));
                    let first = exchange.first();
                    let mut body = [MECHANISM.as_bytes(), &[0]].concat();
                    body.extend((first.len() as u32).to_be_bytes());
                    body.extend(first.as_bytes());
                    self.write(&message(Some(b'p'), &body))?;
                }
                11 | 12 => {
                    let said = String::from_utf8_lossy(fields.0).into_owned();
                    let exchange = scram.as_mut().ok_or_else(|| {
                        Error::denied(format!("{}: an answer without a question", self.name))
                    })?;
                    if ask == 12 {
                        exchange.verify(&said)?;
                    } else {
                        let second = exchange.second(&said)?;
                        self.write(&message(Some(b'p'), second.as_bytes()))?;
                    }
                }
                other => {
                    return Err(Error::unsupported(format!(
                        "{}: authentication method {other}; use peer, trust, md5 or scram-sha-256 \
                         (a plain password only goes to this host, or to a server whose \
                         certificate is checked)",
                        self.name
                    )));
                }
            }
        }
    }

    /// Whether nobody else hears what is said.
    fn is_private(&self, at: &At) -> bool {
        let is_near = ["localhost", "127.0.0.1", "::1"].contains(&&at.host[..]);
        match self.reader.get_ref() {
            Socket::Unix(_) => true,
            Socket::Tcp(_) => is_near,
            Socket::Encrypted(_) => is_near || at.sslrootcert.is_some(),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let socket = self.reader.get_mut();
        let written = socket.write_all(bytes).and_then(|()| socket.flush());
        written.map_err(|error| self.gone(&error.to_string()))
    }

    fn gone(&self, why: &str) -> Error {
        Error::unavailable(format!(
            "{}: the connection to PostgreSQL broke off ({why}); see its log",
            self.name
        ))
    }

    /// The next message that is not a notice. What the server reports as an error is one.
    pub(super) fn receive(&mut self) -> Result<Message> {
        let message = self.next()?;
        if message.tag == b'E' { Err(self.explained(&message.body)) } else { Ok(message) }
    }

    fn next(&mut self) -> Result<Message> {
        loop {
            let mut header = [0; 5];
            self.fill(&mut header)?;
            let mut body = vec![0; body_bytes(header)?];
            self.fill(&mut body)?;
            if !matches!(header[0], b'N' | b'S' | b'K' | b'A') {
                return Ok(Message { tag: header[0], body });
            }
        }
    }

    fn explained(&self, body: &[u8]) -> Error {
        let error = error(body).context(&self.name);
        if error.message().contains("no encryption") {
            let message = format!(
                "{}; give sslmode require or verify-full, or use its Unix socket",
                error.message()
            );
            return Error::new(error.kind(), message);
        }
        error
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        let mut at = 0;
        let mut begun = self.context.clock.elapsed();
        while at < out.len() {
            match self.reader.read(&mut out[at..]) {
                Ok(0) => return Err(self.gone("it was closed")),
                Ok(read) => {
                    at += read;
                    begun = self.context.clock.elapsed();
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) =>
                {
                    self.context.cancel.check()?;
                    if self.context.clock.elapsed().saturating_sub(begun) > self.patience {
                        let seconds = self.patience.as_secs();
                        return Err(self.gone(&format!("it said nothing for {seconds} s")));
                    }
                }
                Err(error) => return Err(self.gone(&error.to_string())),
            }
        }
        Ok(())
    }

    pub(super) fn send_query(&mut self, sql: &str) -> Result<()> {
        self.write(&text(b'Q', sql))
    }

    /// Rows of all results.
    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.send_query(sql)?;
        let mut rows = Vec::new();
        let mut failed = None;
        loop {
            // After what ends the session comes nothing but its end.
            let message = match self.next() {
                Ok(message) => message,
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            match message.tag {
                b'D' if rows.len() < MOST_ROWS => rows.push(row(&message.body)?),
                b'E' => failed = Some(self.explained(&message.body)),
                b'Z' => return failed.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// The one value that a query gives.
    pub(super) fn value(&mut self, sql: &str) -> Result<String> {
        let first = self.query(sql)?.into_iter().next().and_then(|row| row.into_iter().next());
        first.flatten().ok_or_else(|| Error::corrupt(format!("{}: no answer to {sql}", self.name)))
    }

    pub(super) fn version(&mut self) -> Result<u32> {
        let text = self.value("SHOW server_version_num")?;
        text.parse().map_err(|_| Error::corrupt(format!("{}: version {text:?}", self.name)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.reader.get_mut().write_all(&message(Some(b'X'), &[]));
    }
}

fn md5(user: &str, password: &str, salt: &[u8]) -> String {
    use md5::{Digest as _, Md5};
    let hex = |first: &[u8], second: &[u8]| {
        let digest = Md5::new().chain_update(first).chain_update(second).finalize();
        format!("{:032x}", u128::from_be_bytes(digest.into()))
    };
    let inner = hex(password.as_bytes(), user.as_bytes());
    format!("md5{}", hex(inner.as_bytes(), salt))
}

fn random() -> io::Result<[u8; 18]> {
    let mut bytes = [0; 18];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
