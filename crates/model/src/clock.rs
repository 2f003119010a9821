//! How far the clock of a store is from ours.
//!
//! Schedules, expiry and locks count by the manager's clock, and other hosts write their own into the
//! same store. Signed requests are refused beyond a quarter of an hour; the bound stays far below.

use jiff::{SignedDuration, Timestamp};

/// Beyond this something is wrong with one of the two.
pub const MOST_APART: SignedDuration = SignedDuration::from_mins(5);

/// How far a store is ahead of us that `told` its time at some moment between `before` and `after`.
/// Negative: behind. Zero where it may be right: stores tell whole seconds.
pub fn ahead(before: Timestamp, told: Timestamp, after: Timestamp) -> SignedDuration {
    const TOLD_TO: SignedDuration = SignedDuration::from_secs(1);
    let early = before.duration_since(told).saturating_sub(TOLD_TO);
    let late = told.duration_since(after);
    if late.is_positive() {
        late
    } else if early.is_positive() {
        -early
    } else {
        SignedDuration::ZERO
    }
}

/// In words, where it is too far.
pub fn too_far(ahead: SignedDuration) -> Option<String> {
    if ahead.abs() <= MOST_APART {
        return None;
    }
    let by = SignedDuration::from_secs(ahead.as_secs().abs());
    let way = if ahead.is_positive() { "ahead of" } else { "behind" };
    Some(format!("the store's clock is {by:#} {way} this host's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apart_only_as_far_as_is_certain() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        for (before, told, after, expected) in [
            (100, 100, 101, 0),
            // Told to the second, while ours had moved on within it.
            (100, 99, 101, 0),
            (100, 98, 101, -1),
            // It took a minute to answer: any moment in it may be meant.
            (100, 160, 160, 0),
            (100, 161, 160, 1),
            (100, 100 + 600, 101, 599),
            (10_000, 0, 10_001, -9_999),
        ] {
            let found = ahead(at(before), at(told), at(after));
            assert_eq!(found, SignedDuration::from_secs(expected), "{before} {told} {after}");
        }
    }

    #[test]
    fn five_minutes_are_the_bound() {
        for (seconds, expected) in
            [(0, false), (300, false), (-300, false), (301, true), (-301, true)]
        {
            assert_eq!(
                too_far(SignedDuration::from_secs(seconds)).is_some(),
                expected,
                "{seconds}"
            );
        }
        let told = |seconds| too_far(SignedDuration::from_secs(seconds)).unwrap();
        assert!(told(7200).contains("ahead of this host's"), "{}", told(7200));
        assert!(told(-7200).contains("behind this host's"), "{}", told(-7200));
    }
}
