//! Files out of a disk image, without root and without mounting: the image may be one that a
//! snapshot holds. ext2, ext3, ext4 and FAT are read; what else lies on a disk is named, and
//! [`Server`] hands the image to whoever can read it.
//!
//! An image comes from a guest that nobody trusts: readers are bounded, a panic of one is an error,
//! and whoever writes files of it somewhere checks their names.

mod ext4;
mod fat;
mod guarded;
mod kind;
mod partition;
mod walk;

use std::ops::Range;
use std::sync::Arc;

use tintype_model::entry::Node;
use tintype_model::{Error, Result};

use crate::connector::ReadImage;
pub use crate::vm::nbd::server::{Export, Served, Server};

pub use kind::{can_be_read, kind_of};
pub use partition::{Partition, partitions};
pub use walk::{Visit, walk};

/// A file system on a disk, read only. Paths are from its root on, with `/` between names.
pub trait DiskFiles {
    /// `ext4`, `fat`
    fn kind(&self) -> &'static str;

    /// Whether files have owners and permissions there.
    fn has_owners(&self) -> bool;

    /// What stands at a path: itself, if it is a link.
    fn stat(&self, path: &[u8]) -> Result<DiskEntry>;

    /// What a directory holds, sorted by name. An entry that cannot be looked at says so.
    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>>;

    /// Hands on a file's content in order; gives its length. Links are followed.
    fn read(&self, path: &[u8], each: &mut Each<'_>) -> Result<u64>;
}

/// Takes the next bytes of a file.
pub type Each<'e> = dyn FnMut(&[u8]) -> Result<()> + 'e;

/// Something in a directory of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    pub name: Vec<u8>,
    /// Extended attributes and numbers of device nodes are not in it, nor names of owners: those
    /// are known to the guest alone.
    pub node: Node,
}

/// A directory with more is refused: its listing is held in memory.
const MOST_ENTRIES: usize = 4_000_000;

fn too_many() -> Error {
    Error::unsupported(format!("a directory of more than {MOST_ENTRIES} entries"))
}

/// Opens the file system of a partition. `Unsupported` names one that cannot be read.
pub fn open(image: Arc<dyn ReadImage>, partition: &Partition) -> Result<Box<dyn DiskFiles>> {
    let kind = kind_of(&*image, partition)?;
    let window = Window::new(image, partition.range.clone());
    let place = match partition.number {
        0 => "the disk".to_owned(),
        number => format!("partition {number}"),
    };
    let opened = guarded::open(|| {
        Ok(match kind {
            Some("ext4") => Box::new(ext4::Ext4Files::open(window)?),
            Some("fat") => Box::new(fat::FatFiles::open(window)?),
            Some(kind) => {
                return Err(Error::unsupported(format!(
                    "holds {kind}, whose files are not read out of an image"
                )));
            }
            None => return Err(Error::unsupported("holds no file system that is known")),
        })
    });
    opened.map_err(|error| match error.message().starts_with("holds ") {
        true => Error::new(error.kind(), format!("{place} {}", error.message())),
        false => error.context(place),
    })
}

/// A part of an image.
#[derive(Clone)]
pub struct Window {
    image: Arc<dyn ReadImage>,
    range: Range<u64>,
}

impl Window {
    /// `range` lies in the image.
    pub fn new(image: Arc<dyn ReadImage>, range: Range<u64>) -> Self {
        Self { image, range }
    }
}

impl ReadImage for Window {
    fn size_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(Error::invalid("the file system names what lies behind its partition"));
        }
        self.image.read_at(self.range.start + offset, buffer)
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        let start = self.range.start;
        let end = range.end.min(self.size_bytes());
        let (end, is_zero) = self.image.extent(start + range.start..start + end)?;
        Ok((end - start, is_zero))
    }
}
