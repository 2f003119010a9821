//! Bundles: one snapshot as one portable file, and back (docs/bundle.md).
//!
//! ```text
//! export:  tree ─► lines ─┐
//!          tree ─► units ─► workers read and deflate ─► archive (zip | tar) ─► [age] ─► file
//! import:  file ─► [age] ─► archive ─┬─ lines ──► entries ─► the stages of a snapshot ─► commit
//!                                    └─ members ─► their content
//! ```
//!
//! An archive is written without seeking and in one order, so that it is read by walking its parts
//! side by side: whatever does not fit is named and ends the import, and nothing grows with it.

mod archive;
mod end;
mod export;
mod header;
mod import;
mod lines;
mod listing;
mod names;
mod open;
mod output;
mod read_at;
mod record;
mod secrets;
mod spool;
mod tar;
#[cfg(test)]
mod tests;
mod units;
mod zip;

pub use export::{ExportOptions, Exported, Format, export};
pub use header::Header;
pub use import::{ImportOptions, Imported, import};
pub use open::{Bundle, Found, SealedBundle, in_file, open};
pub use output::Output;
pub use read_at::ReadAt;
pub use secrets::secrets;
pub use spool::{spool, unnamed};

/// Of a manifest's options: it came out of a bundle, and from where.
pub const IMPORTED: &str = "bundle";

/// First member: what the bundle is.
const HEADER: &str = "tintype-bundle.json";
/// Second member: all entries of the tree.
const ENTRIES: &str = "tintype-entries.jsonl";
/// Last member.
const END: &str = "tintype-end.json";
/// Below it lies what was not captured whole.
const INCOMPLETE: &str = "tintype-incomplete";

/// Of the header, and of the end.
const MOST_JSON_BYTES: u64 = 16 << 20;
