//! Moments as people type them: a date, a date and a time, or RFC 3339.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tintype_engine::env::Env;
use tintype_engine::{Error, Result};
use tintype_model::duration;

/// In the local time zone unless the text says otherwise. A date is its first moment.
pub(crate) fn parse(text: &str) -> Result<Timestamp> {
    parse_in(text, &TimeZone::system())
}

fn parse_in(text: &str, zone: &TimeZone) -> Result<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = text.parse::<DateTime>().or_else(|_| {
        text.parse::<Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight()))
    });
    let zoned = local.and_then(|local| local.to_zoned(zone.clone()));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| {
        Error::invalid(format!(
            "{text:?} is not a moment; write it like 2031-12-31, 2031-12-31 18:00 or \
             2031-12-31T18:00:00Z"
        ))
    })
}

/// So long from now, on the calendar: `30d`, `1y6m`.
pub(crate) fn from_now(text: &str, env: &Env) -> Result<Timestamp> {
    let span = duration::parse_span(text)?;
    let now = Zoned::new(env.clock.now(), TimeZone::system());
    let then = now.checked_add(span).and_then(|then| then.round(jiff::Unit::Second));
    then.map(|then| then.timestamp())
        .map_err(|_| Error::invalid(format!("{text:?} from now is beyond the calendar")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, want) in [
            ("2031-12-31", "2031-12-31T00:00:00Z"),
            ("2031-12-31 18:00", "2031-12-31T18:00:00Z"),
            ("2031-12-31T18:00:00+02:00", "2031-12-31T16:00:00Z"),
        ] {
            assert_eq!(parse_in(text, &TimeZone::UTC).unwrap().to_string(), want, "{text}");
        }
        assert!(parse_in("soon", &TimeZone::UTC).unwrap_err().message().contains("2031-12-31"));
    }
}
