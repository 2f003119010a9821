//! `--keep-daily N`: the newest of each of the last N periods of a day that have a snapshot.

use super::{Candidate, Verdicts, period};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    period::keep(candidates, count, "daily", |c| c.local.strftime("%Y-%m-%d").to_string())
}
