//! What connectors need of the host itself: programs run with a bound, who has a file open, free
//! space, passwords from files, and the renames that switch what is there for what was restored.

pub(crate) mod account;
pub(crate) mod at;
mod command;
pub(crate) mod moves;
pub(crate) mod plain;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod secret;
pub(crate) mod space;

pub use command::command;
