//! Places where snapshots are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::bandwidth::Bandwidth;
use tintype_model::plan::{Check, Verdict};
use utoipa::ToSchema;

/// Name of the storage that each installation has from the start.
pub const INTERNAL: &str = "internal";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageSpec {
    pub kind: StorageKind,
    /// A whole path, `s3://bucket/prefix?endpoint=https://host`, `gs://bucket/prefix` or
    /// `azure://account/container/prefix`; holds no credentials. The internal one needs none.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub url: String,
    /// Of `mounted`: where something must be mounted. An empty directory there is not the storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub mount_point: Option<String>,
    /// Snapshots go here unless another is named. Each tenant has one at most.
    #[serde(default)]
    pub is_default: bool,
    /// Of `system`: tenants without a storage of their own may use it.
    #[serde(default)]
    pub is_shared: bool,
    /// Of a store that wants one; without it the manager's environment says who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKey>,
    /// What agents get in its place: it can put, get and list, and need not delete. None: agents get
    /// the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_access_key: Option<AccessKey>,
    /// How much may go to and from it at which times of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StorageKind {
    /// On the manager's host, below its data directory: lost together with it.
    Internal,
    /// A directory of the manager's host.
    Directory,
    /// A directory of a file system that is mounted there: NFS, SMB.
    Mounted,
    /// S3, or a store that speaks it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl StorageKind {
    /// How the address of one that has an access key begins.
    pub fn scheme(self) -> Option<&'static str> {
        match self {
            Self::Internal | Self::Directory | Self::Mounted => None,
            Self::S3 => Some("s3://"),
            Self::Google => Some("gs://"),
            Self::Azure => Some("azure://"),
        }
    }

    /// Of an address; one that has no scheme is a directory.
    pub fn of(url: &str) -> Self {
        let all = [Self::S3, Self::Google, Self::Azure];
        let fits = |kind: &Self| kind.scheme().is_some_and(|scheme| url.starts_with(scheme));
        all.into_iter().find(fits).unwrap_or(Self::Directory)
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// Of S3: of the key. Of Google: the service account's e-mail address. Of Azure: what the secret
    /// is, `account-key` or `sas`.
    #[schema(min_length = 1, max_length = 200)]
    pub id: String,
    /// Written and never shown. Left out of a change: the one that there is. Of Google: the whole key
    /// file of the service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, max_length = 10_000)]
    pub secret: Option<String>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What was seen of a storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageState {
    #[schema(value_type = String, format = DateTime)]
    pub checked: Timestamp,
    /// No check blocks.
    pub is_good: bool,
    #[schema(value_type = Vec<CheckSchema>)]
    pub checks: Vec<Check>,
    /// How full it is; not known of one that could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<StorageUsage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUsage {
    /// What snapshots and all that belongs to them take.
    pub used_bytes: u64,
    /// Where the store tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Of the whole store, with what others keep there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// When nothing will be free, if it fills as in the last sixty days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub full_at: Option<Timestamp>,
    /// One point for each day at most, oldest first.
    pub history: Vec<UsagePoint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsagePoint {
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub used_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

/// A named check: what was found, and what helps.
#[derive(ToSchema)]
#[schema(as = Check)]
#[expect(dead_code, reason = "describes a type of another crate")]
pub(crate) struct CheckSchema {
    name: String,
    outcome: VerdictSchema,
    message: String,
    cure: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = Verdict, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a type of another crate")]
pub(crate) enum VerdictSchema {
    Pass,
    Warn,
    Block,
}

impl StorageState {
    pub fn new(checked: Timestamp, checks: Vec<Check>) -> Self {
        let is_good = checks.iter().all(|check| check.outcome != Verdict::Block);
        Self { checked, is_good, checks, usage: None }
    }
}
