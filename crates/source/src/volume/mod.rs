//! Volumes: directories, and what freezes them.
//!
//! | connector | freeze | level |
//! |---|---|---|
//! | `files` | none: read live, and changes are detected | none |
//! | `btrfs` | read-only snapshot of the subvolume | filesystem |
//! | `reflink` | freeze, share the image one level below, thaw | filesystem |
//!
//! All three restore through one target (`target`): staged beside, switched by renames.

mod btrfs;
mod discover;
mod escape;
mod exports;
mod ioctl;
mod layers;
mod live;
mod mounts;
mod opened;
mod place;
mod reflink;
mod target;
mod times;

pub use btrfs::Btrfs;
pub use live::Files;
pub use reflink::Reflink;
