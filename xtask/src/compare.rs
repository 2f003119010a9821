//! Compares two directory trees: names, kinds and every byte; on request all metadata too.
//!
//! This code shares nothing with the product, so it can prove what the product did.

use crate::{interrupt, walk};
use anyhow::Context;
use rustix::fs::IFlags;
use rustix::io::Errno;
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
/// File systems round holes differently.
const SPARSE_SLACK_BYTES: u64 = 1 << 20;
/// Those that a person sets; the others tell how a file system stores the file.
const FLAGS: IFlags = IFlags::IMMUTABLE
    .union(IFlags::APPEND)
    .union(IFlags::NODUMP)
    .union(IFlags::NOATIME)
    .union(IFlags::NOCOW);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Names, kinds, sizes, symlink targets and every byte.
    Content,
    /// These, and mode, owner, mtime in nanoseconds, device numbers, hard links, xattrs (which
    /// hold ACLs and capabilities), inode flags, and whether holes are holes.
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
    /// Of these, POSIX ACLs and capabilities.
    pub(crate) acls: u64,
    pub(crate) capabilities: u64,
    pub(crate) devices: u64,
    /// Files with fewer blocks than their size needs.
    pub(crate) sparse: u64,
    /// Entries with any of [`FLAGS`].
    pub(crate) flagged: u64,
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
        origins: HashMap::new(),
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
    /// The other way round.
    origins: HashMap<Inode, Inode>,
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
        self.report.devices += u64::from(is_device);
        if is_device && wanted.rdev() != found.rdev() {
            self.report.differs(relative, "another device number");
        }
        self.holes(relative, wanted, found);
        self.flags(relative, left, right, wanted)?;
        if !wanted.is_dir() && wanted.nlink().max(found.nlink()) > 1 {
            self.hard_link(relative, wanted, found);
        }
        let (attributes, others) = (xattrs(left)?, xattrs(right)?);
        self.report.xattrs += attributes.len() as u64;
        let named = |prefix: &[u8]| {
            attributes.iter().filter(|xattr| xattr.name.starts_with(prefix)).count() as u64
        };
        self.report.acls += named(b"system.posix_acl_");
        self.report.capabilities += named(b"security.capability");
        if attributes != others {
            let names = |of: &[Xattr]| of.iter().map(Xattr::shown).collect::<Vec<_>>().join(", ");
            let text = format!("xattrs [{}], not [{}]", names(&others), names(&attributes));
            self.report.differs(relative, text);
        }
        Ok(())
    }

    fn holes(&mut self, relative: &Path, wanted: &Metadata, found: &Metadata) {
        let allocated = |of: &Metadata| of.blocks() * 512;
        if !wanted.is_file() || allocated(wanted) >= wanted.len() {
            return;
        }
        self.report.sparse += 1;
        if allocated(found) > allocated(wanted) + SPARSE_SLACK_BYTES {
            let text = format!("takes {} bytes, not {}", allocated(found), allocated(wanted));
            self.report.differs(relative, text);
        }
    }

    fn flags(
        &mut self,
        relative: &Path,
        left: &Path,
        right: &Path,
        of: &Metadata,
    ) -> anyhow::Result<()> {
        if !of.is_file() && !of.is_dir() {
            return Ok(());
        }
        let (wanted, found) = (inode_flags(left)?, inode_flags(right)?);
        self.report.flagged += u64::from(!wanted.is_empty());
        if wanted != found {
            self.report.differs(relative, format_args!("inode flags {found:?}, not {wanted:?}"));
        }
        Ok(())
    }

    fn hard_link(&mut self, relative: &Path, wanted: &Metadata, found: &Metadata) {
        self.report.hard_links += u64::from(wanted.nlink() > 1);
        let inode = |of: &Metadata| (of.dev(), of.ino());
        let known = *self.links.entry(inode(wanted)).or_insert_with(|| inode(found));
        if known != inode(found) {
            self.report.differs(relative, "is no longer the same file as its other names");
        }
        let origin = *self.origins.entry(inode(found)).or_insert_with(|| inode(wanted));
        if origin != inode(wanted) {
            self.report.differs(relative, "became the same file as another");
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

fn inode_flags(path: &Path) -> anyhow::Result<IFlags> {
    let context = || format!("cannot read the inode flags of {}", path.display());
    match rustix::fs::ioctl_getflags(File::open(path).with_context(context)?) {
        Ok(flags) => Ok(flags & FLAGS),
        // File systems without flags.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => Ok(IFlags::empty()),
        Err(error) => Err(error).with_context(context),
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
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
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
        let (_folder, a, b) = pair();
        fs::write(a.join("sub/other"), "hello").expect("written");
        fs::hard_link(b.join("sub/file"), b.join("sub/other")).expect("linked");
        let text = words(&a, &b, Depth::Everything);
        assert!(text.contains("became the same file"), "{text}");
    }

    #[test]
    fn holes_and_flags_are_compared() {
        let (_folder, a, b) = pair();
        let length = 4 * SPARSE_SLACK_BYTES;
        File::create(a.join("holes")).expect("created").set_len(length).expect("sized");
        fs::write(b.join("holes"), vec![0; length as usize]).expect("written");
        let file = File::open(a.join("sub/file")).expect("opened");
        rustix::fs::ioctl_setflags(&file, IFlags::NODUMP).expect("set");
        let text = words(&a, &b, Depth::Everything);
        assert!(text.contains("holes: takes"), "{text}");
        assert!(text.contains("sub/file: inode flags IFlags(0x0), not IFlags(NODUMP)"), "{text}");
    }
}
