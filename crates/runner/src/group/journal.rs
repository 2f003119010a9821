//! What a restore has done so far, on disk before and after each step: an interrupted one goes on
//! where it stopped, or goes back.

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::plan::Stage;
use tintype_model::{Error, Result};

use super::restore::GroupPlan;

/// A longer journal is not one of ours.
const JOURNAL_BYTES: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    pub format: u32,
    pub plan: GroupPlan,
    /// The snapshot that holds what is replaced.
    pub undo_point: Option<String>,
    /// Steps that were begun, in the order in which they were: item, number of the step, and what
    /// it gave; `None` while it is not done.
    pub begun: Vec<(usize, usize, Option<Value>)>,
    #[serde(skip)]
    file: PathBuf,
}

impl Journal {
    pub(super) const FORMAT: u32 = 1;

    pub(super) fn new(file: PathBuf, plan: GroupPlan) -> Self {
        Self { format: Self::FORMAT, plan, undo_point: None, begun: Vec::new(), file }
    }

    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        let found = match std::fs::metadata(file) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(error, file.display())),
        };
        if found.len() > JOURNAL_BYTES {
            return Err(Error::invalid(format!("{} is no journal", file.display())));
        }
        let bytes = std::fs::read(file).map_err(|error| Error::io(error, file.display()))?;
        let mut journal: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt(format!("{}: the journal of a restore: {error}", file.display()))
        })?;
        if journal.format != Self::FORMAT {
            let format = journal.format;
            return Err(Error::unsupported(format!("{}: format {format}", file.display())));
        }
        let fits = |(item, step, _): &(usize, usize, _)| {
            journal.plan.items.get(*item).is_some_and(|item| *step < item.plan.steps.len())
        };
        if !journal.begun.iter().all(fits) {
            return Err(Error::corrupt(format!("{}: names steps that are not", file.display())));
        }
        file.clone_into(&mut journal.file);
        Ok(Some(journal))
    }

    /// Written whole beside itself, then renamed; on the disk when this returns.
    pub(super) fn write(&self) -> Result<()> {
        let failed = |error| Error::io(error, self.file.display());
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let beside = self.file.with_extension("new");
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&beside, &self.file).map_err(failed)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    pub(super) fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.file.display()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_done(&self, item: usize, step: usize) -> bool {
        self.begun.iter().any(|(i, s, done)| (*i, *s) == (item, step) && done.is_some())
    }

    /// Whether something of what was replaced may be gone.
    pub(super) fn is_beyond_return(&self) -> bool {
        let stage = |item: usize, step: usize| self.plan.items[item].plan.steps[step].stage;
        self.begun.iter().any(|(item, step, _)| stage(*item, *step) == Stage::Clean)
    }
}
