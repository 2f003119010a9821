//! Times of the week in which a period starts nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time_of_day::TimeOfDay;
use super::weekday::Weekday;
use super::zone;
use crate::{Error, Result};

const DAY_MINUTES: usize = 24 * 60;
const WEEK_MINUTES: usize = 7 * DAY_MINUTES;
/// Most windows of a period.
const MOST: usize = 50;

/// A window on the clock of the period's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Blackout {
    /// On which days it begins; none means each day.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub days: BTreeSet<Weekday>,
    pub from: TimeOfDay,
    /// First minute that is free again. Not later than `from` means on the next day, so that 00:00
    /// to 00:00 is a whole day.
    pub to: TimeOfDay,
}

impl Blackout {
    fn begins_on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day)
    }

    fn minutes(&self) -> usize {
        let (from, to) = (self.from.minutes(), self.to.minutes());
        if to > from { to - from } else { to + DAY_MINUTES - from }
    }

    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.begins_on(Weekday::of(date)) {
            return None;
        }
        let end = if self.to > self.from { date } else { date.tomorrow().ok()? };
        Some((zone::first_at(zone, self.from.on(date))?, zone::last_at(zone, self.to.on(end))?))
    }
}

/// Which minutes of the week are in a window; an error if all are.
pub(super) fn minutes_of_week(windows: &[Blackout]) -> Result<Vec<bool>> {
    if windows.len() > MOST {
        return Err(Error::invalid(format!(
            "blackouts: {} windows are more than {MOST}",
            windows.len()
        )));
    }
    let mut week = vec![false; WEEK_MINUTES];
    for window in windows {
        for day in Weekday::ALL.into_iter().filter(|day| window.begins_on(*day)) {
            let begin = day.number() * DAY_MINUTES + window.from.minutes();
            for minute in begin..begin + window.minutes() {
                week[minute % WEEK_MINUTES] = true;
            }
        }
    }
    if week.iter().all(|is_closed| *is_closed) {
        return Err(Error::invalid(
            "blackouts: the windows leave no time of the week; shorten one, or disable the profile",
        ));
    }
    Ok(week)
}

/// The windows of a period in its time zone.
#[derive(Clone, Debug)]
pub(super) struct Blackouts {
    windows: Vec<Blackout>,
    zone: TimeZone,
}

impl Blackouts {
    pub(super) fn new(windows: &[Blackout], zone: &TimeZone) -> Self {
        Self { windows: windows.to_vec(), zone: zone.clone() }
    }

    /// When a moment is free again, if it lies in a window; windows that touch are one.
    pub(super) fn end(&self, moment: Timestamp) -> Option<Timestamp> {
        let mut end = self.window_end(moment)?;
        // A week of windows ends somewhere, or the check had refused them.
        for _ in 0..=self.windows.len() * 8 {
            let Some(next) = self.window_end(end) else { break };
            end = next;
        }
        Some(end)
    }

    fn window_end(&self, moment: Timestamp) -> Option<Timestamp> {
        if self.windows.is_empty() {
            return None;
        }
        let today = self.zone.to_datetime(moment).date();
        let days = [today.yesterday().ok(), Some(today)];
        days.into_iter()
            .flatten()
            .flat_map(|date| self.windows.iter().filter_map(move |w| w.on(date, &self.zone)))
            .filter(|(begin, end)| (*begin..*end).contains(&moment))
            .map(|(_, end)| end)
            .max()
    }
}
