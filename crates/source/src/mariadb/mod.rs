//! MariaDB (and MySQL as far as its own programs fit): each database by `mariadb-dump`, all from
//! one moment. The programs of the server speak its protocol with all of its ways to log in.

mod accounts;
mod capture;
mod checks;
mod discover;
mod programs;
mod relocate;
mod restore;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::Result;
use tintype_model::resource::Resource;

use crate::connector::{CapturePlan, Connector, Context, Discovered, Source, Target};
use crate::host::at;

pub(crate) struct MariaDb;

/// Where a server is, and what is captured of it.
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
    /// It needs SELECT, SHOW VIEW, TRIGGER, EVENT and RELOAD on all that is captured.
    #[serde(default = "At::default_user")]
    user: String,
    /// File whose first line is the password; only its owner may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// None means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    databases: Vec<String>,
    /// Directory of the server's programs, if they are not in `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    programs: Option<PathBuf>,
}

impl At {
    fn default_host() -> String {
        "localhost".to_owned()
    }

    fn default_port() -> u16 {
        3306
    }

    fn default_user() -> String {
        "root".to_owned()
    }

    /// Whether its files may be on this host.
    fn is_here(&self) -> bool {
        self.socket.is_some() || at::is_this_host(&self.host)
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
    databases: Vec<DatabaseFacts>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct DatabaseFacts {
    name: String,
    /// Path of its dump.
    at: String,
    /// Views among them.
    tables: u64,
    /// About, as the server counts.
    bytes: u64,
    character_set: String,
    collation: String,
}

/// How long a program may work on all of a database, and say what it can.
const MOST: Duration = Duration::from_hours(72);
const HELP: Duration = Duration::from_mins(1);

/// Accounts and their rights.
const USERS: &str = "users.sql";

impl Connector for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
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
        Ok(Box::new(capture::MariaDbSource::new(resource, at::of(resource)?, context)))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(restore::MariaDbTarget::new(context)))
    }
}
