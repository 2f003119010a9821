//! Exit codes, and what a person can do about an error: the one place that decides both.

use std::process::ExitCode;

use serde::Serialize;
use tintype_engine::{Error, ErrorKind};

use crate::command_line;
use crate::report::Report;
use crate::terminal;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    Complete,
    Failed,
    Usage,
    /// Done, but not all of it: something could not be read, or not be written.
    Incomplete,
    /// Stored bytes are not what was written.
    Damaged,
    /// A name is taken, or a lock or hold forbids it.
    Conflict,
    WrongKey,
    Interrupted,
    /// Nobody reads our output any more (`| head`).
    NoReader,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Damaged => 4,
            Self::Conflict => 5,
            Self::WrongKey => 6,
            Self::Interrupted => 130,
            Self::NoReader => 141,
        }
    }

    /// Of a command that finished its work.
    pub(crate) fn of_outcome(is_incomplete: bool, is_damaged: bool) -> Self {
        match (is_damaged, is_incomplete) {
            (true, _) => Self::Damaged,
            (_, true) => Self::Incomplete,
            _ => Self::Complete,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The command line asks for something that makes no sense.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

pub(crate) fn usage(message: impl std::fmt::Display) -> anyhow::Error {
    Usage(message.to_string()).into()
}

/// The library's error in a chain, if there is one.
pub(crate) fn kind_of(error: &anyhow::Error) -> Option<ErrorKind> {
    error.chain().find_map(|e| e.downcast_ref::<Error>()).map(Error::kind)
}

pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if error.is::<Usage>() {
        return Exit::Usage;
    }
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended.exit;
    }
    if error.chain().any(|e| {
        e.downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    }) {
        return Exit::NoReader;
    }
    match kind_of(error) {
        Some(ErrorKind::Corrupt) => Exit::Damaged,
        Some(ErrorKind::AlreadyExists | ErrorKind::Locked) => Exit::Conflict,
        Some(ErrorKind::WrongKey) => Exit::WrongKey,
        Some(ErrorKind::Canceled) => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

/// Why something failed, of which nothing is left.
#[derive(Debug)]
pub(crate) struct TakenBack;

impl std::fmt::Display for TakenBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing is changed")
    }
}

/// Why something failed of which a part is done; what to do was told with it.
#[derive(Debug)]
pub(crate) struct NotWhole(pub(crate) &'static str);

impl std::fmt::Display for NotWhole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// It ended otherwise than well, and all of it was told: why, and what helps.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) what: String,
}

impl Ended {
    /// Nothing was done, because something stands in the way.
    pub(crate) fn blocked(what: impl std::fmt::Display) -> anyhow::Error {
        let what = format!("{what}: nothing was changed");
        Self { exit: Exit::Failed, what }.into()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Ended {}

/// What failed concerns a bundle, and no repository.
#[derive(Debug)]
pub(crate) struct InBundle(pub(crate) String);

impl std::fmt::Display for InBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The next step, in one line.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    if error.is::<Usage>() {
        return Some(format!("`{} --help` shows examples", command_line::with_examples()));
    }
    fixed_hint(error).map(str::to_owned)
}

fn fixed_hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.is::<TakenBack>() {
        return Some("mend what stopped it, and run it again");
    }
    if error.is::<NotWhole>() || error.is::<Ended>() {
        return None;
    }
    if error.is::<InBundle>() {
        match kind_of(error)? {
            ErrorKind::Corrupt => {
                return Some("get the file again from where it was made; there is no new snapshot");
            }
            ErrorKind::WrongKey => {
                return Some("check the passphrase or the age identity of the bundle");
            }
            _ => {}
        }
    }
    if has_cure(error) {
        return None;
    }
    Some(match kind_of(error)? {
        ErrorKind::WrongKey => {
            "check the passphrase; the twelve words of the recovery key open it too: --recovery-key"
        }
        ErrorKind::Unavailable => "run it again later: it goes on from what is done",
        ErrorKind::NoSpace => {
            "make room there (in a repository: `tintype repo prune`, then `tintype repo gc`, or a \
             larger store) and run it again: nothing that was committed is lost"
        }
        ErrorKind::Denied => "check who may read and write there",
        ErrorKind::Corrupt => {
            "`tintype repo verify --all` names every damaged object and each path it touches; \
             everything else can still be restored"
        }
        ErrorKind::Canceled => "run it again: it goes on from what is done",
        ErrorKind::Faulty => {
            "test the memory of this machine before you trust it again; what lies in the repository \
             is as it was"
        }
        ErrorKind::Internal => "this is a bug; please report it with the command you ran",
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Locked
        | ErrorKind::Invalid
        | ErrorKind::Unsupported => return None,
    })
}

/// Messages that know better what helps say so themselves, after a semicolon.
fn has_cure(error: &anyhow::Error) -> bool {
    matches!(kind_of(error), Some(ErrorKind::Denied | ErrorKind::Unavailable))
        && error.chain().any(|cause| cause.to_string().contains("; "))
}

/// A command line that cannot be parsed, or asks for help. Nothing is parsed by then, so
/// `--json` counts wherever it stands.
pub(crate) fn of_command_line(error: &clap::Error) -> Exit {
    if error.exit_code() == 0 {
        return of_plain(error.print().map_err(anyhow::Error::from));
    }
    let is_json = std::env::args_os().skip(1).take_while(|a| a != "--").any(|a| a == "--json");
    if is_json {
        let text = error.to_string();
        let message = text.trim_start_matches("error: ").trim_end().to_owned();
        Report::new(true, false, false).failure(&usage(message), Exit::Usage);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

/// For commands without a repository and without events.
pub(crate) fn of_plain(result: anyhow::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Complete,
        Err(error) => {
            let exit = of_error(&error);
            if exit != Exit::NoReader {
                terminal::line(&format!("error: {error:#}"));
            }
            exit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_fits_or_there_is_none() {
        let denied = |text: &str| anyhow::Error::from(Error::denied(text));
        assert!(hint(&denied("/srv/a: permission denied")).is_some());
        assert_eq!(hint(&denied("/srv/a: freezing needs root; run as root")), None);
        let later = Error::unavailable("no answer");
        assert!(hint(&later.into()).unwrap().contains("later"));
        let blocked = Ended::blocked("a check blocks this restore");
        assert_eq!((hint(&blocked), of_error(&blocked)), (None, Exit::Failed));
        assert_eq!(blocked.to_string(), "a check blocks this restore: nothing was changed");
    }

    #[test]
    fn every_kind_has_its_code() {
        let code = |kind| of_error(&Error::new(kind, "x").into()).code();
        for (kind, want) in [
            (ErrorKind::Corrupt, 4),
            (ErrorKind::AlreadyExists, 5),
            (ErrorKind::Locked, 5),
            (ErrorKind::WrongKey, 6),
            (ErrorKind::Canceled, 130),
            (ErrorKind::NoSpace, 1),
            (ErrorKind::NotFound, 1),
        ] {
            assert_eq!(code(kind), want, "{kind:?}");
        }
        assert_eq!(of_error(&usage("no")).code(), 2);
        let wrapped = anyhow::Error::from(Error::corrupt("x")).context("while reading");
        assert_eq!(of_error(&wrapped), Exit::Damaged);
    }
}
