//! Which runs of this host are at work: each holds a lock (flock(2)) on a file of its name for as
//! long as it lives, and takes it before it makes anything. The system releases it when the
//! process ends, however it ends.
//!
//! Other programs on this host, or in containers that share a file system with it, may have a
//! directory of their own for that, and runs that are not known here. So a session's name begins with
//! the number of those that know of each other, and what bears another number is nobody's to remove
//! here. The number follows from the directory, and from a secret that is kept where a restart leaves
//! it ([`kept`]): what was left before is known after it. Programs that keep secrets of their own and
//! share a directory say so in it, by a file `of-<number>` each.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tintype_engine::env::Env;
use tintype_engine::id::encode_hex;
use tintype_model::{Error, Result};
use tintype_source::connector::{Context, Living};
use tintype_source::host;

/// Digits of a session's name that are the number of its directory.
const NUMBER: usize = 8;
const SECRET: &str = "sessions";
const SECRET_BYTES: usize = 32;

/// A session of this process.
pub(super) struct Session {
    pub name: String,
    file: PathBuf,
    _lock: File,
}

impl Session {
    /// `dir` is made if it is missing; `state`: see [`kept`].
    pub(super) fn begin(dir: &Path, state: &Path, env: &Env) -> Result<Self> {
        make(dir)?;
        ours(dir)?;
        let number = number(dir, state, env)?;
        let sign = dir.join(sign(&number));
        let signed = OpenOptions::new().write(true).create(true).truncate(false).open(&sign);
        signed.map_err(|error| Error::io(error, sign.display()))?;
        // Somebody may take it for dead, and remove it, before its lock is taken.
        loop {
            let name = number.clone() + &encode_hex(&env.bytes::<4>());
            let file = dir.join(&name);
            let failed = |error| Error::io(error, file.display());
            let mut how = OpenOptions::new();
            let lock = match how.write(true).create_new(true).mode(0o600).open(&file) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                lock => lock.map_err(failed)?,
            };
            flock(&lock, FlockOperation::NonBlockingLockExclusive)
                .map_err(|errno| failed(errno.into()))?;
            if file.exists() {
                return Ok(Self { name, file, _lock: lock });
            }
        }
    }
}

fn make(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Error::io(error, dir.display()))
}

fn sign(number: &str) -> String {
    format!("of-{number}")
}

fn number(dir: &Path, state: &Path, env: &Env) -> Result<String> {
    let failed = |error| Error::io(error, dir.display());
    let secret = kept(state, env).or_else(|error| {
        tracing::warn!(%error, "what a killed run leaves will not be known after a restart of this \
            host: `tintype discover --clean --all` removes it then");
        kept(dir, env)
    })?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&secret);
    hasher.update(dir.canonicalize().map_err(failed)?.as_os_str().as_bytes());
    let mut number = encode_hex(hasher.finalize().as_bytes());
    number.truncate(NUMBER);
    Ok(number)
}

/// What tells this installation from others, made when it is first asked for. One that was cut short
/// by a power failure is made again.
fn kept(state: &Path, env: &Env) -> Result<Vec<u8>> {
    make(state)?;
    let path = state.join(SECRET);
    let failed = |error| Error::io(error, path.display());
    let read = || match std::fs::read(&path) {
        Ok(bytes) if bytes.len() == SECRET_BYTES => Ok(Some(bytes)),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(None),
    };
    if let Some(bytes) = read()? {
        return Ok(bytes);
    }
    // One at a time: two must not have two.
    let lock = File::open(state).map_err(failed)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    if let Some(bytes) = read()? {
        return Ok(bytes);
    }
    let bytes = encode_hex(&env.bytes::<{ SECRET_BYTES / 2 }>()).into_bytes();
    let beside = state.join(format!("{SECRET}.unfinished"));
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    let written = written.and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        lock.sync_all()
    });
    written.map(|()| bytes).map_err(failed)
}

/// Where others may write, they could tell us that the dead live, or that the living are dead.
fn ours(dir: &Path) -> Result<()> {
    let found = std::fs::symlink_metadata(dir).map_err(|error| Error::io(error, dir.display()))?;
    let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if is_ours && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::denied(format!(
        "{} belongs to somebody else, or others may write to it: remove it, or give it to the user \
         who takes snapshots, mode 0700",
        dir.display()
    )))
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that stays counts as dead: nobody holds its lock.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// So long one that removes leftovers waits for another that does.
const CLEANS_WITHIN: Duration = Duration::from_mins(1);

/// Two that remove the same leftovers would be in each other's way, and a machine's monitor takes
/// one of them at a time. Ends with the value; none: the other takes too long to be waited for.
pub(super) fn alone(dir: &Path, context: &Context) -> Option<File> {
    let lock = File::open(dir).ok()?;
    let until = context.clock.elapsed() + CLEANS_WITHIN;
    while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        if context.cancel.is_canceled() || context.clock.elapsed() >= until {
            return None;
        }
        context.clock.sleep(Duration::from_millis(50));
    }
    Some(lock)
}

/// The sessions whose locks are held.
pub(super) struct Locks(pub PathBuf);

impl Living for Locks {
    /// What cannot be told counts as alive.
    fn is_alive(&self, session: &str) -> bool {
        let path = self.0.join(session);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return error.kind() != ErrorKind::NotFound,
        };
        if flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
            return true;
        }
        let _ = std::fs::remove_file(&path);
        false
    }

    fn is_ours(&self, session: &str) -> bool {
        session.get(..NUMBER).is_some_and(|number| self.0.join(sign(number)).exists())
    }
}

/// Also those that are known elsewhere: each process has the file open whose lock it holds.
pub(super) struct OfAll(pub Locks);

impl Living for OfAll {
    fn is_alive(&self, session: &str) -> bool {
        self.0.is_alive(session) || host::is_open_somewhere(session)
    }
}
