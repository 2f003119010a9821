//! Ids of what a manager keeps: 26 letters and digits that sort by the time they were made
//! (Crockford's base 32 of 48 bits of milliseconds and 80 random ones, as ULIDs are).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::env::Random;
use crate::{Error, Result};

const LENGTH: usize = 26;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An id; always valid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        let mut bits = [0u8; 16];
        random.fill(&mut bits[6..]);
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
        bits[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
        let mut value = u128::from_be_bytes(bits);
        let mut text = [0u8; LENGTH];
        for digit in text.iter_mut().rev() {
            *digit = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        Self(text.iter().map(|digit| char::from(*digit)).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_valid = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        if is_valid {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(Error::invalid(format!("`{shown}` is no id: {LENGTH} small letters and digits")))
    }
}

impl TryFrom<String> for Id {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Same(u8);

    impl Random for Same {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let at = |ms: i64, random| Id::new(Timestamp::from_millisecond(ms).unwrap(), &Same(random));
        let ids = [at(0, 0), at(0, 255), at(1, 0), at(1_700_000_000_000, 7)];
        assert!(ids.is_sorted());
        for id in &ids {
            assert_eq!(id.as_str().parse::<Id>().unwrap(), *id);
        }
        assert_eq!(ids[1].as_str(), "0000000000zzzzzzzzzzzzzzzz");
        for wrong in ["", "0", "0000000000ZZZZZZZZZZZZZZZZ", "0000000000zzzzzzzzzzzzzzz\n"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong:?}");
        }
    }
}
