//! `--keep-weekly N`: the newest of each of the last N periods of an ISO week that have a snapshot.

use super::{Candidate, Verdicts, period};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    period::keep(candidates, count, "weekly", |c| c.local.strftime("%G-W%V").to_string())
}
