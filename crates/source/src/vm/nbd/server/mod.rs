//! A server of images, read only, on a Unix socket that only its owner can open.
//!
//! A fixed number of tasks serve a connection each; one of those that are idle waits for the next.
//! So nothing is started for a client, and a client too many waits in the kernel's queue.

mod asked;
mod connection;
#[cfg(test)]
mod tests;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tintype_model::cancel::Cancel;
use tintype_model::env::{Clock, Task, Tasks};
use tintype_model::{Error, ErrorKind, Result};

use self::connection::Connection;
use crate::connector::ReadImage;
use crate::vm::socket::{Socket, Waits};

/// Clients at once.
const CONNECTIONS: usize = 16;
/// How often somebody who waits looks whether it should end.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Clients open a connection, look, and open the next; only then nobody uses the server any more.
const UNUSED: Duration = Duration::from_secs(1);

/// An image under a name; the empty name is the one that clients get who ask for none.
pub struct Export {
    pub name: String,
    pub image: Arc<dyn ReadImage>,
}

/// What clients got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub connections: u64,
    pub bytes: u64,
    /// Requests for what could not be read, and of these for what is damaged in the repository.
    pub failed: u64,
    pub damaged: u64,
}

/// Listens from [`Server::bind`] on; its socket goes with it.
pub struct Server {
    listener: Mutex<UnixListener>,
    socket: PathBuf,
    /// Device and inode of the socket.
    identity: Option<(u64, u64)>,
    exports: Vec<Export>,
    waits: Waits,
    ends_unused: bool,
    clients: Mutex<Clients>,
    connections: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    damaged: AtomicU64,
    last_failure: Mutex<String>,
}

/// Those that have chosen an export.
#[derive(Default)]
struct Clients {
    now: usize,
    /// When the last one went.
    gone: Option<Duration>,
}

impl Server {
    /// `ends_unused`: [`Server::run`] ends when the last client has gone.
    pub fn bind(
        socket: &Path,
        exports: Vec<Export>,
        clock: Arc<dyn Clock>,
        cancel: Cancel,
        ends_unused: bool,
    ) -> Result<Self> {
        let listener = listen_at(socket)?;
        let identity = std::fs::symlink_metadata(socket).ok();
        Ok(Self {
            listener: Mutex::new(listener),
            socket: socket.to_owned(),
            identity: identity.map(|found| (found.dev(), found.ino())),
            exports,
            waits: Waits::new(clock, cancel),
            ends_unused,
            clients: Mutex::default(),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            last_failure: Mutex::default(),
        })
    }

    /// Serves until it is asked to stop, or nobody uses it any more.
    pub fn run(&self, tasks: &dyn Tasks) -> Served {
        let work = || {
            while let Some(stream) = self.next() {
                self.serve(stream);
            }
        };
        tasks.run((0..CONNECTIONS).map(|_| Box::new(work) as Task<'_>).collect());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Served {
            connections: count(&self.connections),
            bytes: count(&self.bytes),
            failed: count(&self.failed),
            damaged: count(&self.damaged),
        }
    }

    /// The next client; none at the end.
    fn next(&self) -> Option<UnixStream> {
        let listener = locked(&self.listener);
        let end = self.waits.without_end();
        loop {
            if end.check().is_err() || self.is_unused() {
                return None;
            }
            let mut wanted = [PollFd::new(&*listener, PollFlags::IN)];
            // Interrupted, or nobody came: it looks again.
            let _ = poll(&mut wanted, Some(&GLANCE));
            match listener.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    end.pause().ok()?;
                }
            }
        }
    }

    fn is_unused(&self) -> bool {
        let clients = locked(&self.clients);
        let now = self.waits.elapsed();
        let gone = clients.gone.is_some_and(|gone| now.saturating_sub(gone) >= UNUSED);
        self.ends_unused && clients.now == 0 && gone
    }

    fn serve(&self, stream: UnixStream) {
        let Ok(socket) = Socket::of(stream, "a client of NBD".to_owned()) else { return };
        let mut connection = Connection::new(self, socket);
        let ended = connection.negotiate().and_then(|export| {
            let Some(export) = export else { return Ok(()) };
            self.connections.fetch_add(1, Ordering::Relaxed);
            let _client = Client::new(self);
            connection.transmit(export)
        });
        // Clients come and go as they like; nothing is lost by it.
        if let Err(error) = ended {
            tracing::debug!(%error, "a client of NBD is gone");
        }
    }

    fn export(&self, name: &[u8]) -> Option<&Export> {
        self.exports.iter().find(|export| export.name.as_bytes() == name)
    }

    fn have_read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A kernel asks again and again for what it cannot get; that is told once.
    fn have_failed(&self, export: &Export, error: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.damaged.fetch_add(u64::from(error.is(ErrorKind::Corrupt)), Ordering::Relaxed);
        let (mut last, text) = (locked(&self.last_failure), error.to_string());
        if *last != text {
            tracing::warn!(export = export.name, "cannot be read: {text}");
            *last = text;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Unless another server has taken its place.
        let found = std::fs::symlink_metadata(&self.socket).ok();
        if found.is_some() && found.map(|found| (found.dev(), found.ino())) == self.identity {
            let _ = std::fs::remove_file(&self.socket);
        }
    }
}

/// Counted as long as it lives.
struct Client<'s>(&'s Server);

impl<'s> Client<'s> {
    fn new(server: &'s Server) -> Self {
        locked(&server.clients).now += 1;
        Self(server)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let mut clients = locked(&self.0.clients);
        clients.now -= 1;
        clients.gone = Some(self.0.waits.elapsed());
    }
}

fn listen_at(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    let failed = |errno: rustix::io::Errno| Error::io(errno.into(), path.display());
    let address = SocketAddrUnix::new(path).map_err(|_| {
        Error::invalid(format!("{shown}: too long for a socket; its path has 107 bytes at most"))
    })?;
    remove_stale(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    // The mode that it is bound with: nobody else can connect, not even for a moment.
    fchmod(&fd, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    bind(&fd, &address).map_err(failed)?;
    listen(&fd, CONNECTIONS as i32).map_err(failed)?;
    Ok(UnixListener::from(fd))
}

/// What a server left that was killed. Anything else stays, and is in the way.
fn remove_stale(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let nobody = std::io::ErrorKind::ConnectionRefused;
    let is_stale = found.file_type().is_socket()
        && UnixStream::connect(path).is_err_and(|error| error.kind() == nobody);
    if !is_stale {
        let path = path.display();
        return Err(Error::already_exists(format!("{path} exists; name another socket")));
    }
    std::fs::remove_file(path).map_err(|error| Error::io(error, path.display()))
}

/// What it guards is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
