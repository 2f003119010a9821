//! Executes plans: the only place where engine and source meet.

pub mod browse;
pub mod bundle;
pub mod content;
pub mod disk;
mod failure;
pub mod group;
pub mod identity;
pub mod progress;
mod queue;
pub mod restore;
pub mod snapshot;
pub mod vault;
