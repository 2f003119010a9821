//! The newest snapshot of each of the last `count` periods that have one.

use super::{Candidate, Reason, UNLIMITED, Verdicts};

/// `name` gives two snapshots the same text when they lie in the same period. As in restic,
/// the oldest snapshot stays too while the count is not used up: history reaches back as far
/// as the rule asks for before its periods are full.
pub(super) fn keep(
    candidates: &[Candidate<'_>],
    count: u32,
    kind: &'static str,
    name: impl Fn(&Candidate<'_>) -> String,
) -> Verdicts {
    let mut left = count;
    let mut last: Option<String> = None;
    let mut verdicts = Vec::with_capacity(candidates.len());
    for (i, candidate) in candidates.iter().enumerate() {
        let period = name(candidate);
        let is_new = last.as_ref() != Some(&period);
        let is_oldest = i + 1 == candidates.len();
        if left == 0 || !(is_new || is_oldest) {
            verdicts.push(None);
            continue;
        }
        if left != UNLIMITED {
            left -= 1;
        }
        last = Some(period.clone());
        verdicts.push(Some(if is_new {
            Reason::Period { kind, period }
        } else {
            Reason::Oldest { kind }
        }));
    }
    verdicts
}
