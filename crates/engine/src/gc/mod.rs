//! Freeing what nobody needs, while others write and read (format.md §11.5). The model in
//! `crates/protocol` explores this protocol exhaustively.
//!
//! ```text
//! finish last record → session → mark, choose → condemned list → wait for or fence writers
//!   → read again, mark again → copy what is live → new index → commit gc/<n+1> → delete
//! ```
//! Up to the commit nothing has happened; after it, any later gc completes the deletions.

mod damaged;
mod finish;
mod lost;
mod mark;
mod merge;
mod plan;
mod rests;
mod run;

pub use plan::{Candidate, GcPlan, Reason};
pub use run::{GcOptions, GcReport};
