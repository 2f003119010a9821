//! The manager's state as a file, of one moment.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::json;
use tintype_api::snapshot::Excluded;
use tintype_model::{Error, Result};
use tintype_runner::vault::DataKey;

use super::copy;
use super::tables::{Choice, SECRET, TABLES};
use super::{FORMAT, STATE_FILE, seal_of};
use crate::catalog::VERSION;
use crate::catalog::rows::{Row, Table};
use crate::seal::MasterKey;
use crate::state::State;

/// Runs that ended longer ago do not go with the state.
const RUNS: SignedDuration = SignedDuration::from_hours(24 * 31);

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

/// What is to be written.
pub struct Wanted<'w> {
    /// Of the run that asks.
    pub name: &'w str,
    /// Key of the repository in which it will lie.
    pub repository: &'w DataKey,
    pub excluded: &'w BTreeSet<Excluded>,
    /// Of a copy of the catalog that was made before, not of the catalog.
    pub copy: Option<&'w str>,
}

/// Writes the state.
pub async fn export(state: &State, wanted: &Wanted<'_>) -> Result<Exported> {
    let directory = state.host.scratch.join(format!("manager-state-{}", wanted.name));
    let shown = directory.display();
    // Left by a run that was interrupted.
    let _ = std::fs::remove_dir_all(&directory);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|error| Error::io(error, &shown))?;
    let exported = Exported { directory: directory.clone() };
    let file = directory.join(STATE_FILE);
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    let out = std::io::BufWriter::new(open.map_err(|error| Error::io(error, &shown))?);
    let since = (state.now() - RUNS).as_millisecond();
    let seal = seal_of(wanted.repository);
    let choice = Choice::new(wanted.excluded, since);
    let mut writing = Writing { state, out, seal, choice, file };
    match wanted.copy {
        None => writing.catalog().await?,
        Some(name) => writing.copy(name)?,
    }
    writing.out.flush().map_err(|error| Error::io(error, writing.file.display()))?;
    Ok(exported)
}

struct Writing<'w> {
    state: &'w State,
    out: std::io::BufWriter<std::fs::File>,
    seal: MasterKey,
    choice: Choice<'w>,
    file: PathBuf,
}

impl Writing<'_> {
    async fn catalog(&mut self) -> Result<()> {
        self.head(VERSION, env!("CARGO_PKG_VERSION"), &self.state.now().to_string())?;
        let mut moment = self.state.catalog.moment().await?;
        for name in TABLES {
            if let Some(table) = Table::of(&mut moment, name).await? {
                table.each(&mut moment, &mut |row| self.row(name, row)).await?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, name: &str) -> Result<()> {
        let copy = copy::find(&self.state.data, name)?;
        self.head(copy.head.version, &copy.head.program, &copy.head.time.to_string())?;
        copy.each(&mut |table, row| self.row(table, row))
    }

    fn head(&mut self, version: i64, program: &str, time: &str) -> Result<()> {
        let head = json!({
            "tintype": FORMAT, "version": version, "program": program,
            "installation": self.state.installation, "system": self.state.system, "time": time,
            "excluded": self.choice.excluded,
        });
        writeln!(self.out, "{head}").map_err(|error| Error::io(error, self.file.display()))
    }

    fn row(&mut self, table: &str, mut row: Row) -> Result<()> {
        if !self.choice.takes(table, &row) {
            return Ok(());
        }
        if table == SECRET {
            let bound = bound(&row);
            let sealed = row["sealed"].as_str().unwrap_or_default();
            let secret = self.state.key.open(&bound, sealed)?;
            let sealed = self.seal.seal(&bound, &secret, &*self.state.random);
            row.insert("sealed".into(), sealed.into());
        }
        let line = json!({ "table": table, "row": row });
        writeln!(self.out, "{line}").map_err(|error| Error::io(error, self.file.display()))
    }
}

/// What a seal binds a secret to; see [`crate::catalog::secrets`].
pub(super) fn bound(row: &Row) -> String {
    let text = |name: &str| row.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("{} {} {}", text("owner_kind"), text("owner"), text("name"))
}
