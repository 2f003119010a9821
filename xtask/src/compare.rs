//! Compares two directory trees: names, kinds and every byte; on request all metadata too.
//!
//! This code shares nothing with the product, so it can prove what the product did.

use crate::{interrupt, walk};
use anyhow::Context;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, OsString};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How many differences are kept as text.
const SHOWN: usize = 20;
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Names, kinds, sizes, symlink targets and every byte.
    Content,
    /// These, and mode, owner, mtime in nanoseconds, device numbers, hard links and xattrs
    /// (which hold ACLs and capabilities).
    Everything,
}

/// What was compared and what differs.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) entries: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) symlinks: u64,
    pub(crate) hard_links: u64,
    pub(crate) xattrs: u64,
    pub(crate) differences: u64,
    /// The first of them, in words.
    pub(crate) shown: Vec<String>,
}

impl Report {
    pub(crate) fn is_equal(&self) -> bool {
        self.differences == 0
    }

    fn differs(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.differences += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{}: {what}", path.display()));
        }
    }
}

/// Compares `found` with what was `wanted`.
pub(crate) fn trees(wanted: &Path, found: &Path, depth: Depth) -> anyhow::Result<Report> {
    let mut comparison = Comparison {
        wanted,
        found,
        depth,
        report: Report::default(),
        links: HashMap::new(),
        buffers: (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]),
    };
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        interrupt::check()?;
        let is_folder = comparison.entry(&relative)?;
        if is_folder {
            pending.extend(comparison.folder(&relative)?);
        }
    }
    Ok(comparison.report)
}

/// Device and inode of one tree's hard-linked file.
type Inode = (u64, u64);

struct Comparison<'p> {
    wanted: &'p Path,
    found: &'p Path,
    depth: Depth,
    report: Report,
    /// Which inode of the found tree stands for which of the wanted one.
    links: HashMap<Inode, Inode>,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Comparison<'_> {
    /// Compares one entry; true when both are directories.
    fn entry(&mut self, relative: &Path) -> anyhow::Result<bool> {
        let (left, right) = (walk::join(self.wanted, relative), walk::join(self.found, relative));
        let wanted = left.symlink_metadata().with_context(|| format!("{}", left.display()))?;
        let found = match right.symlink_metadata() {
            Ok(found) => found,
            Err(error) => {
                self.report.differs(relative, format_args!("missing ({error})"));
                return Ok(false);
            }
        };
        self.report.entries += 1;
        if wanted.file_type() != found.file_type() {
            let text = format!("is {}, not {}", kind(&found), kind(&wanted));
            self.report.differs(relative, text);
            return Ok(false);
        }
        if wanted.is_file() {
            self.file(relative, (&left, &wanted), (&right, &found))?;
        } else if wanted.is_symlink() {
            self.report.symlinks += 1;
            let (link, other) = (std::fs::read_link(&left)?, std::fs::read_link(&right)?);
            if link != other {
                self.report.differs(relative, format_args!("points to {}", other.display()));
            }
        }
        if self.depth == Depth::Everything {
            self.metadata(relative, (&left, &wanted), (&right, &found))?;
        }
        Ok(wanted.is_dir())
    }

    /// Reports names that only the found folder has; returns the wanted children, last first.
    fn folder(&mut self, relative: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let wanted = walk::names(&walk::join(self.wanted, relative))?;
        let found = walk::names(&walk::join(self.found, relative))?;
        let known: HashSet<&OsString> = wanted.iter().collect();
        for name in found.iter().filter(|name| !known.contains(name)) {
            self.report.differs(&relative.join(name), "was not in the source");
        }
        Ok(wanted.iter().rev().map(|name| relative.join(name)).collect())
    }

    fn file(
        &mut self,
        relative: &Path,
        (left, wanted): (&Path, &Metadata),
        (right, found): (&Path, &Metadata),
    ) -> anyhow::Result<()> {
        self.report.files += 1;
        if wanted.len() != found.len() {
            let text = format!("{} bytes, not {}", found.len(), wanted.len());
            self.report.differs(relative, text);
            return Ok(());
        }
        let mut readers = (File::open(left)?, File::open(right)?);
        let mut offset = 0_u64;
        loop {
            let length = fill(&mut readers.0, &mut self.buffers.0)?;
            let other = fill(&mut readers.1, &mut self.buffers.1)?;
            let (a, b) = (&self.buffers.0[..length], &self.buffers.1[..other]);
            if a != b {
                let first =
                    a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
                self.report.differs(
                    relative,
                    format_args!("content differs at byte {}", offset + first as u64),
                );
                return Ok(());
            }
            offset += length as u64;
            if length < BUFFER_BYTES {
                break;
            }
        }
        self.report.bytes += offset;
        Ok(())
    }

    fn metadata(
        &mut self,
        relative: &Path,
        (left, wanted): (&Path, &Metadata),
        (right, found): (&Path, &Metadata),
    ) -> anyhow::Result<()> {
        if wanted.mode() != found.mode() {
            let text = format!("mode {:o}, not {:o}", found.mode(), wanted.mode());
            self.report.differs(relative, text);
        }
        let owner = |of: &Metadata| (of.uid(), of.gid());
        if owner(wanted) != owner(found) {
            let text = format!("owner {:?}, not {:?}", owner(found), owner(wanted));
            self.report.differs(relative, text);
        }
        let mtime = |of: &Metadata| (of.mtime(), of.mtime_nsec());
        if mtime(wanted) != mtime(found) {
            let text = format!("mtime {:?}, not {:?}", mtime(found), mtime(wanted));
            self.report.differs(relative, text);
        }
        let is_device = wanted.file_type().is_block_device() || wanted.file_type().is_char_device();
        if is_device && wanted.rdev() != found.rdev() {
            self.report.differs(relative, "another device number");
        }
        if !wanted.is_dir() && wanted.nlink() > 1 {
            self.hard_link(relative, wanted, found);
        }
        let (attributes, others) = (xattrs(left)?, xattrs(right)?);
        self.report.xattrs += attributes.len() as u64;
        if attributes != others {
            let names = |of: &[Xattr]| of.iter().map(Xattr::shown).collect::<Vec<_>>().join(", ");
            let text = format!("xattrs [{}], not [{}]", names(&others), names(&attributes));
            self.report.differs(relative, text);
        }
        Ok(())
    }

    fn hard_link(&mut self, relative: &Path, wanted: &Metadata, found: &Metadata) {
        self.report.hard_links += 1;
        let inode = |of: &Metadata| (of.dev(), of.ino());
        let known = *self.links.entry(inode(wanted)).or_insert_with(|| inode(found));
        if known != inode(found) {
            self.report.differs(relative, "is no longer the same file as its other names");
        }
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let found = metadata.file_type();
    match () {
        () if found.is_file() => "a file",
        () if found.is_dir() => "a directory",
        () if found.is_symlink() => "a symlink",
        () if found.is_fifo() => "a fifo",
        () if found.is_socket() => "a socket",
        () => "a device",
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Xattr {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Xattr {
    fn shown(&self) -> String {
        format!("{} ({} bytes)", String::from_utf8_lossy(&self.name), self.value.len())
    }
}

/// The extended attributes of the entry itself, sorted. A value may have up to 64 KiB (Linux).
fn xattrs(path: &Path) -> anyhow::Result<Vec<Xattr>> {
    let context = || format!("cannot read the extended attributes of {}", path.display());
    let mut list = vec![0_u8; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut list) {
        Ok(0) | Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => length,
        Err(error) => return Err(error).with_context(context),
    };
    let mut found = Vec::new();
    let mut value = vec![0_u8; 64 << 10];
    for name in list[..length].split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).with_context(context)?;
        let length = rustix::fs::lgetxattr(path, name, &mut value).with_context(context)?;
        let name = std::ffi::OsStr::from_bytes(name.to_bytes()).as_bytes().to_vec();
        found.push(Xattr { name, value: value[..length].to_vec() });
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Two trees of equal content.
    fn pair() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        for root in [&a, &b] {
            fs::create_dir_all(root.join("sub")).expect("created");
            fs::write(root.join("sub/file"), "hello").expect("written");
            symlink("file", root.join("sub/link")).expect("linked");
        }
        (folder, a, b)
    }

    fn words(a: &Path, b: &Path, depth: Depth) -> String {
        trees(a, b, depth).expect("compared").shown.join("; ")
    }

    #[test]
    fn equal_content_is_equal() {
        let (_folder, a, b) = pair();
        let report = trees(&a, &b, Depth::Content).expect("compared");
        assert!(report.is_equal());
        assert_eq!((report.entries, report.files, report.bytes, report.symlinks), (4, 1, 5, 1));
        let file = File::options().write(true).open(b.join("sub/file")).expect("opened");
        file.set_modified(std::time::UNIX_EPOCH).expect("set");
        assert!(words(&a, &b, Depth::Everything).contains("sub/file: mtime (0, 0)"));
    }

    #[test]
    fn each_kind_of_difference_is_named() {
        let (_folder, a, b) = pair();
        fs::write(b.join("sub/file"), "hellO").expect("written");
        assert!(words(&a, &b, Depth::Content).contains("sub/file: content differs at byte 4"));
        fs::write(b.join("sub/file"), "hell").expect("written");
        assert!(words(&a, &b, Depth::Content).contains("4 bytes, not 5"));
        fs::remove_file(b.join("sub/file")).expect("removed");
        assert!(words(&a, &b, Depth::Content).contains("sub/file: missing"));
        fs::write(b.join("more"), "").expect("written");
        assert!(words(&a, &b, Depth::Content).contains("more: was not in the source"));
    }

    #[test]
    fn modes_and_hard_links_are_compared() {
        let (_folder, a, b) = pair();
        fs::set_permissions(b.join("sub/file"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::hard_link(a.join("sub/file"), a.join("sub/other")).expect("linked");
        fs::write(b.join("sub/other"), "hello").expect("written");
        let text = words(&a, &b, Depth::Everything);
        assert!(text.contains("mode 100600"), "{text}");
        assert!(text.contains("no longer the same file"), "{text}");
    }
}
