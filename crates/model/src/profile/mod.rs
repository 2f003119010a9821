//! Profiles: what is snapshotted when, where to, and for how long (docs/schedules.md).
//!
//! A profile has a scope and one or more periods; a period has a frequency, a retention and what
//! belongs to them. All of it is values and pure functions: the manager loads profiles, asks what is
//! [`due()`], and writes down what it took up.

mod blackout;
mod counting;
mod cron;
mod due;
mod excluded;
mod frequency;
mod immutable;
mod jitter;
mod period;
mod ready_made;
mod retention;
mod schedule;
mod time_of_day;
mod weekday;
mod words;
pub(crate) mod zone;

use std::collections::BTreeSet;

use jiff::tz::TimeZoneDatabase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::check_name;
use crate::{Error, Result};

pub use blackout::Blackout;
pub use counting::Counting;
pub use due::{Agenda, Broken, Due, ON_TIME, Standing, Why, due};
pub use excluded::Excluded;
pub use frequency::Frequency;
pub use immutable::Immutable;
pub use period::{MOST_MOMENTS, Missed, Period, Stamp, Upcoming};
pub use ready_made::ready_made;
pub use retention::Retention;
pub use schedule::Schedule;
pub use time_of_day::TimeOfDay;
pub use weekday::Weekday;

/// Most periods of a profile.
pub const MOST_PERIODS: usize = 50;
/// Longest note, in bytes.
pub const NOTE_BYTES: usize = 4096;

/// A named protection policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
    pub name: String,
    /// A disabled profile takes nothing; what it took stays as long as it would.
    #[serde(default = "yes")]
    pub enabled: bool,
    pub scope: Scope,
    pub periods: Vec<Period>,
    /// Name of the storage; without one the tenant's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What of the manager's state is left out, where the scope holds that.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exclude: BTreeSet<Excluded>,
}

/// What a profile takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scope {
    /// Everything: in `system` the whole installation, else all that the tenant has.
    Full,
    /// Of `system`: the manager's state alone.
    Manager,
    /// The named resources, and those that have one of the tags when it runs.
    Partial {
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        resources: BTreeSet<String>,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        tags: BTreeSet<String>,
    },
}

impl Profile {
    /// What the schema alone cannot say. Names the field that is wrong, and the cure.
    pub fn check(&self, zones: &TimeZoneDatabase) -> Result<()> {
        self.check_fields(zones).map_err(|error| error.context(format!("profile {:?}", self.name)))
    }

    /// Whether what it takes can be taken so often; of what takes snapshots.
    pub fn check_often(&self) -> Result<()> {
        match self.scope {
            Scope::Full => self.periods.iter().try_for_each(Period::check_full),
            Scope::Manager | Scope::Partial { .. } => Ok(()),
        }
    }

    fn check_fields(&self, zones: &TimeZoneDatabase) -> Result<()> {
        check_name(&self.name).map_err(|error| error.context("name"))?;
        self.scope.check()?;
        if !self.exclude.is_empty() && matches!(self.scope, Scope::Partial { .. }) {
            return Err(Error::invalid(
                "exclude: it is of the manager's state, which a partial scope does not hold",
            ));
        }
        if let Some(storage) = &self.storage {
            check_name(storage).map_err(|error| error.context("storage"))?;
        }
        if self.note.len() > NOTE_BYTES {
            return Err(Error::invalid(format!("note: longer than {NOTE_BYTES} bytes")));
        }
        if self.periods.is_empty() {
            return Err(Error::invalid(
                "periods: there is none, so that it would never take anything; add one, like \
                 {name: daily, frequency: {daily: {time: \"02:30\"}}}",
            ));
        }
        if self.periods.len() > MOST_PERIODS {
            return Err(Error::invalid(format!("periods: more than {MOST_PERIODS}")));
        }
        let mut names = BTreeSet::new();
        for period in &self.periods {
            period.check(zones)?;
            if !names.insert(&period.name) {
                return Err(Error::invalid(format!(
                    "periods: two have the name {:?}; rename one",
                    period.name
                )));
            }
        }
        Ok(())
    }
}

impl Scope {
    fn check(&self) -> Result<()> {
        let Self::Partial { resources, tags } = self else { return Ok(()) };
        if resources.is_empty() && tags.is_empty() {
            return Err(Error::invalid(
                "scope: a partial one needs resources or tags; choose some, or write full for \
                 everything",
            ));
        }
        if tags.iter().any(|tag| tag.trim().is_empty()) {
            return Err(Error::invalid("scope: a tag is empty; remove it"));
        }
        resources.iter().try_for_each(|name| check_name(name).map_err(|e| e.context("scope")))
    }
}

fn yes() -> bool {
    true
}
