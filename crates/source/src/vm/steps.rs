//! Steps of a restore that machines of every kind share: files written beside, put in their place
//! and taken back.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::plan::Stage;
use tintype_model::{Error, Result};

use super::disk_file;
use super::place::{place, take_back};
use crate::connector::{Context, Stored};
use crate::host::moment;
use crate::host::replaced::{Replaced, remove_all};

/// Firmware variables and definitions are small.
const OBJECT_BYTES: u64 = 256 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub(crate) enum FileStep {
    MakeDirectory {
        path: PathBuf,
    },
    /// A stored image as a disk of a format.
    WriteDisk {
        at: String,
        file: PathBuf,
        format: String,
        size_bytes: u64,
    },
    /// A stored object as a file.
    WriteObject {
        at: String,
        file: PathBuf,
    },
    WriteText {
        file: PathBuf,
        text: String,
        executable: bool,
    },
    /// What was written takes its place; what was there is kept. `written`: what takes its place, of
    /// which the moment is noted right before.
    Place {
        new: PathBuf,
        file: PathBuf,
        old: Option<PathBuf>,
        written: Replaced,
    },
    /// What took its place is a disk of its format and size.
    LookAtDisk {
        file: PathBuf,
        format: String,
        size_bytes: u64,
    },
    /// Right before the undo point.
    Watch {
        replaced: Vec<Replaced>,
    },
    /// What was replaced, at last; but for what changed after the undo point. There is no way back
    /// from what was `written`.
    Remove {
        replaced: Vec<Replaced>,
        written: Vec<Replaced>,
    },
}

impl FileStep {
    /// What it makes that stays.
    pub(crate) fn place(&self) -> Option<&Path> {
        match self {
            Self::WriteDisk { file, .. }
            | Self::WriteObject { file, .. }
            | Self::WriteText { file, .. }
            | Self::Place { file, .. } => Some(file),
            Self::MakeDirectory { .. }
            | Self::LookAtDisk { .. }
            | Self::Watch { .. }
            | Self::Remove { .. } => None,
        }
    }
}

/// Name of a file beside another, of a run.
pub(crate) fn beside(file: &Path, what: &str, context: &Context) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{}-{what}-{name}", context.label()))
}

impl FileStep {
    pub(crate) fn apply(&self, stored: &dyn Stored, context: &Context) -> Result<Value> {
        let done = match self {
            Self::MakeDirectory { path } => match std::fs::create_dir(path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                result => result.map_err(|error| Error::io(error, path.display())),
            },
            Self::WriteDisk { at, file, format, size_bytes } => {
                disk_file::write(stored, at.as_bytes(), file, format, *size_bytes, context)
            }
            Self::WriteObject { at, file } => {
                write_file(file, &stored.object(at.as_bytes(), OBJECT_BYTES)?, false)
            }
            Self::WriteText { file, text, executable } => {
                write_file(file, text.as_bytes(), *executable)
            }
            Self::Place { new, file, old, written } => {
                place(new, file, old.as_deref(), &written.moment, context)
            }
            Self::LookAtDisk { file, format, size_bytes } => {
                disk_file::look_at(file, format, *size_bytes, context)
            }
            Self::Watch { replaced } => {
                replaced.iter().try_for_each(|replaced| moment::note(&replaced.moment))
            }
            Self::Remove { replaced, written } => {
                written.iter().try_for_each(|written| moment::forget(&written.moment))?;
                return remove_all(replaced);
            }
        };
        done.map(|()| Value::Null)
    }

    /// Gives where what was restored stays, if it was written to.
    pub(crate) fn undo(&self, context: &Context) -> Result<Value> {
        let undone = match self {
            // Only if nothing else is in it.
            Self::MakeDirectory { path } => {
                let _ = std::fs::remove_dir(path);
                Ok(())
            }
            Self::WriteDisk { file, .. }
            | Self::WriteObject { file, .. }
            | Self::WriteText { file, .. } => disk_file::remove(file),
            Self::Place { new, file, old, written } => {
                take_back(new, file, old.as_deref(), &context.stubborn())?;
                return written.take_back();
            }
            Self::LookAtDisk { .. } => Ok(()),
            Self::Watch { replaced } => {
                replaced.iter().try_for_each(|replaced| moment::forget(&replaced.moment))
            }
            Self::Remove { replaced, .. } => replaced.iter().try_for_each(Replaced::is_there),
        };
        undone.map(|()| Value::Null)
    }
}

/// A file that is to be replaced: where it stays until the end.
pub(crate) fn replaced(file: &Path, context: &Context) -> Replaced {
    let named = |what| beside(file, what, context);
    Replaced { files: vec![(named("old"), named("kept"))], moment: named("moment") }
}

/// What takes a file's place: where it stays if it is taken back after somebody wrote to it.
pub(crate) fn written(new: &Path, file: &Path, context: &Context) -> Replaced {
    let named = |what| beside(file, what, context);
    Replaced { files: vec![(new.to_owned(), named("undone"))], moment: named("switched") }
}

/// The steps around the switch of what is replaced by what was written.
pub(crate) fn keep_later(
    replaced: Vec<Replaced>,
    written: Vec<Replaced>,
) -> Vec<(Stage, &'static str, FileStep)> {
    let mut steps = Vec::new();
    if !replaced.is_empty() {
        let watch = FileStep::Watch { replaced: replaced.clone() };
        let text = "note the moment: what is written from here on is not removed";
        steps.push((Stage::Watch, text, watch));
    }
    if !written.is_empty() {
        let remove = FileStep::Remove { replaced, written };
        steps.push((Stage::Clean, "remove what was replaced", remove));
    }
    steps
}

fn write_file(file: &Path, bytes: &[u8], executable: bool) -> Result<()> {
    disk_file::remove(file)?;
    let mode = if executable { 0o700 } else { 0o600 };
    let written = File::options().create_new(true).write(true).mode(mode).open(file);
    let written = written.and_then(|mut made| {
        made.write_all(bytes)?;
        made.sync_all()
    });
    written.map_err(|error| Error::io(error, file.display()))
}
