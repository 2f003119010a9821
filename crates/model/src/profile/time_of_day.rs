//! A time on the clock, to the minute: `02:30`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

crate::openapi::described_as_text!(
    TimeOfDay,
    "A time on the clock: `02:30`.",
    r"^[0-2][0-9]:[0-5][0-9]$"
);

impl TimeOfDay {
    /// `None` if there is no such time.
    pub const fn new(hour: i8, minute: i8) -> Option<Self> {
        if hour >= 0 && hour < 24 && minute >= 0 && minute < 60 {
            Some(Self { hour, minute })
        } else {
            None
        }
    }

    pub(super) const fn of(hour: i8, minute: i8) -> Self {
        Self::new(hour, minute).expect("a constant is a time")
    }

    pub fn on(self, date: Date) -> DateTime {
        let time = Time::new(self.hour, self.minute, 0, 0).expect("the parts are in range");
        date.to_datetime(time)
    }

    /// Minutes since midnight.
    pub(crate) fn minutes(self) -> usize {
        self.hour as usize * 60 + self.minute as usize
    }
}

impl FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let part = |text: &str| {
            let is_right = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            if is_right { text.parse().ok() } else { None }
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Self::new(part(hour)?, part(minute)?))
            .ok_or_else(|| {
                Error::invalid(format!("{text:?} is no time of day: write it like 02:30 or 23:59"))
            })
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time on the clock, to the minute: 02:30.",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        })
    }
}
