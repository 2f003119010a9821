//! Positions in the write-ahead log, and the files that hold them.

use std::fmt;

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Lsn(pub(super) u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

impl TryFrom<String> for Lsn {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl Lsn {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let half = |digits: &str| u32::from_str_radix(digits, 16).ok().map(u64::from);
        let parsed = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        let (high, low) =
            parsed.ok_or_else(|| Error::corrupt(format!("{text:?} is no position in a log")))?;
        Ok(Self(high << 32 | low))
    }
}

/// Files of one timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) timeline: u32,
    pub(super) bytes: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Segments {
    /// Those that hold everything from `start` to the byte before `stop`.
    pub(super) fn between(timeline: u32, bytes: u64, start: Lsn, stop: Lsn) -> Self {
        let last = stop.0.saturating_sub(1).max(start.0) / bytes;
        Self { timeline, bytes, first: start.0 / bytes, last }
    }

    pub(super) fn name(&self, number: u64) -> String {
        let of_one = (1 << 32) / self.bytes;
        format!("{:08X}{:08X}{:08X}", self.timeline, number / of_one, number % of_one)
    }

    pub(super) fn begin(&self, number: u64) -> Lsn {
        Lsn(number * self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_and_written_as_the_server_does() {
        assert_eq!(Lsn::parse("1A/2B000000").unwrap(), Lsn(0x1a_2b00_0000));
        assert_eq!(Lsn(0x1a_2b00_0000).to_string(), "1A/2B000000");
        for bad in ["", "1", "1/", "/1", "g/1", "1/123456789"] {
            assert!(Lsn::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn segments_reach_to_the_one_with_the_last_byte() {
        let sixteen = 16 << 20;
        let found = Segments::between(1, sixteen, Lsn(sixteen + 40), Lsn(3 * sixteen));
        assert_eq!((found.first, found.last), (1, 2), "a position at a border ends the one before");
        assert_eq!(found.name(2), "000000010000000000000002");
        assert_eq!(found.name(256), "000000010000000100000000");
        let found = Segments::between(7, sixteen, Lsn(2 * sixteen), Lsn(2 * sixteen + 1));
        assert_eq!((found.first, found.last), (2, 2));
        assert_eq!(found.begin(2), Lsn(2 * sixteen));
    }
}
