//! How errors of the system become problems of an entry.

use rustix::io::Errno;
use tintype_model::entry::{Problem, ProblemKind};

/// What the system says about `errno`, in lower case and without its number.
pub(crate) fn cause(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut cause = text[..end].to_owned();
    if let Some(first) = cause.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    cause
}

pub(crate) fn problem(kind: ProblemKind, what: &str, errno: Errno) -> Problem {
    Problem { kind, message: format!("{what}: {}", cause(errno)) }
}

/// Content that cannot be had: gone if the name is gone, otherwise unreadable.
pub(crate) fn unreadable(what: &str, errno: Errno) -> Problem {
    let kind = match errno {
        Errno::NOENT => ProblemKind::Vanished,
        _ => ProblemKind::Unreadable,
    };
    problem(kind, what, errno)
}

pub(crate) fn metadata(what: &str, errno: Errno) -> Problem {
    problem(ProblemKind::Metadata, what, errno)
}

/// The graver of two problems; two of the same gravity are told in one message.
pub(crate) fn merge(old: Option<Problem>, new: Problem) -> Problem {
    let gravity = |kind| match kind {
        ProblemKind::Vanished => 3,
        ProblemKind::Unreadable => 2,
        ProblemKind::Changed => 1,
        ProblemKind::Metadata => 0,
    };
    match old {
        Some(old) if old.kind == new.kind => {
            Problem { kind: old.kind, message: format!("{}; {}", old.message, new.message) }
        }
        Some(old) if gravity(old.kind) > gravity(new.kind) => old,
        None | Some(_) => new,
    }
}
