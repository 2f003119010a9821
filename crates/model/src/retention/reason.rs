//! Why a snapshot is kept or dropped, in words.

use std::fmt;

use jiff::{SpanFieldwise, Timestamp};

use crate::duration::format_span;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    // Kept.
    Last,
    /// The newest of its hour, day, ….
    Period {
        kind: &'static str,
        period: String,
    },
    /// The oldest there is, and the rule asks for more.
    Oldest {
        kind: &'static str,
    },
    Within(SpanFieldwise),
    Tags(Vec<String>),
    Minimum(usize),
    /// The newest that a schedule took of these resources, whole.
    LastGood(Vec<String>),
    /// All others that stay are incomplete.
    LastComplete,
    NeverExpires,
    KeepUntil(Timestamp),
    Held(String),
    Locked(Timestamp),
    /// Dated later than now: some clock was wrong.
    Future(Timestamp),
    /// The policy has no rule.
    NoPolicy,
    // Dropped.
    Expired(Timestamp),
    NoRule,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => write!(f, "last snapshot"),
            Self::Period { kind, period } => write!(f, "{kind} snapshot {period}"),
            Self::Oldest { kind } => write!(f, "oldest {kind} snapshot"),
            Self::Within(span) => write!(f, "within {}", format_span(&span.0)),
            Self::Tags(tags) => write!(f, "tag {}", tags.join(",")),
            Self::Minimum(count) => write!(f, "minimum count {count}"),
            Self::LastGood(resources) => write!(f, "last good snapshot of {}", some(resources)),
            Self::LastComplete => write!(f, "last complete snapshot"),
            Self::NeverExpires => write!(f, "never expires"),
            Self::KeepUntil(time) => write!(f, "keep until {time}"),
            Self::Held(name) => write!(f, "hold {name}"),
            Self::Locked(until) => write!(f, "locked until {until}"),
            Self::Future(time) => write!(f, "dated in the future: {time}"),
            Self::NoPolicy => write!(f, "no rule given"),
            Self::Expired(time) => write!(f, "expired {time}"),
            Self::NoRule => write!(f, "no rule keeps it"),
        }
    }
}

/// The first few of many names.
fn some(names: &[String]) -> String {
    const MOST: usize = 5;
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}
