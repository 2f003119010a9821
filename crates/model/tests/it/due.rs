//! What is due, with absences, blackouts and clocks that are set.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use tintype_model::profile::{
    Agenda, Blackout, Due, Frequency, Missed, ON_TIME, Period, Profile, Scope, Standing, Why, due,
};

use crate::schedule_tables::{at, cron, daily, period, time, zones};

fn profile(periods: Vec<Period>) -> Profile {
    Profile {
        name: "p".into(),
        enabled: true,
        scope: Scope::Full,
        periods,
        storage: None,
        note: String::new(),
        exclude: [].into(),
    }
}

/// A manager with one profile, whose catalog remembers what was taken up.
struct Manager {
    profile: Profile,
    since: Timestamp,
    taken: Vec<BTreeSet<Timestamp>>,
    alive: Timestamp,
}

impl Manager {
    fn new(periods: Vec<Period>, since: Timestamp) -> Self {
        let taken = vec![BTreeSet::new(); periods.len()];
        Self { profile: profile(periods), since, taken, alive: since }
    }

    fn ask(&self, now: Timestamp) -> Agenda {
        let periods = self.profile.periods.iter().zip(&self.taken);
        let standings: Vec<Standing<'_>> = periods
            .map(|(period, taken)| Standing {
                id: "01J",
                profile: &self.profile,
                period,
                since: self.since,
                last: taken.range(..=now).next_back().copied(),
            })
            .collect();
        due(&standings, now, self.alive, &zones())
    }

    /// Asks and writes down. Panics if anything is taken up twice.
    #[track_caller]
    fn tick(&mut self, now: Timestamp) -> Vec<Due> {
        let agenda = self.ask(now);
        assert!(agenda.broken.is_empty());
        for due in &agenda.due {
            let at = self.profile.periods.iter().position(|p| p.name == due.period).unwrap();
            assert!(self.taken[at].insert(due.moment), "twice: {due:?}");
        }
        self.alive = now;
        agenda.due
    }

    /// Of the first period: moment, not before, why.
    #[track_caller]
    fn one(&mut self, now: &str) -> Option<(String, String, Why)> {
        let mut due = self.tick(at(now));
        assert!(due.len() <= 1);
        due.pop().map(|d| (d.moment.to_string(), d.not_before.to_string(), d.why))
    }
}

fn nightly() -> Manager {
    Manager::new(vec![period(daily("02:00"), "UTC")], at("2026-11-01T12:00:00Z"))
}

#[allow(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
fn on_time(moment: &str) -> Option<(String, String, Why)> {
    Some((moment.into(), moment.into(), Why::OnTime))
}

#[test]
fn a_moment_is_due_once() {
    let mut manager = nightly();
    assert_eq!(manager.ask(at("2026-11-01T12:00:00Z")).next, Some(at("2026-11-02T02:00:00Z")));
    assert_eq!(manager.one("2026-11-02T01:59:59Z"), None);
    assert_eq!(manager.one("2026-11-02T02:00:00Z"), on_time("2026-11-02T02:00:00Z"));
    assert_eq!(manager.one("2026-11-02T02:00:00Z"), None);
    assert_eq!(manager.one("2026-11-02T02:00:01Z"), None);
    // A restart of some minutes is no absence.
    assert_eq!(manager.one("2026-11-03T02:04:59Z"), on_time("2026-11-03T02:00:00Z"));
}

#[test]
fn what_was_missed_runs_once_when_the_manager_is_back() {
    let mut manager = nightly();
    manager.tick(at("2026-11-02T02:00:00Z"));
    let (moment, begin, why) = manager.one("2026-11-20T09:00:00Z").unwrap();
    assert_eq!((&moment[..], &begin[..]), ("2026-11-20T02:00:00Z", "2026-11-20T09:00:00Z"));
    let first = at("2026-11-03T02:00:00Z");
    assert_eq!(why, Why::Missed { first, alive: at("2026-11-02T02:00:00Z") });
    assert_eq!(
        why.to_string(),
        "missed since 2026-11-03T02:00:00Z: the manager was away, last seen 2026-11-02T02:00:00Z"
    );
    assert_eq!(manager.one("2026-11-20T09:00:10Z"), None);
    assert_eq!(manager.one("2026-11-21T02:00:10Z"), on_time("2026-11-21T02:00:00Z"));
}

#[test]
fn what_was_missed_may_be_skipped() {
    let mut manager = nightly();
    manager.profile.periods[0].missed = Missed::Skip;
    assert_eq!(manager.one("2026-11-02T02:00:00Z"), on_time("2026-11-02T02:00:00Z"));
    assert_eq!(manager.one("2026-11-20T09:00:00Z"), None);
    assert_eq!(manager.one("2026-11-21T02:05:01Z"), None);
    assert_eq!(manager.one("2026-11-22T02:05:00Z"), on_time("2026-11-22T02:00:00Z"));
}

#[test]
fn moments_before_it_counted_are_not_due() {
    let mut manager = nightly();
    manager.since = at("2026-11-05T02:00:00Z");
    assert_eq!(manager.one("2026-11-05T02:00:30Z"), None);
    manager.profile.enabled = false;
    let agenda = manager.ask(at("2026-11-06T02:00:30Z"));
    assert!(agenda.due.is_empty() && agenda.next.is_none());
}

#[test]
fn a_clock_that_is_years_ahead_for_a_while_makes_one_due_and_stops_nothing() {
    let mut manager =
        Manager::new(vec![period(cron("* * * * *"), "UTC")], at("2026-11-01T12:00:00Z"));
    assert!(manager.one("2026-11-01T12:01:00Z").is_some());
    // Nine years: millions of moments passed, one is due.
    assert_eq!(manager.one("2035-01-01T00:00:30Z").unwrap().0, "2035-01-01T00:00:00Z");
    assert_eq!(manager.one("2035-01-01T00:00:40Z"), None);
    // Set right again: what was done is not done again, and the next minute is.
    assert_eq!(manager.one("2026-11-01T12:01:30Z"), None);
    assert_eq!(manager.one("2026-11-01T12:02:00Z"), on_time("2026-11-01T12:02:00Z"));
    // When that time really comes, its moment was taken up already.
    assert_eq!(manager.one("2035-01-01T00:00:45Z"), None);
    assert_eq!(manager.one("2035-01-01T00:01:00Z"), on_time("2035-01-01T00:01:00Z"));
}

#[test]
fn a_period_that_was_made_while_the_clock_was_ahead_runs_when_it_is_right() {
    let mut manager = nightly();
    manager.since = at("2099-01-01T00:00:00Z");
    assert_eq!(manager.one("2026-11-02T01:59:00Z"), None);
    assert_eq!(manager.one("2026-11-02T02:00:03Z"), on_time("2026-11-02T02:00:00Z"));
    assert_eq!(manager.one("2026-11-02T02:00:04Z"), None);
    // What passed before anybody looked is none of its.
    assert_eq!(manager.one("2026-11-03T09:00:00Z"), None);
    // A clock that was put back by some minutes brings nothing back from before it was made.
    manager.since = at("2026-11-04T02:01:00Z");
    assert_eq!(manager.one("2026-11-04T02:00:30Z"), None);
}

#[test]
fn a_clock_that_goes_back_repeats_nothing() {
    let mut manager = nightly();
    assert!(manager.one("2026-11-02T02:00:00Z").is_some());
    for now in ["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z", "1970-01-01T00:00:00Z"] {
        assert_eq!(manager.one(now), None);
    }
    // Whoever gives the last of all moments waits until then, at worst.
    let late = Standing {
        id: "01J",
        profile: &manager.profile,
        period: &manager.profile.periods[0],
        since: manager.since,
        last: Some(at("2030-01-01T02:00:00Z")),
    };
    let agenda = due(&[late], at("2026-11-05T02:00:00Z"), manager.alive, &zones());
    assert!(agenda.due.is_empty());
    assert_eq!(agenda.next, Some(at("2030-01-02T02:00:00Z")));
}

#[test]
fn nothing_begins_in_a_blackout() {
    let window = Blackout { days: [].into(), from: time("08:00"), to: time("18:00") };
    let mut hourly = period(Frequency::Hourly { minute: 0 }, "UTC");
    hourly.blackouts = vec![window];
    let mut manager = Manager::new(vec![hourly], at("2026-11-02T06:30:00Z"));
    assert_eq!(manager.one("2026-11-02T07:00:00Z"), on_time("2026-11-02T07:00:00Z"));
    let agenda = manager.ask(at("2026-11-02T08:30:00Z"));
    assert!(agenda.due.is_empty());
    assert_eq!(agenda.next, Some(at("2026-11-02T09:00:00Z")));
    assert_eq!(manager.ask(at("2026-11-02T17:30:00Z")).next, Some(at("2026-11-02T18:00:00Z")));
    // All ten of the window are one.
    assert_eq!(manager.one("2026-11-02T18:00:00Z"), on_time("2026-11-02T18:00:00Z"));
    assert_eq!(manager.one("2026-11-02T18:00:01Z"), None);

    let mut manager = nightly();
    let window = Blackout { days: [].into(), from: time("01:00"), to: time("03:00") };
    manager.profile.periods[0].blackouts = vec![window];
    assert_eq!(manager.one("2026-11-02T02:30:00Z"), None);
    let ended = at("2026-11-02T03:00:00Z");
    let want = ("2026-11-02T02:00:00Z".into(), ended.to_string(), Why::Blackout { ended });
    assert_eq!(manager.one("2026-11-02T03:00:02Z"), Some(want));
}

#[test]
fn jitter_spreads_and_stays_the_same() {
    let mut jittered = period(daily("02:00"), "UTC");
    jittered.jitter_minutes = 60;
    let mut names = Vec::new();
    for number in 0..200 {
        names.push(Period { name: format!("p{number}"), ..jittered.clone() });
    }
    let manager = Manager::new(names, at("2026-11-01T12:00:00Z"));
    let begins = |now: &str| -> Vec<Timestamp> {
        manager.ask(at(now)).due.iter().map(|due| due.not_before).collect()
    };
    let first = begins("2026-11-02T02:00:00Z");
    assert_eq!(first, begins("2026-11-02T02:00:07Z"));
    let moment = at("2026-11-02T02:00:00Z");
    assert!(first.iter().all(|t| (moment..moment + 1.hour()).contains(t)));
    // Each ten minutes get about a sixth of 200.
    for tenth in 0..6 {
        let from = moment + (tenth * 10).minutes();
        let count = first.iter().filter(|t| (from..from + 10.minutes()).contains(t)).count();
        assert!((15..55).contains(&count), "{count}");
    }
    // After an absence they do not all begin at once either.
    let late = begins("2026-11-02T09:00:00Z");
    let now = at("2026-11-02T09:00:00Z");
    assert!(late.iter().all(|t| (now..now + 1.hour()).contains(t)));
    assert!(late.iter().collect::<BTreeSet<_>>().len() > 150);
}

#[test]
fn one_that_cannot_be_asked_does_not_hide_the_others() {
    let periods = vec![period(daily("02:00"), "Mars/Olympus"), period(daily("02:00"), "UTC")];
    let manager = Manager::new(periods, at("2026-11-01T12:00:00Z"));
    let agenda = manager.ask(at("2026-11-02T02:00:00Z"));
    assert_eq!(agenda.due.len(), 1);
    assert!(agenda.broken[0].error.to_string().contains("Mars/Olympus"));
}

#[test]
fn two_periods_of_one_minute_both_run() {
    let mut other = period(daily("02:00"), "UTC");
    other.name = "q".into();
    let mut manager =
        Manager::new(vec![period(cron("0 2 * * *"), "UTC"), other], at("2026-11-01T12:00:00Z"));
    assert_eq!(manager.tick(at("2026-11-02T02:00:00Z")).len(), 2);
}

/// Fifty tenants with twenty profiles each.
#[test]
fn a_thousand_periods_of_one_minute_are_all_due_once() {
    let of = |number| Period { name: format!("p{number}"), ..period(daily("02:30"), "UTC") };
    let mut manager = Manager::new((0..1000).map(of).collect(), at("2026-11-01T12:00:00Z"));
    assert_eq!(manager.tick(at("2026-11-02T02:30:00Z")).len(), 1000);
    assert_eq!(manager.tick(at("2026-11-02T02:30:01Z")).len(), 0);
}

/// How the clock moves between two calls, in seconds.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        6 => 0..120i64,
        3 => 0..100_000i64,
        1 => -200_000..0i64,
        1 => -1_000_000_000..1_000_000_000i64,
    ];
    proptest::collection::vec(step, 1..40)
}

fn any_period() -> impl Strategy<Value = Period> {
    let frequency = prop_oneof![
        Just(Frequency::Hourly { minute: 15 }),
        Just(daily("02:30")),
        Just(cron("*/10 1-3 * * *")),
        Just(cron("* * * * *")),
        Just(cron("0 0 29 2 *")),
    ];
    let zone = proptest::sample::select(&["Europe/Berlin", "Australia/Lord_Howe", "UTC"][..]);
    let window = (0..24i8, 0..24i8).prop_map(|(from, to)| Blackout {
        days: [].into(),
        from: format!("{from:02}:30").parse().unwrap(),
        to: format!("{to:02}:10").parse().unwrap(),
    });
    let windows = proptest::collection::vec(window, 0..2);
    (frequency, zone, windows, any::<bool>(), 0..10u32).prop_map(
        |(frequency, zone, blackouts, is_skipping, jitter_minutes)| Period {
            blackouts,
            jitter_minutes,
            missed: if is_skipping { Missed::Skip } else { Missed::Once },
            ..period(frequency, zone)
        },
    )
}

proptest! {
    /// `tick` panics if a moment is taken up twice.
    #[test]
    fn never_twice_whatever_the_clock_does(
        period in any_period(),
        steps in steps(),
        start in prop_oneof![Just("2026-03-28T20:00:00Z"), Just("2026-10-24T20:00:00Z")],
    ) {
        let mut manager = Manager::new(vec![period.clone()], at(start));
        let schedule = period.schedule(&zones()).unwrap();
        let mut now = at(start);
        for step in steps {
            now = now.checked_add(step.seconds()).unwrap();
            for due in manager.tick(now) {
                let counts = due.moment > manager.since || manager.since > now;
                prop_assert!(due.moment <= now && counts);
                prop_assert!(due.not_before >= due.moment);
                // It is a moment of the frequency.
                let before = due.moment - 1.second();
                prop_assert_eq!(schedule.next(before), Some(due.moment));
                // Nothing begins in a blackout: neither now nor then.
                for time in [now, due.not_before] {
                    prop_assert!(!is_closed(&period, time), "{} {:?}", time, due);
                }
                if period.missed == Missed::Skip {
                    prop_assert!(now.duration_since(due.moment) <= ON_TIME);
                }
            }
            // Asked again at once, nothing is left, and what comes next comes later.
            let again = manager.ask(now);
            prop_assert!(again.due.is_empty());
            prop_assert!(again.next.is_none_or(|next| next > now));
        }
    }

    /// A manager that sleeps until it is told to wake misses nothing.
    #[test]
    fn whoever_wakes_when_told_misses_nothing(period in any_period(), days in 1..40i64) {
        let start = at("2026-03-01T00:30:00Z");
        let end = start + (days * 24).hours();
        let mut manager = Manager::new(vec![period.clone()], start);
        let mut now = start;
        let mut begun = Vec::new();
        for _ in 0..150 {
            let Some(next) = manager.ask(now).next.filter(|next| *next <= end) else { break };
            now = next;
            begun.extend(manager.tick(now).into_iter().map(|due| due.moment));
        }
        let want = period.next(start, begun.len(), &zones()).unwrap();
        let want: Vec<Timestamp> = want.iter().map(|run| run.moment).collect();
        prop_assert_eq!(begun, want);
    }
}

/// By the clock on the wall. Not asked on days when clocks are changed: there windows reach over.
fn is_closed(period: &Period, moment: Timestamp) -> bool {
    let zone = zones().get(&period.time_zone).unwrap();
    let near = [-86_400i64, 86_400].map(|s| moment + SignedDuration::from_secs(s));
    if zone.to_offset(near[0]) != zone.to_offset(near[1]) {
        return false;
    }
    let wall = zone.to_datetime(moment);
    let minute = wall.strftime("%H:%M").to_string();
    period.blackouts.iter().any(|window| {
        let (from, to) = (window.from.to_string(), window.to.to_string());
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    })
}
