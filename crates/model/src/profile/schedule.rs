//! The moments of a period: its frequency in its time zone.
//!
//! What the clocks show and what time it is differ when clocks are changed. Two rules:
//!
//! - **By the clock** (a frequency that names hours, like 02:30 each day): each wall clock time once.
//!   One that does not exist comes when the clocks are put forward, one that exists twice the first
//!   time.
//! - **By the hour** (a frequency that names none, like minute 15 of every hour): each real minute
//!   whose clock shows it, so that an hourly period runs each real hour.
//!
//! Moments are whole seconds and strictly increasing, and each call is bounded work.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

use super::blackout::Blackouts;
use super::frequency::Pattern;
use super::{Period, zone};
use crate::Result;

/// Most wall clock times that a change of clocks repeats: those of a day, by the minute.
const MOST_REPEATED: usize = 24 * 60;
/// Most changes of clocks between two moments; the sparsest frequencies come once in forty years.
const MOST_CHANGES: usize = 1000;

#[derive(Clone, Debug)]
pub struct Schedule {
    pattern: Pattern,
    zone: TimeZone,
    pub(super) blackouts: Blackouts,
}

impl Schedule {
    pub fn new(period: &Period, zones: &TimeZoneDatabase) -> Result<Self> {
        let zone = zone::find(&period.time_zone, zones)?;
        Ok(Self {
            pattern: period.frequency.pattern()?,
            blackouts: Blackouts::new(&period.blackouts, &zone),
            zone,
        })
    }

    /// The first moment after this one. `None` at the end of the calendar.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.pattern.is_by_hour() { self.next_by_hour(after) } else { self.next_by_clock(after) }
    }

    /// The last moment after `after` and not after `until`.
    pub fn latest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let follows = |second: i64| {
            let moment = self.next(Timestamp::from_second(second).ok()?)?;
            (moment <= until).then_some(moment)
        };
        // Moments are whole seconds, so those after `after` are those after its second. A moment
        // follows each second before the last moment, and none each later one.
        let (mut before, mut past) = (floor(after), floor(until));
        let mut found = follows(before)?;
        while past - before > 1 {
            let middle = before + (past - before) / 2;
            match follows(middle) {
                Some(moment) => (before, found) = (middle, moment),
                None => past = middle,
            }
        }
        Some(found)
    }

    fn next_by_clock(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = self.zone.to_datetime(after);
        for _ in 0..=MOST_REPEATED {
            wall = self.pattern.next(wall)?;
            let moment = zone::first_at(&self.zone, wall)?;
            if moment > after {
                return Some(moment);
            }
        }
        None
    }

    /// From one change of clocks to the next, as between them the clocks run evenly.
    fn next_by_hour(&self, after: Timestamp) -> Option<Timestamp> {
        let mut start = after;
        let mut wall = self.zone.to_datetime(after);
        for _ in 0..=MOST_CHANGES {
            let offset = self.zone.to_offset(start);
            let moment = offset.to_timestamp(self.pattern.next(wall)?).ok()?;
            let change = self.zone.following(start).next().map(|change| change.timestamp());
            let Some(change) = change.filter(|change| *change <= moment) else {
                return Some(moment);
            };
            start = change;
            // What the new clock shows first may itself be meant.
            wall = self.zone.to_datetime(change).checked_sub(1.second()).ok()?;
        }
        None
    }
}

/// The second in which a moment lies.
fn floor(moment: Timestamp) -> i64 {
    moment.as_second() - i64::from(moment.subsec_nanosecond() < 0)
}
