//! What changed: told to whoever shows it, so that it is asked for again.

use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use utoipa::{IntoParams, ToSchema};

/// Something that changed. What it is now is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    pub kind: ChangedKind,
    pub id: String,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant: Id,
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangedKind {
    Tenant,
    User,
    Token,
    /// Also when it was checked.
    Storage,
    Connector,
    Resource,
    Profile,
    Sync,
    /// Also when it was heard of again.
    Agent,
    Snapshot,
    /// How far one is that goes on is not told here.
    Run,
    /// A run that restores; it is in the list of runs, too.
    Restore,
}

impl ChangedKind {
    pub const ALL: [Self; 12] = [
        Self::Tenant,
        Self::User,
        Self::Token,
        Self::Storage,
        Self::Connector,
        Self::Resource,
        Self::Profile,
        Self::Sync,
        Self::Agent,
        Self::Snapshot,
        Self::Run,
        Self::Restore,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Token => "token",
            Self::Storage => "storage",
            Self::Connector => "connector",
            Self::Resource => "resource",
            Self::Profile => "profile",
            Self::Sync => "sync",
            Self::Agent => "agent",
            Self::Snapshot => "snapshot",
            Self::Run => "run",
            Self::Restore => "restore",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ChangedHow)]
pub enum Change {
    Created,
    Changed,
    Deleted,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::Created, Self::Changed, Self::Deleted].into_iter().find(|one| one.name() == name)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// Only of this tenant (id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Go on behind this event, as the header `Last-Event-ID`, which wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// `false`: what came until now, then the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeEvent {
    /// `change`, or `reset`: more happened than is known here, everything is to be asked for again.
    pub event: String,
    /// To go on from; also comes alone.
    pub id: String,
    /// JSON: a [`Changed`]; of `reset` `{}`.
    pub data: String,
}
