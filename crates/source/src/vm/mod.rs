//! Virtual machines: what QEMU, its guest agent and its block exports speak.

pub(crate) mod agent;
pub(crate) mod checks;
pub(crate) mod disk_file;
pub(crate) mod draft;
pub(crate) mod facts;
pub(crate) mod freeze;
pub(crate) mod level;
pub(crate) mod nbd;
pub(crate) mod place;
pub(crate) mod qmp;
pub(crate) mod rules;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod steps;
