//! Logging in, and the sessions that come of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use utoipa::ToSchema;

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(max_length = 100)]
    pub user: String,
    /// Name of the user's tenant; default: `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub tenant: Option<String>,
    #[schema(max_length = 1000)]
    pub password: String,
    /// The session comes as a cookie that scripts of a page cannot read, for browsers; without,
    /// as text.
    #[serde(default)]
    pub cookie: bool,
}

/// A session that has begun.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    pub who: Who,
    /// Goes into `Authorization: Bearer`; none if it came as a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// With a cookie, goes into `X-CSRF-Token` of every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Who {
    /// Of the user or token.
    #[schema(value_type = String)]
    pub id: Id,
    pub name: String,
    #[schema(value_type = String)]
    pub tenant: Id,
    pub tenant_name: String,
    pub role: Role,
    pub must_change_password: bool,
    /// Of `system`: sees, and acts on, all tenants.
    #[serde(default)]
    pub is_system: bool,
    /// What it may, as each operation names it (`x-tintype-action`): on its own tenant, and of
    /// `system` on all. The server refuses whatever is not there.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// Whoever asks, and what its browser must send to change something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Myself {
    #[serde(flatten)]
    pub who: Who,
    /// With a cookie: goes into `X-CSRF-Token` of every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
}

/// One login that is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    #[schema(value_type = String)]
    pub id: Id,
    #[schema(value_type = String)]
    pub user: Id,
    pub user_name: String,
    #[schema(value_type = String, format = DateTime)]
    pub begun: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_used: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// Where it came from.
    pub address: String,
    /// The one that asks.
    pub is_this: bool,
}
