//! Which bytes of a file a request wants (RFC 9110, sections 13 and 14): one range, or all of it.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// There is no such byte.
    Nothing,
}

/// `tag` is the file's strong ETag, with its quotes. What is not understood, and several ranges at
/// once, mean all of it, as they may.
pub(crate) fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(range) = text(header::RANGE) else { return Wanted::Whole };
    // Of another version the rest would not fit to what is there.
    if text(header::IF_RANGE).is_some_and(|expected| expected.trim() != tag) {
        return Wanted::Whole;
    }
    parse(range, size).unwrap_or(Wanted::Whole)
}

fn parse(text: &str, size: u64) -> Option<Wanted> {
    let (unit, spec) = text.trim().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let range = match (first.is_empty(), last.is_empty()) {
        (true, _) => size.saturating_sub(number(last)?)..size,
        (false, true) => number(first)?..size,
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) })
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is larger lies behind every file.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, if_range: Option<&str>, size: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        wanted(&headers, "\"a\"", size)
    }

    #[test]
    fn one_range_is_understood() {
        let table = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=3-", Wanted::Part(3..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=2-99999999999999999999999", Wanted::Part(2..10)),
            ("Bytes = 1-2", Wanted::Whole),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("rubbish", Wanted::Whole),
        ];
        for (text, expected) in table {
            assert_eq!(of(text, None, 10), expected, "{text}");
        }
        assert_eq!(of("bytes=0-", None, 0), Wanted::Nothing);
        assert_eq!(of("bytes=-1", None, 0), Wanted::Nothing);
        assert_eq!(wanted(&HeaderMap::new(), "\"a\"", 10), Wanted::Whole);
    }

    #[test]
    fn the_rest_of_another_version_is_never_given() {
        assert_eq!(of("bytes=3-", Some("\"a\""), 10), Wanted::Part(3..10));
        for other in ["\"b\"", "W/\"a\"", "Wed, 21 Oct 2015 07:28:00 GMT", "a", ""] {
            assert_eq!(of("bytes=3-", Some(other), 10), Wanted::Whole, "{other}");
        }
    }
}
