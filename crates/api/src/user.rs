//! Those who log in.

use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    pub role: Role,
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Set when a password was given by another: it must be changed at the next login.
    #[serde(default)]
    pub must_change_password: bool,
}

fn yes() -> bool {
    true
}

/// A user to be made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    pub name: String,
    /// Id of its tenant; default: that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
    pub spec: UserSpec,
    /// Must be changed at the first login; without one nobody can log in until it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 10, max_length = 1000)]
    pub password: Option<String>,
}

/// A password for a user; it is kept as a hash only.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The one until now; needed to change one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub old: Option<String>,
    #[schema(min_length = 10, max_length = 1000)]
    pub new: String,
}
