//! Restoring files: plan → check → apply (docs/manifesto.md, promise 3).
//!
//! A plan is one action for each entry of the tree, in tree order, made by comparing the
//! snapshot with what stands at the destination. Applying it makes no choice: it goes through
//! the same tree again and does what the plan says.

mod apply;
mod check;
mod claim;
mod content;
mod hold;
mod mapping;
mod plan;
mod reread;
mod same;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tintype_engine::cancel::Cancel;
use tintype_engine::id::ContentId;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_model::entry::Node;
use tintype_source::files::{Excludes, Owners};

pub use apply::apply;
pub(crate) use apply::make_base;
pub use check::check;
pub(crate) use claim::Claim;
pub use mapping::{Mapping, Rule};
pub use plan::{Step, Untouched, plan};

/// What may happen to files that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overwrite {
    /// They stay.
    #[default]
    Never,
    /// Replaced if they are older than in the snapshot.
    Older,
    /// Replaced if they differ in anything: what has the same size and time is read.
    Always,
}

pub enum Destination {
    /// Where it was captured.
    InPlace,
    /// Below this directory, which is made if need be.
    Directory(PathBuf),
}

pub struct Request {
    /// Tree path inside the snapshot; empty: everything that was captured.
    pub path: Vec<u8>,
    /// Further ones: then each goes below the directory by its name.
    pub also: Vec<Vec<u8>>,
    pub destination: Destination,
    /// Patterns on paths as they were captured (`/srv/x/*.txt`); none: all.
    pub include: Option<Excludes>,
    pub exclude: Excludes,
    pub overwrite: Overwrite,
    /// Plan to remove what stands in restored directories and is not in the snapshot.
    pub delete_extra: bool,
    pub owners: Owners,
    /// Let nobody else restore into the same place while the plan lives: for one that is applied.
    pub claim: bool,
    /// Directories of this host in which nothing is replaced or deleted: the repository that
    /// is read, and its cache.
    pub untouchable: Vec<PathBuf>,
}

pub struct ApplyOptions {
    pub workers: usize,
    pub cancel: Cancel,
    /// Read everything back and compare with what the snapshot says.
    pub verify: bool,
    /// Wait until all is on the disk.
    pub sync: bool,
}

/// What the plan says about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Action {
    Create,
    Replace,
    /// It is there already: same kind, size and time.
    Same,
    /// Its content is there already; owner, mode or attributes differ and are set.
    Metadata,
    /// It is there, differs, and is left alone.
    Keep,
    /// Its content is there already; owner, mode or attributes differ and are left alone.
    #[serde(rename = "keep-metadata")]
    KeepMetadata,
    /// A directory that is there: gets the snapshot's metadata.
    Merge,
    /// Something of another kind is in the way.
    Refuse,
    /// Cannot be restored: a socket, or it could not be captured.
    Skip,
    /// Not selected.
    Leave,
}

/// Counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub create: u64,
    pub replace: u64,
    pub same: u64,
    pub metadata: u64,
    pub keep: u64,
    pub keep_metadata: u64,
    pub merge: u64,
    pub refuse: u64,
    pub skip: u64,
    /// How many of `skip` are sockets; all others are in [`Plan::missing`].
    pub sockets: u64,
    pub delete: u64,
    /// Temporary files of killed restores, to be removed.
    pub leftovers: u64,
    /// Content bytes to write.
    pub bytes: u64,
}

pub struct Plan {
    pub(crate) root: Root,
    pub(crate) mapping: Mapping,
    pub snapshot: Snapshot,
    /// The directory that target paths are relative to.
    pub base: PathBuf,
    /// The base does not exist yet.
    pub base_is_new: bool,
    /// Kept as long as the plan.
    pub(crate) _claim: Option<Claim>,
    /// One for each entry that the mapping covers, in tree order.
    pub(crate) actions: Vec<Action>,
    /// The pages that these entries stand on, each with the number of its rule, and how many on
    /// each: an action belongs to its entry and to no other, also where a page can be read only
    /// now and then.
    pub(crate) pages: Vec<(usize, ContentId, u32)>,
    pub counts: Counts,
    /// As it was asked for.
    pub overwrite: Overwrite,
    /// What is in the way, with the reason: target path.
    pub refused: Vec<(Vec<u8>, String)>,
    /// What the snapshot itself does not hold, or not whole, with what it says of it.
    pub missing: Vec<(Vec<u8>, String)>,
    /// Entries that are left as they are, or not made, though nothing is wrong: the first.
    pub untouched: Vec<Untouched>,
    /// What killed restores left in directories that something is restored into; removed first.
    pub leftovers: Vec<Vec<u8>>,
    /// What must stay, with the reason.
    pub spared: Vec<(Vec<u8>, String)>,
    /// How many of `spared` might have been deleted: the deletion is not complete.
    pub undeleted: u64,
    /// Directories above roots that do not exist, as the snapshot knows them.
    pub(crate) ways: Vec<(Vec<u8>, Option<Node>)>,
    /// Directories that do not exist, hold something that is restored, and whose own entries
    /// cannot be read: in the order in which they are met.
    pub(crate) unknown: Vec<Vec<u8>>,
    /// Images that go onto a block device, and the device's path: both in the target.
    pub devices: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many entries were selected.
    pub selected: u64,
    pub(crate) owners: Owners,
    /// Pages of the snapshot that cannot be read; each is in `refused` too.
    pub damaged: u64,
    /// What would be deleted: target paths, deepest first.
    pub extra: Vec<Vec<u8>>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    pub files: u64,
    pub entries: u64,
    pub bytes: u64,
    pub deleted: u64,
    /// Content that is lost or could not be written: target path and cause.
    pub failed: Vec<(Vec<u8>, String)>,
    /// How many of these were to be deleted.
    pub undeleted: u64,
    /// How many of these failed because stored data is damaged.
    pub damaged: u64,
    /// Restored, but not in every detail (owner, attribute…).
    pub imperfect: Vec<(Vec<u8>, String)>,
    /// Content bytes that were read back and found equal.
    pub verified_bytes: u64,
}
