//! The last complete one: what is incomplete takes nobody's place. Where all that stay are
//! incomplete, the newest complete one stays too, unless its own time is over.

use jiff::Timestamp;

use super::{Decision, Reason};

/// `decisions` of one group, newest first. Where nothing stays there is nothing to be mistaken for it.
pub(super) fn apply(decisions: &mut [Decision], now: Timestamp) {
    let mut kept = decisions.iter().filter(|d| d.keep).peekable();
    if kept.peek().is_none() || kept.any(|d| d.snapshot.is_complete) {
        return;
    }
    let whole = decisions.iter_mut().find(|d| d.snapshot.is_complete);
    if let Some(whole) = whole.filter(|d| !d.snapshot.is_expired(now)) {
        whole.keep = true;
        whole.reasons = vec![Reason::LastComplete];
    }
}
