//! `--keep-within 1y5m7d2h`: all younger than that, counted back on the calendar from the
//! group's newest, so that a machine that was off for a year does not lose its history.

use jiff::Span;

use super::{Candidate, Reason, Verdicts};

pub(super) fn keep(candidates: &[Candidate<'_>], span: Option<Span>) -> Verdicts {
    let Some((newest, span)) = candidates.first().zip(span) else {
        return vec![None; candidates.len()];
    };
    // A span longer than the calendar reaches everything.
    let start = newest.local.checked_sub(span).ok();
    candidates
        .iter()
        .map(|c| {
            let inside = start.as_ref().is_none_or(|s| c.local > *s);
            inside.then_some(Reason::Within(span.into()))
        })
        .collect()
}
