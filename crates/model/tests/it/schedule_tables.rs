//! When periods run, around everything that makes calendars hard. The time zone database is the
//! bundled one, so that the tables do not depend on the machine.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use tintype_model::profile::{Frequency, Period, TimeOfDay, Weekday};

pub(crate) fn zones() -> TimeZoneDatabase {
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    ZONES.clone()
}

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

pub(crate) fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

pub(crate) fn cron(text: &str) -> Frequency {
    Frequency::Cron(text.into())
}

pub(crate) fn daily(text: &str) -> Frequency {
    Frequency::Daily { time: time(text) }
}

pub(crate) fn period(frequency: Frequency, zone: &str) -> Period {
    Period::new("p", frequency, zone)
}

/// The next moments as the clocks there show them.
#[track_caller]
fn assert_next(frequency: &Frequency, zone: &str, after: &str, want: &[&str]) {
    let period = period(frequency.clone(), zone);
    let place = zones().get(zone).unwrap();
    let got: Vec<String> = period
        .next(at(after), want.len(), &zones())
        .unwrap()
        .iter()
        .map(|run| {
            assert_eq!(run.begins, run.moment);
            run.moment.to_zoned(place.clone()).strftime("%Y-%m-%d %H:%M%:z").to_string()
        })
        .collect();
    assert_eq!(got, want, "{frequency:?} in {zone} after {after}");
}

#[test]
fn a_time_that_does_not_exist_runs_when_the_clocks_are_put_forward() {
    let berlin = ["2026-03-28 02:30+01:00", "2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"];
    assert_next(&daily("02:30"), "Europe/Berlin", "2026-03-28T00:00:00Z", &berlin);
    assert_next(&cron("30 2 * * *"), "Europe/Berlin", "2026-03-28T00:00:00Z", &berlin);
    // A list of hours, of which one is missing.
    assert_next(
        &cron("30 2,14 * * *"),
        "Europe/Berlin",
        "2026-03-29T00:00:00Z",
        &["2026-03-29 03:00+02:00", "2026-03-29 14:30+02:00", "2026-03-30 02:30+02:00"],
    );
    // Several that are missing, and one at the change itself, are one.
    assert_next(
        &cron("*/30 1-3 * * *"),
        "America/New_York",
        "2026-03-08T05:00:00Z",
        &[
            "2026-03-08 01:00-05:00",
            "2026-03-08 01:30-05:00",
            "2026-03-08 03:00-04:00",
            "2026-03-08 03:30-04:00",
            "2026-03-09 01:00-04:00",
        ],
    );
    let sunday = Frequency::Weekly { weekday: Weekday::Sunday, time: time("02:00") };
    assert_next(
        &sunday,
        "America/New_York",
        "2026-03-02T00:00:00Z",
        &["2026-03-08 03:00-04:00", "2026-03-15 02:00-04:00"],
    );
    // Half an hour.
    assert_next(
        &daily("02:15"),
        "Australia/Lord_Howe",
        "2026-10-02T16:00:00Z",
        &["2026-10-04 02:30+11:00", "2026-10-05 02:15+11:00"],
    );
    // At midnight: when Sao Paulo still did it.
    assert_next(
        &daily("00:00"),
        "America/Sao_Paulo",
        "2018-11-03T12:00:00Z",
        &["2018-11-04 01:00-02:00", "2018-11-05 00:00-02:00"],
    );
    // A whole day.
    assert_next(
        &daily("12:00"),
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29 12:00-10:00", "2011-12-31 00:00+14:00", "2011-12-31 12:00+14:00"],
    );
}

#[test]
fn a_time_that_exists_twice_runs_the_first_time() {
    let berlin = ["2026-10-24 02:30+02:00", "2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"];
    assert_next(&daily("02:30"), "Europe/Berlin", "2026-10-23T22:00:00Z", &berlin);
    assert_next(&cron("30 2 * * *"), "Europe/Berlin", "2026-10-23T22:00:00Z", &berlin);
    assert_next(
        &cron("30 2,14 * * *"),
        "Europe/Berlin",
        "2026-10-24T22:00:00Z",
        &["2026-10-25 02:30+02:00", "2026-10-25 14:30+01:00", "2026-10-26 02:30+01:00"],
    );
    assert_next(
        &cron("*/30 1-2 * * *"),
        "America/New_York",
        "2026-11-01T04:00:00Z",
        &[
            "2026-11-01 01:00-04:00",
            "2026-11-01 01:30-04:00",
            "2026-11-01 02:00-05:00",
            "2026-11-01 02:30-05:00",
        ],
    );
    // Asked in the middle of the second time.
    assert_next(
        &daily("01:30"),
        "America/New_York",
        "2026-11-01T06:10:00Z",
        &["2026-11-02 01:30-05:00"],
    );
    assert_next(
        &daily("01:45"),
        "Australia/Lord_Howe",
        "2026-04-04T00:00:00Z",
        &["2026-04-05 01:45+11:00", "2026-04-06 01:45+10:30"],
    );
}

#[test]
fn an_hourly_period_runs_each_real_hour() {
    let hourly = Frequency::Hourly { minute: 15 };
    let forward = [
        "2026-03-29 00:15+01:00",
        "2026-03-29 01:15+01:00",
        "2026-03-29 03:15+02:00",
        "2026-03-29 04:15+02:00",
    ];
    assert_next(&hourly, "Europe/Berlin", "2026-03-28T23:00:00Z", &forward);
    assert_next(&cron("15 * * * *"), "Europe/Berlin", "2026-03-28T23:00:00Z", &forward);
    let back = [
        "2026-10-25 01:15+02:00",
        "2026-10-25 02:15+02:00",
        "2026-10-25 02:15+01:00",
        "2026-10-25 03:15+01:00",
    ];
    assert_next(&hourly, "Europe/Berlin", "2026-10-24T23:00:00Z", &back);
    assert_next(&cron("15 * * * *"), "Europe/Berlin", "2026-10-24T23:00:00Z", &back);
    // At the very change.
    assert_next(
        &Frequency::Hourly { minute: 0 },
        "America/New_York",
        "2026-11-01T05:00:00Z",
        &["2026-11-01 01:00-05:00", "2026-11-01 02:00-05:00"],
    );
    // Where clocks change by half an hour, that night's distance is another.
    assert_next(
        &Frequency::Hourly { minute: 45 },
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        &["2026-04-05 01:45+11:00", "2026-04-05 01:45+10:30", "2026-04-05 02:45+10:30"],
    );
    assert_next(
        &Frequency::Hourly { minute: 15 },
        "Australia/Lord_Howe",
        "2026-10-03T14:00:00Z",
        &["2026-10-04 01:15+10:30", "2026-10-04 03:15+11:00"],
    );
    // A zone of half hours; one that changes nothing.
    assert_next(
        &Frequency::Hourly { minute: 0 },
        "Asia/Kolkata",
        "2026-03-29T00:00:00Z",
        &["2026-03-29 06:00+05:30", "2026-03-29 07:00+05:30"],
    );
    assert_next(
        &daily("00:00"),
        "America/Sao_Paulo",
        "2026-10-17T12:00:00Z",
        &["2026-10-18 00:00-03:00", "2026-10-19 00:00-03:00"],
    );
}

#[test]
fn months_end_where_they_end() {
    let monthly = |day| Frequency::Monthly { day, time: time("02:00") };
    assert_next(
        &monthly(31),
        "UTC",
        "2027-12-31T02:00:00Z",
        &[
            "2028-01-31 02:00+00:00",
            "2028-02-29 02:00+00:00",
            "2028-03-31 02:00+00:00",
            "2028-04-30 02:00+00:00",
        ],
    );
    assert_next(
        &monthly(30),
        "UTC",
        "2027-01-31T00:00:00Z",
        &["2027-02-28 02:00+00:00", "2027-03-30 02:00+00:00"],
    );
    // Cron means what it says.
    assert_next(
        &cron("0 2 31 * *"),
        "UTC",
        "2027-01-01T00:00:00Z",
        &["2027-01-31 02:00+00:00", "2027-03-31 02:00+00:00", "2027-05-31 02:00+00:00"],
    );
    assert_next(
        &cron("0 2 L * *"),
        "UTC",
        "2027-02-01T00:00:00Z",
        &["2027-02-28 02:00+00:00", "2027-03-31 02:00+00:00"],
    );
    // 31 January 2027 is a Sunday, 28 February too.
    assert_next(
        &cron("0 2 LW * *"),
        "UTC",
        "2027-01-01T00:00:00Z",
        &["2027-01-29 02:00+00:00", "2027-02-26 02:00+00:00"],
    );
}

#[test]
fn leap_days() {
    let leap = Frequency::Yearly { month: 2, day: 29, time: time("05:00") };
    assert_next(
        &leap,
        "UTC",
        "2026-12-01T00:00:00Z",
        &["2027-02-28 05:00+00:00", "2028-02-29 05:00+00:00", "2029-02-28 05:00+00:00"],
    );
    // Not in 2100.
    assert_next(
        &cron("0 0 29 2 *"),
        "Europe/Berlin",
        "2096-02-01T00:00:00Z",
        &["2096-02-29 00:00+01:00", "2104-02-29 00:00+01:00"],
    );
    // By the hour, over all changes of clocks between.
    assert_next(
        &cron("0 * 29 2 *"),
        "Europe/Berlin",
        "2096-02-29T22:30:00Z",
        &["2104-02-29 00:00+01:00", "2104-02-29 01:00+01:00"],
    );
}

#[test]
fn days_of_cron() {
    let next = |text, want: &[&str]| {
        assert_next(&cron(text), "Europe/Berlin", "2026-11-22T12:00:00Z", want);
    };
    next("30 2 * * MON#1", &["2026-12-07 02:30+01:00", "2027-01-04 02:30+01:00"]);
    next("0 0 * * friL", &["2026-11-27 00:00+01:00", "2026-12-25 00:00+01:00"]);
    next("0 0 * * 7", &["2026-11-29 00:00+01:00", "2026-12-06 00:00+01:00"]);
    next("0 0 * * fri-sun", &["2026-11-27 00:00+01:00", "2026-11-28 00:00+01:00"]);
    // Saturday 15 May 2027 is done on the Friday.
    next("0 0 15W may ?", &["2027-05-14 00:00+02:00"]);
    // Either will do, as in Vixie cron.
    next("0 0 13 * TUE", &["2026-11-24 00:00+01:00", "2026-12-01 00:00+01:00"]);
    next("@weekly", &["2026-11-29 00:00+01:00"]);
    next("59 23 31 12 *", &["2026-12-31 23:59+01:00", "2027-12-31 23:59+01:00"]);
}

#[test]
fn the_calendar_ends_without_a_fuss() {
    for frequency in [daily("02:30"), cron("* * * * *"), Frequency::Hourly { minute: 0 }] {
        let period = period(frequency, "Europe/Berlin");
        assert!(period.next(Timestamp::MAX, 3, &zones()).unwrap().is_empty());
        assert_eq!(period.next(Timestamp::MIN, 3, &zones()).unwrap().len(), 3);
    }
}

#[test]
fn read_back_in_plain_words() {
    for (frequency, want) in [
        (Frequency::Hourly { minute: 15 }, "at minute 15 of every hour"),
        (daily("02:30"), "at 02:30 every day"),
        (
            Frequency::Weekly { weekday: Weekday::Sunday, time: time("23:05") },
            "at 23:05 every Sunday",
        ),
        (Frequency::Monthly { day: 1, time: time("00:00") }, "at 00:00 on day 1 of each month"),
        (
            Frequency::Monthly { day: 31, time: time("00:00") },
            "at 00:00 on day 31 of each month, or on the last day where it is shorter",
        ),
        (
            Frequency::Yearly { month: 2, day: 29, time: time("05:00") },
            "at 05:00 on 29 February of each year, or on 28 February",
        ),
        (cron("30 2 * * MON#1"), "at 02:30 on the first Monday of each month"),
        (cron("30 2 * * *"), "at 02:30 every day"),
        (cron("30 2 * 1,7 *"), "at 02:30 every day in January and July"),
        (cron("* * * * *"), "every minute"),
        (cron("*/15 * * * *"), "at minutes 0, 15, 30 and 45 of every hour"),
        (cron("*/5 * * * *"), "at every 5th minute from 0 to 55 of every hour"),
        (cron("*/2 8 * * *"), "at every 2nd minute from 0 to 58 of the hour 8 every day"),
        (cron("*/7 * * * *"), "at every 7th minute from 0 to 56 of every hour"),
        (cron("0-30/10 * * * *"), "at minutes 0, 10, 20 and 30 of every hour"),
        (cron("30 2,14 * * *"), "at 02:30 and 14:30 every day"),
        (
            cron("0 */2 * * *"),
            "at minute 0 of the hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22 every day",
        ),
        (
            cron("*/30 8-17 * * MON-FRI"),
            "at minutes 0 and 30 of the hours 8 to 17 every day from Monday to Friday",
        ),
        (cron("0 0 * * TUE,THU"), "at 00:00 every Tuesday and Thursday"),
        (cron("0 0 * * 0"), "at 00:00 every Sunday"),
        (cron("0 0 13 * FRI"), "at 00:00 on day 13 of each month, and also every Friday"),
        (cron("0 0 L * *"), "at 00:00 on the last day of each month"),
        (cron("0 0 1,15-17 3 *"), "at 00:00 on days 1 and 15 to 17 of March"),
        (cron("0 0 31 * *"), "at 00:00 on day 31 of each month, where there is one"),
        (
            cron("0 0 15W,LW * FRI#5"),
            "at 00:00 on the day from Monday to Friday nearest to day 15 of each month and on the \
             last day from Monday to Friday of each month, and also on the fifth Friday of each \
             month, where there is one",
        ),
        (cron("0 * 1 1 *"), "at minute 0 of every hour on day 1 of January"),
        (cron("@daily"), "at 00:00 every day"),
    ] {
        let words = period(frequency, "Europe/Berlin").words().unwrap();
        assert_eq!(words, format!("{want}, Europe/Berlin"));
    }
}
