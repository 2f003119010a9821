//! Runs: one execution of something that takes time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::identifier::Id;
use utoipa::{IntoParams, ToSchema};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    #[schema(value_type = String)]
    pub id: Id,
    #[schema(value_type = String)]
    pub tenant: Id,
    pub kind: RunKind,
    pub state: RunState,
    /// What is done, in words.
    pub title: String,
    /// Who or what asked for it.
    pub by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// It does not begin before.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
    /// How often it was begun.
    pub attempts: i64,
    /// Somebody asked it to stop.
    pub is_canceling: bool,
    pub progress: RunProgress,
    /// Why it failed, and what helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What came of it: identifiers and figures, by kind.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    Snapshot,
    Restore,
    /// Deletes snapshots whose time is over.
    Prune,
    /// Frees what no snapshot needs.
    Gc,
    Verify,
    /// Looks whether a storage can still be used.
    CheckStorage,
    /// Looks whether agents and connectors are there, after a recovery.
    CheckConnectors,
    /// Copies what another storage lacks.
    Sync,
    /// Writes a snapshot as one file.
    Export,
    /// Brings a file from a URL.
    Fetch,
    /// Makes a snapshot of such a file.
    Import,
}

impl RunKind {
    pub const ALL: [Self; 11] = [
        Self::Snapshot,
        Self::Restore,
        Self::Prune,
        Self::Gc,
        Self::Verify,
        Self::CheckStorage,
        Self::CheckConnectors,
        Self::Sync,
        Self::Export,
        Self::Fetch,
        Self::Import,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Prune => "prune",
            Self::Gc => "gc",
            Self::Verify => "verify",
            Self::CheckStorage => "check-storage",
            Self::CheckConnectors => "check-connectors",
            Self::Sync => "sync",
            Self::Export => "export",
            Self::Fetch => "fetch",
            Self::Import => "import",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Its plan waits for somebody who agrees.
    Planned,
    Queued,
    Running,
    Succeeded,
    /// It ended, and something is missing.
    Incomplete,
    Failed,
    Canceled,
}

impl RunState {
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Incomplete,
        Self::Failed,
        Self::Canceled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Planned | Self::Queued | Self::Running)
    }
}

/// How far it is. Totals are 0 while unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunProgress {
    pub files: u64,
    pub bytes: u64,
    pub total_bytes: u64,
    /// Really read or written.
    pub moved_bytes: u64,
    pub problems: u64,
    /// Of `bytes`, since it began.
    pub bytes_per_second: f64,
    /// How long it will take at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
    /// What it does now, or waits for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doing: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub n: i64,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub level: LogLevel,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}

impl LogLevel {
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Which runs: newest first.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// At most so many; 1 to 1000, default 100.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Id of a tenant.
    pub tenant: Option<String>,
    pub kind: Option<RunKind>,
    pub state: Option<RunState>,
}

/// One event of a run that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    /// `log` or `run`.
    pub event: String,
    /// Of a line of the log: its number, from which it can be followed again (`Last-Event-ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// JSON: a [`LogLine`] or a [`Run`].
    pub data: String,
}
