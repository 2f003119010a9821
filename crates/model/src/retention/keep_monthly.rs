//! `--keep-monthly N`: the newest of each of the last N periods of a month that have a snapshot.

use super::{Candidate, Verdicts, period};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    period::keep(candidates, count, "monthly", |c| c.local.strftime("%Y-%m").to_string())
}
