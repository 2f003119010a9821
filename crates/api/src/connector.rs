//! Connectors: what reaches a server of databases or machines, and the password for it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::identifier::Id;
use tintype_model::resource::Resource;
use utoipa::ToSchema;

/// Of a description: the file in which the password stands.
pub const PASSWORD_FILE: &str = "password_file";

/// Resources name it (`through`) in place of saying this themselves.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorSpec {
    /// What it speaks: `postgres`, `mariadb`, `redis`, `libvirt`.
    #[schema(min_length = 1, max_length = 100)]
    pub connector: String,
    /// Where the server is and as whom it is spoken to: fields of `at` of docs/resources.md, which
    /// those of a resource do not change.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub at: Map<String, Value>,
    /// Id of the agent from whose host it is reached; none: from the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Id>,
    /// Written and never shown. Left out of a change: the one that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 1, max_length = 4096)]
    pub password: Option<String>,
    /// Whether there is one; a change to `false` forgets it.
    #[serde(default)]
    pub has_password: bool,
}

impl std::fmt::Debug for ConnectorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connector, at, agent, password: _, has_password } = self;
        f.debug_struct("ConnectorSpec")
            .field("connector", connector)
            .field("at", at)
            .field("agent", agent)
            .field("has_password", has_password)
            .finish()
    }
}

impl ConnectorSpec {
    /// A resource that goes through it, as it is captured. `password`: what stands in its
    /// `password_file` for this connector's.
    #[must_use]
    pub fn completes(&self, mut resource: Resource, password: &str) -> Resource {
        resource.at.extend(self.at.clone());
        if self.has_password {
            resource.at.insert(PASSWORD_FILE.to_owned(), password.into());
        }
        resource
    }

    /// Whether its password may be told for that: it goes to the place that the connector names, and
    /// to no other, whatever a description says that came out of a snapshot.
    pub fn is_for(&self, resource: &Resource) -> bool {
        let is_same = |(name, value): (&String, &Value)| resource.at.get(name) == Some(value);
        self.connector == resource.connector && self.at.iter().all(is_same)
    }
}

/// What a connector found when it was tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tried {
    /// The consistency that a capture through it would reach.
    pub reaches: String,
    /// Why not more, and what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_more: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(at: &Value) -> Resource {
        let text = json!({ "kind": "database", "name": "db", "connector": "postgres", "at": at });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_password_goes_where_its_connector_says_and_nowhere_else() {
        let at = json!({ "host": "db.example.com", "port": 5432 });
        let connector = ConnectorSpec {
            connector: "postgres".into(),
            at: at.as_object().unwrap().clone(),
            agent: None,
            password: Some("canary".into()),
            has_password: true,
        };
        assert!(!format!("{connector:?}").contains("canary"));
        let whole = connector.completes(resource(&json!({ "host": "x", "mode": "logical" })), "p");
        let is_whole = json!({
            "host": "db.example.com", "mode": "logical", "password_file": "p", "port": 5432,
        });
        assert_eq!(Value::Object(whole.at.clone()), is_whole);
        assert!(connector.is_for(&whole));
        for (name, value) in [("host", json!("evil")), ("port", json!(1))] {
            let mut other = whole.clone();
            other.at.insert(name.to_owned(), value);
            assert!(!connector.is_for(&other), "{name}");
        }
        assert!(!connector.is_for(&Resource { connector: "redis".into(), ..whole.clone() }));
        assert!(!connector.is_for(&resource(&json!({}))));
    }
}
