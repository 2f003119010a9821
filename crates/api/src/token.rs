//! Tokens of programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use utoipa::ToSchema;

use crate::object::Object;

/// Tokens begin with it, so that scanners of leaks find them.
pub const PREFIX: &str = "tintype_";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSpec {
    /// At most that of whoever makes it.
    pub role: Role,
    /// Not valid from then on; none: until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// The user for whom it acts: it may no more than that user may now, and goes with that user.
    /// Kept by the manager; what is sent is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, read_only)]
    pub maker: Option<Id>,
    /// Kept by the manager, to the minute; what is sent is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    pub last_used: Option<Timestamp>,
}

impl TokenSpec {
    pub fn new(role: Role, expires: Option<Timestamp>) -> Self {
        Self { role, expires, maker: None, last_used: None }
    }
}

/// A token that was just made: its secret is told this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    #[schema(value_type = crate::object::Kept<TokenSpec>)]
    pub token: Object<TokenSpec>,
    pub secret: String,
}
