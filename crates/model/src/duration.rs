//! Lengths of time as people write them.
//!
//! Two kinds, because `m` means two things: a timeout is exact ([`parse`]: `10s`, `5m`,
//! `1h30m`, `2d`; `m` is minutes), a retention is a walk on the calendar ([`parse_span`]:
//! `1y5m7d2h`; `m` is months, as in restic).

use std::time::Duration;

use jiff::Span;

use crate::{Error, Result};

/// An exact length: `s`, `m` minutes, `h`, `d` of 24 hours, `w` of 7 days, or `ms`.
pub fn parse(text: &str) -> Result<Duration> {
    const EXAMPLE: &str = "10s, 5m, 1h30m or 2d (m is minutes)";
    let mut total = Duration::ZERO;
    for (count, unit) in parts(text, EXAMPLE)? {
        let one = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            "w" => Duration::from_hours(7 * 24),
            _ => return Err(bad_unit(text, unit, "ms, s, m, h, d, w", EXAMPLE)),
        };
        let count = u32::try_from(count).map_err(|_| too_long(text, EXAMPLE))?;
        total = one
            .checked_mul(count)
            .and_then(|d| total.checked_add(d))
            .ok_or_else(|| too_long(text, EXAMPLE))?;
    }
    Ok(total)
}

/// A span on the calendar: `y`, `m` months, `w`, `d`, `h`.
pub fn parse_span(text: &str) -> Result<Span> {
    const EXAMPLE: &str = "12h, 3d, 1w or 1y5m7d2h";
    let mut span = Span::new();
    for (count, unit) in parts(text, EXAMPLE)? {
        let count = i64::try_from(count).map_err(|_| too_long(text, EXAMPLE))?;
        let result = match unit {
            "y" => span.try_years(i64::from(span.get_years()).saturating_add(count)),
            "m" => span.try_months(i64::from(span.get_months()).saturating_add(count)),
            "w" => span.try_weeks(i64::from(span.get_weeks()).saturating_add(count)),
            "d" => span.try_days(i64::from(span.get_days()).saturating_add(count)),
            "h" => span.try_hours(i64::from(span.get_hours()).saturating_add(count)),
            _ => {
                let units = "y years, m months, w weeks, d days, h hours";
                return Err(bad_unit(text, unit, units, EXAMPLE));
            }
        };
        span = result.map_err(|_| too_long(text, EXAMPLE))?;
    }
    Ok(span)
}

/// The shape that [`parse_span`] reads.
pub fn format_span(span: &Span) -> String {
    let parts = [
        (i64::from(span.get_years()), 'y'),
        (i64::from(span.get_months()), 'm'),
        (i64::from(span.get_weeks()), 'w'),
        (i64::from(span.get_days()), 'd'),
        (i64::from(span.get_hours()), 'h'),
    ];
    let mut text = String::new();
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        text.push_str(&count.to_string());
        text.push(unit);
    }
    if text.is_empty() { "0h".into() } else { text }
}

fn parts<'a>(text: &'a str, example: &str) -> Result<Vec<(u64, &'a str)>> {
    let bad = |why: String| {
        Error::invalid(format!("{text:?} is not a length of time: {why}; write it like {example}"))
    };
    let mut rest = text.trim();
    let mut parts = Vec::new();
    if rest.is_empty() {
        return Err(bad("it is empty".into()));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(letters);
        if number.is_empty() {
            return Err(bad(format!("a number is missing before {tail:?}")));
        }
        if unit.is_empty() {
            return Err(bad(format!("a unit is missing after {number:?}")));
        }
        let count = number.parse().map_err(|_| bad(format!("{number:?} is too large")))?;
        parts.push((count, unit));
        rest = next.trim_start();
    }
    Ok(parts)
}

fn bad_unit(text: &str, unit: &str, units: &str, example: &str) -> Error {
    Error::invalid(format!(
        "{text:?} is not a length of time: {unit:?} is none of {units}; write it like {example}"
    ))
}

fn too_long(text: &str, example: &str) -> Error {
    Error::invalid(format!("{text:?} is too long; write it like {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read() {
        for (text, seconds) in [
            ("10s", 10),
            ("5m", 300),
            ("2h", 7200),
            ("1h30m", 5400),
            ("3d", 259_200),
            ("1w", 604_800),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
    }

    #[test]
    fn spans_are_read_and_printed() {
        for text in ["3d", "1w", "1y5m7d2h", "0h"] {
            assert_eq!(format_span(&parse_span(text).unwrap()), text);
        }
        assert_eq!(format_span(&parse_span("2h 1d 1h").unwrap()), "1d3h");
    }

    #[test]
    fn a_wrong_duration_names_the_wrong_part() {
        for (text, part) in [
            ("", "empty"),
            ("10", "a unit is missing after \"10\""),
            ("m", "a number is missing before \"m\""),
            ("1.5h", "a unit is missing after \"1\""),
            ("5y", "\"y\" is none of"),
            ("-5s", "a number is missing before \"-5s\""),
            ("99999999999w", "too long"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("1h30m"), "{text}: {message}");
        }
        let message = parse_span("5s").unwrap_err().to_string();
        assert!(message.contains("\"s\" is none of y years, m months, w"), "{message}");
        let message = parse_span("5min").unwrap_err().to_string();
        assert!(message.contains("\"min\" is none of") && message.contains("12h"), "{message}");
        let message = parse("5months").unwrap_err().to_string();
        assert!(message.contains("m is minutes"), "{message}");
        for text in ["99999y", "1h9223372036854775807h", "99999999999999999999d"] {
            let message = parse_span(text).unwrap_err().to_string();
            assert!(message.contains("too l"), "{text}: {message}");
        }
    }
}
