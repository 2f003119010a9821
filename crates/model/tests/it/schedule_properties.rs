//! What holds for every frequency in every time zone: it is compared with a walk from minute to
//! minute that knows nothing of how the real one does it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use tintype_model::profile::Schedule;

use crate::schedule_tables::{at, cron, period, zones};

const MINUTE: i64 = 60;

/// A field as text and as what it means.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    values: Vec<i8>,
}

#[derive(Clone, Debug)]
struct Expression {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
    /// `2#1`: weekday, which of the month.
    nth: Option<(i8, i8)>,
    is_last_day: bool,
}

fn field(least: i8, most: i8) -> impl Strategy<Value = Field> {
    let all = (least..=most).collect::<Vec<_>>();
    let list = proptest::sample::subsequence(all.clone(), 1..=3).prop_map(|values| Field {
        text: values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        values,
    });
    let step = (least..=most, least..=most, 1..8i8).prop_map(|(a, b, step)| {
        let (from, to) = (a.min(b), a.max(b));
        let values = (from..=to).step_by(step as usize).collect();
        Field { text: format!("{from}-{to}/{step}"), values }
    });
    let any = Just(Field { text: "*".into(), values: all });
    prop_oneof![2 => any, 2 => list, 1 => step]
}

prop_compose! {
    fn expression()(
        minute in field(0, 59),
        // Mostly of the night, in which clocks are changed.
        hour in prop_oneof![field(0, 23), field(0, 4).prop_filter("not all", |f| f.text != "*")],
        day in prop_oneof![2 => Just(Field { text: "*".into(), values: vec![] }), 1 => field(1, 31)],
        month in prop_oneof![
            3 => Just(Field { text: "*".into(), values: (1..=12).collect() }),
            1 => field(1, 12),
        ],
        weekday in prop_oneof![2 => Just(Field { text: "*".into(), values: vec![] }), 1 => field(0, 6)],
        nth in proptest::option::weighted(0.1, (0..7i8, 1..=5i8)),
        is_last_day in proptest::bool::weighted(0.1),
    ) -> Expression {
        Expression { minute, hour, day, month, weekday, nth, is_last_day }
    }
}

impl Expression {
    fn text(&self) -> String {
        let day = if self.is_last_day { "L" } else { &self.day.text };
        let weekday = match self.nth {
            Some((weekday, nth)) => format!("{weekday}#{nth}"),
            None => self.weekday.text.clone(),
        };
        let Self { minute, hour, month, .. } = self;
        format!("{} {} {day} {} {weekday}", minute.text, hour.text, month.text)
    }

    fn is_by_hour(&self) -> bool {
        self.hour.values.len() == 24
    }

    fn matches(&self, wall: DateTime) -> bool {
        let weekday = wall.weekday().to_sunday_zero_offset();
        let by_day = if self.is_last_day {
            Some(wall.day() == wall.date().days_in_month())
        } else {
            (self.day.text != "*").then(|| self.day.values.contains(&wall.day()))
        };
        let by_weekday = match self.nth {
            Some((day, nth)) => Some(weekday == day && (wall.day() - 1) / 7 + 1 == nth),
            None => (self.weekday.text != "*").then(|| self.weekday.values.contains(&weekday)),
        };
        let is_day = match (by_day, by_weekday) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(one), Some(other)) => one || other,
        };
        is_day
            && self.minute.values.contains(&wall.minute())
            && self.hour.values.contains(&wall.hour())
            && self.month.values.contains(&wall.month())
    }

    /// The moments after `start` until `end`, both whole minutes.
    fn walk(&self, zone: &TimeZone, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let second = |t: Timestamp| t.as_second();
        let mut found = Vec::new();
        // The latest time that any clock has shown. A day before, it is certain.
        let begin = second(start) - 86_400;
        let mut shown = zone.to_datetime(Timestamp::from_second(begin - MINUTE).unwrap());
        for now in (begin..=second(end)).step_by(MINUTE as usize) {
            let now = Timestamp::from_second(now).unwrap();
            let wall = zone.to_datetime(now);
            let mut is_due = self.is_by_hour() && self.matches(wall);
            while shown < wall {
                shown = shown.checked_add(1.minute()).unwrap();
                is_due |= !self.is_by_hour() && self.matches(shown);
            }
            if is_due && now > start {
                found.push(now);
            }
        }
        found
    }
}

/// Days on which some clock changes, and one on which none does.
fn moment() -> impl Strategy<Value = (&'static str, Timestamp)> {
    const DAYS: [(&str, &str); 12] = [
        ("Europe/Berlin", "2026-03-29T00:00:00Z"),
        ("Europe/Berlin", "2026-10-25T00:00:00Z"),
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
        ("America/Sao_Paulo", "2026-11-01T03:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("Asia/Kolkata", "2028-02-29T00:00:00Z"),
        ("UTC", "2026-12-31T23:00:00Z"),
    ];
    (proptest::sample::select(&DAYS[..]), -2000..1500i64)
        .prop_map(|((zone, day), minutes)| (zone, at(day).checked_add(minutes.minutes()).unwrap()))
}

fn schedule(expression: &Expression, zone: &str) -> Option<Schedule> {
    period(cron(&expression.text()), zone).schedule(&zones()).ok()
}

proptest! {
    #[test]
    fn it_agrees_with_stepping_minute_by_minute(
        expression in expression(),
        (zone, start) in moment(),
    ) {
        let end = start.checked_add(36.hours()).unwrap();
        let place = zones().get(zone).unwrap();
        let want = expression.walk(&place, start, end);
        let Some(schedule) = schedule(&expression, zone) else {
            // Refused, since it never comes.
            prop_assert!(want.is_empty(), "{}", expression.text());
            return Ok(());
        };
        let mut got = Vec::new();
        let mut last = start;
        while let Some(moment) = schedule.next(last).filter(|moment| *moment <= end) {
            prop_assert!(moment > last, "strictly increasing");
            got.push(moment);
            last = moment;
        }
        let differs = got.iter().zip(&want).find(|(got, want)| got != want);
        prop_assert!(
            differs.is_none() && got.len() == want.len(),
            "{} in {zone}: {} and not {}, first {differs:?}",
            expression.text(),
            got.len(),
            want.len(),
        );
        prop_assert_eq!(schedule.latest(start, end), want.last().copied());
        // From within, with parts of a second.
        let late = start.checked_add(17.hours().milliseconds(500)).unwrap();
        let rest: Vec<_> = want.iter().copied().filter(|moment| *moment > late).collect();
        prop_assert_eq!(schedule.next(late).filter(|m| *m <= end), rest.first().copied());
        prop_assert_eq!(schedule.latest(late, end), rest.last().copied());
    }
}
