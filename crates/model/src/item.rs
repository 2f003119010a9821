//! What came of each resource of a snapshot: the descriptor at `/tintype.json` of its tree.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::resource::{Consistency, Kind, Phase, Resource};

/// Path of the descriptor in the tree.
pub const DESCRIPTOR_PATH: &str = "tintype.json";
/// A longer descriptor is not read.
pub const DESCRIPTOR_BYTES: u64 = 256 << 20;

/// What a snapshot of resources says of itself. Readers ignore fields that they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Version of this description: 1.
    pub format: u32,
    pub program: String,
    pub host: String,
    pub started: Timestamp,
    /// As they were described when the snapshot was taken.
    pub resources: Vec<Resource>,
    pub items: Vec<Item>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationItem>,
    pub windows: Vec<Window>,
}

impl Descriptor {
    pub const FORMAT: u32 = 1;

    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }
}

/// An application of which something was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationItem {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The lowest of its parts; none if one of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// What its own hooks did; those of its parts are with their items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookRun>,
}

/// One resource's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub name: String,
    pub kind: Kind,
    pub connector: String,
    /// Path in the tree of what was captured.
    pub place: String,
    pub outcome: Outcome,
    /// Why it is not captured, or less consistent than could be, and what helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was reached; none if nothing was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub entries: u64,
    pub bytes: u64,
    /// Entries that could not be read as a whole: `ls` marks them.
    pub problems: u64,
    /// How long it was frozen itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_seconds: Option<f64>,
    /// What the connector must know to read only changes the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Value>,
    /// What the connector must know to restore it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookRun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    Captured,
    Failed,
    Skipped,
}

/// Resources that were frozen together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub members: Vec<String>,
    /// From before the first freeze to after the last thaw.
    pub seconds: f64,
}

/// What a hook did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    pub phase: Phase,
    pub command: Vec<String>,
    /// Exit code; none if it was killed or could not be started.
    pub exit: Option<i32>,
    /// Its last output, standard output and error as they came.
    pub output: String,
    /// What went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
