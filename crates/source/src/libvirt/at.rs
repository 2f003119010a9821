//! What `at:` says of a machine or a network of libvirt.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::{Error, Result};

use crate::qemu::at::{DiskAt, check_disks};

/// Where a machine or network of libvirt is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    /// Name of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Name of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Default: `qemu:///system`.
    #[serde(default = "At::system", skip_serializing_if = "At::is_system")]
    pub uri: String,
    /// The guest's freeze hooks make its applications consistent. Nobody else can know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub application_hooks: bool,
    /// Disks by name, for a machine that is not defined.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<String, DiskAt>,
    /// While it is off, `disks` are read whatever its definition names: what a restore replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named_disks: bool,
}

impl At {
    fn system() -> String {
        "qemu:///system".to_owned()
    }

    fn is_system(uri: &String) -> bool {
        *uri == Self::system()
    }

    pub(crate) fn parse(at: &Map<String, Value>) -> Result<Self> {
        let at: Self = serde_json::from_value(Value::Object(at.clone()))
            .map_err(|error| Error::invalid(format!("`at` of connector libvirt: {error}")))?;
        for name in at.domain.iter().chain(&at.network).chain([&at.uri]) {
            let bad = |c: char| c.is_control() || "'\\/".contains(c) && *name != at.uri;
            if name.is_empty() || name.starts_with('-') || name.contains(bad) {
                return Err(Error::invalid(format!("{name:?}: no name of libvirt")));
            }
        }
        check_disks(&at.disks)?;
        Ok(at)
    }

    /// Of a machine.
    pub(crate) fn domain(&self) -> Result<&str> {
        let missing = || Error::invalid("`at` of a machine of libvirt needs `domain`, its name");
        self.domain.as_deref().ok_or_else(missing)
    }

    /// Of a network.
    pub(crate) fn network(&self) -> Result<&str> {
        let missing = || Error::invalid("`at` of a network of libvirt needs `network`, its name");
        self.network.as_deref().ok_or_else(missing)
    }

    pub(crate) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}
