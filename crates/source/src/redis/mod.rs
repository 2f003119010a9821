//! Redis (and what speaks like it): all of its data at one moment, over its own socket, as a
//! replica gets it. No access to its files is needed.

mod capture;
mod client;
mod discover;
mod rdb;
mod restore;
mod stopped;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

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
    /// Of a server that does not run: the files that it reads in `data_directory`, which are
    /// captured then. A restore says so of what it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<Names>,
}

/// Names of files in a data directory, as the server's configuration has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Names {
    /// `dbfilename`.
    dump_file: String,
    /// Whether it reads its append-only file when it starts, and ignores the dump.
    append_only: bool,
    /// `appenddirname`, of servers that have one.
    append_directory: Option<String>,
    /// `appendfilename`.
    append_file: String,
}

impl Names {
    /// What the server reads.
    fn own(&self) -> &str {
        match (&self.append_directory, self.append_only) {
            (_, false) => &self.dump_file,
            (Some(parts), true) => parts,
            (None, true) => &self.append_file,
        }
    }

    /// All that it might read, `first` before the others.
    fn all<'n>(&'n self, first: &'n str) -> Vec<&'n str> {
        let all = [Some(&self.dump_file), Some(&self.append_file), self.append_directory.as_ref()];
        let others = all.into_iter().flatten().map(|name| &name[..]).filter(|name| *name != first);
        std::iter::once(first).chain(others).collect()
    }
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
    #[serde(flatten)]
    names: Names,
    /// Captured when it was stopped: what was there of its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<Vec<String>>,
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
        let at: At = at::of(resource)?;
        Ok(match &at.stopped {
            Some(names) => {
                let directory = at.data_directory.clone().ok_or_else(|| {
                    Error::invalid(format!("{}: `stopped` needs a data_directory", resource.name))
                })?;
                Box::new(stopped::StoppedSource::new(&resource.name, directory, names.clone()))
            }
            None => Box::new(capture::RedisSource::new(&resource.name, at, context)),
        })
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(restore::RedisTarget::new(context)))
    }
}
