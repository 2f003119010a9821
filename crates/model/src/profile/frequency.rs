//! How often: a preset, or a cron expression. Both answer the same question, on the calendar and
//! without time zones: which wall clock time is next?

use jiff::civil::{Date, DateTime};
use jiff::{Span, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::time_of_day::TimeOfDay;
use super::weekday::Weekday;
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Frequency {
    /// At a minute of each real hour.
    Hourly {
        #[serde(default)]
        #[schemars(range(min = 0, max = 59))]
        minute: u8,
    },
    Daily {
        time: TimeOfDay,
    },
    Weekly {
        weekday: Weekday,
        time: TimeOfDay,
    },
    /// On a day of each month: the last one where the month is shorter.
    Monthly {
        #[schemars(range(min = 1, max = 31))]
        day: u8,
        time: TimeOfDay,
    },
    /// On a day of the year; 29 February is 28 February in other years.
    Yearly {
        #[schemars(range(min = 1, max = 12))]
        month: u8,
        #[schemars(range(min = 1, max = 31))]
        day: u8,
        time: TimeOfDay,
    },
    /// Five fields: minute, hour, day of month, month, day of week.
    Cron(String),
}

/// What a frequency is, ready to count.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Hourly { minute: i8 },
    Daily { time: TimeOfDay },
    Weekly { weekday: Weekday, time: TimeOfDay },
    Monthly { day: i8, time: TimeOfDay },
    Yearly { month: i8, day: i8, time: TimeOfDay },
    Cron(Box<Cron>),
}

impl Frequency {
    pub(super) fn pattern(&self) -> Result<Pattern> {
        let within = |what: &str, value: u8, least: u8, most: u8| {
            if (least..=most).contains(&value) {
                return Ok(value as i8);
            }
            Err(Error::invalid(format!(
                "frequency: {what} {value} is not between {least} and {most}"
            )))
        };
        Ok(match self {
            Self::Hourly { minute } => {
                Pattern::Hourly { minute: within("minute", *minute, 0, 59)? }
            }
            Self::Daily { time } => Pattern::Daily { time: *time },
            Self::Weekly { weekday, time } => Pattern::Weekly { weekday: *weekday, time: *time },
            Self::Monthly { day, time } => {
                Pattern::Monthly { day: within("day", *day, 1, 31)?, time: *time }
            }
            Self::Yearly { month, day, time } => {
                let month = within("month", *month, 1, 12)?;
                let longest = Date::new(2000, month, 1).map_or(31, Date::days_in_month);
                let day = within("day", *day, 1, longest as u8)?;
                Pattern::Yearly { month, day, time: *time }
            }
            Self::Cron(text) => Pattern::Cron(Box::new(text.parse()?)),
        })
    }
}

impl Pattern {
    /// The first wall clock time after `wall`; `None` at the end of the calendar.
    pub(super) fn next(&self, wall: DateTime) -> Option<DateTime> {
        let today = wall.date();
        match *self {
            Self::Hourly { minute } => {
                let hour = today.at(wall.hour(), minute, 0, 0);
                later(wall, hour, |hour| hour.checked_add(1.hour()).ok())
            }
            Self::Daily { time } => later(wall, time.on(today), |day| plus(day, 1.day())),
            Self::Weekly { weekday, time } => {
                let days = (weekday.number() + 7 - Weekday::of(today).number()) % 7;
                let first = plus(time.on(today), (days as i64).days())?;
                later(wall, first, |day| plus(day, 1.week()))
            }
            Self::Monthly { day, time } => {
                let first = time.on(clamped(today.first_of_month(), day)?);
                later(wall, first, |_| {
                    let month = today.first_of_month().checked_add(1.month()).ok()?;
                    Some(time.on(clamped(month, day)?))
                })
            }
            Self::Yearly { month, day, time } => {
                let of = |year| Some(time.on(clamped(Date::new(year, month, 1).ok()?, day)?));
                later(wall, of(today.year())?, |_| of(today.year() + 1))
            }
            Self::Cron(ref cron) => cron.next(wall),
        }
    }

    /// Whether it says at which minutes of every hour: then it follows real hours, and not what
    /// the clocks show when they are changed.
    pub(super) fn is_by_hour(&self) -> bool {
        match self {
            Self::Hourly { .. } => true,
            Self::Cron(cron) => cron.is_every_hour(),
            _ => false,
        }
    }
}

fn later(
    wall: DateTime,
    first: DateTime,
    second: impl FnOnce(DateTime) -> Option<DateTime>,
) -> Option<DateTime> {
    if first > wall { Some(first) } else { second(first) }
}

fn plus(day: DateTime, span: Span) -> Option<DateTime> {
    day.checked_add(span).ok()
}

/// That day of the month, or its last.
fn clamped(month: Date, day: i8) -> Option<Date> {
    Date::new(month.year(), month.month(), day.min(month.days_in_month())).ok()
}
