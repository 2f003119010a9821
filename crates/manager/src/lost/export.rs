//! The manager's state as a file, of one moment.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sqlx::any::AnyRow;
use tintype_model::{Error, Result};
use tintype_runner::vault::DataKey;

use super::tables::{Column, SECRET, TABLES, Table};
use super::{FORMAT, STATE_FILE, seal_of};
use crate::catalog::{VERSION, column, failed};
use crate::seal::MasterKey;
use crate::state::State;

/// A directory that only the manager reads, removed when this is dropped.
pub struct Exported {
    pub directory: PathBuf,
}

impl Drop for Exported {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, "the manager's exported state could not be removed");
        }
    }
}

/// Writes the state for a snapshot in the repository of that key.
pub async fn export(state: &State, name: &str, repository: &DataKey) -> Result<Exported> {
    let directory = state.host.scratch.join(format!("manager-state-{name}"));
    let shown = directory.display();
    // Left by a run that was interrupted.
    let _ = std::fs::remove_dir_all(&directory);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|error| Error::io(error, &shown))?;
    let exported = Exported { directory: directory.clone() };
    let file = directory.join(STATE_FILE);
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    let mut out = std::io::BufWriter::new(open.map_err(|error| Error::io(error, &shown))?);
    write(state, &mut out, repository, &file).await?;
    out.flush().map_err(|error| Error::io(error, file.display()))?;
    Ok(exported)
}

async fn write(
    state: &State,
    out: &mut impl std::io::Write,
    repository: &DataKey,
    file: &Path,
) -> Result<()> {
    let io = |error| Error::io(error, file.display());
    let head = json!({
        "tintype": FORMAT, "version": VERSION, "program": env!("CARGO_PKG_VERSION"),
        "installation": state.installation, "system": state.system, "time": state.now(),
    });
    writeln!(out, "{head}").map_err(io)?;
    let seal = seal_of(repository);
    let mut moment = state.catalog.moment().await?;
    for table in TABLES {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name()).collect();
        let query = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {}",
            columns.join(", "),
            table.name,
            table.which,
            table.order
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut *moment).await;
        for row in rows.map_err(|error| failed("reading all of it", error))? {
            let row = values(table, &row, &state.key, &seal, state)?;
            writeln!(out, "{}", json!({ "table": table.name, "row": row })).map_err(io)?;
        }
    }
    Ok(())
}

fn values(
    table: &Table,
    row: &AnyRow,
    own: &MasterKey,
    seal: &MasterKey,
    state: &State,
) -> Result<Value> {
    let mut values = Map::new();
    for of in table.columns {
        let value = match *of {
            Column::Text(name) => Value::from(column::<String>(row, name)?),
            Column::Number(name) => Value::from(column::<i64>(row, name)?),
            Column::MaybeNumber(name) => Value::from(column::<Option<i64>>(row, name)?),
        };
        values.insert(of.name().to_owned(), value);
    }
    if table.name == SECRET {
        let bound = bound(&values);
        let sealed = values["sealed"].as_str().unwrap_or_default();
        let secret = own.open(&bound, sealed)?;
        values.insert("sealed".into(), seal.seal(&bound, &secret, &*state.random).into());
    }
    Ok(Value::Object(values))
}

/// What a seal binds a secret to; see [`crate::catalog::secrets`].
pub(super) fn bound(row: &Map<String, Value>) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{} {} {}", text("owner_kind"), text("owner"), text("name"))
}
