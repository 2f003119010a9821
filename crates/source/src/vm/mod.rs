//! Virtual machines: what QEMU, its guest agent and its block exports speak.

pub(crate) mod agent;
pub(crate) mod checks;
pub(crate) mod disk_file;
pub(crate) mod nbd;
pub(crate) mod place;
pub(crate) mod qmp;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod steps;

/// Why a guest that could be held still was not.
pub(crate) const NOT_QUIESCED: &str = "the snapshot was to hold nothing still (without quiesce)";
