//! Who did what: append-only, each entry sealed by the hash of the one before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::identifier::Id;
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts from 1 without gaps.
    pub n: i64,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    #[schema(value_type = String)]
    pub tenant: Id,
    /// `user admin`, `token ci`, `agent web1`, `manager`.
    pub actor: String,
    /// `tenant.create`, `snapshot.download`, …
    pub action: String,
    /// What it was done to: `storage offsite`.
    pub object: String,
    pub outcome: String,
    /// Without secrets.
    #[serde(default)]
    pub detail: Value,
    /// BLAKE3, in hex, of the hash before and this entry.
    pub hash: String,
}

/// What a check of the whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheck {
    pub entries: i64,
    pub is_whole: bool,
    /// First entry that does not fit to what stands before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
    /// Hash of the last entry: kept elsewhere, it shows later that nothing was cut off.
    pub head: String,
}
