//! What can be protected, as the manager knows it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::identifier::Id;
use tintype_model::resource::{Component, Consistency, Hook, Kind, Resource, Version};
use utoipa::ToSchema;

/// The fields of docs/resources.md, and whether the manager takes snapshots of it. Its name is that
/// of the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceSpec {
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 100)]
    pub connector: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub at: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Id of the agent on whose host it lies; none: on the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Id>,
    /// Id of the connector through which it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub through: Option<Id>,
    /// Whether snapshots of it are taken at all.
    #[serde(default = "yes")]
    pub is_protected: bool,
}

fn yes() -> bool {
    true
}

impl ResourceSpec {
    /// As it stands in a document and in a snapshot.
    pub fn named(&self, name: &str) -> Resource {
        Resource {
            kind: self.kind,
            name: name.to_owned(),
            connector: self.connector.clone(),
            at: self.at.clone(),
            tags: self.tags.clone(),
            version: self.version.clone(),
            consistency: self.consistency,
            hooks: self.hooks.clone(),
            excludes: self.excludes.clone(),
            components: self.components.clone(),
        }
    }
}

impl From<Resource> for ResourceSpec {
    fn from(resource: Resource) -> Self {
        let Resource { kind, name: _, connector, at, tags, version, consistency, .. } = resource;
        let Resource { hooks, excludes, components, .. } = resource;
        Self {
            kind,
            connector,
            at,
            tags,
            version,
            consistency,
            hooks,
            excludes,
            components,
            agent: None,
            through: None,
            is_protected: true,
        }
    }
}

/// A hook to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrial {
    /// Which of the resource's hooks, counted from 0.
    pub hook: usize,
}

/// What a hook did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// Its exit code; none where it was ended, or could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The last 16 KiB of what it printed.
    pub output: String,
    /// Why it would count as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub seconds: f64,
}

/// A description of resources, as somebody writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReading {
    /// YAML or JSON: the document of docs/resources.md, or one resource.
    #[schema(max_length = 1_048_576)]
    pub text: String,
    /// Id of the tenant in which they are to be; default: that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Id>,
}

/// What a description says, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceReading {
    /// To be created in this order; none where something is wrong.
    pub resources: Vec<ReadResource>,
    pub problems: Vec<ReadProblem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadResource {
    pub name: String,
    pub spec: ResourceSpec,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadProblem {
    /// Both from 1.
    pub line: u64,
    pub column: u64,
    pub what: String,
}
