//! Profiles as documents: what is refused, what the words are, what comes ready-made.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;
use serde_json::json;
use tintype_model::profile::{
    Blackout, Frequency, Immutable, Missed, Period, Profile, Retention, Scope, Weekday, ready_made,
};

use crate::schedule_tables::{at, cron, daily, period, time, zones};

fn profile(period: Period) -> Profile {
    Profile {
        name: "nightly".into(),
        enabled: true,
        scope: Scope::Full,
        periods: vec![period],
        storage: None,
        note: String::new(),
        exclude: [].into(),
    }
}

#[track_caller]
fn assert_refused(change: impl FnOnce(&mut Profile), want: &str) {
    let mut profile = profile(period(daily("02:30"), "Europe/Berlin"));
    profile.check(&zones()).unwrap();
    change(&mut profile);
    let message = profile.check(&zones()).unwrap_err().to_string();
    assert!(message.contains(want), "{message}");
    assert!(message.starts_with("profile "), "{message}");
}

fn window(days: &[Weekday], from: &str, to: &str) -> Blackout {
    Blackout { days: days.iter().copied().collect(), from: time(from), to: time(to) }
}

#[test]
fn what_cannot_be_meant_is_refused_with_field_and_cure() {
    assert_refused(|p| p.name = "a b".into(), "name: \"a b\"");
    assert_refused(|p| p.periods.clear(), "add one, like");
    assert_refused(|p| p.periods.push(p.periods[0].clone()), "two have the name \"p\"; rename");
    assert_refused(|p| p.storage = Some("/srv".into()), "storage: \"/srv\"");
    assert_refused(|p| p.note = "x".repeat(5000), "note: longer than 4096");
    let nothing = || Scope::Partial { resources: [].into(), tags: [].into() };
    assert_refused(|p| p.scope = nothing(), "needs resources or tags");
    let path = || Scope::Partial { resources: ["../x".into()].into(), tags: [].into() };
    assert_refused(|p| p.scope = path(), "scope: \"../x\"");

    let in_period = |change: fn(&mut Period), want| {
        assert_refused(|p| change(&mut p.periods[0]), want);
    };
    in_period(|p| p.name = String::new(), "period \"\": name");
    in_period(|p| p.time_zone = "Europe/Berln".into(), "\"Europe/Berln\" is no time zone");
    in_period(|p| p.time_zone = "../../etc/passwd".into(), "is no time zone");
    in_period(|p| p.time_zone = "Etc/Unknown".into(), "is no time zone");
    in_period(|p| p.time_zone = String::new(), "\"\" is no time zone");
    in_period(|p| p.frequency = Frequency::Hourly { minute: 60 }, "minute 60 is not between 0");
    in_period(|p| p.frequency = Frequency::Monthly { day: 0, time: time("00:00") }, "day 0");
    in_period(
        |p| p.frequency = Frequency::Yearly { month: 4, day: 31, time: time("00:00") },
        "day 31 is not between 1 and 30",
    );
    let keep = |span| Retention::For(jiff::Span::fieldwise(span));
    assert_refused(|p| p.periods[0].retention = keep(0.days()), "retention: 0h keeps nothing");
    assert_refused(|p| p.periods[0].retention = keep(101.years()), "101y is longer than 100 years");
    assert_refused(|p| p.periods[0].retention = keep(19_000.years()), "write forever");
    in_period(|p| p.minimum_count = 1001, "minimum_count: 1001");
    in_period(|p| p.immutable = Some(Immutable { unlock_delay_days: 0 }), "unlock_delay_days of 0");
    in_period(|p| p.jitter_minutes = 721, "jitter_minutes: 721 is too much; at most 720");
    in_period(
        |p| (p.frequency, p.jitter_minutes) = (cron("*/30 * * * *"), 30),
        "jitter_minutes: 30 is too much; at most 29",
    );
    assert_refused(
        |p| {
            p.periods[0].blackouts =
                vec![window(&[], "08:00", "20:00"), window(&[], "19:00", "08:00")];
        },
        "leave no time of the week",
    );
    assert_refused(
        |p| p.periods[0].blackouts = vec![window(&[], "08:00", "20:00"); 51],
        "51 windows",
    );
    assert_refused(
        |p| {
            p.periods[0].blackouts = vec![window(&[], "02:00", "03:00")];
            p.periods[0].missed = Missed::Skip;
        },
        "set missed to once",
    );
}

#[test]
fn cron_that_cannot_be_meant_is_refused() {
    for (text, want) in [
        ("", "it has 0 fields"),
        ("30 2 * *", "it has 4 fields"),
        ("0 30 2 * * *", "it has 6 fields"),
        ("@reboot", "it has 1 fields"),
        ("60 2 * * *", "minute \"60\" is none of 0 to 59"),
        ("0 24 * * *", "hour \"24\" is none of 0 to 23"),
        ("0 0 0 * *", "day of month \"0\" is none of 1 to 31"),
        ("0 0 * 13 *", "month \"13\" is none of 1 to 12 or JAN to DEC"),
        ("0 0 * * 8", "day of week \"8\" is none of 0 to 7 or SUN to SAT"),
        // What croner takes.
        ("0 MON * * *", "hour \"MON\""),
        ("0 0 * * FEB", "day of week \"FEB\""),
        ("1,,2 * * * *", "minute \"\""),
        (", * * * *", "minute \"\""),
        ("0 0 * * L", "day of week \"\""),
        ("0 0 * MONTUE *", "month \"MONTUE\""),
        // What it would refuse in other words.
        ("30-10 * * * *", "30-10 ends before it begins"),
        ("0 0 * * sat-mon", "sat-mon ends before it begins"),
        ("5/10 * * * *", "steps need a range"),
        ("/10 * * * *", "steps need a range"),
        ("*/0 * * * *", "a step is between 1 and 59"),
        ("*/99 * * * *", "a step is between 1 and 59"),
        ("*/5/5 * * * *", "a step is between"),
        ("0 0 * * MON#6", "between 1 and 5"),
        ("0 0 L,LW * *", "L and LW together"),
        ("0 0 40W * *", "day of month \"40\""),
        ("0 0 W * *", "day of month \"\""),
        ("0 0 13 * +FRI", "day of week \"+FRI\""),
        ("-1 * * * *", "minute \"\""),
        ("٣ * * * *", "minute \"٣\""),
        // Never.
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 2,4,6,9,11 *", "never comes"),
        ("0 0 31W 2 *", "never comes"),
    ] {
        let refused = period(cron(text), "UTC").check(&zones()).unwrap_err().to_string();
        assert!(refused.contains(want), "{text}: {refused}");
        assert!(period(cron(text), "UTC").schedule(&zones()).is_err());
    }
    let long = period(cron(&"0,".repeat(5000)), "UTC").check(&zones()).unwrap_err().to_string();
    assert!(long.contains("10000 bytes is longer than 250") && long.len() < 300, "{long}");
}

#[test]
fn a_document_is_what_it_is_in_json() {
    let text = json!({
        "name": "nightly",
        "scope": { "partial": { "tags": ["protected"] } },
        "periods": [
            { "name": "short", "frequency": { "hourly": {} } },
            {
                "name": "long",
                "frequency": { "cron": "30 2 * * MON#1" },
                "time_zone": "Europe/Berlin",
                "retention": "1y6m",
                "minimum_count": 2,
                "quiesce": false,
                "immutable": {},
                "jitter_minutes": 10,
                "missed": "skip",
                "blackouts": [{ "days": ["monday"], "from": "08:00", "to": "18:00" }],
            },
        ],
    });
    let profile: Profile = serde_json::from_value(text).unwrap();
    profile.check(&zones()).unwrap();
    assert!(profile.enabled);
    let [short, long] = &profile.periods[..] else { panic!("two periods") };
    assert_eq!(short, &Period::new("short", Frequency::Hourly { minute: 0 }, "UTC"));
    assert_eq!(short.retention.to_string(), "1m");
    assert_eq!(long.immutable, Some(Immutable { unlock_delay_days: 7 }));
    let again: Profile = serde_json::from_value(json!(profile)).unwrap();
    assert_eq!(again, profile);

    for (wrong, want) in [
        (json!({ "name": "p", "frequency": { "daily": { "time": "2:30" } } }), "02:30"),
        (json!({ "name": "p", "frequency": { "hourly": {} }, "retain": "1m" }), "unknown field"),
        (json!({ "name": "p", "frequency": { "hourly": {} }, "retention": "1x" }), "none of"),
        (json!({ "name": "p", "frequency": { "hourly": { "hour": 2 } } }), "unknown field"),
    ] {
        let error = serde_json::from_value::<Period>(wrong).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn blackouts_in_the_next_runs() {
    let mut hourly = period(Frequency::Hourly { minute: 0 }, "Europe/Berlin");
    hourly.blackouts = vec![window(&[Weekday::Monday], "08:00", "10:30")];
    let next = |period: &Period| -> Vec<String> {
        let berlin = zones().get("Europe/Berlin").unwrap();
        let time = |t: jiff::Timestamp| t.to_zoned(berlin.clone()).strftime("%H:%M").to_string();
        // A Monday.
        let runs = period.next(at("2026-11-23T06:30:00+01:00"), 4, &zones()).unwrap();
        runs.iter().map(|r| format!("{} {}", time(r.moment), time(r.begins))).collect()
    };
    assert_eq!(next(&hourly), ["07:00 07:00", "10:00 10:30", "11:00 11:00", "12:00 12:00"]);
    // Two that touch are one, and what stands at the very end comes with them.
    hourly.blackouts.push(window(&[], "10:30", "12:00"));
    assert_eq!(next(&hourly), ["07:00 07:00", "12:00 12:00", "13:00 13:00", "14:00 14:00"]);
    hourly.missed = Missed::Skip;
    assert_eq!(next(&hourly), ["07:00 07:00", "12:00 12:00", "13:00 13:00", "14:00 14:00"]);
    // Over midnight, from the day before.
    hourly.blackouts = vec![window(&[Weekday::Sunday], "22:00", "09:00")];
    assert_eq!(next(&hourly), ["09:00 09:00", "10:00 10:00", "11:00 11:00", "12:00 12:00"]);
}

#[test]
fn a_stamp_is_a_walk_on_the_calendar() {
    let stamp = |retention: &str, zone: &str, taken: &str| {
        let retention = Retention::try_from(retention.to_owned()).unwrap();
        let period = Period { retention, ..period(daily("00:00"), zone) };
        period.stamp(at(taken), &zones()).unwrap().expiry.map(|expiry| expiry.to_string())
    };
    for (retention, zone, taken, want) in [
        ("1m", "UTC", "2027-01-31T02:00:00Z", "2027-02-28T02:00:00Z"),
        ("1m", "UTC", "2028-01-31T02:00:00Z", "2028-02-29T02:00:00Z"),
        ("1y", "UTC", "2028-02-29T02:00:00Z", "2029-02-28T02:00:00Z"),
        // The same time on the clock, after the clocks were changed.
        ("1m", "Europe/Berlin", "2026-03-10T01:00:00Z", "2026-04-10T00:00:00Z"),
        ("7d", "Europe/Berlin", "2026-10-20T00:00:00Z", "2026-10-27T01:00:00Z"),
        ("3h", "Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z"),
        // Into the hour that does not exist.
        ("1d", "Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"),
    ] {
        assert_eq!(stamp(retention, zone, taken).unwrap(), want, "{retention} {zone} {taken}");
    }
    assert_eq!(stamp("forever", "UTC", "2027-01-31T02:00:00Z"), None);
    assert_eq!(stamp("100y", "UTC", "9990-01-31T02:00:00Z"), None);
}

/// At no time can it be deleted earlier than the delay after somebody asked for it.
#[test]
fn an_immutable_snapshot_stays_locked_until_somebody_asked() {
    let immutable = Immutable { unlock_delay_days: 7 };
    let taken = at("2026-11-01T00:00:00Z");
    let expiry = Some(at("2026-12-01T00:00:00Z"));
    let day = |n: i64| taken + (n * 24).hours();
    let mut lock = immutable.lock(expiry, taken);
    assert_eq!(lock, day(8));
    let mut written = 0;
    for hour in 0..30 * 24 {
        let now = taken + hour.hours();
        if let Some(longer) = immutable.renewal(expiry, Some(lock), now) {
            assert!(longer > lock, "a lock is only extended");
            (lock, written) = (longer, written + 1);
        }
        let left = lock.duration_since(now);
        assert!(left >= SignedDuration::from_hours(7 * 24) || Some(lock) == expiry, "{now}");
    }
    assert_eq!(Some(lock), expiry, "never past the expiry");
    assert!(written <= 24, "{written} annotations");
    assert_eq!(immutable.renewal(expiry, Some(lock), day(31)), None);
    assert_eq!(immutable.lock(Some(taken + 3.hours()), taken), taken + 3.hours());
    assert_eq!(immutable.renewal(None, None, day(400)), Some(day(408)));
}

#[test]
fn what_comes_ready_made_is_right_and_disabled() {
    let profiles = ready_made("Europe/Berlin");
    let names: BTreeSet<&str> = profiles.iter().map(|p| &p.name[..]).collect();
    assert_eq!(names, BTreeSet::from(["full", "hipaa", "partial", "sox", "system-snapshots"]));
    for profile in &profiles {
        profile.check(&zones()).unwrap();
        assert!(!profile.enabled);
    }
    let of = |name: &'static str| profiles.iter().find(|p| p.name == name).unwrap();
    let kept = |name: &'static str| -> Vec<String> {
        of(name).periods.iter().map(|p| format!("{} {}", p.name, p.retention)).collect()
    };
    assert_eq!(kept("system-snapshots"), ["hourly 3h", "midnight 3d", "noon 1d"]);
    assert_eq!(kept("sox"), ["yearly 7y", "monthly 1y", "weekly 31d", "daily 7d"]);
    assert_eq!(kept("hipaa")[0], "yearly forever");
    assert_eq!((kept("full"), kept("partial")), (vec!["daily 1m".into()], vec!["daily 1m".into()]));
    let immutable = of("system-snapshots").periods.iter().filter(|p| p.immutable.is_some());
    assert_eq!(immutable.count(), 1);
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9*/,#LW -]{0,40}",
        "([0-9*/,-]{1,9} ){4}[0-9*/,#L-]{1,9}",
        "\\PC{0,300}",
        "([0-9]{1,20}[ymwdh] ?){1,5}",
        "[*0-9]{1,2} [*0-9]{1,2} [1-3]?[0-9](,[1-3]?[0-9])*W? [0-9,]{1,4} [A-Z]{3}#[1-9]",
    ]
}

proptest! {
    #[test]
    fn hostile_text_neither_panics_nor_takes_long(
        frequency in hostile(),
        zone in prop_oneof![Just("Europe/Berlin".to_owned()), "\\PC{0,100}", "[./a-zA-Z]{0,30}"],
        after in any::<i32>(),
    ) {
        let start = Instant::now();
        if let Ok(retention) = Retention::try_from(frequency.clone()) {
            prop_assert_eq!(Retention::try_from(retention.to_string()).unwrap(), retention);
        }
        let period = period(Frequency::Cron(frequency), &zone);
        if period.check(&zones()).is_ok() {
            period.words().unwrap();
            let after = jiff::Timestamp::from_second(i64::from(after)).unwrap();
            let next = period.next(after, 20, &zones()).unwrap();
            prop_assert!(next.windows(2).all(|pair| pair[0].moment < pair[1].moment));
            prop_assert_eq!(next.len(), 20);
        }
        // Generous: a build machine may stand still for a while.
        prop_assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_lock_is_not_longer_than_it_may_be() {
    for (delay, most, want) in [
        (7, 366, Some(7)),
        (365, 366, Some(365)),
        (7, 8, Some(7)),
        (7, 7, Some(6)),
        (7, 2, Some(1)),
        (1, 1, None),
        (7, 0, None),
    ] {
        let found = Immutable { unlock_delay_days: delay }.at_most(most);
        assert_eq!(found.map(|lock| lock.unlock_delay_days), want, "{delay} of {most}");
    }
}

#[test]
fn everything_is_not_taken_each_minute() {
    for (frequency, want) in
        [("* * * * *", "everything every minute"), ("0-10/5 3 * * *", "everything every 5 minutes")]
    {
        let often = profile(period(cron(frequency), "UTC"));
        often.check(&zones()).unwrap();
        let refused = often.check_often().unwrap_err().to_string();
        assert!(refused.contains(want) && refused.contains("scope partial"), "{refused}");
    }
    for (frequency, scope) in [
        (cron("*/15 * * * *"), Scope::Full),
        (cron("* * * * *"), Scope::Manager),
        (
            cron("* * * * *"),
            Scope::Partial { resources: ["orders".to_owned()].into(), tags: [].into() },
        ),
    ] {
        let often = Profile { scope, ..profile(period(frequency, "UTC")) };
        often.check_often().unwrap();
    }
}
