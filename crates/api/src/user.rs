//! Those who log in.

use serde::{Deserialize, Serialize};
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
