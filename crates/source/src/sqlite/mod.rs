//! SQLite: one file, copied while its application works, by SQLite's own online backup.

mod capture;
mod copy;
mod file;
mod restore;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::Result;
use tintype_model::resource::{Consistency, Resource};

use crate::connector::{Connector, Context, Discovered, Source, Target};
use crate::host::{at, processes};

pub(crate) struct Sqlite;

/// Where the database is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Absolute path of the database file.
    path: PathBuf,
}

/// What a restore must know.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    /// Where it was.
    path: PathBuf,
    bytes: u64,
    tables: u64,
    wal: bool,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// The one part.
const STORED: &str = "database.sqlite";

impl Connector for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(At).to_value()
    }

    /// Databases that a process has open; others are known by nothing but their content.
    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        let mut paths: Vec<PathBuf> = processes::all().iter().flat_map(file::open_in).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(paths.into_iter().filter_map(|path| discovered(&path)).collect())
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        at::of::<At>(resource).map(drop)
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let At { path } = at::of(resource)?;
        Ok(Box::new(capture::SqliteSource::new(&resource.name, path, context)?))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(restore::SqliteTarget::new(context)))
    }
}

fn discovered(path: &Path) -> Option<Discovered> {
    let at = json!({ "path": path.to_str()? }).as_object()?.clone();
    let resource = at::found(at::name_from("sqlite", path), "sqlite", at);
    Some(Discovered { resource, reaches: Consistency::Application, why_not_more: None })
}
