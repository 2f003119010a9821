//! Files of this host: an ordered parallel walk, reading, restoring, comparing.
//!
//! Reading goes through directory handles ([`handles`]) and never follows a symlink below a
//! root; writing goes through [`target::Target`], which resolves every path beneath its root
//! and knows no symlink at all. What cannot be read or set becomes a
//! [`Problem`](tintype_model::entry::Problem) value with the name of its cause.

mod ancestor;
pub mod compare;
pub mod exclude;
mod extras;
mod found;
pub mod handles;
pub mod image;
mod names;
mod owners;
mod problems;
mod pseudo;
mod read;
pub mod roots;
mod stat;
pub mod target;
pub mod walk;

pub use ancestor::directory_node;
pub(crate) use ancestor::whole_node;
pub use exclude::{Excluded, Excludes, ExcludesBuilder};
pub use found::Found;
pub use owners::Accounts;
pub use read::{OpenFile, Segment, Segments};
pub use target::{Owners, Put, Target, TargetOptions, TempFile};
pub use walk::{Note, Walk, WalkOptions};
