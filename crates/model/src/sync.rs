//! Which snapshots a sync rule keeps a second copy of, and for how long.

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use crate::Result;
use crate::profile::{Period, Stamp};

/// A snapshot of the storage that is copied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    pub time: Timestamp,
    /// It is a copy itself: two rules that copy to each other come to an end.
    pub is_copy: bool,
    /// What a restore replaced: of use where it is.
    pub is_undo_point: bool,
}

/// A copy that there is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub id: String,
    pub stamp: Stamp,
}

/// The oldest first. A copy is kept as long as the period says, from when the snapshot was taken: one
/// whose time there would be over is not made. A lock counts from now: the copy is new.
pub fn wanted(
    candidates: &[Candidate],
    period: &Period,
    now: Timestamp,
    zones: &TimeZoneDatabase,
) -> Result<Vec<Wanted>> {
    let mut chosen: Vec<&Candidate> =
        candidates.iter().filter(|one| !one.is_copy && !one.is_undo_point).collect();
    chosen.sort_by_key(|one| (one.time, &one.id));
    let mut wanted = Vec::new();
    for one in chosen {
        let stamp = period.stamp(one.time, zones)?;
        if stamp.expiry.is_none_or(|expiry| expiry > now) {
            let locked_until = period.immutable.map(|lock| lock.lock(stamp.expiry, now));
            wanted.push(Wanted { id: one.id.clone(), stamp: Stamp { locked_until, ..stamp } });
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(retention: &str) -> Period {
        let period = serde_json::json!({
            "name": "copies", "frequency": { "hourly": { "minute": 0 } },
            "retention": retention, "immutable": { "unlock_delay_days": 3 },
        });
        serde_json::from_value(period).unwrap()
    }

    fn candidate(id: &str, day: i8) -> Candidate {
        let time = jiff::civil::date(2030, 1, day).in_tz("UTC").unwrap().timestamp();
        Candidate { id: id.into(), time, is_copy: false, is_undo_point: false }
    }

    fn ids(candidates: &[Candidate], retention: &str) -> Vec<String> {
        let now = candidate("now", 20).time;
        let wanted = wanted(candidates, &period(retention), now, jiff::tz::db()).unwrap();
        wanted.into_iter().map(|one| one.id).collect()
    }

    #[test]
    fn what_is_copied() {
        let all = [
            candidate("new", 19),
            candidate("old", 1),
            candidate("edge", 13),
            Candidate { is_copy: true, ..candidate("copy", 19) },
            Candidate { is_undo_point: true, ..candidate("undo", 19) },
        ];
        assert_eq!(ids(&all, "forever"), ["old", "edge", "new"]);
        // Seven days of the 13th end on the 20th.
        assert_eq!(ids(&all, "7d"), ["new"]);
        assert_eq!(ids(&all, "8d"), ["edge", "new"]);
        assert_eq!(ids(&[], "forever"), [""; 0]);
    }

    #[test]
    fn its_own_time_counts_from_when_it_was_taken() {
        let now = candidate("now", 20).time;
        let one = [candidate("a", 19)];
        let wanted = wanted(&one, &period("7d"), now, jiff::tz::db()).unwrap();
        assert_eq!(wanted[0].stamp.expiry, Some(candidate("x", 26).time));
        assert_eq!(wanted[0].stamp.locked_until, Some(candidate("x", 24).time));
    }
}
