//! What a manager and its agents say to each other. What an order is about is written and read by
//! `tintype_runner::vault::work` on both sides, and opaque here: versions that work together
//! understand each other's.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An agent that asks for work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskWork {
    /// Version of the agent.
    #[schema(max_length = 100)]
    pub version: String,
    /// Orders that it works on, or that are done and not delivered yet.
    pub holding: Vec<String>,
    /// It waits a while for something to do.
    pub waits: bool,
    /// Another one for each process: two that use one identity at once are told apart.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub instance: String,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Work {
    /// None: ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// `host:port` under which the manager is reached from now on.
    pub addresses: Vec<String>,
    /// Version of the manager.
    pub version: String,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The same for the same step of the same run, also after the manager was started again.
    pub id: String,
    /// It holds keys.
    pub body: Value,
}

/// How far an order is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkProgress {
    pub entries: u64,
    pub files: u64,
    pub bytes: u64,
    pub moved_bytes: u64,
    pub problems: u64,
    pub total_entries: u64,
    pub total_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkHeard {
    /// Whether the manager waits for it. It may not yet, if it was just started.
    pub is_known: bool,
    /// It is to stop.
    pub cancel: bool,
}

/// How an order ended: one of the two.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkDone {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// An error: its kind and its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Value>,
}
