//! `--keep-last N`: the N newest.

use super::{Candidate, Reason, Verdicts};

pub(super) fn keep(candidates: &[Candidate<'_>], count: u32) -> Verdicts {
    (0..candidates.len() as u64).map(|i| (i < u64::from(count)).then_some(Reason::Last)).collect()
}
