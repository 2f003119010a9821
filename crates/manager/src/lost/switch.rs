//! A manager that runs makes room for a recovery over it, and starts again when that is over.
//!
//! ```text
//! recover: takes switch.lock ── SIGHUP ──▶ manager: ends, gives manager.lock back
//! recover: takes manager.lock, replaces the catalog, gives that back, then switch.lock
//!                                          manager: waits for both, starts again
//! ```
//! Both locks go with the process that holds them: if the recovery is killed, the manager starts with
//! what the catalog then holds, which is all of the old or all of the new.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tintype_model::env::Clock;
use tintype_model::{Error, ErrorKind, Result};

use crate::serve::{LOCK, alone, prepare};

const FILE: &str = "switch.lock";
/// How long runs may take to stop.
const PATIENCE: Duration = Duration::from_mins(5);
/// And a manager to start again.
const BACK: Duration = Duration::from_mins(1);
/// And a manager for whoever has its lock and is no manager.
const HANDED_OVER: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

fn open(data: &Path) -> Result<File> {
    prepare(data)?;
    let path = data.join(FILE);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    file.map_err(|error| Error::io(error, path.display()))
}

/// Whoever has it replaces what the manager works with; one at a time.
pub fn begin(data: &Path) -> Result<File> {
    let file = open(data)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Error::locked(format!("{}: another recovery works there", data.display())))
        }
        Err(error) => Err(Error::io(error.into(), data.display())),
    }
}

/// Until no recovery works there.
pub fn wait(data: &Path) -> Result<()> {
    let file = open(data)?;
    flock(&file, FlockOperation::LockShared)
        .map_err(|error| Error::io(error.into(), data.display()))
}

/// The lock of a manager that starts. A recovery that ends, or a command, gives it back soon; a manager
/// that runs says so in it, and keeps it.
pub fn take(data: &Path, clock: &dyn Clock) -> Result<File> {
    let begun = clock.elapsed();
    loop {
        match alone(data) {
            Err(error) if error.is(ErrorKind::Locked) && !is_told(data) => {
                if clock.elapsed().saturating_sub(begun) > HANDED_OVER {
                    return Err(error);
                }
                clock.sleep(LOOK);
            }
            taken => return taken,
        }
    }
}

/// A manager that has started says who it is; whoever takes the lock wipes that out.
fn is_told(data: &Path) -> bool {
    std::fs::read_to_string(data.join(LOCK)).is_ok_and(|text| !text.trim().is_empty())
}

/// Ends the manager that runs with this data directory, if there is one: its process, and its lock.
pub fn stop(data: &Path, clock: &dyn Clock) -> Result<(Option<Pid>, File)> {
    let first = match alone(data) {
        Err(error) if error.is(ErrorKind::Locked) => error,
        taken => return taken.map(|file| (None, file)),
    };
    let path = data.join(LOCK);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(e, path.display()))?;
    // Commands like `manager rebuild-catalog` leave none.
    let pid = text.trim().parse().ok().and_then(Pid::from_raw).ok_or(first)?;
    kill_process(pid, Signal::HUP)
        .map_err(|error| Error::io(error.into(), format!("stopping the manager ({pid:?})")))?;
    let begun = clock.elapsed();
    loop {
        match alone(data) {
            Err(error) if !error.is(ErrorKind::Locked) => return Err(error),
            Ok(file) => return Ok((Some(pid), file)),
            Err(_) if clock.elapsed().saturating_sub(begun) > PATIENCE => {
                return Err(Error::locked(
                    "the manager does not end: nothing was changed; stop it, and try again",
                ));
            }
            Err(_) => clock.sleep(LOOK),
        }
    }
}

/// Whether the manager of that process works with this data directory again, within a while.
pub fn is_back(data: &Path, process: Pid, clock: &dyn Clock) -> bool {
    let begun = clock.elapsed();
    while clock.elapsed().saturating_sub(begun) < BACK {
        if is_told(data) {
            return true;
        }
        if test_kill_process(process).is_err() {
            return false;
        }
        clock.sleep(LOOK);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;

    /// Time goes on by waiting; whoever has a lock gives it back at the third look.
    struct Waiting(Mutex<(Duration, Option<File>)>);

    impl Clock for Waiting {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn sleep(&self, duration: Duration) {
            let mut held = self.0.lock().unwrap();
            held.0 += duration;
            if held.0 >= 3 * LOOK {
                held.1 = None;
            }
        }
    }

    #[test]
    fn a_manager_waits_for_a_recovery_that_ends_and_for_no_other_manager() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let waiting = |held| Waiting(Mutex::new((Duration::ZERO, held)));
        let recovery = waiting(Some(alone(&data).unwrap()));
        let taken = take(&data, &recovery).unwrap();
        assert_eq!(recovery.elapsed(), 3 * LOOK);
        // A command that does not end.
        let command = waiting(None);
        assert_eq!(take(&data, &command).unwrap_err().kind(), ErrorKind::Locked);
        assert!(command.elapsed() > HANDED_OVER);
        // A manager that runs.
        std::fs::write(data.join(LOCK), "4711\n").unwrap();
        let manager = waiting(None);
        assert_eq!(take(&data, &manager).unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(manager.elapsed(), Duration::ZERO);
        drop(taken);
        take(&data, &manager).unwrap();
    }
}
