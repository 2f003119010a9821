//! At a glance: what can be restored as of when, and what speaks against it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
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
    /// Each that the manager knows, by name.
    pub resources: Vec<Standing>,
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

/// How one resource stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResourceStanding)]
pub struct Standing {
    #[schema(value_type = String)]
    pub id: Id,
    #[schema(value_type = String)]
    pub tenant: Id,
    pub name: String,
    /// Whether snapshots of it are taken at all.
    pub is_protected: bool,
    /// The newest snapshot that holds it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// Only of this tenant (id).
    pub tenant: Option<String>,
}
