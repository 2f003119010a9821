//! Key slots: what opens a repository besides the manager.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A slot, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySlot {
    pub id: String,
    /// `passphrase`, `recovery`, `age`, `unknown`; `damaged` where it cannot be read.
    pub kind: String,
    pub label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created: Option<Timestamp>,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The manager, or its recovery sheet, opens the repository with it: it stays.
    pub is_own: bool,
    /// Of a recovery key that was just made: told once, kept nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryWords>,
}

/// What goes onto paper: with these the storage is opened when the manager is gone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryWords {
    /// Twelve words. Whoever has them reads everything that the repository holds.
    pub words: String,
    /// What is typed to use them.
    pub command: String,
}

impl std::fmt::Debug for RecoveryWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecoveryWords").field("command", &self.command).finish_non_exhaustive()
    }
}

/// A slot to be added: one of `passphrase`, `recipient` and `recovery`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewKeySlot {
    /// For people.
    #[schema(max_length = 200)]
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 10, max_length = 1024)]
    pub passphrase: Option<String>,
    /// An age recipient, `age1…`: its identity opens the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// A new recovery key of twelve words, which the answer tells once.
    pub recovery: bool,
}

/// Of whose repository in the storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct KeysQuery {
    /// Id of a tenant; default: that of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}
