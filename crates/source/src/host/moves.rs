//! Renames that switch what is there for what was staged beside it, and back.
//!
//! What is there goes aside first, then what was staged takes its place. Each rename refuses to
//! replace anything, and both directions can be carried out again after an interruption: a move
//! whose goal exists is done. What was written to what was restored stays when it is taken back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::{Error, Result};

use super::moment;
use super::replaced::Replaced;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moves {
    /// Whether the first of `aside` is there before: its place aside tells then what was done.
    pub(crate) replaces: bool,
    /// What is there → its place aside; what does not exist is left out.
    pub(crate) aside: Vec<(PathBuf, PathBuf)>,
    /// What was staged → its place. The first one must exist and tells whether the switch is done.
    pub(crate) place: Vec<(PathBuf, PathBuf)>,
    /// What was staged, of which the moment is noted right before it takes its place.
    #[serde(default)]
    pub(crate) written: Option<Replaced>,
}

impl Moves {
    pub(crate) fn apply(&self) -> Result<()> {
        // What stands there then is what was restored, and must not go aside.
        let is_placed = self.is_placed();
        if let Some(written) = self.written.as_ref().filter(|_| !is_placed) {
            written.watch()?;
        }
        for (from, to) in self.aside.iter().filter(|_| !is_placed) {
            if !exists(to) && exists(from) {
                rename(from, to)?;
            }
        }
        for (index, (from, to)) in self.place.iter().enumerate() {
            if exists(from) {
                rename(from, to)?;
            } else if index == 0 && !is_placed {
                return Err(Error::not_found(format!(
                    "{}: what was restored there is gone; undo this restore and start it again",
                    from.display()
                )));
            }
        }
        self.sync()
    }

    /// Gives where what was restored stays, if it was written to.
    pub(crate) fn undo(&self) -> Result<Value> {
        if self.is_placed() {
            for (from, to) in self.place.iter().rev() {
                if !exists(from) && exists(to) {
                    rename(to, from)?;
                }
            }
        }
        for (from, to) in self.aside.iter().rev() {
            if exists(to) {
                rename(to, from)?;
            }
        }
        self.sync()?;
        self.written.as_ref().map_or(Ok(Value::Null), Replaced::take_back)
    }

    /// The restore is done: there is no way back.
    pub(crate) fn end(&self) -> Result<()> {
        self.written.as_ref().map_or(Ok(()), |written| moment::forget(&written.moment))
    }

    /// Whether what was staged has taken its place.
    pub(crate) fn is_placed(&self) -> bool {
        let is_moved = self.place.first().is_some_and(|(from, to)| !exists(from) && exists(to));
        is_moved && (!self.replaces || self.aside.first().is_some_and(|(_, to)| exists(to)))
    }

    /// The renames themselves are on disk when this returns.
    fn sync(&self) -> Result<()> {
        let all = self.aside.iter().chain(&self.place);
        let parents: BTreeSet<&Path> =
            all.flat_map(|(from, to)| [from.parent(), to.parent()]).flatten().collect();
        for parent in parents.into_iter().filter(|parent| parent.exists()) {
            sync_directory(parent)?;
        }
        Ok(())
    }
}

pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let synced = std::fs::File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io(error, path.display()))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Refuses to replace what is there.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    let renamed = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) if !exists(to) => rustix::fs::rename(from, to),
        other => other,
    };
    let moved = || format!("{} to {}", from.display(), to.display());
    renamed.map_err(|errno| match errno {
        Errno::EXIST => Error::already_exists(format!("{}: there is one already", moved())),
        errno => Error::io(errno.into(), moved()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_without_anything_there_is_done_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("new"), "new").unwrap();
        let moves = Moves {
            replaces: false,
            aside: vec![(at("db"), at("old"))],
            place: vec![(at("new"), at("db"))],
            written: None,
        };
        moves.apply().unwrap();
        moves.apply().unwrap();
        assert!(at("db").exists() && !at("old").exists());
        moves.undo().unwrap();
        assert!(at("new").exists() && !at("db").exists());
        // What was staged got lost: what is there is left alone.
        std::fs::rename(at("new"), at("db")).unwrap();
        let moves = Moves { replaces: true, ..moves };
        moves.apply().unwrap_err();
        assert!(at("old").exists(), "aside, and named by the error's cure");
        moves.undo().unwrap();
        assert!(at("db").exists() && !at("old").exists());
    }

    /// Interrupted after any number of renames, it can be finished and taken back.
    #[test]
    fn an_interrupted_switch_goes_on_and_back() {
        for done in 0..=3 {
            for back in [false, true] {
                let directory = tempfile::tempdir().unwrap();
                let at = |name: &str| directory.path().join(name);
                for name in ["db", "db-wal", "new"] {
                    std::fs::write(at(name), name).unwrap();
                }
                let moves = Moves {
                    replaces: true,
                    aside: vec![(at("db"), at("old")), (at("db-wal"), at("old-wal"))],
                    place: vec![(at("new"), at("db")), (at("new-wal"), at("db-wal"))],
                    written: None,
                };
                let all = moves.aside.iter().chain(&moves.place[..1]);
                for (from, to) in all.take(done) {
                    std::fs::rename(from, to).unwrap();
                }
                let read = |name| std::fs::read_to_string(at(name)).ok();
                if back {
                    moves.undo().unwrap();
                    moves.undo().unwrap();
                    assert_eq!(read("db").as_deref(), Some("db"));
                    assert_eq!(read("db-wal").as_deref(), Some("db-wal"));
                } else {
                    moves.apply().unwrap();
                    moves.apply().unwrap();
                    assert_eq!(read("db").as_deref(), Some("new"));
                    assert_eq!(read("old-wal").as_deref(), Some("db-wal"));
                    // What the new one made beside it goes with it.
                    std::fs::write(at("db-wal"), "later").unwrap();
                    moves.undo().unwrap();
                    assert_eq!(read("new-wal").as_deref(), Some("later"));
                    assert_eq!(read("db-wal").as_deref(), Some("db-wal"));
                }
            }
        }
    }

    #[test]
    fn what_was_written_to_what_was_restored_stays_beside() {
        for is_written in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name);
            for name in ["db", "new"] {
                std::fs::write(at(name), name).unwrap();
            }
            let written = Replaced { files: vec![(at("new"), at("undone"))], moment: at("moment") };
            let moves = Moves {
                replaces: true,
                aside: vec![(at("db"), at("old"))],
                place: vec![(at("new"), at("db"))],
                written: Some(written),
            };
            moves.apply().unwrap();
            moves.apply().unwrap();
            if is_written {
                std::fs::write(at("db"), "an order").unwrap();
            }
            let read = |name| std::fs::read_to_string(at(name)).ok();
            for _ in 0..2 {
                let given = moves.undo().unwrap();
                assert_eq!(given[crate::connector::KEPT].is_string(), is_written);
            }
            assert_eq!(read("db").as_deref(), Some("db"));
            assert_eq!(read("undone").as_deref(), is_written.then_some("an order"));
            assert_eq!(at("new").exists(), !is_written, "unstaged by who staged it");
            assert!(!at("moment").exists());
        }
    }
}
