//! How much may go to and from a storage at which times of the week.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

use crate::profile::{TimeOfDay, Weekday, zone};
use crate::{Error, Result, rate, size};

/// Most windows of a storage.
const MOST: usize = 50;

/// Windows on the clock of a time zone; outside of all of them nothing is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bandwidth {
    /// Name in the time zone database; default: UTC.
    #[serde(default = "utc")]
    pub time_zone: String,
    pub windows: Vec<BandwidthWindow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BandwidthWindow {
    /// On which days it begins; none means each day.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub days: BTreeSet<Weekday>,
    pub from: TimeOfDay,
    /// First minute that is free again. Not later than `from` means on the next day, so that 00:00
    /// to 00:00 is a whole day.
    pub to: TimeOfDay,
    /// Of uploads, and of downloads: `20MiB` a second.
    pub rate: Rate,
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub NonZeroU64);

crate::openapi::described_as_text!(Rate, "Bytes in a second: `20MiB`.", "^[0-9.]+ ?[A-Za-z/]*$");

impl TryFrom<String> for Rate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let bytes = rate::parse(&text)?.and_then(NonZeroU64::new);
        bytes.map(Self).ok_or_else(|| {
            Error::invalid(format!("rate {text:?} limits nothing; leave the window out"))
        })
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        format!("{}/s", size::format(rate.0.get()))
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Bandwidth {
    /// Names the field that is wrong, and the cure.
    pub fn check(&self, zones: &TimeZoneDatabase) -> Result<()> {
        zone::find(&self.time_zone, zones)?;
        match self.windows.len() {
            0 => Err(Error::invalid("windows: there is none; leave `bandwidth` out")),
            n if n > MOST => Err(Error::invalid(format!("windows: {n} are more than {MOST}"))),
            _ => Ok(()),
        }
    }

    /// What holds at a moment; of several windows the narrowest. By what the clock on the wall shows:
    /// an hour that comes twice is in a window twice. A zone that is unknown limits nothing, which
    /// [`Bandwidth::check`] refuses before.
    pub fn at(&self, now: Timestamp, zones: &TimeZoneDatabase) -> Option<NonZeroU64> {
        let zone = zone::find(&self.time_zone, zones).ok()?;
        let wall = now.to_zoned(zone).datetime();
        let minute = wall.hour() as usize * 60 + wall.minute() as usize;
        let today = Weekday::of(wall.date());
        let yesterday = wall.date().yesterday().map_or(today, Weekday::of);
        let holds = |window: &&BandwidthWindow| window.holds(minute, today, yesterday);
        self.windows.iter().filter(holds).map(|window| window.rate.0).min()
    }
}

impl BandwidthWindow {
    fn holds(&self, minute: usize, today: Weekday, yesterday: Weekday) -> bool {
        let (from, to) = (self.from.minutes(), self.to.minutes());
        let begins_on = |day| self.days.is_empty() || self.days.contains(&day);
        match from < to {
            true => begins_on(today) && (from..to).contains(&minute),
            false => begins_on(today) && minute >= from || begins_on(yesterday) && minute < to,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bandwidth(windows: serde_json::Value) -> Bandwidth {
        let text = json!({ "time_zone": "Europe/Berlin", "windows": windows });
        serde_json::from_value(text).unwrap()
    }

    fn at(bandwidth: &Bandwidth, moment: &str) -> Option<u64> {
        bandwidth.at(moment.parse().unwrap(), jiff::tz::db()).map(NonZeroU64::get)
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_narrowest_window_holds_and_nothing_outside() {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday"];
        let office = bandwidth(json!([
            { "days": days, "from": "08:00", "to": "18:00", "rate": "20MiB" },
            { "days": ["friday"], "from": "12:00", "to": "13:00", "rate": "5MiB/s" },
            { "days": ["sunday"], "from": "22:00", "to": "06:00", "rate": "1MiB" },
        ]));
        for (moment, expected) in [
            // 2031-01-10 is a Friday; Berlin is an hour ahead.
            ("2031-01-10T06:59:59Z", None),
            ("2031-01-10T07:00:00Z", Some(20 * MIB)),
            ("2031-01-10T11:30:00Z", Some(5 * MIB)),
            ("2031-01-10T12:00:00Z", Some(20 * MIB)),
            ("2031-01-10T16:59:59Z", Some(20 * MIB)),
            ("2031-01-10T17:00:00Z", None),
            ("2031-01-11T10:00:00Z", None),
            ("2031-01-12T20:59:00Z", None),
            ("2031-01-12T21:00:00Z", Some(MIB)),
            // Monday morning belongs to the window of Sunday, Tuesday's to none.
            ("2031-01-13T04:59:00Z", Some(MIB)),
            ("2031-01-13T05:00:00Z", None),
            ("2031-01-14T04:59:00Z", None),
        ] {
            assert_eq!(at(&office, moment), expected, "{moment}");
        }
    }

    #[test]
    fn daylight_saving() {
        let night = bandwidth(json!([{ "from": "02:00", "to": "03:00", "rate": "1MiB" }]));
        for (moment, expected) in [
            // In spring that hour is not there.
            ("2031-03-30T00:59:00Z", None),
            ("2031-03-30T01:00:00Z", None),
            // In autumn it comes twice.
            ("2031-10-25T23:59:00Z", None),
            ("2031-10-26T00:00:00Z", Some(MIB)),
            ("2031-10-26T01:30:00Z", Some(MIB)),
            ("2031-10-26T02:00:00Z", None),
        ] {
            assert_eq!(at(&night, moment), expected, "{moment}");
        }
        // By the wall clock, also when it is an hour ahead more.
        let office = bandwidth(json!([{ "from": "08:00", "to": "18:00", "rate": "1MiB" }]));
        assert_eq!(at(&office, "2031-07-01T06:00:00Z"), Some(MIB));
        assert_eq!(at(&office, "2031-01-01T06:00:00Z"), None);
    }

    #[test]
    fn whole_days_and_what_is_refused() {
        let always = bandwidth(json!([{ "from": "00:00", "to": "00:00", "rate": "1MiB" }]));
        assert_eq!(at(&always, "2031-07-01T06:00:00Z"), Some(MIB));
        assert!(always.check(jiff::tz::db()).is_ok());
        let text = serde_json::to_value(&always).unwrap();
        assert_eq!(text["windows"][0]["rate"], "1 MiB/s");
        assert_eq!(serde_json::from_value::<Bandwidth>(text).unwrap(), always);
        let unknown = Bandwidth { time_zone: "Mars/Base".into(), ..always.clone() };
        assert!(unknown.check(jiff::tz::db()).is_err());
        assert!(Bandwidth { windows: Vec::new(), ..always }.check(jiff::tz::db()).is_err());
        for rate in ["0", "unlimited", "fast"] {
            let window = json!({ "from": "00:00", "to": "00:00", "rate": rate });
            assert!(serde_json::from_value::<BandwidthWindow>(window).is_err(), "{rate}");
        }
    }
}
