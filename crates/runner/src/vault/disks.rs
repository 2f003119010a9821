//! Looking into disks that a snapshot holds.

use std::ops::Range;
use std::sync::Arc;

use tintype_engine::cancel::Cancel;
use tintype_engine::tree::TreeEntry;
use tintype_model::entry::Kind;
use tintype_model::{Error, Result};
use tintype_source::connector::ReadImage;
use tintype_source::disk::{self, DiskEntry, DiskFiles, can_be_read, kind_of, partitions};

use super::content::{identity_on_disk, join, readable};
use super::{FileInfo, Found, Listed, OnDisk, View};
use crate::disk::{Chosen, choose};

/// Of content: file systems read near each other.
const HELD_BYTES: usize = 8 << 20;

/// A partition of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPart {
    /// 0: the whole disk, which has no table.
    pub number: u32,
    pub start: u64,
    pub size_bytes: u64,
    /// What lies on it, if that is known.
    pub kind: Option<String>,
    pub can_be_read: bool,
}

/// A file system of a disk.
struct Opened {
    image: TreeEntry,
    partition: u32,
    files: Box<dyn DiskFiles>,
}

impl View {
    fn disk(&self, path: &[u8], cancel: &Cancel) -> Result<(TreeEntry, Arc<dyn ReadImage>)> {
        let entry = self.entry(path)?;
        let image = self.image(&entry, cancel)?.holding(HELD_BYTES);
        Ok((entry, Arc::new(image)))
    }

    /// Partitions of a disk image.
    pub fn partitions(&self, image: &[u8], cancel: &Cancel) -> Result<Vec<DiskPart>> {
        let (_, image) = self.disk(image, cancel)?;
        let part = |found: &disk::Partition| {
            let kind = kind_of(&*image, found)?;
            Ok(DiskPart {
                number: found.number,
                start: found.range.start,
                size_bytes: found.range.end - found.range.start,
                kind: kind.map(str::to_owned),
                can_be_read: kind.is_some_and(can_be_read),
            })
        };
        partitions(&*image)?.iter().map(part).collect()
    }

    fn opened(&self, disk: &OnDisk, cancel: &Cancel) -> Result<Opened> {
        let (entry, image) = self.disk(&disk.image, cancel)?;
        let partition = match choose(&*image, disk.partition)? {
            Chosen::One(partition) => partition,
            Chosen::Absent(number) => {
                return Err(Error::not_found(format!("the disk has no partition {number}")));
            }
            Chosen::Unreadable => {
                return Err(Error::unsupported(
                    "none of its partitions holds a file system that is read out of an image; \
                     restore the disk, and mount it",
                ));
            }
            Chosen::Several(several) => {
                let shown = several.iter().map(|(part, kind)| format!("{} ({kind})", part.number));
                let shown: Vec<String> = shown.collect();
                return Err(Error::invalid(format!(
                    "on which partition, {}? say `partition`",
                    shown.join(" or ")
                )));
            }
        };
        let files = disk::open(image, &partition)?;
        Ok(Opened { image: entry, partition: partition.number, files })
    }

    pub(super) fn list_on_disk(
        &self,
        disk: &OnDisk,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed> {
        let opened = self.opened(disk, &Cancel::default())?;
        let itself = opened.files.stat(path)?;
        let found = |entry: DiskEntry, path: Vec<u8>| Found { path, node: entry.node };
        let mut listed = Listed { itself: None, items: Vec::new(), has_more: false };
        if itself.node.kind == Kind::Directory {
            let all = opened.files.list(path)?;
            let begin = after.map_or(0, |name| all.partition_point(|e| &e.name[..] <= name));
            listed.has_more = all.len() - begin > limit;
            let page = all.into_iter().skip(begin).take(limit);
            listed.items = page
                .map(|entry| {
                    let path = join(path, &entry.name);
                    found(entry, path)
                })
                .collect();
        }
        listed.itself = (!path.is_empty()).then(|| found(itself, path.to_vec()));
        Ok(listed)
    }

    pub(super) fn file_on_disk(&self, disk: &OnDisk, path: &[u8]) -> Result<FileInfo> {
        let opened = self.opened(disk, &Cancel::default())?;
        let found = opened.files.stat(path)?;
        readable(path, &found.node)?;
        let identity = identity_on_disk(&opened.image, opened.partition, path);
        let found = Found { path: path.to_vec(), node: found.node };
        Ok(FileInfo { found, identity })
    }

    pub(super) fn read_on_disk(
        &self,
        disk: &OnDisk,
        path: &[u8],
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<()> {
        let opened = self.opened(disk, cancel)?;
        readable(path, &opened.files.stat(path)?.node)?;
        let (mut at, mut failed) = (0u64, None);
        // Their readers give a file from its beginning on: what lies before is passed over.
        let done = opened.files.read(path, &mut |bytes| {
            cancel.check()?;
            let (from, to) = (at, at + bytes.len() as u64);
            at = to;
            let (begin, end) = (range.start.max(from), range.end.min(to));
            if begin < end {
                let part = &bytes[(begin - from) as usize..(end - from) as usize];
                each(part).map_err(|error| {
                    failed = Some(error);
                    Error::canceled("nobody reads on")
                })?;
            }
            match at >= range.end {
                true => Err(Error::canceled("enough was read")),
                false => Ok(()),
            }
        });
        match (failed, done) {
            (Some(error), _) => Err(error),
            _ if at >= range.end => Ok(()),
            (None, Err(error)) => Err(error),
            (None, Ok(length)) => {
                let end = range.end;
                Err(Error::corrupt(format!("the file on the disk ends at {length}, not at {end}")))
            }
        }
    }
}
