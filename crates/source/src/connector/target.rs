//! Restore: look and plan, then step by step; each step can be undone until the last is done.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::Result;
use tintype_model::entry::Node;
use tintype_model::item::Item;
use tintype_model::plan::{Check, Step};
use tintype_model::resource::Resource;

/// Where one item is restored to. As plain files in a directory it is restored by the engine alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// Over the resource that it was captured from.
    InPlace,
    /// As another: `at` of the new one (the connector's schema), and rules for what must differ
    /// (name, uuid, MAC addresses, networks), as the connector documents.
    AsNew { name: String, at: Map<String, Value>, rules: BTreeMap<String, String> },
}

/// Of what a step of [`Stage::Clean`](tintype_model::plan::Stage::Clean) gives, and one that is
/// undone: the place of what was not removed, because it is in no snapshot.
pub const KEPT: &str = "kept";

/// Restores one item. No step makes a choice: what it does stands in [`Step::action`].
pub trait Target: Send {
    /// Looks at what is there and decides everything; changes nothing.
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan>;

    /// Does one step. Done a second time after an interruption it must end the same. What it gives
    /// is written to the journal and handed to `undo`.
    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value>;

    /// Takes one step back, also one that was interrupted (`done` is null then); called in reverse
    /// order. After all are undone, what was there before runs as it did. What was restored goes,
    /// unless it was written to since it took its place: that stays beside, and is given as [`KEPT`].
    fn undo(&mut self, step: &Step, done: &Value) -> Result<Value>;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    pub checks: Vec<Check>,
    pub steps: Vec<Step>,
    /// Whether something that is there is replaced: then an undo point is taken first.
    pub replaces: bool,
    /// Fields of `at` by which the undo point captures exactly that, where those of the resource
    /// do not say it: where a machine that is off has its disks.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub undo_at: Map<String, Value>,
    /// Files and directories that it writes or replaces, by their whole paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PathBuf>,
    /// What it runs on this host because the snapshot says so: command lines, each as its words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Vec<String>>,
    /// What others of the same restore may need, as [`Check::unless`](field@Check::unless) names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brings: Vec<String>,
}

/// What a snapshot holds of one item. Paths are those of its parts.
pub trait Stored {
    /// When the snapshot was begun: what it holds is of that moment or later. Not known of what is
    /// in none.
    fn taken(&self) -> Option<Timestamp> {
        None
    }

    /// What lies at a path and directly below it, with their paths, in tree order.
    fn list(&self, at: &[u8]) -> Result<Vec<StoredEntry>>;

    /// The whole content of a file, stream or object; `Invalid` if it is longer than `most_bytes`.
    fn object(&self, at: &[u8], most_bytes: u64) -> Result<Vec<u8>>;

    /// Calls `consume` with a reader of a file, stream or object. Damage is an error of the reader.
    fn read(&self, at: &[u8], consume: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<()>;

    /// Writes an image, by several threads and in no order; zeros are not written but told.
    fn image(&self, at: &[u8], sink: &dyn ImageSink) -> Result<()>;

    /// Bytes of an image that are not known to be zeros: what has to be written of it.
    fn image_bytes(&self, at: &[u8]) -> Result<u64>;

    /// Restores a directory with all metadata into `to`, which exists and is empty.
    fn files(&self, at: &[u8], to: &Path) -> Result<FilesDone>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct StoredEntry {
    pub at: Vec<u8>,
    pub node: Node,
}

/// What came of [`Stored::files`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesDone {
    pub entries: u64,
    pub bytes: u64,
    /// Paths that could not be restored as they were, each with the reason.
    pub failed: Vec<(Vec<u8>, String)>,
}

pub trait ImageSink: Sync {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// A range that must read as zeros.
    fn zero(&self, offset: u64, length: u64) -> Result<()>;
}
