//! The repository: an encrypted, deduplicated store of immutable trees behind a small
//! backend trait. Knows no source, no file system to capture and no HTTP.

pub mod backend;
pub mod cancel;
pub mod chunker;
pub mod compress;
pub mod copy;
pub mod crypto;
pub mod env;
pub mod fetch;
pub mod format;
pub mod gc;
#[cfg(test)]
mod golden;
pub mod id;
pub mod index;
pub mod pack;
pub mod parallel;
pub mod reader;
pub mod repair;
pub mod repo;
mod spot_check;
pub mod stats;
pub mod store;
pub mod tree;
pub mod verify;

pub use tintype_model::{Error, ErrorKind, Result};
