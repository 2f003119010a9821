//! Sizes as people write them: `64MiB`, `1.5GB`, `200k`.
//!
//! `kB`, `MB`, … are powers of 1000; `KiB`, `MiB`, … and the bare letters `k`, `M`, … are
//! powers of 1024, as in restic and dd. The case of a letter does not matter.

use crate::{Error, Result};

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes of a size like `64MiB`. A fraction of a byte is cut off.
pub fn parse(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let (value, scale) =
        decimal(number).ok_or_else(|| bad(text, &format!("{number:?} is not a number")))?;
    let factor = factor(unit.trim()).ok_or_else(|| {
        bad(text, &format!("{:?} is not a unit (B, kB, KiB, MB, MiB, GB, GiB, …)", unit.trim()))
    })?;
    let bytes = value.checked_mul(factor).map(|v| v / scale);
    bytes.and_then(|b| u64::try_from(b).ok()).ok_or_else(|| bad(text, "it is too large"))
}

fn bad(text: &str, why: &str) -> Error {
    Error::invalid(format!("{text:?} is not a size: {why}; write it like 64MiB or 1.5GB"))
}

/// `1.5` as (15, 10).
fn decimal(number: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let ok = |s: &str| s.bytes().all(|b| b.is_ascii_digit()) && s.len() <= 20;
    if whole.is_empty() || number.ends_with('.') || !ok(whole) || !ok(fraction) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(9)];
    let scale = 10u128.pow(fraction.len() as u32);
    let parse = |s: &str| if s.is_empty() { Some(0) } else { s.parse::<u128>().ok() };
    Some((parse(whole)? * scale + parse(fraction)?, scale))
}

fn factor(unit: &str) -> Option<u128> {
    let lower = unit.to_ascii_lowercase();
    let (letter, base) = match lower.as_str() {
        "" | "b" => return Some(1),
        l if l.ends_with("ib") => (&l[..l.len() - 2], 1024u128),
        l if l.ends_with('b') => (&l[..l.len() - 1], 1000),
        l => (l, 1024),
    };
    let power = ["k", "m", "g", "t", "p", "e"].iter().position(|u| *u == letter)?;
    Some(base.pow(power as u32 + 1))
}

/// A size for people: the largest unit that leaves at least 1, one decimal unless it is
/// whole: `64 MiB`, `1.4 GiB`, `512 B`. [`parse`] reads it.
pub fn format(bytes: u64) -> String {
    let mut power = 0;
    while power + 1 < UNITS.len() && bytes >> (10 * (power + 1)) > 0 {
        power += 1;
    }
    let unit = 1u128 << (10 * power);
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    if u128::from(bytes).is_multiple_of(unit) {
        return format!("{} {}", u128::from(bytes) / unit, UNITS[power]);
    }
    if tenths >= 10_240 && power + 1 < UNITS.len() {
        return format!("1.0 {}", UNITS[power + 1]);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, want) in [
            ("0", 0),
            ("512", 512),
            ("200k", 204_800),
            ("200 kB", 200_000),
            ("64MiB", 64 << 20),
            ("64m", 64 << 20),
            ("1.5GB", 1_500_000_000),
            ("1.5 gib", 3 << 29),
            ("0.5k", 512),
            ("15EiB", 15 << 60),
        ] {
            assert_eq!(parse(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn a_wrong_size_names_the_wrong_part() {
        for (text, part) in [
            ("", "\"\" is not a number"),
            ("MiB", "\"\" is not a number"),
            ("1.2.3k", "\"1.2.3\" is not a number"),
            ("5.", "\"5.\" is not a number"),
            ("-5k", "\"\" is not a number"),
            ("5 bananas", "\"bananas\" is not a unit"),
            ("16EiB", "too large"),
            ("99999999999999999999E", "too large"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
            assert!(message.contains("64MiB"), "{message}");
        }
    }

    #[test]
    fn sizes_are_printed() {
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(format(bytes), want);
        }
    }
}
