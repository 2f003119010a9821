//! How storages fill.

use jiff::{SignedDuration, Timestamp};
use tintype_api::storage::{StorageUsage, UsagePoint};
use tintype_model::forecast::{self, Point};
use tintype_model::plan::Check;
use tintype_model::size;
use tintype_runner::vault::Room;

/// More than a year.
const MOST_POINTS: usize = 400;
/// A little less than a day: checks run daily, not to the second.
const APART: SignedDuration = SignedDuration::from_hours(20);
const WARNED_PERCENT: u64 = 80;
const URGENT_PERCENT: u64 = 90;

/// What is known with what was just seen.
pub(crate) fn after(before: StorageUsage, room: &Room, now: Timestamp) -> StorageUsage {
    let Room { used_bytes, free_bytes, total_bytes } = *room;
    let mut history = before.history;
    let is_new = history.last().is_none_or(|last| now.duration_since(last.time) >= APART);
    if is_new {
        history.push(UsagePoint { time: now, used_bytes, free_bytes });
    }
    let extra = history.len().saturating_sub(MOST_POINTS);
    history.drain(..extra);
    let known = history
        .iter()
        .filter_map(|point| Some(Point { time: point.time, free_bytes: point.free_bytes? }));
    let full_at = forecast::full_at(&known.collect::<Vec<_>>(), now);
    StorageUsage { used_bytes, free_bytes, total_bytes, full_at, history }
}

/// A word of warning before it is too late.
pub(crate) fn check(usage: &StorageUsage) -> Option<Check> {
    let (free, total) = (usage.free_bytes?, usage.total_bytes.filter(|total| *total > 0)?);
    let percent = 100 - (u128::from(free) * 100).div_ceil(u128::from(total)) as u64;
    let full = usage.full_at.map(|at| format!(", and full on {}", at.strftime("%Y-%m-%d")));
    let told = format!(
        "{percent} % full ({} of {} are free){}",
        size::format(free),
        size::format(total),
        full.unwrap_or_default()
    );
    Some(match percent {
        URGENT_PERCENT.. => Check::warn(
            "fill",
            told,
            "make room now: delete snapshots, keep them for a shorter time, or add a storage; what is \
             full takes no more snapshots",
        ),
        WARNED_PERCENT.. => Check::warn("fill", told, "plan for more room"),
        _ => Check::pass("fill", told),
    })
}

#[cfg(test)]
mod tests {
    use tintype_model::plan::Verdict;

    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * 86_400).unwrap()
    }

    #[test]
    fn one_point_a_day_is_kept_for_more_than_a_year() {
        let mut usage = StorageUsage::default();
        for hour in 0..24 * 500 {
            let free = 1_000_000 - 50 * hour as u64;
            let room = Room { used_bytes: 7, free_bytes: Some(free), total_bytes: Some(1_000_000) };
            let now = Timestamp::from_second(hour * 3600).unwrap();
            usage = after(usage, &room, now);
        }
        assert_eq!(usage.history.len(), MOST_POINTS);
        let apart = usage.history.windows(2).map(|two| two[1].time.duration_since(two[0].time));
        assert!(apart.clone().all(|apart| apart >= APART) && apart.max() < Some(APART * 2));
        // 400,000 are left, 1200 go each day.
        let full = usage.full_at.unwrap();
        assert!(full.duration_since(day(500 + 333)).as_hours().abs() < 48, "{full}");
    }

    #[test]
    fn warned_at_eighty_and_at_ninety() {
        let at = |free: u64| {
            let room = Room { used_bytes: 0, free_bytes: Some(free), total_bytes: Some(1000) };
            let check = check(&after(StorageUsage::default(), &room, day(0))).unwrap();
            (check.outcome, check.cure.unwrap_or_default().contains("now"))
        };
        assert_eq!(at(201), (Verdict::Pass, false));
        assert_eq!(at(200), (Verdict::Warn, false));
        assert_eq!(at(101), (Verdict::Warn, false));
        assert_eq!(at(100), (Verdict::Warn, true));
        assert_eq!(at(0), (Verdict::Warn, true));
        assert_eq!(check(&StorageUsage::default()), None);
    }
}
