//! When a manager is lost, or its catalog: what a full snapshot holds of it, and the way back
//! (docs/manager.md, section 8).

pub mod alive;
pub mod contents;
pub mod copy;
pub mod export;
mod found;
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

use tintype_model::env::Random;
use tintype_model::{Error, Result};
use tintype_runner::vault::{DataKey, Snapshot, Vault};

use crate::seal::MasterKey;

/// In the tree of a full snapshot: lines of JSON, the first says what the rest is.
pub const STATE_PATH: &str = "manager/state.jsonl";
const STATE_FILE: &str = "state.jsonl";
/// A longer one is not one of ours.
const STATE_BYTES: u64 = 8 << 30;
const FORMAT: &str = "manager-state";

/// Tag of a copy, before the key of the state in it: sealed for whoever has the key of the repository
/// that the copy lies in.
pub const STATE_KEY: &str = "state-key:";

/// Secrets in that file are sealed for whoever has the key of the repository it was written into:
/// whoever reads the file alone sees none.
fn key_of(repository: &DataKey) -> [u8; 32] {
    blake3::derive_key("tintype v1 manager state", repository.bytes())
}

fn seal_of(repository: &DataKey) -> MasterKey {
    MasterKey::from_bytes(&key_of(repository))
}

/// Of the keys in tags.
fn seal_of_copies(repository: &DataKey) -> MasterKey {
    let context = "tintype v1 manager state of a copy";
    MasterKey::from_bytes(&blake3::derive_key(context, repository.bytes()))
}

/// What a copy in `to` of a snapshot of `from` must say, so that it is of use without the first.
pub fn tag_of_copy(from: &Vault, to: &Vault, copy: &Snapshot, random: &dyn Random) -> String {
    let key = key_of(from.key());
    let sealed = seal_of_copies(to.key()).seal(&copy.id.to_string(), &key, random);
    format!("{STATE_KEY}{sealed}")
}

/// What opens the secrets in the state that a snapshot holds.
fn seal_in(vault: &Vault, found: &Snapshot) -> Result<MasterKey> {
    let mut tags = found.standing.tags.iter();
    let Some(sealed) = tags.find_map(|tag| tag.strip_prefix(STATE_KEY)) else {
        return match &found.manifest.origin {
            None => Ok(seal_of(vault.key())),
            Some(_) => Err(Error::unsupported(format!(
                "snapshot {} is a copy, and the key of the secrets in it was not copied, as by `tintype \
                 repo copy`: let a sync rule of the manager copy it, which adds it to copies that are \
                 there, or recover from the storage that it is a copy of",
                found.id.short()
            ))),
        };
    };
    let key = seal_of_copies(vault.key()).open(&found.id.to_string(), sealed)?;
    let key: [u8; 32] =
        key.as_slice().try_into().map_err(|_| Error::corrupt("the key of a manager's state"))?;
    Ok(MasterKey::from_bytes(&key))
}
