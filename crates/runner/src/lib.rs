//! Executes plans: the only place where engine and source meet.

mod failure;
pub mod identity;
pub mod progress;
mod queue;
pub mod restore;
pub mod snapshot;
