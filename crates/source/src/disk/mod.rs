//! Files out of a disk image, without root and without mounting: the image may be one that a
//! snapshot holds. ext2, ext3, ext4 and FAT are read; what else lies on a disk is named.

mod ext4;
mod fat;
mod partition;

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use tintype_model::entry::{Kind, Time};
use tintype_model::{Error, Result};

use crate::connector::ReadImage;

pub use partition::{Partition, partitions};

/// A file system on a disk, read only. Paths are from its root on, with `/` between names.
pub trait DiskFiles {
    /// `ext4`, `fat`
    fn kind(&self) -> &'static str;

    /// What a directory holds, sorted by name; itself if it is something else.
    fn list(&self, path: &[u8]) -> Result<Vec<DiskEntry>>;

    /// Writes a file's content; gives its length. Links are followed.
    fn read(&self, path: &[u8], to: &mut dyn Write) -> Result<u64>;
}

/// Something in a directory of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub size_bytes: u64,
    /// Permissions; none where the file system has none.
    pub mode: Option<u16>,
    /// User and group by number.
    pub owner: Option<(u32, u32)>,
    pub mtime: Option<Time>,
}

/// Most entries of a directory that are listed.
const MOST_ENTRIES: usize = 1_000_000;

/// Opens the file system of a partition. `Unsupported` names one that cannot be read.
pub fn open(image: Arc<dyn ReadImage>, partition: &Partition) -> Result<Box<dyn DiskFiles>> {
    let window = Window { image, range: partition.range.clone() };
    let mut head = vec![0; (64 << 10).min(window.size_bytes() as usize) + 512];
    head.truncate(window.size_bytes().min(head.len() as u64) as usize);
    window.read_at(0, &mut head)?;
    let number = partition.number;
    match kind_of(&head) {
        Some("ext4") => Ok(Box::new(ext4::Ext4Files::open(window)?)),
        Some("fat") => Ok(Box::new(fat::FatFiles::open(window)?)),
        Some(kind) => Err(Error::unsupported(format!(
            "partition {number} holds {kind}, whose files cannot be read out of an image: restore \
             the disk as a file and mount that read only"
        ))),
        None => Err(Error::unsupported(format!(
            "partition {number} holds no file system that is known"
        ))),
    }
}

/// By what stands at the places where each puts its name.
fn kind_of(head: &[u8]) -> Option<&'static str> {
    let is = |at: usize, text: &[u8]| head.get(at..at + text.len()) == Some(text);
    let known: [(&'static str, usize, &[u8]); 8] = [
        ("ext4", 0x438, &[0x53, 0xef]),
        ("btrfs", 0x1_0040, b"_BHRfS_M"),
        ("xfs", 0, b"XFSB"),
        ("ntfs", 3, b"NTFS    "),
        ("exfat", 3, b"EXFAT   "),
        ("LVM", 0x218, b"LVM2 001"),
        ("an encrypted device (LUKS)", 0, b"LUKS\xba\xbe"),
        ("swap space", 4086, b"SWAPSPACE2"),
    ];
    if let Some((kind, ..)) = known.iter().find(|(_, at, text)| is(*at, text)) {
        return Some(kind);
    }
    // A jump, a sector size, and the mark at the end of the sector.
    let jumps = head.first().is_some_and(|byte| matches!(byte, 0xeb | 0xe9));
    let sector = head.get(11..13).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let is_fat = is(54, b"FAT") || is(82, b"FAT32");
    (jumps && matches!(sector, 512 | 1024 | 2048 | 4096) && is(510, &[0x55, 0xaa]) && is_fat)
        .then_some("fat")
}

/// A part of an image.
#[derive(Clone)]
struct Window {
    image: Arc<dyn ReadImage>,
    range: Range<u64>,
}

impl Window {
    fn size_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// An end before that of the buffer is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(Error::invalid("the file system names what lies behind its partition"));
        }
        self.image.read_at(self.range.start + offset, buffer)
    }
}

fn path_text(path: &[u8]) -> Result<&str> {
    std::str::from_utf8(path).map_err(|_| Error::invalid("the path is no UTF-8"))
}
