//! How long a period keeps what it takes.

use std::borrow::Cow;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, SpanFieldwise, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::duration::{format_span, parse_span};
use crate::{Error, Result};

/// Longer ones are written `forever`.
const MOST_YEARS: i64 = 100;

/// A walk on the calendar of the period's time zone, or for ever. As text: `1m` is a month, `7d`,
/// `1y6m`, `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Retention {
    Forever,
    For(SpanFieldwise),
}

crate::openapi::described_as_text!(
    Retention,
    "`7d`, `4w`, `1m` (a month), `1y6m`, or `forever`.",
    r"^([0-9]+[hdwmy])+$|^forever$"
);

impl Retention {
    pub(super) fn check(self) -> Result<()> {
        let Self::For(SpanFieldwise(span)) = self else { return Ok(()) };
        if span.signum() <= 0 {
            return Err(Error::invalid(format!(
                "retention: {self} keeps nothing; write a length like 1m (a month), 7d or 1y, or \
                 forever"
            )));
        }
        let start = jiff::civil::date(2000, 1, 1);
        let end = Span::new().years(MOST_YEARS);
        let is_longer = match (start.checked_add(span), start.checked_add(end)) {
            (Ok(got), Ok(most)) => got > most,
            _ => true,
        };
        if is_longer {
            return Err(Error::invalid(format!(
                "retention: {self} is longer than {MOST_YEARS} years; write forever"
            )));
        }
        Ok(())
    }

    /// When a snapshot of this time expires; `None` is never. What would lie beyond the calendar
    /// is never.
    pub fn expiry(self, taken: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let Self::For(SpanFieldwise(span)) = self else { return None };
        Some(taken.to_zoned(zone.clone()).checked_add(span).ok()?.timestamp())
    }
}

impl Default for Retention {
    /// A month.
    fn default() -> Self {
        Self::For(Span::new().months(1).fieldwise())
    }
}

impl TryFrom<String> for Retention {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.trim() {
            "forever" => Ok(Self::Forever),
            span => Ok(Self::For(parse_span(span)?.fieldwise())),
        }
    }
}

impl From<Retention> for String {
    fn from(retention: Retention) -> Self {
        retention.to_string()
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For(SpanFieldwise(span)) => f.write_str(&format_span(span)),
        }
    }
}

impl JsonSchema for Retention {
    fn schema_name() -> Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How long to keep: years, months, weeks, days and hours like 1m, 7d, \
                            1y6m (m is months), or forever.",
            "pattern": "^(forever|([0-9]+[ymwdh] ?)+)$",
        })
    }
}
