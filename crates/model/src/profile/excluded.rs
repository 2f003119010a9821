//! What of the manager's state can be left out of a snapshot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Excluded {
    /// Passwords, tokens, access keys of storages and connectors, the key of the agents' authority.
    Credentials,
    /// The audit log.
    Events,
    /// Runs that have ended, and what they logged.
    Logs,
}

impl Excluded {
    pub fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Events => "events",
            Self::Logs => "logs",
        }
    }
}
