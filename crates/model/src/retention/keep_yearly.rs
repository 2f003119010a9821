//! `--keep-yearly N`: the newest of each of the last N periods of a year that have a snapshot.

use super::{Candidate, Verdicts, period};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    period::keep(candidates, count, "yearly", |c| c.local.strftime("%Y").to_string())
}
