//! The repository: an encrypted, deduplicated store of immutable trees behind a small
//! backend trait. Knows no source, no file system to capture and no HTTP.

pub mod backend;
pub mod cancel;
pub mod env;

pub use tintype_model::{Error, ErrorKind, Result};
