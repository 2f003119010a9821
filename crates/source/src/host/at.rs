//! `at:` of a resource, read as what its connector needs.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tintype_model::resource::{Kind, NAME_BYTES, Resource};
use tintype_model::{Error, Result};

pub(crate) fn of<T: DeserializeOwned>(resource: &Resource) -> Result<T> {
    from_map(&resource.name, &resource.at)
}

/// `Invalid` says which resource, and what of it is wrong.
pub(crate) fn from_map<T: DeserializeOwned>(name: &str, at: &Map<String, Value>) -> Result<T> {
    let value = Value::Object(at.clone());
    serde_json::from_value(value).map_err(|error| Error::invalid(format!("{name}: at: {error}")))
}

/// Whether a server at this address may have its files here.
pub(crate) fn is_this_host(host: &str) -> bool {
    host.starts_with('/') || ["localhost", "127.0.0.1", "::1"].contains(&host)
}

/// A name for what was found at a path: `sqlite-srv-app-data.db`.
pub(crate) fn name_from(prefix: &str, path: &Path) -> String {
    let mut name = prefix.to_owned();
    for part in path.to_string_lossy().split('/').filter(|part| !part.is_empty()) {
        name.push('-');
        name.extend(
            part.chars()
                .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }),
        );
    }
    name.truncate(NAME_BYTES);
    name
}

/// A database that was found on this host.
pub(crate) fn found(name: String, connector: &str, at: Map<String, Value>) -> Resource {
    Resource {
        kind: Kind::Database,
        name,
        connector: connector.to_owned(),
        at,
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}
