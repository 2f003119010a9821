//! Parts of an item as plain files in a directory, for whoever wants to look at them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tintype_model::entry::{Kind, is_valid_path};
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::{Error, Result};

use super::space;
use crate::connector::{Stored, TargetPlan};

const PATH_BYTES: usize = 4096;

/// What the one step does; connectors hold it in their own actions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plain {
    to: PathBuf,
}

impl Plain {
    pub(crate) fn plan(
        to: &Path,
        bytes: u64,
        action: impl FnOnce(Self) -> serde_json::Value,
    ) -> TargetPlan {
        let taken = to.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        let shown = to.display();
        let place = if taken {
            Check::block("place", format!("{shown} is not empty"), "choose an empty directory")
        } else {
            Check::pass("place", format!("{shown} is free"))
        };
        let action = action(Self { to: to.to_owned() });
        let step =
            Step { stage: Stage::Stage, text: format!("write its parts to {shown}"), action };
        TargetPlan {
            checks: vec![place, space::check(to, bytes)],
            steps: vec![step],
            ..TargetPlan::default()
        }
    }

    pub(crate) fn apply(&self, stored: &dyn Stored) -> Result<()> {
        self.write(b"", stored)
    }

    fn write(&self, at: &[u8], stored: &dyn Stored) -> Result<()> {
        let directory = self.place(at)?;
        std::fs::create_dir_all(&directory)
            .map_err(|error| Error::io(error, directory.display()))?;
        for entry in stored.list(at)?.into_iter().filter(|entry| entry.at != at) {
            if entry.node.kind == Kind::Directory {
                self.write(&entry.at, stored)?;
                continue;
            }
            let path = self.place(&entry.at)?;
            let failed = |error| Error::io(error, path.display());
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&path).map_err(failed)?;
            stored.read(&entry.at, &mut |read| {
                std::io::copy(read, &mut file).map(drop).map_err(failed)
            })?;
        }
        Ok(())
    }

    fn place(&self, at: &[u8]) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStrExt as _;
        if !at.is_empty() && !is_valid_path(at, PATH_BYTES) {
            return Err(Error::corrupt("a path of a snapshot leads out of it"));
        }
        Ok(self.to.join(std::ffi::OsStr::from_bytes(at)))
    }

    /// It was empty or not there before.
    pub(crate) fn undo(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.to.display()))
            }
            _ => Ok(()),
        }
    }
}
