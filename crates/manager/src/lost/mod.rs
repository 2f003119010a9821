//! When a manager is lost, or its catalog: what a full snapshot holds of it, and the way back
//! (docs/manager.md, section 8).

pub mod contents;
pub mod copy;
pub mod export;
pub mod here;
pub mod import;
pub mod lead;
pub mod look;
mod own;
pub mod page;
pub mod rebuild;
pub mod recover;
pub mod settle;
pub mod sheet;
pub mod switch;
mod tables;

use tintype_runner::vault::DataKey;

use crate::seal::MasterKey;

/// In the tree of a full snapshot: lines of JSON, the first says what the rest is.
pub const STATE_PATH: &str = "manager/state.jsonl";
const STATE_FILE: &str = "state.jsonl";
/// A longer one is not one of ours.
const STATE_BYTES: u64 = 8 << 30;
const FORMAT: &str = "manager-state";

/// Secrets in that file are sealed for whoever has the key of the repository it lies in: whoever
/// reads the file alone sees none.
fn seal_of(repository: &DataKey) -> MasterKey {
    MasterKey::from_bytes(&blake3::derive_key("tintype v1 manager state", repository.bytes()))
}
