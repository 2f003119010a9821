//! Since when a period counts: earlier moments are none of its.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Frequency, Period};

/// What of a period decides which moments there are, and when that was last changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    pub since: Timestamp,
    pub enabled: bool,
    pub frequency: Frequency,
    pub time_zone: String,
}

impl Counting {
    /// `before` is what was known of the period the last time, `changed` when anything about its
    /// profile was changed last. Whatever else changes forgets no moment that waits.
    pub fn next(before: Option<&Self>, enabled: bool, period: &Period, changed: Timestamp) -> Self {
        let (frequency, time_zone) = (period.frequency.clone(), period.time_zone.clone());
        let goes_on = |before: &&Self| {
            before.frequency == frequency
                && before.time_zone == time_zone
                && (before.enabled || !enabled)
        };
        let since = before.filter(goes_on).map_or(changed, |before| before.since);
        Self { since, enabled, frequency, time_zone }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn period(more: &Value) -> Period {
        let mut value = json!({ "name": "x", "frequency": { "hourly": { "minute": 0 } } });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_begins_to_count_anew() {
        let (first, later) = (Timestamp::UNIX_EPOCH, "2030-01-01T00:00:00Z".parse().unwrap());
        let plain = period(&json!({}));
        let made = Counting::next(None, true, &plain, first);
        assert_eq!(made.since, first);
        let hourly = json!({ "frequency": { "hourly": { "minute": 5 } } });
        for (enabled, period, want) in [
            (true, plain.clone(), first),
            (true, period(&json!({ "retention": "2y", "quiesce": false })), first),
            (true, period(&hourly), later),
            (true, period(&json!({ "time_zone": "Europe/Berlin" })), later),
            (false, plain.clone(), first),
        ] {
            let next = Counting::next(Some(&made), enabled, &period, later);
            assert_eq!(next.since, want, "{period:?}");
        }
        let off = Counting::next(Some(&made), false, &plain, first);
        assert_eq!(Counting::next(Some(&off), true, &plain, later).since, later, "enabled again");
    }
}
