//! Errors on the wire: RFC 9457 with a stable code and a cure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// Stable: programs act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request cannot be understood.
    BadRequest,
    /// Understood, and wrong: `detail` says what.
    Invalid,
    /// Nobody is logged in, or no longer.
    LoginNeeded,
    /// A name or password is wrong, or the account is switched off.
    LoginRefused,
    TooManyAttempts,
    NotAllowed,
    /// It does not exist, or not for whoever asks.
    NotFound,
    MethodNotAllowed,
    AlreadyExists,
    /// Something holds it: `detail` says what.
    Locked,
    /// It was changed meanwhile: read it again.
    Changed,
    /// Larger than this endpoint takes.
    TooLarge,
    UnsupportedMediaType,
    /// The manager or the platform cannot do that.
    Unsupported,
    /// May work later.
    Unavailable,
    NoSpace,
    /// Stored data is damaged: `detail` says which.
    Corrupt,
    /// A bug of the manager; its log says more.
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The code once more, as a URI.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: Code,
    /// What happened to what.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}
