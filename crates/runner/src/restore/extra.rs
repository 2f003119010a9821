//! What stands in restored directories and is not in the snapshot.

use std::collections::HashSet;

/// A path and what is told about it.
type Told = (Vec<u8>, String);

/// Paths in the target: those to delete, and those that stay, with all directories above them.
#[derive(Default)]
pub(super) struct Extra {
    paths: Vec<Vec<u8>>,
    /// Directories that hold something that stays.
    needed: HashSet<Vec<u8>>,
    /// What stays and is told, with the reason.
    spared: Vec<Told>,
}

impl Extra {
    pub(super) fn add(&mut self, path: Vec<u8>) {
        self.paths.push(path);
    }

    /// It stays, and so do the directories that it lies in.
    pub(super) fn keep(&mut self, path: Vec<u8>) {
        let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            if !self.needed.insert(path[..at].to_vec()) {
                break;
            }
        }
        self.needed.insert(path);
    }

    /// Like [`Self::keep`], for what somebody would wonder about.
    pub(super) fn spare(&mut self, path: Vec<u8>, why: String) {
        self.keep(path.clone());
        self.spared.push((path, why));
    }

    /// What to delete, deepest first, and what is spared.
    pub(super) fn into_lists(self) -> (Vec<Vec<u8>>, Vec<Told>) {
        let Self { mut paths, needed, spared } = self;
        paths.retain(|path| !needed.contains(path));
        paths.sort();
        paths.reverse();
        (paths, spared)
    }
}
