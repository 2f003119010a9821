//! `btrfs`: a read-only snapshot of the subvolume that holds the volume.
//!
//! Subvolumes inside of it are not in that snapshot; each gets one of its own, one after the other,
//! and stands in the tree where it stands on the volume. What changed since the parent is asked of
//! the file system itself, against the parent's snapshot, which is kept for that.

mod changed;
mod mark;
mod overlay;
mod send;
mod shelf;
mod source;
mod subvolume;
#[cfg(test)]
mod tests;

use serde_json::Value;
use tintype_model::Result;
use tintype_model::resource::Resource;

use super::place::At;
use super::{discover, target};
use crate::connector::{Connector, Context, Discovered, Source, Target};

pub(super) use subvolume::{copies_inside, is_btrfs};

/// Inode of the top of each subvolume.
pub(super) const TOP_INODE: u64 = 256;
/// See `shelf`.
pub(super) const SHELF: &str = ".tintype-snapshots";

/// See the module's head.
#[derive(Debug)]
pub struct Btrfs;

pub(super) const NAME: &str = "btrfs";

impl Connector for Btrfs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        At::schema()
    }

    fn discover(&self, context: &Context) -> Result<Vec<Discovered>> {
        discover::volumes(NAME, context)
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        super::place::check(resource)
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(source::Snapshots::new(resource, context)?))
    }

    fn target(&self, context: &Context) -> Result<Box<dyn Target>> {
        Ok(target::target(context))
    }

    fn outlives(&self) -> bool {
        true
    }

    fn clean(&self, _: &[&Resource], context: &Context, removed: &mut Vec<String>) -> Result<()> {
        shelf::clean(context, removed)
    }
}

fn join(above: &[u8], path: &[u8]) -> Vec<u8> {
    let slash = if above.is_empty() || path.is_empty() { &b""[..] } else { b"/" };
    [above, slash, path].concat()
}
