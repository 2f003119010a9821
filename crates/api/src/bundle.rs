//! Bundles: a snapshot as one file (docs/bundle.md), downloaded and uploaded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use utoipa::{IntoParams, ToSchema};

use crate::run::Run;

/// Of one body of an upload.
pub const PIECE_BYTES: usize = 8 << 20;

/// A bundle to be made. Sealed to a passphrase or to recipients, unless it is to be plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewBundle {
    /// Only what lies at or below this path of the tree.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Whoever gets the file reads all that it holds.
    pub plain: bool,
    /// It opens the bundle; it is forgotten when that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 10, max_length = 1024)]
    pub passphrase: Option<String>,
    /// age recipients, `age1…`: the identity of each opens the bundle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// A bundle, made or being made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bundle {
    /// That of its run.
    #[schema(value_type = String)]
    pub id: Id,
    /// Id of the snapshot.
    pub snapshot: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub is_plain: bool,
    /// For the file.
    pub name: String,
    /// What in it is likely to be secret.
    pub secrets: Vec<Secret>,
    /// Of the file, once it is whole and until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// It is deleted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    pub run: Run,
}

/// Something in a snapshot that is likely to be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// In the tree.
    pub path: String,
    pub what: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SecretsQuery {
    /// Only at or below this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A file that is to come: in pieces, or from a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewUpload {
    /// For people.
    #[schema(max_length = 200)]
    pub name: String,
    /// Of all of it; needed unless there is a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// In hexadecimal digits: what comes must have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
    /// https or http. Addresses that are not public are refused unless the manager's settings allow
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(write_only, max_length = 4096)]
    pub url: Option<String>,
}

/// A file that comes, or is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    #[schema(value_type = String)]
    pub id: Id,
    pub name: String,
    /// Of all of it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// So much is here: the next piece begins there.
    pub offset: u64,
    pub is_whole: bool,
    /// Where it comes from, without what may be secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The run that brings it, or makes a snapshot of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run: Option<Id>,
    pub by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// It is deleted then, unless more of it comes.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}

/// Where the next piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PieceQuery {
    pub offset: u64,
}

/// A snapshot to be made of an upload that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewImport {
    /// Id of the tenant in whose repository it goes; default: that of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    /// Id of a storage; default: the tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub storage: Option<Id>,
    /// What it was sealed with; it is forgotten afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(write_only, max_length = 1024)]
    pub passphrase: Option<String>,
    /// An age identity, `AGE-SECRET-KEY-1…`; it is forgotten afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(write_only, max_length = 65536)]
    pub identity: Option<String>,
    /// How long it is kept, as `30d`, `1y6m` or `never`; default: one month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub keep: Option<String>,
    /// Only administrators of the system see and restore it. A bundle says itself where its
    /// resources belong, so nobody else should before somebody has looked at it.
    pub is_private: bool,
}

impl Default for NewImport {
    fn default() -> Self {
        Self {
            tenant: None,
            storage: None,
            passphrase: None,
            identity: None,
            keep: None,
            is_private: true,
        }
    }
}
