//! A period: one part of a profile, with a frequency and a retention of its own.

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZoneDatabase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blackout::{self, Blackout};
use super::frequency::{Frequency, Pattern};
use super::immutable::Immutable;
use super::retention::Retention;
use super::schedule::Schedule;
use super::weekday::Weekday;
use super::{words, yes, zone};
use crate::resource::check_name;
use crate::{Error, Result};

/// Most moments that [`Period::next`] gives.
pub const MOST_MOMENTS: usize = 1000;
/// So many wall clock times of a frequency are looked at by the check.
const SAMPLE: usize = 400;
/// Everything is not taken more often.
const LEAST_MINUTES_OF_FULL: i64 = 15;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Period {
    /// Unique in its profile. What was taken belongs to the period of this name.
    pub name: String,
    pub frequency: Frequency,
    /// Name in the time zone database; default: UTC.
    #[serde(default = "Period::default_time_zone")]
    pub time_zone: String,
    /// How long what it takes is kept; default: a month. Stamped on each snapshot when it is taken.
    #[serde(default)]
    pub retention: Retention,
    /// So many of the newest complete snapshots stay, however old they are.
    #[serde(default = "Period::default_minimum")]
    #[schemars(range(min = 0, max = 1000))]
    pub minimum_count: u32,
    /// Whether workloads take part, so that copies are consistent for them. Without it, copies are
    /// as after a power failure.
    #[serde(default = "yes")]
    pub quiesce: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<Immutable>,
    /// Up to so many minutes later than the moment, different for each moment and period.
    #[serde(default)]
    #[schemars(range(min = 0, max = 720))]
    pub jitter_minutes: u32,
    #[serde(default)]
    pub missed: Missed,
    /// When nothing may begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
}

/// What becomes of moments at which nothing could begin: the manager was away, or a blackout.
///
/// There is no "run them all": a snapshot is of the time when it is taken, so that ten at once
/// would be ten of the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Missed {
    /// One snapshot as soon as it can begin, for all of them together.
    #[default]
    Once,
    /// The next moment is soon enough.
    Skip,
}

/// What a snapshot of a period carries from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// `None` is never.
    pub expiry: Option<Timestamp>,
    pub locked_until: Option<Timestamp>,
}

/// A run to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    pub moment: Timestamp,
    /// The moment, or the end of the blackout in which it lies. Jitter comes on top.
    pub begins: Timestamp,
}

impl Period {
    fn default_time_zone() -> String {
        "UTC".into()
    }

    fn default_minimum() -> u32 {
        1
    }

    /// A period of this name and frequency, everything else as it is by default.
    pub fn new(name: &str, frequency: Frequency, time_zone: &str) -> Self {
        Self {
            name: name.into(),
            frequency,
            time_zone: time_zone.into(),
            retention: Retention::default(),
            minimum_count: Self::default_minimum(),
            quiesce: true,
            immutable: None,
            jitter_minutes: 0,
            missed: Missed::default(),
            blackouts: Vec::new(),
        }
    }

    /// What the schema alone cannot say. Names the field that is wrong, and the cure.
    pub fn check(&self, zones: &TimeZoneDatabase) -> Result<()> {
        self.check_fields(zones).map_err(|error| error.context(format!("period {:?}", self.name)))
    }

    fn check_fields(&self, zones: &TimeZoneDatabase) -> Result<()> {
        check_name(&self.name).map_err(|error| error.context("name"))?;
        let pattern = self.frequency.pattern()?;
        zone::find(&self.time_zone, zones)?;
        self.retention.check()?;
        if let Some(immutable) = self.immutable {
            immutable.check()?;
        }
        if self.minimum_count > 1000 {
            return Err(Error::invalid(format!(
                "minimum_count: {} is more than 1000; a longer retention keeps more",
                self.minimum_count
            )));
        }
        let times = sample(&pattern);
        check_jitter(self.jitter_minutes, &times)?;
        let week = blackout::minutes_of_week(&self.blackouts)?;
        let is_closed = |time: &DateTime| {
            let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
            week[Weekday::of(time.date()).number() * 24 * 60 + minute as usize]
        };
        if self.missed == Missed::Skip && times.iter().all(is_closed) {
            return Err(Error::invalid(
                "blackouts: every moment lies in a window and missed moments are skipped, so that \
                 it would never take anything; set missed to once, or shorten a window",
            ));
        }
        Ok(())
    }

    /// Whether everything can be taken so often: it has to be read, listed, kept and expired each time.
    pub(super) fn check_full(&self) -> Result<()> {
        let shortest = shortest_minutes(&sample(&self.frequency.pattern()?));
        if shortest >= LEAST_MINUTES_OF_FULL {
            return Ok(());
        }
        let minutes = match shortest {
            1 => "minute".to_owned(),
            more => format!("{more} minutes"),
        };
        Err(Error::invalid(format!(
            "period {:?}: frequency: everything every {minutes} is too often; take it every \
             {LEAST_MINUTES_OF_FULL} minutes at most, like {{cron: \"*/{LEAST_MINUTES_OF_FULL} * * * *\"}}, \
             or choose what is needed so often with a profile of scope partial",
            self.name
        )))
    }

    /// When it runs, in plain words: `at 02:30 on the first Monday of each month, Europe/Berlin`.
    pub fn words(&self) -> Result<String> {
        Ok(format!("{}, {}", words::of(&self.frequency.pattern()?), self.time_zone))
    }

    pub fn schedule(&self, zones: &TimeZoneDatabase) -> Result<Schedule> {
        Schedule::new(self, zones).map_err(|error| error.context(format!("period {:?}", self.name)))
    }

    /// The next runs after a moment, at most [`MOST_MOMENTS`], as they would be without absence and
    /// jitter.
    pub fn next(
        &self,
        after: Timestamp,
        count: usize,
        zones: &TimeZoneDatabase,
    ) -> Result<Vec<Upcoming>> {
        let schedule = self.schedule(zones)?;
        let mut upcoming: Vec<Upcoming> = Vec::new();
        let mut last = after;
        // A window is passed over in one step, so that each turn but few finds a run.
        for _ in 0..count.min(MOST_MOMENTS) * 2 + SAMPLE {
            if upcoming.len() == count.min(MOST_MOMENTS) {
                break;
            }
            let Some(moment) = schedule.next(last) else { break };
            let Some(end) = schedule.blackouts.end(moment) else {
                upcoming.push(Upcoming { moment, begins: moment });
                last = moment;
                continue;
            };
            match self.missed {
                // All of the window together, and with them one at its very end.
                Missed::Once => {
                    last = schedule.latest(last, end).unwrap_or(moment);
                    upcoming.push(Upcoming { moment: last, begins: end });
                }
                Missed::Skip => last = end - jiff::SignedDuration::from_secs(1),
            }
        }
        Ok(upcoming)
    }

    /// What a snapshot carries that was taken at this time.
    pub fn stamp(&self, taken: Timestamp, zones: &TimeZoneDatabase) -> Result<Stamp> {
        let zone = zone::find(&self.time_zone, zones)?;
        let expiry = self.retention.expiry(taken, &zone);
        let locked_until = self.immutable.map(|immutable| immutable.lock(expiry, taken));
        Ok(Stamp { expiry, locked_until })
    }
}

/// A jitter as long as the distance between two moments would let them pass each other.
fn check_jitter(minutes: u32, times: &[DateTime]) -> Result<()> {
    if minutes == 0 {
        return Ok(());
    }
    let shortest = shortest_minutes(times).min(721);
    if i64::from(minutes) < shortest {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "jitter_minutes: {minutes} is too much; at most {} for this frequency",
        shortest - 1
    )))
}

fn shortest_minutes(times: &[DateTime]) -> i64 {
    let distance = |pair: &[DateTime]| pair[1].duration_since(pair[0]).as_mins();
    times.windows(2).map(distance).min().unwrap_or(i64::MAX)
}

/// Wall clock times of the pattern, from a year on that begins on a Saturday and leaps.
fn sample(pattern: &Pattern) -> Vec<DateTime> {
    let start = date(2000, 1, 1).at(0, 0, 0, 0);
    std::iter::successors(pattern.next(start), |time| pattern.next(*time)).take(SAMPLE).collect()
}
