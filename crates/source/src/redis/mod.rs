//! Redis (and what speaks like it): all of its data at one moment, over its own socket, as a
//! replica gets it. No access to its files is needed.

mod capture;
mod client;
mod discover;
mod rdb;
mod restore;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::Result;
use tintype_model::resource::Resource;

use crate::connector::{CapturePlan, Connector, Context, Discovered, Source, Target};
use crate::host::at;

pub(crate) struct Redis;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Path of its Unix socket; else `host` and `port` are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    socket: Option<PathBuf>,
    #[serde(default = "At::default_host")]
    host: String,
    #[serde(default = "At::default_port")]
    port: u16,
    /// A user of its access lists that may `PSYNC`, `REPLCONF`, `INFO` and `CONFIG GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// File whose first line is the password; only its owner may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// Where it is restored to; default: where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_directory: Option<PathBuf>,
}

impl At {
    fn default_host() -> String {
        "localhost".to_owned()
    }

    fn default_port() -> u16 {
        6379
    }

    fn shown(&self) -> String {
        match &self.socket {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

/// What a restore must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Facts {
    version: String,
    bytes: u64,
    directory: PathBuf,
    dump_file: String,
    /// Whether it reads its append-only file when it starts, and ignores the dump.
    append_only: bool,
    append_directory: Option<String>,
    append_file: String,
}

/// The one part.
const STORED: &str = "dump.rdb";

impl Connector for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(At).to_value()
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(discover::discover())
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        at::of::<At>(resource).map(drop)
    }

    fn reach(&self, resource: &Resource, context: &Context) -> Result<CapturePlan> {
        self.source(resource, context)?.plan()
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(capture::RedisSource::new(&resource.name, at::of(resource)?, context)))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(restore::RedisTarget::new(context)))
    }
}
