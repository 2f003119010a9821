//! A file that is replaced: it stays beside until the end of a restore, and longer if it changed after
//! the undo point.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::{Error, Result};

use super::moment;
use super::moves::rename;
use crate::connector::KEPT;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// It, and what belongs to it alone, like journals of a database: where it is until the end,
    /// and where from then on if it changed.
    pub(crate) files: Vec<(PathBuf, PathBuf)>,
    /// See [`moment`].
    pub(crate) moment: PathBuf,
}

impl Replaced {
    /// Removes it; gives where it stays if it changed after the undo point. A second time the same.
    fn remove(&self) -> Result<Option<String>> {
        let moment = moment::noted(&self.moment)?;
        let stays = self.files.iter().any(|(old, kept)| {
            let is_later = |moment: moment::Moment| {
                old.symlink_metadata().is_ok_and(|found| moment.is_before_write(&found))
            };
            kept.symlink_metadata().is_ok() || moment.is_some_and(is_later)
        });
        for (old, kept) in self.files.iter().filter(|(old, _)| old.symlink_metadata().is_ok()) {
            if stays { rename(old, kept)? } else { moment::forget(old)? }
        }
        moment::forget(&self.moment)?;
        let kept = self.files.first().filter(|_| stays);
        Ok(kept.map(|(_, kept)| kept.display().to_string()))
    }

    /// An error if it is over: nothing can be taken back.
    pub(crate) fn is_there(&self) -> Result<()> {
        match self.files.first().filter(|(old, _)| !old.exists()) {
            None => Ok(()),
            Some((old, _)) => Err(Error::not_found(format!(
                "{} is removed: the restore is done and cannot be taken back",
                old.display()
            ))),
        }
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
