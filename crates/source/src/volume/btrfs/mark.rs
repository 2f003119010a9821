//! What the next snapshot must know to ask for changes only.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shelf::{Kept, Shelf};
use crate::connector::{LABEL, session_of};

pub(super) const FORMAT: u32 = 1;

/// Stored with a snapshot. If anything in it is not exactly what is found, everything is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub format: u32,
    /// See `shelf`.
    pub chain: String,
    /// The volume's path below the top of its subvolume, and the inode there.
    pub inside: String,
    pub inode: u64,
    /// What was left out of the tree.
    pub excludes: Vec<String>,
    /// The volume's own subvolume first, then those inside of it, by path.
    pub subvolumes: Vec<Marked>,
    /// Paths of subvolumes that were left out, of which the tree holds an empty directory.
    pub left_out: Vec<String>,
}

/// One subvolume and its kept snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marked {
    /// Path below the top of the volume's subvolume, escaped; empty for that itself.
    pub at: String,
    pub uuid: String,
    pub snapshot: String,
    /// Of the snapshot: it is another one if somebody wrote to it.
    pub generation: u64,
}

impl Mark {
    /// None if it was written by another version, or by somebody else.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let mark: Self = Self::deserialize(value).ok()?;
        // It becomes part of names.
        let is_chain = session_of(&format!("{LABEL}{}", mark.chain)) == Some(&mark.chain);
        (mark.format == FORMAT && !mark.subvolumes.is_empty() && is_chain).then_some(mark)
    }

    /// Whether both speak of the same volume, captured in the same way.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let uuids = |mark: &Self| -> Vec<(String, String)> {
            mark.subvolumes.iter().map(|one| (one.at.clone(), one.uuid.clone())).collect()
        };
        self.inside == other.inside
            && self.inode == other.inode
            && self.excludes == other.excludes
            && uuids(self) == uuids(other)
    }

    /// Names of the kept snapshots that it speaks of and that are still there, in the order of its
    /// subvolumes.
    pub(super) fn kept(&self, shelf: &Shelf) -> Vec<Option<String>> {
        let names = shelf.names().unwrap_or_default();
        let kept: Vec<(String, String)> = names
            .into_iter()
            .filter(|name| Kept::parse(name).is_some_and(|kept| kept.chain == self.chain))
            .filter_map(|name| {
                let uuid = shelf.open_snapshot(&name).ok()?.1.uuid;
                Some((name, hex(&uuid)))
            })
            .collect();
        let name = |marked: &Marked| {
            let found = kept.iter().find(|(_, uuid)| *uuid == marked.snapshot);
            found.map(|(name, _)| name.clone())
        };
        self.subvolumes.iter().map(name).collect()
    }
}

pub(super) fn hex(uuid: &[u8; 16]) -> String {
    use std::fmt::Write as _;
    uuid.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mark_is_none() {
        for value in [serde_json::json!({}), Value::Null, serde_json::json!({ "format": 2 })] {
            assert_eq!(Mark::read(&value), None);
        }
    }
}
