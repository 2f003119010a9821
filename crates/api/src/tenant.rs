//! An isolated space of resources, users, profiles and snapshots.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Name of the tenant that is the root and sees all.
pub const SYSTEM: &str = "system";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSpec {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1000)]
    pub description: String,
    /// Whether snapshots of it are taken at all: what the vendor or parent entitles it to.
    #[serde(default = "yes")]
    pub is_entitled: bool,
    /// Whether its own users may take snapshots.
    #[serde(default = "yes")]
    pub may_snapshot: bool,
    /// Whether its own users may restore.
    #[serde(default = "yes")]
    pub may_restore: bool,
    /// What its snapshots may take in its storages; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub quota_bytes: Option<u64>,
    /// Its own users lock a snapshot for so many days at most: what is locked takes room whatever
    /// happens.
    #[serde(default = "year")]
    #[schema(minimum = 0, maximum = 36500)]
    pub lock_days_at_most: u32,
    /// So many of its runs go on at once.
    #[serde(default = "two")]
    #[schema(minimum = 1, maximum = 100)]
    pub runs_at_once: u32,
}

fn yes() -> bool {
    true
}

fn year() -> u32 {
    366
}

fn two() -> u32 {
    2
}

impl Default for TenantSpec {
    fn default() -> Self {
        Self {
            description: String::new(),
            is_entitled: true,
            may_snapshot: true,
            may_restore: true,
            quota_bytes: None,
            lock_days_at_most: year(),
            runs_at_once: two(),
        }
    }
}
