//! A moment, kept as a file on the file system of what is watched, by whose clock that is dated too:
//! right before an undo point, since what changed after it is in no snapshot, and right before a
//! switch, since what changed after it was written by others. Neither must be removed.

use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tintype_model::{Error, Result};

/// Seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64, i64);

/// A clock of a file system ticks every few milliseconds, some once in two seconds; one that stands
/// is not waited for.
const MOST_LOOKS: u32 = 10_000_000;

/// Done a second time it stays the first moment. All that was written before the call is older.
pub(crate) fn note(path: &Path) -> Result<()> {
    if noted(path)?.is_some() {
        return Ok(());
    }
    let beside = beside(path);
    let made = tick(&beside).and_then(|()| std::fs::rename(&beside, path));
    made.map_err(|error| Error::io(error, path.display()))
}

/// Until the file is younger than whatever was written before.
fn tick(path: &Path) -> std::io::Result<()> {
    let file = File::create(path)?;
    let now = || {
        file.set_permissions(Permissions::from_mode(0o600))?;
        let found = file.metadata()?;
        std::io::Result::Ok((found.ctime(), found.ctime_nsec()))
    };
    let begun = now()?;
    for _ in 0..MOST_LOOKS {
        if now()? != begun {
            break;
        }
    }
    file.sync_all()
}

pub(crate) fn forget(path: &Path) -> Result<()> {
    for path in [beside(path), path.to_owned()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(error, path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where it is made.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tick");
    beside.into()
}

/// None: there is no undo point.
pub(crate) fn noted(path: &Path) -> Result<Option<Moment>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(Moment(found.ctime(), found.ctime_nsec()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(error, path.display())),
    }
}

impl Moment {
    /// Content, owner, mode or name.
    pub(crate) fn is_before_change(self, found: &Metadata) -> bool {
        Self(found.ctime(), found.ctime_nsec()) >= self
    }

    /// Content alone: a switch renames what it replaces.
    pub(crate) fn is_before_write(self, found: &Metadata) -> bool {
        Self(found.mtime(), found.mtime_nsec()) >= self
    }

    /// Something of a file or a directory that was itself renamed. What cannot be looked at may have
    /// changed.
    pub(crate) fn is_before_any(self, top: &Path) -> bool {
        let found = match top.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            Err(_) => return true,
            Ok(found) => found,
        };
        if self.is_before_write(&found) {
            return true;
        }
        let mut left: Vec<PathBuf> = found.is_dir().then(|| top.to_owned()).into_iter().collect();
        while let Some(dir) = left.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { return true };
            for entry in entries {
                let Ok(path) = entry.map(|entry| entry.path()) else { return true };
                let Ok(found) = path.symlink_metadata() else { return true };
                let is_later = match found.is_dir() {
                    true => self.is_before_write(&found),
                    false => self.is_before_change(&found),
                };
                if is_later {
                    return true;
                }
                if found.is_dir() {
                    left.push(path);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However shortly before or after it.
    #[test]
    fn what_is_written_before_a_moment_is_told_from_what_is_written_after() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..50 {
            let tree = directory.path().join(number.to_string());
            std::fs::create_dir_all(tree.join("a/b")).unwrap();
            std::fs::write(tree.join("a/b/file"), "before").unwrap();
            let file = directory.path().join("moment");
            note(&file).unwrap();
            let moment = noted(&file).unwrap().unwrap();
            note(&file).unwrap();
            assert_eq!(noted(&file).unwrap(), Some(moment), "a second time it stays");
            let renamed = directory.path().join("renamed");
            std::fs::rename(&tree, &renamed).unwrap();
            assert!(!moment.is_before_any(&renamed));
            std::fs::write(renamed.join("a/b/file"), "after!").unwrap();
            assert!(moment.is_before_any(&renamed));
            std::fs::remove_dir_all(&renamed).unwrap();
            forget(&file).unwrap();
        }
    }
}
