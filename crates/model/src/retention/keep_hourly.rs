//! `--keep-hourly N`: the newest of each of the last N periods of an hour that have a snapshot.

// The offset keeps the two hours apart that a clock change makes of one.
use super::{Candidate, Verdicts, period};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    period::keep(candidates, count, "hourly", |c| c.local.strftime("%Y-%m-%d %H:00%:z").to_string())
}
