//! Which runs of this host are at work: each holds a lock (flock(2)) on a file of its name for as
//! long as it lives, and takes it before it makes anything. The system releases it when the
//! process ends, however it ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tintype_engine::env::Env;
use tintype_engine::id::encode_hex;
use tintype_model::{Error, Result};
use tintype_source::connector::{Context, Living};

/// A session of this process.
pub(super) struct Session {
    pub name: String,
    file: PathBuf,
    _lock: File,
}

impl Session {
    /// `dir` is made if it is missing.
    pub(super) fn begin(dir: &Path, env: &Env) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| Error::io(error, dir.display()))?;
        ours(dir)?;
        // Somebody may take it for dead, and remove it, before its lock is taken.
        loop {
            let name = encode_hex(&env.bytes::<8>());
            let file = dir.join(&name);
            let failed = |error| Error::io(error, file.display());
            let mut how = OpenOptions::new();
            let lock = how.write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)
                .map_err(|errno| failed(errno.into()))?;
            if file.exists() {
                return Ok(Self { name, file, _lock: lock });
            }
        }
    }
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
            Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
        };
        if flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
            return true;
        }
        let _ = std::fs::remove_file(&path);
        false
    }
}
