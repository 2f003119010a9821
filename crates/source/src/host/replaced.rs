//! What a switch takes away: what stood there, and, when it is taken back, what was restored. It waits
//! beside until the end and goes then, but for what changed after a [`moment`]: that is in no snapshot,
//! gets a name under which it stays, and is told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::{Error, Result};

use super::moment;
use super::moves::{rename, sync_directory};
use crate::connector::KEPT;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// It, and what belongs to it alone, like journals of a database, files or directories: where it
    /// is until the end, and where from then on if it changed.
    pub(crate) files: Vec<(PathBuf, PathBuf)>,
    /// See [`moment`].
    pub(crate) moment: PathBuf,
}

impl Replaced {
    pub(crate) fn watch(&self) -> Result<()> {
        moment::note(&self.moment)
    }

    /// Whether it changed after the moment.
    pub(crate) fn is_changed(&self) -> Result<bool> {
        let moment = moment::noted(&self.moment)?;
        Ok(self.files.iter().any(|(old, kept)| {
            let is_later = moment.is_some_and(|moment| moment.is_before_any(old));
            exists(kept) || (is_later && !is_hollow(old))
        }))
    }

    /// From now on it has the name under which it stays; what a step gives that did so.
    pub(crate) fn keep(&self) -> Result<Value> {
        let left = self.files.iter().filter(|(old, kept)| exists(old) && !exists(kept));
        for (old, kept) in left {
            if let Some(parent) = kept.parent() {
                std::fs::create_dir_all(parent).map_err(|e| Error::io(e, parent.display()))?;
            }
            rename(old, kept)?;
        }
        moment::forget(&self.moment)?;
        let kept: Vec<String> = self.kept().map(|path| path.display().to_string()).collect();
        Ok(json!({ KEPT: kept.join(", ") }))
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(_, kept)| &**kept).filter(|kept| exists(kept))
    }

    /// Removes it, or keeps what changed. A second time the same.
    fn remove(&self) -> Result<Option<String>> {
        if self.is_changed()? {
            return Ok(self.keep()?[KEPT].as_str().map(str::to_owned));
        }
        for (old, _) in &self.files {
            remove(old)?;
        }
        moment::forget(&self.moment)?;
        Ok(None)
    }

    /// What was restored is back where it was staged, and goes with that, or stays if it was written
    /// to since the moment of the switch. A second time the same.
    pub(crate) fn take_back(&self) -> Result<Value> {
        if self.is_changed()? {
            return self.keep();
        }
        moment::forget(&self.moment).map(|()| Value::Null)
    }

    /// An error if it is over: nothing can be taken back.
    pub(crate) fn is_there(&self) -> Result<()> {
        match self.files.first() {
            _ if self.files.iter().any(|(old, _)| exists(old)) => Ok(()),
            None => Ok(()),
            Some((old, _)) => Err(Error::not_found(format!(
                "{} is removed: the restore is done and cannot be taken back",
                old.display()
            ))),
        }
    }
}

/// What SQLite makes beside a database that is opened to be read alone.
fn is_hollow(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let is_empty = || path.symlink_metadata().is_ok_and(|found| found.len() == 0);
    name.ends_with("-shm") || (name.ends_with("-wal") && is_empty())
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// A file, or a directory with all in it; what is not there is removed already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(error, path.display()))
        }
        Err(_) => Ok(()),
        Ok(()) => path.parent().map_or(Ok(()), sync_directory),
    }
}

/// Removes all of these at the end of a restore; what the step gives.
pub(crate) fn remove_all(replaced: &[Replaced]) -> Result<Value> {
    let mut kept = Vec::new();
    for one in replaced {
        kept.extend(one.remove()?);
    }
    Ok(if kept.is_empty() { Value::Null } else { json!({ KEPT: kept.join(", ") }) })
}
