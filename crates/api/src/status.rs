//! At a glance: what can be restored as of when, and what speaks against it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
use tintype_model::resource::{Consistency, Kind};
pub use tintype_model::standing::Health;
use utoipa::{IntoParams, ToSchema};

/// Of one tenant, or of everything for those who see everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Of the program.
    pub version: String,
    #[schema(value_type = String)]
    pub installation: Id,
    /// The worst first.
    pub warnings: Vec<Warning>,
    /// Of resources.
    pub counts: Counts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Stays the same whatever the words.
    pub code: WarningCode,
    pub what: String,
    pub cure: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// Another manager leads this installation: this one writes no more.
    Replaced,
    /// There is no full snapshot.
    NoFull,
    /// No full snapshot lies off the manager's host.
    NoFullElsewhere,
    /// A storage cannot be used.
    Storage,
    /// Resources have no snapshot that they could be restored from.
    NeverCaptured,
    /// Snapshots of resources are switched off.
    NotProtected,
    /// Nothing is taken by itself.
    NoSchedule,
    /// A storage fills, or is lost together with the host.
    StorageWarns,
}

/// So many of each, as `/status/resources` lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    pub never: u64,
    pub failed: u64,
    pub attention: u64,
    pub unprotected: u64,
    pub good: u64,
}

/// How one resource stands. An application stands as its parts do, and is not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResourceStanding)]
pub struct Standing {
    #[schema(value_type = String)]
    pub id: Id,
    #[schema(value_type = String)]
    pub tenant: Id,
    pub name: String,
    pub kind: Kind,
    pub health: Health,
    /// Whether snapshots of it are taken at all.
    pub is_protected: bool,
    /// Why none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// When the newest snapshot that holds it whole was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good: Option<Timestamp>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good_snapshot: Option<String>,
    /// When a snapshot that holds it was verified last, and nothing was damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified: Option<Timestamp>,
    /// Of the newest that was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// When a profile takes it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextSnapshot>,
    /// What came of the last ones, the newest first; 14 at most.
    pub last: Vec<Past>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextSnapshot {
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    #[schema(value_type = String)]
    pub profile: Id,
    pub profile_name: String,
    pub period: String,
}

/// What a snapshot says of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Past {
    pub snapshot: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub outcome: Outcome,
    /// What of it could not be read.
    pub problems: u64,
    /// Why it was not captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which resources, the worst first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StandingsQuery {
    /// At most so many; 100 unless told, 1000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only of this tenant (id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only those whose name has this in it; upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// What was taken, day by day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Days {
    /// In which the days begin and end.
    pub zone: String,
    /// The last is today.
    pub days: Vec<Day>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Day {
    /// `2026-11-22`
    pub date: String,
    /// When it began, and when the next one does.
    #[schema(value_type = String, format = DateTime)]
    pub begin: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    /// Snapshots that were taken: copies and uploads are not counted.
    pub complete: u64,
    /// Of which something is missing.
    pub incomplete: u64,
    /// Runs that failed, by their kind; those that take snapshots among them.
    pub failed: BTreeMap<String, u64>,
    /// What they added to their repositories.
    pub stored_bytes: u64,
}

/// Which days.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    /// Only of this tenant (id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// In which days begin and end, like Europe/Berlin; default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub zone: Option<String>,
    /// The last so many, with today; default 14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 366)]
    pub days: Option<u32>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// Only of this tenant (id).
    pub tenant: Option<String>,
}
