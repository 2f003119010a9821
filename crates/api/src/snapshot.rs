//! Snapshots, as the catalog knows them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::item::Outcome;
pub use tintype_model::profile::Excluded;
use tintype_model::resource::{Consistency, Kind};
use utoipa::{IntoParams, ToSchema};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// That of the repository: 32 hexadecimal digits.
    pub id: String,
    #[schema(value_type = String)]
    pub tenant: Id,
    /// How that is called now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// Id of the storage in which it lies.
    #[schema(value_type = String)]
    pub storage: Id,
    /// How that is called now, for those who may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_name: Option<String>,
    pub scope: SnapshotScope,
    pub trigger: Trigger,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Who or what asked for it.
    pub by: String,
    /// Whether every item was captured.
    pub is_complete: bool,
    pub entries: u64,
    pub bytes: u64,
    /// What it added to the repository.
    pub stored_bytes: u64,
    /// Until then it stays, at least; none: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expiry: Option<Timestamp>,
    /// Reasons for which it stays whatever its expiry says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<String>,
    /// Nobody can delete it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub locked_until: Option<Timestamp>,
    /// It is immutable: its lock is extended every day, and ends so many days after somebody asked for
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_delay_days: Option<u32>,
    /// Somebody asked: its lock is extended no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unlocking: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Only administrators of the system see and restore it.
    #[serde(default)]
    pub is_private: bool,
    /// Of the full snapshot to which this is a tenant's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// Of a full one: ids of its tenants' parts; a copy names those of its first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub profile: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Of a copy: id of the snapshot that it is a copy of, wherever that is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// Of a copy: id of the rule that made it and says how long it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sync: Option<Id>,
    pub captured: u32,
    pub failed: u32,
    pub skipped: u32,
    /// What of the manager's state was left out on purpose.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<ExcludedSchema>)]
    pub excluded: BTreeSet<Excluded>,
}

#[derive(ToSchema)]
#[schema(as = Excluded, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a type of another crate")]
pub(crate) enum ExcludedSchema {
    Credentials,
    Events,
    Logs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotScope {
    /// Of `system`: the manager's state, every tenant, every resource.
    Full,
    /// All that one tenant has.
    Tenant,
    /// Chosen resources.
    Partial,
    /// Of `system`: the manager's state alone.
    Manager,
}

impl SnapshotScope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Tenant => "tenant",
            Self::Partial => "partial",
            Self::Manager => "manager",
        }
    }

    /// Whether it is of the whole installation, for administrators of the system.
    pub fn holds_manager(self) -> bool {
        matches!(self, Self::Full | Self::Manager)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    #[default]
    Manual,
    Schedule,
    PreRestore,
    PreUpdate,
    /// Before a newer program brought the manager's catalog up to date.
    PreUpgrade,
    Upload,
    Sync,
}

/// The last verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// So much of the repository's content was read.
    pub percent: u8,
    /// Damaged things that this snapshot needs.
    pub damaged: u64,
}

/// One resource's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotItem {
    /// Id of the tenant whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    /// How that is called now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// Of a full snapshot: the tenant's part in which it lies, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Id of the resource, where the manager knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub resource: Option<Id>,
    pub name: String,
    pub kind: Kind,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_seconds: Option<f64>,
    /// Path in the tree.
    pub place: String,
}

/// A snapshot to take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    pub scope: SnapshotScope,
    /// Id of the tenant; default: that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 200)]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 4096)]
    pub note: String,
    /// Of a partial one: names of resources; applications stand for their components.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// Of a partial one: those that have one of these tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Id of a storage; default: the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub storage: Option<Id>,
    /// How long it is kept, as `30d`, `1y6m` or `never`; default: one month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub keep: Option<String>,
    #[serde(default)]
    pub is_private: bool,
    /// Read everything, also what seems unchanged.
    #[serde(default)]
    pub read_all: bool,
    /// Workloads take part. Without it nothing is held still and no hook around that is run: copies are
    /// as after a power failure.
    #[serde(default = "yes")]
    pub quiesce: bool,
    /// Why it is taken; `manual` or `pre-update`.
    #[serde(default)]
    pub trigger: Trigger,
    /// What of the manager's state is left out; of full and manager snapshots.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<ExcludedSchema>)]
    pub exclude: BTreeSet<Excluded>,
}

fn yes() -> bool {
    true
}

/// What may change about a snapshot; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedSnapshot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub note: Option<String>,
    /// How long it is kept from now on, as `30d`, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub keep: Option<String>,
    /// A reason for which it must stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub hold: Option<String>,
    /// A reason that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub release: Option<String>,
    /// Nobody can delete it for so long, as `30d`. This cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub lock_for: Option<String>,
    /// Of an immutable one: true asks for its lock to end, after the delay that it has; false takes
    /// that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock: Option<bool>,
}

/// Which snapshots: newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// At most so many; 1 to 1000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Id of a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<SnapshotScope>,
    /// Id of a resource that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only those whose name or note has this in it, or whose id begins with it; upper and lower case
    /// are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub q: Option<String>,
}
