//! `tintype-end.json`: what came before it, counted and hashed. Without it a bundle is cut.

use serde::{Deserialize, Serialize};
use tintype_engine::id::ContentId;
use tintype_engine::tree::TreeEntry;
use tintype_model::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub counts: Counts,
    /// Of the third part.
    pub members: u64,
    pub bundle_blake3: String,
    pub entries_blake3: String,
    pub content_blake3: String,
}

/// As the pages of a tree count (format.md §9.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
}

impl Counts {
    pub(super) fn add(&mut self, entry: &TreeEntry) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.node.size);
        self.problems += u64::from(entry.is_problem());
    }
}

impl End {
    /// `header`: the bytes of the first member; the others are hashes.
    pub(super) fn new(
        counts: Counts,
        members: u64,
        header: &[u8],
        entries: [u8; 32],
        content: [u8; 32],
    ) -> Self {
        let hex = |hash| ContentId(hash).to_string();
        Self {
            counts,
            members,
            bundle_blake3: hex(*blake3::hash(header).as_bytes()),
            entries_blake3: hex(entries),
            content_blake3: hex(content),
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)
            .map_err(|error| Error::internal(format!("the end of a bundle: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Compares what was found with what the bundle says of itself.
    pub(super) fn check(&self, text: &[u8]) -> Result<()> {
        let said: Self = serde_json::from_slice(text).map_err(|error| {
            Error::corrupt(format!("{}: is not what it should be", super::END)).with_source(error)
        })?;
        let wrong = if said.counts != self.counts {
            "the number of entries, bytes or problems"
        } else if said.members != self.members {
            "the number of members"
        } else if said.bundle_blake3 != self.bundle_blake3 {
            "the hash of the first member"
        } else if said.entries_blake3 != self.entries_blake3 {
            "the hash of the entries"
        } else if said.content_blake3 != self.content_blake3 {
            "the hash of the content"
        } else {
            return Ok(());
        };
        Err(Error::corrupt(format!("{}: {wrong} is not what the bundle holds", super::END)))
    }
}
