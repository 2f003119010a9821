//! What is due now.
//!
//! A moment of a period is taken up once: the manager writes (profile, period, moment) down in the
//! same transaction in which it queues the run, and asks again from there. Between two calls the
//! manager may have been away, a blackout may have passed, and the clock may have been set in
//! either direction; so what is asked is never "which moments passed?" but "which is the last one
//! that passed?". The others before it are answered by the same snapshot. Hence each call is bounded
//! work and gives at most one moment of each period, also after a jump of years.
//!
//! A clock that was set back: moments that were taken up before are known by [`Standing::last`],
//! the latest of them that is *not after now*. So a clock that once was years ahead does not stop a
//! period for years, nor one that was made then.

use std::fmt;

use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};

use super::period::Missed;
use super::schedule::Schedule;
use super::{Period, Profile, jitter};
use crate::Error;

/// What begins this late still begins in its time: restarts and short troubles are no absence.
pub const ON_TIME: SignedDuration = SignedDuration::from_mins(5);

/// A clock that is set back by less was only corrected.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// How it stands with one period of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Id of the profile.
    pub id: &'a str,
    pub profile: &'a Profile,
    pub period: &'a Period,
    /// When the period began to count: the profile was made, enabled, or its frequency changed.
    /// Earlier moments are none of its.
    pub since: Timestamp,
    /// The latest moment that was taken up and is not after now.
    pub last: Option<Timestamp>,
}

/// A moment to take up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Id of the profile.
    pub profile: String,
    /// Name of the period.
    pub period: String,
    pub moment: Timestamp,
    /// When the run may begin: jitter lies between.
    pub not_before: Timestamp,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    OnTime,
    /// It lay in a blackout that ended now.
    Blackout {
        ended: Timestamp,
    },
    /// Nothing could be begun; the first moment that passed, and when the manager was last seen.
    Missed {
        first: Timestamp,
        alive: Timestamp,
    },
}

/// A period that cannot be asked, like one whose time zone is not known any more.
#[derive(Debug)]
pub struct Broken {
    /// Id of the profile.
    pub profile: String,
    pub period: String,
    pub error: Error,
}

#[derive(Debug, Default)]
pub struct Agenda {
    /// In the order of the periods that were asked for.
    pub due: Vec<Due>,
    /// When to ask again: nothing is due before, if no clock is set and no profile changes.
    pub next: Option<Timestamp>,
    pub broken: Vec<Broken>,
}

/// What is due at `now`, of enabled profiles. `alive` is when the manager was last seen working.
pub fn due(
    standings: &[Standing<'_>],
    now: Timestamp,
    alive: Timestamp,
    zones: &TimeZoneDatabase,
) -> Agenda {
    let mut agenda = Agenda::default();
    for standing in standings.iter().filter(|standing| standing.profile.enabled) {
        let schedule = match standing.period.schedule(zones) {
            Ok(schedule) => schedule,
            Err(error) => {
                agenda.broken.push(Broken {
                    profile: standing.id.into(),
                    period: standing.period.name.clone(),
                    error,
                });
                continue;
            }
        };
        agenda.due.extend(standing.due(&schedule, now, alive));
        let next = standing.next(&schedule, now);
        agenda.next = agenda.next.into_iter().chain(next).min();
    }
    agenda
}

impl Standing<'_> {
    /// No moment up to this one may be taken up.
    fn after(&self, now: Timestamp) -> Timestamp {
        // It was made while some clock was ahead: it counts from now on.
        let is_wrong = self.since.duration_since(now) > SKEW;
        let since = if is_wrong { minus(now, ON_TIME) } else { self.since };
        self.last.map_or(since, |last| last.max(since))
    }

    fn due(&self, schedule: &Schedule, now: Timestamp, alive: Timestamp) -> Option<Due> {
        let after = self.after(now);
        if after >= now || schedule.blackouts.end(now).is_some() {
            return None;
        }
        let moment = match self.period.missed {
            Missed::Once => schedule.latest(after, now),
            Missed::Skip => in_time(schedule, after, now),
        }?;
        let ended = schedule.blackouts.end(moment);
        let ready = ended.unwrap_or(moment);
        let is_late = now.duration_since(ready) > ON_TIME;
        let why = match ended {
            _ if is_late => Why::Missed { first: schedule.next(after).unwrap_or(moment), alive },
            Some(ended) => Why::Blackout { ended },
            None => Why::OnTime,
        };
        let begin = if is_late { now } else { ready };
        Some(Due {
            profile: self.id.into(),
            period: self.period.name.clone(),
            moment,
            not_before: self.jittered(schedule, moment, begin),
            why,
        })
    }

    /// Without jitter where that would lead into a blackout.
    fn jittered(&self, schedule: &Schedule, moment: Timestamp, begin: Timestamp) -> Timestamp {
        let name = &self.period.name;
        let jitter = jitter::of(self.id, name, moment, self.period.jitter_minutes);
        let later = begin.checked_add(jitter).unwrap_or(begin);
        if schedule.blackouts.end(later).is_some() { begin } else { later }
    }

    fn next(&self, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
        let moment = schedule.next(self.after(now).max(now))?;
        // What waits for the end of a blackout is due then.
        Some(schedule.blackouts.end(now).map_or(moment, |end| end.min(moment)))
    }
}

fn minus(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// The last moment of the last minutes that lay in no blackout.
fn in_time(schedule: &Schedule, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let start = minus(now, ON_TIME + SignedDuration::from_secs(1));
    std::iter::successors(schedule.next(after.max(start)), |moment| schedule.next(*moment))
        .take_while(|moment| *moment <= now)
        .filter(|moment| now.duration_since(*moment) <= ON_TIME)
        .filter(|moment| schedule.blackouts.end(*moment).is_none())
        .last()
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnTime => f.write_str("on time"),
            Self::Blackout { ended } => write!(f, "after the blackout that ended {ended}"),
            Self::Missed { first, alive } if alive < first => {
                write!(f, "missed since {first}: the manager was away, last seen {alive}")
            }
            Self::Missed { first, .. } => write!(f, "missed since {first}"),
        }
    }
}
