//! Packs: objects that hold many content frames (format.md §7).

pub(crate) mod ends;
pub mod reader;
pub(crate) mod window;
pub mod writer;
