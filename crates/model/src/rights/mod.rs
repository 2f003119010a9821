//! Who may do what: the only place where that is decided (docs/manager.md, section 6).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identifier::Id;

/// What a user or token may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, and takes partial snapshots.
    Operator,
    /// Sees, and restores.
    Restorer,
    /// Everything in the tenant.
    Administrator,
    /// Sees, and reads the audit log.
    Auditor,
}

impl Role {
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Operator, Self::Restorer, Self::Administrator, Self::Auditor];

    /// What is left of it for somebody who acts for one of the other role.
    #[must_use]
    pub fn limited_by(self, other: Self) -> Self {
        match (other.includes(self), self.includes(other)) {
            (true, _) => self,
            (false, true) => other,
            (false, false) => Self::Viewer,
        }
    }

    /// Whether this role may everything that the other may.
    pub fn includes(self, other: Self) -> bool {
        Action::ALL.iter().all(|action| !action.allows(other) || action.allows(self))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Restorer => "restorer",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        })
    }
}

/// What an endpoint does, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Asked by anybody: is it up, how does one log in.
    Public,
    /// About oneself: password, own sessions.
    Own,
    /// Objects, snapshots, runs.
    See,
    /// Chosen resources.
    SnapshotPartial,
    /// Plan, check, apply; also single files.
    Restore,
    /// Resources, profiles, storages, names, holds, deletion.
    Change,
    /// Users, tokens.
    Users,
    /// The audit log.
    Audit,
    /// What touches the whole installation: tenants, full and manager snapshots, download, upload,
    /// plain export, maintenance, restores of the manager.
    System,
    /// What agents ask for, with their certificates: no user and no token may.
    Agent,
}

impl Action {
    pub const ALL: [Self; 10] = [
        Self::Public,
        Self::Own,
        Self::See,
        Self::SnapshotPartial,
        Self::Restore,
        Self::Change,
        Self::Users,
        Self::Audit,
        Self::System,
        Self::Agent,
    ];

    fn allows(self, role: Role) -> bool {
        match self {
            Self::Public | Self::Own | Self::See => true,
            Self::SnapshotPartial => matches!(role, Role::Operator | Role::Administrator),
            Self::Restore => matches!(role, Role::Restorer | Role::Administrator),
            Self::Audit => matches!(role, Role::Auditor | Role::Administrator),
            Self::Change | Self::Users | Self::System => role == Role::Administrator,
            Self::Agent => false,
        }
    }
}

/// Somebody who was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub tenant: Id,
    /// Whether that tenant is `system`.
    pub is_system: bool,
    pub role: Role,
}

/// What the parent allows a tenant to do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub may_snapshot: bool,
    pub may_restore: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// It does not exist for whoever asks: nothing about it may be inferred.
    Absent,
    /// It is theirs to see, and the reason says why not to do.
    Denied(&'static str),
}

/// Whether that may be done to something of that tenant.
pub fn decide(actor: &Actor, action: Action, tenant: &Id, allowance: Allowance) -> Decision {
    if !actor.is_system && actor.tenant != *tenant {
        return Decision::Absent;
    }
    if !action.allows(actor.role) {
        return Decision::Denied("the role does not include it: ask an administrator");
    }
    if actor.is_system {
        return Decision::Allowed;
    }
    match action {
        Action::System => Decision::Denied("only administrators of the system may do that"),
        Action::SnapshotPartial if !allowance.may_snapshot => Decision::Denied(
            "the system's administrator did not allow this tenant to take snapshots itself",
        ),
        Action::Restore if !allowance.may_restore => Decision::Denied(
            "the system's administrator did not allow this tenant to restore itself",
        ),
        _ => Decision::Allowed,
    }
}

#[cfg(test)]
mod tests;
