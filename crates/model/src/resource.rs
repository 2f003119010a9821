//! What can be protected, as its owner describes it: one schema for YAML, JSON, command line and
//! API (docs/resources.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Longest name of a resource, in bytes: it is a component of tree paths and part of the names of
/// what connectors make.
pub const NAME_BYTES: usize = 100;
/// Most resources of one document.
pub const MOST_RESOURCES: usize = 100_000;

/// A document: what `tintype discover` writes and `--resources` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Version of this schema: 1.
    pub version: u32,
    /// Name of the tenant to which they belong: part of their places in a snapshot.
    #[serde(default = "Resources::root", skip_serializing_if = "Resources::is_root")]
    pub tenant: String,
    pub resources: Vec<Resource>,
}

/// Something that can be protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    pub kind: Kind,
    /// Unique in its document: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
    pub name: String,
    /// What speaks to its platform: `files`, `btrfs`, `sqlite`, `postgres`, … An application has
    /// none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub connector: String,
    /// What the connector needs to find it: a path, a socket, a name. See the connector's schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub at: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Which version of the product it holds: text, or a command on this host that prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The least consistency that will do; less fails the item. Default: the best that can be
    /// reached, and what was reached is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Patterns of .gitignore below a volume; names of disks of a machine; databases of a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// Of an application: what belongs to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    Volume,
    Database,
    /// A virtual machine.
    Vm,
    Network,
    /// Settings of a host.
    Settings,
    Application,
    /// The state of a manager: only the manager itself takes it.
    Manager,
    /// All of a tenant: an item of full snapshots that hold nothing of it.
    Tenant,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Volume => "volume",
            Self::Database => "database",
            Self::Vm => "vm",
            Self::Network => "network",
            Self::Settings => "settings",
            Self::Application => "application",
            Self::Manager => "manager",
            Self::Tenant => "tenant",
        })
    }
}

/// How much a copy can be trusted to be of one moment; the later, the better.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Consistency {
    /// Read live.
    None,
    /// One point in time, as after a power failure.
    Crash,
    /// The file system was quiesced.
    Filesystem,
    /// The workload took part.
    Application,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Crash => "crash",
            Self::Filesystem => "filesystem",
            Self::Application => "application",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Version {
    Text(String),
    /// Program and arguments; the first line that it prints is the version.
    Command {
        command: Vec<String>,
    },
}

impl Version {
    /// What is known without asking.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Command { .. } => None,
        }
    }

    pub fn command(&self) -> Option<&[String]> {
        match self {
            Self::Text(_) => None,
            Self::Command { command } => Some(command),
        }
    }
}

/// One part of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Component {
    /// Name of the resource.
    pub resource: String,
    /// Components are restored and started in ascending order; default: as they stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// Those of one group are frozen at one moment; default: all of the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A command at a phase of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hook {
    pub phase: Phase,
    /// Program and arguments; no shell in between.
    pub command: Vec<String>,
    #[serde(default, rename = "where")]
    pub place: HookPlace,
    /// It is killed after this many seconds.
    #[serde(default = "Hook::default_timeout")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: u32,
    #[serde(default)]
    pub on_error: OnError,
}

impl Hook {
    fn default_timeout() -> u32 {
        60
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Phase {
    /// Before anything is frozen.
    PreQuiesce,
    /// As soon as everything is thawed.
    PostThaw,
    /// When all was read, whatever came of it.
    PostRun,
    /// Before a restore changes anything.
    PreRestore,
    /// After what was restored is in its place and started.
    PostRestore,
}

impl Phase {
    /// What ends something that was begun is owed: it runs also when the run is cancelled.
    pub fn is_owed(self) -> bool {
        matches!(self, Self::PostThaw | Self::PostRun)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreQuiesce => "pre-quiesce",
            Self::PostThaw => "post-thaw",
            Self::PostRun => "post-run",
            Self::PreRestore => "pre-restore",
            Self::PostRestore => "post-restore",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HookPlace {
    #[default]
    Host,
    /// In the machine, through its guest agent.
    Guest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnError {
    /// The item fails.
    #[default]
    Fail,
    /// It is told, and the run goes on.
    Continue,
}

/// In a snapshot, beside the components of each application: its description.
pub const APPLICATION_FILE: &str = "app.yaml";

impl Resources {
    pub const VERSION: u32 = 1;

    pub fn new(resources: Vec<Resource>) -> Self {
        Self { version: Self::VERSION, tenant: Self::root(), resources }
    }

    fn root() -> String {
        "system".to_owned()
    }

    fn is_root(tenant: &str) -> bool {
        tenant == "system"
    }

    /// What the schema alone cannot say. Names the resource that is wrong, and how.
    pub fn check(&self) -> Result<()> {
        if self.version != Self::VERSION {
            return Err(Error::unsupported(format!(
                "resources of schema version {}: this program knows version {}",
                self.version,
                Self::VERSION
            )));
        }
        if self.resources.len() > MOST_RESOURCES {
            return Err(Error::invalid(format!("more than {MOST_RESOURCES} resources")));
        }
        check_name(&self.tenant).map_err(|error| error.context("tenant"))?;
        let mut names = BTreeSet::new();
        for resource in &self.resources {
            resource.check()?;
            if !names.insert(&resource.name[..]) {
                return Err(Error::invalid(format!(
                    "two resources have the name {}",
                    resource.name
                )));
            }
        }
        let by_name = self.by_name();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for application in &self.resources {
            for Component { resource, .. } in &application.components {
                let name = &application.name;
                let Some(found) = by_name.get(&resource[..]) else {
                    return Err(Error::invalid(format!(
                        "application {name}: there is no resource {resource}"
                    )));
                };
                if found.kind == Kind::Application {
                    return Err(Error::invalid(format!(
                        "application {name}: its component {resource} is an application; name its \
                         components instead"
                    )));
                }
                if resource == APPLICATION_FILE {
                    return Err(Error::invalid(format!(
                        "application {name}: no component can have the name {resource}: in a \
                         snapshot that is the application's description; give it another name"
                    )));
                }
                if let Some(other) = owners.insert(resource, name) {
                    return Err(Error::invalid(format!(
                        "resource {resource} is a component of {other} and of {name}; it can \
                         belong to one application"
                    )));
                }
            }
        }
        Ok(())
    }

    pub fn by_name(&self) -> BTreeMap<&str, &Resource> {
        self.resources.iter().map(|resource| (&resource.name[..], resource)).collect()
    }

    /// The application that each resource belongs to, if any.
    pub fn owner_of(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.components.iter().any(|c| c.resource == name))
    }

    /// Where in a snapshot's tree the resource lies (docs/resources.md): its parts have paths below.
    pub fn place_of(&self, resource: &Resource) -> String {
        let (tenant, name) = (&self.tenant, &resource.name);
        if let Some(application) = self.owner_of(name) {
            return format!("tenants/{tenant}/apps/{}/{name}", application.name);
        }
        match resource.kind {
            Kind::Volume => format!("tenants/{tenant}/volumes/{name}"),
            Kind::Database => format!("tenants/{tenant}/databases/{name}"),
            Kind::Vm => format!("tenants/{tenant}/vms/{name}"),
            Kind::Network => format!("tenants/{tenant}/networks/{name}"),
            Kind::Settings => format!("settings/{name}"),
            Kind::Application => format!("tenants/{tenant}/apps/{name}"),
            Kind::Manager => "manager".to_owned(),
            Kind::Tenant => format!("tenants/{tenant}"),
        }
    }
}

/// The place that a path of a tree lies in, or that it is: that of a resource, as
/// [`Resources::place_of`] gives it. Empty for what lies in none, like files that were captured by
/// themselves.
pub fn place_in(path: &[u8]) -> &[u8] {
    let mut parts = path.split(|byte| *byte == b'/');
    let depth = match (parts.next(), parts.nth(1)) {
        (Some(b"settings"), _) => 2,
        (Some(b"tenants"), Some(b"apps")) => 5,
        (Some(b"tenants"), _) => 4,
        _ => return b"",
    };
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    match slashes.nth(depth - 1) {
        Some((end, _)) => &path[..end],
        None => path,
    }
}

impl Resource {
    fn check(&self) -> Result<()> {
        check_name(&self.name).map_err(|error| error.context("resource"))?;
        let name = &self.name;
        let wrong = |what: &str| Err(Error::invalid(format!("{} {name}: {what}", self.kind)));
        if self.kind == Kind::Application {
            if self.components.is_empty() {
                return wrong("an application needs components");
            }
            if !self.connector.is_empty() || !self.at.is_empty() {
                return wrong("an application has no connector of its own; its components have");
            }
        } else if !self.components.is_empty() {
            return wrong("only an application has components");
        } else if self.connector.is_empty() {
            return wrong(
                "a connector is missing; `connector: files` is for any directory, and `tintype \
                 discover` writes the one that fits what is there",
            );
        }
        for hook in &self.hooks {
            if hook.command.first().is_none_or(String::is_empty) {
                return wrong("a hook needs a command");
            }
            if hook.place == HookPlace::Guest && self.kind != Kind::Vm {
                return wrong("only the hooks of a machine can run in a guest");
            }
            if !(1..=86_400).contains(&hook.timeout_seconds) {
                return wrong("the timeout of a hook is between 1 and 86400 seconds");
            }
        }
        if let Some(Version::Command { command }) = &self.version
            && command.first().is_none_or(String::is_empty)
        {
            return wrong("the command that prints the version is empty");
        }
        Ok(())
    }
}

/// Of resources, profiles, periods and storages alike.
pub fn check_name(name: &str) -> Result<()> {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    let fits = name.len() <= NAME_BYTES
        && name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || "._-".contains(c));
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "{name:?} is not a name: letters, digits, `.`, `_` and `-`, beginning with a letter or \
             digit, at most {NAME_BYTES}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_path_is_that_of_its_resource() {
        let text = r#"{"resources": [
            {"kind": "volume", "name": "v", "connector": "c"},
            {"kind": "database", "name": "d", "connector": "c"},
            {"kind": "vm", "name": "m", "connector": "c"},
            {"kind": "network", "name": "n", "connector": "c"},
            {"kind": "settings", "name": "s", "connector": "c"},
            {"kind": "volume", "name": "part", "connector": "c"},
            {"kind": "application", "name": "app", "components": [{"resource": "part"}]}
        ]}"#;
        let found: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        let all = serde_json::from_value(found["resources"].clone()).expect("they are resources");
        let resources = Resources::new(all);
        for resource in &resources.resources {
            let place = resources.place_of(resource).into_bytes();
            assert_eq!(place_in(&place), place);
            let below = [&place[..], b"/a/b"].concat();
            let wanted = match resource.kind {
                // Only its parts hold files of hosts.
                Kind::Application => [&place[..], b"/a"].concat(),
                _ => place,
            };
            assert_eq!(place_in(&below), wanted, "{}", resource.name);
        }
        for other in [&b"files/etc/a"[..], b"tintype.json", b"a"] {
            assert_eq!(place_in(other), b"");
        }
        assert_eq!(place_in(b"tenants/system"), b"tenants/system");
    }
}
