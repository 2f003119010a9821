//! PostgreSQL: a whole cluster by the replication protocol, or single databases by `pg_dump`.

mod basebackup;
mod client;
mod cluster;
mod configuration;
mod discover;
mod included;
mod logical;
mod lsn;
mod physical;
mod place;
mod programs;
mod properties;
mod reader;
mod restore;
mod restore_logical;
mod roles;
mod scram;
mod stopped;
mod timeline;
mod tls;
mod unpack;
mod wal;
mod watch;
mod wire;
mod written;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use crate::connector::{CapturePlan, Connector, Context, Discovered, Source, Target};
use crate::host::at;

pub(crate) struct Postgres;

/// Where a server is, and what is captured of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Directory of the server's socket, or its address.
    #[serde(default = "At::default_host")]
    host: String,
    #[serde(default = "At::default_port")]
    port: u16,
    /// `physical` needs a superuser, or one with REPLICATION that may execute
    /// `pg_create_restore_point` and `pg_switch_wal`.
    #[serde(default = "At::default_user")]
    user: String,
    /// File whose first line is the password; only its owner may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    #[serde(default)]
    sslmode: tls::SslMode,
    /// File (PEM) with the certificate of an authority that is trusted, or of the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sslrootcert: Option<PathBuf>,
    #[serde(default)]
    mode: Mode,
    /// With `mode: logical`, these databases; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    databases: Vec<String>,
    /// Where a cluster is restored to; default: where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_directory: Option<PathBuf>,
    /// Directory of the server's programs (`pg_ctl`, `pg_dump`), if they are not where packages
    /// put them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    programs: Option<PathBuf>,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// All of the cluster, as files and log.
    #[default]
    Physical,
    /// Each database as a dump, restorable alone and into another major version.
    Logical,
    /// The files of a cluster in `data_directory` that does not run: a restore captures so what it
    /// replaces.
    Files,
}

impl At {
    fn default_host() -> String {
        "/var/run/postgresql".to_owned()
    }

    fn default_port() -> u16 {
        5432
    }

    fn default_user() -> String {
        "postgres".to_owned()
    }

    fn of(resource: &Resource) -> Result<Self> {
        at::of(resource)
    }
}

/// What a restore must know, by the mode of the capture.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
enum Facts {
    Physical(Box<cluster::ClusterFacts>),
    Logical(logical::LogicalFacts),
}

impl Facts {
    fn of(item: &tintype_model::item::Item) -> Result<Self> {
        serde_json::from_value(item.facts.clone())
            .map_err(|error| Error::corrupt(format!("{}: facts: {error}", item.name)))
    }
}

impl Connector for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(At).to_value()
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(discover::discover())
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        At::of(resource).map(drop)
    }

    fn reach(&self, resource: &Resource, context: &Context) -> Result<CapturePlan> {
        self.source(resource, context)?.plan()
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let at = At::of(resource)?;
        Ok(match at.mode {
            Mode::Physical => Box::new(physical::PhysicalSource::new(&resource.name, at, context)),
            Mode::Logical => Box::new(logical::LogicalSource::new(resource, at, context)),
            Mode::Files => Box::new(stopped::StoppedSource::new(&resource.name, at, context)?),
        })
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(restore::PostgresTarget::new(context)))
    }

    fn clean(
        &self,
        resources: &[&Resource],
        context: &Context,
        removed: &mut Vec<String>,
    ) -> Result<()> {
        for resource in resources.iter().filter(|resource| resource.connector == self.name()) {
            // A server that does not answer has nothing that could be removed.
            if let Ok(slots) = physical::clean_slots(resource, context) {
                removed.extend(slots);
            }
        }
        Ok(())
    }
}
