//! Protection policies: what is snapshotted when, where to, and for how long (docs/schedules.md).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_model::identifier::Id;
use tintype_model::profile::{Excluded, Period, Profile, Scope};
use utoipa::{IntoParams, ToSchema};

use crate::snapshot::ExcludedSchema;

/// The fields of a profile; its name is that of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    #[serde(default = "yes")]
    pub enabled: bool,
    #[schema(value_type = ScopeSchema)]
    pub scope: Scope,
    pub periods: Vec<Period>,
    /// Name of the storage; without one the tenant's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub storage: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 4096)]
    pub note: String,
    /// What of the manager's state is left out; of full and manager snapshots.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<ExcludedSchema>)]
    pub exclude: BTreeSet<Excluded>,
    /// Whether the system's own set it last, which is told and not asked: what a tenant's own users may
    /// not do is not done for them. None: it was set before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_system: Option<bool>,
}

fn yes() -> bool {
    true
}

#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a type of another crate")]
pub(crate) enum ScopeSchema {
    /// Everything: in `system` the whole installation, else all that the tenant has.
    Full,
    /// The named resources, and those that have one of the tags when it runs.
    Partial(PartialSchema),
}

#[derive(ToSchema)]
#[schema(as = PartialScope)]
#[expect(dead_code, reason = "describes a type of another crate")]
pub(crate) struct PartialSchema {
    resources: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

impl ProfileSpec {
    pub fn named(&self, name: &str) -> Profile {
        let Self { enabled, scope, periods, storage, note, exclude, of_system: _ } = self.clone();
        Profile { name: name.to_owned(), enabled, scope, periods, storage, note, exclude }
    }
}

impl From<Profile> for ProfileSpec {
    fn from(profile: Profile) -> Self {
        let Profile { name: _, enabled, scope, periods, storage, note, exclude } = profile;
        Self { enabled, scope, periods, storage, note, exclude, of_system: None }
    }
}

/// A profile in words, and what it will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileReading {
    pub periods: Vec<PeriodReading>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeriodReading {
    pub name: String,
    /// `every day at 02:30 (Europe/Berlin)`, and how long its snapshots are kept.
    pub words: String,
    /// When it runs next, the next first.
    #[schema(value_type = Vec<String>)]
    pub next: Vec<Timestamp>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadyMadeQuery {
    /// In which their times are, like Europe/Berlin; default: UTC.
    #[param(max_length = 100)]
    pub time_zone: Option<String>,
}

/// What a profile is to become, to see what that would do to the snapshots that it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// Id of the profile.
    #[schema(value_type = String)]
    pub profile: Id,
    /// What it becomes; none: nothing changes.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub spec: Option<ProfileSpec>,
    /// A day: tell also what there is then of what there is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub on: Option<Timestamp>,
}

fn none() -> Option<ProfileSpec> {
    None
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionPreview {
    pub periods: Vec<PeriodPreview>,
}

/// What a changed retention, if it were applied to what is there, would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeriodPreview {
    pub name: String,
    /// So many snapshots would go at once.
    pub would_go_now: u64,
    /// The newest first.
    pub snapshots: Vec<SnapshotPreview>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotPreview {
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub before: Going,
    pub after: Going,
}

/// When a snapshot goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Going {
    /// Not before; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// What keeps it beyond that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// Whether it is still there on the day that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_there: Option<bool>,
}
