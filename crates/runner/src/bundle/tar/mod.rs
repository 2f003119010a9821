//! Tar as bundles have it (docs/bundle.md): POSIX.1-2008 pax interchange format, xattrs as star and
//! GNU tar write them, holes as GNU sparse format 1.0.

pub(super) mod layout;
pub(super) mod read;
pub(super) mod write;
