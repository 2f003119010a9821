//! SQLite's online backup: pages of one moment, copied in steps.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tintype_model::{Error, ErrorKind, Result};

use crate::connector::Context;
use crate::host::private;

const PAGES_OF_A_STEP: i32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);
const GAP: Duration = Duration::from_micros(300);
/// How long a lock of another process is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Never creates one; writes nothing but what every reader of a write-ahead log writes beside it.
pub(super) fn open(name: &str, path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    });
    opened.map_err(|error| failed(name, path, error))
}

/// What is stored, opened without a lock and without files beside it.
pub(super) fn open_unchanging(name: &str, path: &Path) -> Result<Connection> {
    let escaped = path.as_os_str().as_encoded_bytes().iter().map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        if plain { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    });
    let uri = format!("file:{}?immutable=1", escaped.collect::<String>());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).map_err(|error| failed(name, path, error))
}

/// Copies all pages. Inside a read transaction of `live` they are those of its snapshot; outside,
/// each step takes the lock for itself, and SQLite begins again when somebody wrote in between.
pub(super) fn copy(
    name: &str,
    live: &Connection,
    to: &Path,
    most: Duration,
    context: &Context,
) -> Result<()> {
    let fail = |error| failed(name, to, error);
    private::create(to)?;
    let mut copy = Connection::open(to).map_err(fail)?;
    // Scratch: what a crash leaves of it is thrown away.
    copy.execute_batch("PRAGMA synchronous = OFF").map_err(fail)?;
    let backup = Backup::new(live, &mut copy).map_err(fail)?;
    let begun = context.clock.elapsed();
    loop {
        context.cancel.check()?;
        if context.clock.elapsed().saturating_sub(begun) > most {
            return Err(Error::unavailable(format!(
                "{name}: not copied within {} s, because others write all the time or it is \
                 large; PRAGMA journal_mode=WAL lets it be copied beside its writers",
                most.as_secs()
            )));
        }
        match backup.step(PAGES_OF_A_STEP).map_err(fail)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => context.clock.sleep(PAUSE),
            _ => {}
        }
    }
}

/// Tries again as long as others hold the lock. SQLite itself would wait up to 100 ms between two
/// attempts, and a busy writer leaves gaps that are much shorter.
pub(super) fn patiently<T>(
    context: &Context,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let begun = context.clock.elapsed();
    loop {
        let result = attempt();
        let busy = result.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        let late = context.clock.elapsed().saturating_sub(begun) > PATIENCE;
        if busy != Some(ErrorCode::DatabaseBusy) || late || context.cancel.is_canceled() {
            return result;
        }
        context.clock.sleep(GAP);
    }
}

/// What a check of SQLite finds, if anything.
pub(super) fn damage(connection: &Connection, whole: bool) -> rusqlite::Result<Option<String>> {
    let check = if whole { "PRAGMA integrity_check(3)" } else { "PRAGMA quick_check(3)" };
    let lines = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(check)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match lines() {
        Ok(lines) if lines == ["ok"] => Ok(None),
        Ok(lines) => Ok(Some(lines.join("; "))),
        // So much that the check itself ends.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn tables(connection: &Connection) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    connection.query_row(count, [], |row| row.get::<_, i64>(0)).map(|count| count as u64)
}

pub(super) fn failed(name: &str, path: &Path, error: rusqlite::Error) -> Error {
    let (kind, help) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Locked, ": another process holds it for itself; try when it is done")
        }
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::Unsupported, ": no database of SQLite 3, or an encrypted one")
        }
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Corrupt, ""),
        Some(ErrorCode::CannotOpen) => (ErrorKind::NotFound, ""),
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => (ErrorKind::Denied, ""),
        Some(ErrorCode::DiskFull) => (ErrorKind::NoSpace, ""),
        _ => (ErrorKind::Unavailable, ""),
    };
    Error::new(kind, format!("{name}: {}: {error}{help}", path.display()))
}
