//! The minimum count: when too few would stay, the newest of those that would go stay too,
//! those that are not expired before those that are.

use jiff::Timestamp;

use super::{Decision, Reason};

/// `decisions` of one group, newest first.
pub(super) fn apply(decisions: &mut [Decision], minimum: usize, now: Timestamp) {
    let kept = decisions.iter().filter(|d| d.keep).count();
    let mut missing = minimum.saturating_sub(kept);
    for expired in [false, true] {
        for decision in decisions.iter_mut() {
            if missing > 0 && !decision.keep && decision.snapshot.is_expired(now) == expired {
                decision.keep = true;
                decision.reasons = vec![Reason::Minimum(minimum)];
                missing -= 1;
            }
        }
    }
}
