//! Pure vocabulary and decisions: what a tree entry is, which snapshots retention keeps,
//! how a snapshot is named. No I/O, no clock, no threads.

pub mod count;
pub mod duration;
pub mod entry;
pub mod error;
pub mod rate;
pub mod retention;
pub mod selector;
pub mod size;

pub use error::{Error, ErrorKind, Result};
