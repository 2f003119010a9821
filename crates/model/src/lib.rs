//! Pure vocabulary and decisions: what a tree entry is, what can be protected, what is due when,
//! which snapshots retention keeps, how a snapshot is named. No I/O, no clock, no threads: where
//! code needs them, it is given the traits of [`mod@env`].

pub mod bandwidth;
pub mod cancel;
pub mod clock;
pub mod count;
pub mod duration;
pub mod emptied;
pub mod entry;
pub mod env;
pub mod error;
pub mod forecast;
pub mod identifier;
pub mod item;
pub mod nearest;
mod openapi;
pub mod patience;
pub mod plan;
pub mod profile;
pub mod queue;
pub mod rate;
pub mod reading;
pub mod resource;
pub mod retention;
pub mod rights;
pub mod selector;
pub mod size;
pub mod skew;
pub mod standing;
pub mod sync;

pub use error::{Error, ErrorKind, Result};
