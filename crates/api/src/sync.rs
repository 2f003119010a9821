//! Rules that keep a second copy of a tenant's snapshots in another storage.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tintype_model::profile::{Period, Profile, Scope};
use utoipa::ToSchema;

/// The fields of a rule; its name is that of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncSpec {
    /// A disabled rule copies nothing by itself; what it copied stays as long as it would.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Name of the storage that is copied from; without one, all others that hold snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub from: Option<String>,
    /// Name of the storage that copies go to.
    #[schema(min_length = 1, max_length = 100)]
    pub to: String,
    /// When it copies what is missing, and how long copies are kept from when their snapshots were
    /// taken: a period as profiles have them.
    pub period: Period,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 4096)]
    pub note: String,
    /// Whether the system's own set it last, which is told and not asked: what a tenant's own users may
    /// not do is not done for them. None: it was set before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_system: Option<bool>,
}

fn yes() -> bool {
    true
}

impl SyncSpec {
    /// What is due, and whether the values make sense, is decided as for a profile.
    pub fn as_profile(&self, name: &str) -> Profile {
        Profile {
            name: name.to_owned(),
            enabled: self.enabled,
            scope: Scope::Full,
            periods: vec![self.period.clone()],
            storage: Some(self.to.clone()),
            note: self.note.clone(),
            exclude: BTreeSet::new(),
        }
    }
}
