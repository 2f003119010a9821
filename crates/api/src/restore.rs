//! Restores: planned, checked and shown, then applied.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::identifier::Id;
use tintype_model::plan::Check;
use utoipa::ToSchema;

use crate::run::{Run, RunState};
use crate::storage::CheckSchema;

/// What is to be restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRestore {
    /// Id of the snapshot.
    #[schema(max_length = 64)]
    pub snapshot: String,
    /// Names of resources in it; applications stand for their components. None: all that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Of a full snapshot: ids of the tenants whose parts are restored. None: all that it holds, or with
    /// `resources` those of the system.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub tenants: BTreeSet<Id>,
    /// Those that are restored beside what there is, by name; all others go over it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub as_new: BTreeMap<String, AsNew>,
    /// Files and directories into a directory of the host instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<RestoreFiles>,
    /// Replace what is there without taking a snapshot of it first.
    #[serde(default)]
    pub without_undo_point: bool,
}

impl NewRestore {
    /// All that a snapshot holds, over what is there.
    pub fn all_of(snapshot: &str) -> Self {
        Self {
            snapshot: snapshot.to_owned(),
            resources: Vec::new(),
            tenants: BTreeSet::new(),
            as_new: BTreeMap::new(),
            files: None,
            without_undo_point: false,
        }
    }
}

/// Under which name and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AsNew {
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Fields of `at` that differ, as the connector documents them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub at: Map<String, Value>,
    /// What must differ in the new one: ports, addresses, networks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreFiles {
    /// Path in the snapshot's tree. The content of a directory goes into `to`, a file by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65535)]
    pub path: Option<String>,
    /// Several of them instead: each goes into `to` by its name, of two of one name the second with a
    /// number behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub paths: Vec<String>,
    /// A directory of the agent's host, or of the manager's.
    #[schema(min_length = 1, max_length = 4096)]
    pub to: String,
    /// Id of the agent; none: the manager's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Id>,
    /// Replace what exists and differs.
    #[serde(default)]
    pub overwrite: bool,
}

/// So many paths at once.
pub const MOST_PATHS: usize = 1000;

impl RestoreFiles {
    /// All paths that are named, in one way or the other.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain(&self.paths).map(|path| path.trim_matches('/'))
    }
}

/// What will be done; nothing is, before it is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestorePlan {
    /// The run that will do it.
    pub run: Run,
    pub items: Vec<PlannedItem>,
    /// What cannot be restored, and why.
    pub missing: Vec<NotRestored>,
    /// Commands out of the snapshot that will be run.
    pub commands: Vec<String>,
    /// A check blocks: it cannot be applied.
    pub is_blocked: bool,
    /// What must be typed to apply it, because something is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Of a snapshot that holds the manager's state: what restores that too, typed on its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager_command: Option<String>,
}

/// How a snapshot is restored as a whole, the manager with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WholeRestore {
    /// To be typed on the manager's host: restores everything over what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// To be typed on an empty machine that reaches the storage, when the manager's host is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_elsewhere: Option<String>,
    /// What to know before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// What to do after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub afterwards: Vec<String>,
    /// Why there is no such command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedItem {
    pub name: String,
    /// Id of the tenant whose it is.
    #[schema(value_type = String)]
    pub tenant: Id,
    /// In words: `in place`, `as new name`, `files into …`.
    pub to: String,
    pub bytes: u64,
    /// Id of the agent that does it; none: the manager's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Id>,
    /// Whether something that is there is replaced.
    pub replaces: bool,
    #[schema(value_type = Vec<CheckSchema>)]
    pub checks: Vec<Check>,
    /// In order, in words.
    pub steps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotRestored {
    pub name: String,
    pub reason: String,
}

/// To apply a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRestore {
    /// What `confirm` of the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub confirm: Option<String>,
}

/// A restore, from its plan to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    pub run: Run,
    /// Id of the snapshot.
    pub snapshot: String,
    pub standing: Standing,
    /// Id of the run that goes on with it, or takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub followed_by: Option<Id>,
    /// What its hosts say at this moment; asked of one restore that was interrupted, never of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostStanding>,
}

/// Where a restore stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RestoreStanding)]
pub enum Standing {
    /// Its plan waits for somebody who agrees.
    Planned,
    GoingOn,
    Done,
    /// Nothing was changed, or all of it is as it was.
    Undone,
    /// It ended in the middle: it can go on, or be taken back.
    Interrupted,
    /// Another run went on with it, or took it back.
    FollowedUp,
}

/// What of a restore is left on one of its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostStanding {
    /// Id of the agent; none: the manager's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Id>,
    /// None: nothing of it is left there in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<LeftOver>,
    /// Why the host could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOver {
    pub names: Vec<String>,
    /// Steps that were begun, of how many.
    pub begun: u64,
    pub steps: u64,
    pub is_running: bool,
    /// It was being taken back, and only goes further back.
    pub is_going_back: bool,
    /// All is restored, and only what helped is left: it only goes on.
    pub is_beyond_return: bool,
}

impl Standing {
    /// Of a run of this kind.
    pub fn of(run: &Run, is_followed: bool) -> Self {
        let is_undone = run.result["is_undone"].as_bool() == Some(true);
        match run.state {
            _ if is_followed => Self::FollowedUp,
            RunState::Planned => Self::Planned,
            RunState::Queued | RunState::Running => Self::GoingOn,
            RunState::Succeeded | RunState::Incomplete if is_undone => Self::Undone,
            RunState::Succeeded | RunState::Incomplete => Self::Done,
            RunState::Failed | RunState::Canceled if is_undone || run.started.is_none() => {
                Self::Undone
            }
            RunState::Failed | RunState::Canceled => Self::Interrupted,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::GoingOn => "going on",
            Self::Done => "done",
            Self::Undone => "nothing changed",
            Self::Interrupted => "INTERRUPTED",
            Self::FollowedUp => "followed up",
        }
    }
}
