//! Zip as bundles have it (docs/bundle.md): what PKWARE's APPNOTE 6.3.10 calls local headers, data
//! descriptors, central directory, Zip64 records, and of Info-ZIP the extra fields `UT` and `ux`.

pub(super) mod deflate;
pub(super) mod layout;
pub(super) mod read;
pub(super) mod write;
