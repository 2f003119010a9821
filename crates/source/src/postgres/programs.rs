//! The server's own programs, run as the account that its data belongs to.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tintype_model::{Error, Result};

use crate::connector::Context;
use crate::host::account::{Account, acting};
use crate::host::{self, program};

/// How long a server may take to start, with all of its log to read; and to stop.
pub(super) const MOST: Duration = Duration::from_hours(24);
const SOON: Duration = Duration::from_mins(2);
/// How long until one that was started has written its lock file.
const SIGN: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(20);

/// A program of one major version.
pub(super) fn find(name: &str, major: u32, own: Option<&Path>) -> Result<PathBuf> {
    let packaged = [format!("/usr/lib/postgresql/{major}/bin"), format!("/usr/pgsql-{major}/bin")];
    let places: Vec<PathBuf> =
        own.map(Path::to_owned).into_iter().chain(packaged.map(PathBuf::from)).collect();
    program::find(name, &places).ok_or_else(|| {
        Error::not_found(format!(
            "{name} of PostgreSQL {major} is not on this host; install its package, or say with \
             `programs` where it is"
        ))
    })
}

/// The major version of a program.
pub(super) fn major(program: &Path, context: &Context) -> Result<u32> {
    let said = program::run(context, host::command(program).arg("--version"), SOON)?;
    let text = String::from_utf8_lossy(&said).into_owned();
    // `pg_ctl (PostgreSQL) 15.18 (Debian …)`
    let version =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let major =
        version.and_then(|version| version.split(['.', 'd', 'b', 'r']).next()?.parse().ok());
    major.ok_or_else(|| Error::unsupported(format!("{}: says {text:?}", program.display())))
}

/// A program as that account.
pub(super) fn command(program: &Path, account: Account) -> Command {
    let mut command = host::command(program);
    // Else every program says that it cannot go back to where it was started.
    command.current_dir("/");
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    command
}

/// Who owns a path, if that is somebody else whom we can act as.
pub(super) fn account_of(uid: u32, gid: u32) -> Account {
    (rustix::process::geteuid().is_root() && uid != 0).then_some((uid, gid))
}

/// Starts a server on a data directory and waits until it answers. `options` go to `postgres`
/// through a shell, see [`options`].
pub(super) fn start(
    pg_ctl: &Path,
    account: Account,
    data: &Path,
    log: &Path,
    options: &str,
    context: &Context,
) -> Result<()> {
    let mut command = command(pg_ctl, account);
    command
        .arg("-D")
        .arg(data)
        .arg("-l")
        .arg(log)
        .args(["-w", "-t", "86400", "-o", options, "start"]);
    let started = program::run(context, &mut command, MOST);
    if context.cancel.is_canceled() {
        await_sign(data, context);
    }
    started.map(drop).map_err(|error| with_log(error, log, account))
}

/// `pg_ctl` was ended: a server that it had just begun is seen a moment later, and only what is
/// seen can be stopped.
fn await_sign(data: &Path, context: &Context) {
    let begun = context.clock.elapsed();
    while running(data).is_none() && context.clock.elapsed().saturating_sub(begun) < SIGN {
        context.clock.sleep(TICK);
    }
}

/// What the server itself said last.
pub(super) fn with_log(error: Error, log: &Path, account: Account) -> Error {
    let said = acting(account, || std::fs::read_to_string(log)).unwrap_or_default();
    let lines: Vec<&str> = said.lines().rev().take(8).collect();
    let last = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    Error::new(error.kind(), format!("{}; its log: {last}", error.message()))
}

/// Stops it, if it runs, also after a request to stop: what was started for a while must not stay.
pub(super) fn stop(
    pg_ctl: &Path,
    account: Account,
    data: &Path,
    mode: &str,
    context: &Context,
) -> Result<()> {
    if running(data).is_none() {
        return Ok(());
    }
    let mut command = command(pg_ctl, account);
    command.arg("-D").arg(data).args(["-w", "-t", "110", "-m", mode, "stop"]);
    program::run(&context.stubborn(), &mut command, SOON).map(drop)
}

/// The process that has a data directory open, told by its lock file and its working directory.
pub(super) fn running(data: &Path) -> Option<u32> {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: u32 = file.lines().next()?.trim().parse().ok()?;
    let there = std::fs::metadata(format!("/proc/{pid}/cwd")).ok()?;
    let here = std::fs::metadata(data).ok()?;
    use std::os::unix::fs::MetadataExt as _;
    ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(pid)
}

/// `-c name=value …`, each quoted for the shell that `pg_ctl` starts the server with.
pub(super) fn options<'a>(settings: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let quoted = settings.into_iter().map(|(name, value)| {
        let setting = format!("{name}={value}").replace('\'', r"'\''");
        format!("-c '{setting}'")
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_for_the_shell() {
        let line = options([("a", "b c".to_owned()), ("d", "it's; rm -rf $HOME".to_owned())]);
        let echoed = Command::new("sh").arg("-c").arg(format!("printf '%s|' {line}")).output();
        let echoed = String::from_utf8(echoed.unwrap().stdout).unwrap();
        assert_eq!(echoed, "-c|a=b c|-c|d=it's; rm -rf $HOME|");
    }
}
