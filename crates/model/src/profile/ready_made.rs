//! Profiles to begin with, disabled until somebody enables them.
//!
//! `system-snapshots`, `sox` and `hipaa` are those that VergeOS ships; its two others, for volume
//! syncs and antivirus scans, only say when those begin and take no snapshots. `full` and `partial`
//! are the two schedules that Harness has, kept a month as there.

use jiff::{Span, ToSpan};

use super::{Frequency, Immutable, Period, Profile, Retention, Scope, TimeOfDay, Weekday};

const MIDNIGHT: TimeOfDay = TimeOfDay::of(0, 0);

/// All of them, in the administrator's time zone.
pub fn ready_made(time_zone: &str) -> Vec<Profile> {
    let every = |name: &str, frequency: Frequency, retention: Retention| Period {
        retention,
        ..Period::new(name, frequency, time_zone)
    };
    let daily_at = |hour: i8, minute: i8| Frequency::Daily { time: TimeOfDay::of(hour, minute) };
    let hourly = Period {
        immutable: Some(Immutable::default()),
        ..every("hourly", Frequency::Hourly { minute: 0 }, keep(3.hours()))
    };
    let system = vec![
        hourly,
        every("midnight", daily_at(0, 0), keep(3.days())),
        every("noon", daily_at(12, 0), keep(1.day())),
    ];
    let rules = |yearly: Retention| {
        let first = Frequency::Yearly { month: 1, day: 1, time: MIDNIGHT };
        let sunday = Frequency::Weekly { weekday: Weekday::Sunday, time: MIDNIGHT };
        vec![
            every("yearly", first, yearly),
            every("monthly", Frequency::Monthly { day: 1, time: MIDNIGHT }, keep(1.year())),
            every("weekly", sunday, keep(31.days())),
            every("daily", daily_at(0, 0), keep(7.days())),
        ]
    };
    let month = |time| vec![every("daily", time, Retention::default())];
    let tagged = Scope::Partial { resources: [].into(), tags: ["protected".into()].into() };
    vec![
        profile("full", Scope::Full, month(daily_at(1, 30)), "everything, daily, kept a month"),
        profile(
            "partial",
            tagged,
            month(daily_at(4, 30)),
            "what has the tag `protected`, daily, kept a month",
        ),
        profile(
            "system-snapshots",
            Scope::Full,
            system,
            "hourly kept 3 hours and immutable, midnight kept 3 days, noon kept a day",
        ),
        profile(
            "sox",
            Scope::Full,
            rules(keep(7.years())),
            "yearly kept 7 years, monthly a year, weekly 31 days, daily 7 days",
        ),
        profile(
            "hipaa",
            Scope::Full,
            rules(Retention::Forever),
            "yearly kept forever, monthly a year, weekly 31 days, daily 7 days",
        ),
    ]
}

fn profile(name: &str, scope: Scope, periods: Vec<Period>, note: &str) -> Profile {
    let (name, note) = (name.to_owned(), note.to_owned());
    Profile { name, enabled: false, scope, periods, storage: None, note, exclude: [].into() }
}

fn keep(span: Span) -> Retention {
    Retention::For(span.fieldwise())
}
