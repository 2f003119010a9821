//! Compares two directory trees exactly: what the tests trust.
//!
//! It shares no walking or reading code with what it judges. Not compared, because nobody can
//! set them: inode numbers, change and access times, link counts from outside the tree.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;
use tintype_model::entry::flags;
use tintype_model::{Error, Result};

use super::extras::{Reach, inode_flags, proc_path, xattrs};

/// What is not to be compared.
#[derive(Clone, Debug, Default)]
pub struct CompareOptions {
    /// Owners: after a restore by somebody who is not root.
    pub ignore_owners: bool,
    /// Inode flags: between file systems that have different ones.
    pub ignore_flags: bool,
    /// Allocated size: between file systems that allocate differently.
    pub ignore_sparseness: bool,
    /// Sockets that only the left side has: they are never restored.
    pub ignore_missing_sockets: bool,
    /// Extended attributes whose names begin so: labels that a system adds by itself.
    pub ignore_xattrs: Vec<Vec<u8>>,
    /// Metadata of the two top directories themselves.
    pub ignore_top: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Relative to the tops; empty for the tops themselves.
    pub path: Vec<u8>,
    /// `mode: 0644 / 0600`
    pub what: String,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub differences: Vec<Difference>,
    pub entries: u64,
    pub files: u64,
    pub content_bytes: u64,
    pub xattrs: u64,
    pub hard_links: u64,
}

type HardLinks = HashMap<(u64, u64), Vec<u8>>;

struct Comparer<'o> {
    options: &'o CompareOptions,
    result: Comparison,
    /// First path of each file with several links, on both sides.
    first: [HardLinks; 2],
    buffers: [Vec<u8>; 2],
}

/// A pair of directories whose names are being compared.
struct Level {
    dirs: [OwnedFd; 2],
    names: std::vec::IntoIter<Vec<u8>>,
    length: usize,
}

/// Compares what lies in two directories. Errors are those that make comparing impossible;
/// whatever cannot be read on one side is a difference.
pub fn compare(left: &Path, right: &Path, options: &CompareOptions) -> Result<Comparison> {
    let open = |path: &Path| {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, how, Mode::empty())
            .map_err(|errno| Error::io(errno.into(), path.display()))
    };
    let mut comparer = Comparer {
        options,
        result: Comparison::default(),
        first: [HashMap::new(), HashMap::new()],
        buffers: [vec![0; 1 << 18], vec![0; 1 << 18]],
    };
    comparer.run([open(left)?, open(right)?]);
    Ok(comparer.result)
}

impl Comparer<'_> {
    fn run(&mut self, tops: [OwnedFd; 2]) {
        let mut path = Vec::new();
        if !self.options.ignore_top {
            self.metadata(&path, &tops, b".");
        }
        let mut levels = vec![self.level(&path, tops, 0)];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                path.truncate(level.length);
                levels.pop();
                continue;
            };
            let length = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            match self.entry(&path, &level.dirs, &name) {
                Some(dirs) => levels.push(self.level(&path, dirs, length)),
                None => path.truncate(length),
            }
        }
    }

    fn level(&mut self, path: &[u8], dirs: [OwnedFd; 2], length: usize) -> Level {
        let [left, right] = dirs.each_ref().map(|dir| {
            names(dir).unwrap_or_else(|errno| {
                self.differ(path, format!("cannot be listed: {errno}"));
                BTreeSet::new()
            })
        });
        for name in left.symmetric_difference(&right) {
            let missing_right = left.contains(name);
            let dir = &dirs[usize::from(!missing_right)];
            let socket = statat(dir, &**name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
            if socket && missing_right && self.options.ignore_missing_sockets {
                continue;
            }
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(name);
            let side = if missing_right { "right" } else { "left" };
            self.differ(&below, format!("missing on the {side}"));
        }
        let both: Vec<Vec<u8>> = left.intersection(&right).cloned().collect();
        Level { dirs, names: both.into_iter(), length }
    }

    /// Compares one entry; gives both sides if they are directories.
    fn entry(&mut self, path: &[u8], dirs: &[OwnedFd; 2], name: &[u8]) -> Option<[OwnedFd; 2]> {
        let kind = self.metadata(path, dirs, name)?;
        match kind {
            FileType::Directory => {
                let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                self.open(path, dirs, name, how)
            }
            FileType::RegularFile => {
                let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let files = self.open(path, dirs, name, how)?;
                self.flags(path, &files);
                self.content(path, &files);
                None
            }
            FileType::Symlink => {
                let [left, right] = dirs.each_ref().map(|dir| readlinkat(dir, name, Vec::new()));
                if left != right {
                    self.differ(path, format!("symlink target: {left:?} / {right:?}"));
                }
                None
            }
            _ => None,
        }
    }

    /// Compares what `stat` and the attributes say; gives the kind if both have the same.
    fn metadata(&mut self, path: &[u8], dirs: &[OwnedFd; 2], name: &[u8]) -> Option<FileType> {
        self.result.entries += 1;
        let stats = dirs.each_ref().map(|dir| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW));
        let [Ok(left), Ok(right)] = stats else {
            self.differ(path, "cannot be looked at on both sides".to_owned());
            return None;
        };
        let kind = FileType::from_raw_mode(left.st_mode);
        if kind != FileType::from_raw_mode(right.st_mode) {
            self.differ(path, "kind".to_owned());
            return None;
        }
        self.stats(path, kind, &left, &right);
        if kind != FileType::Directory {
            let ids = [(left.st_dev, left.st_ino), (right.st_dev, right.st_ino)];
            self.hard_links(path, ids, left.st_nlink > 1 || right.st_nlink > 1);
        }
        self.attributes(path, dirs, name);
        Some(kind)
    }

    fn stats(&mut self, path: &[u8], kind: FileType, left: &Stat, right: &Stat) {
        let options = self.options;
        let link = kind == FileType::Symlink;
        let mut check = |what: &str, left: String, right: String| {
            if left != right {
                self.differ(path, format!("{what}: {left} / {right}"));
            }
        };
        let mode = |mode: u32| if link { String::new() } else { format!("{:04o}", mode & 0o7777) };
        check("mode", mode(left.st_mode), mode(right.st_mode));
        let time = |seconds: i64, nanos: u64| format!("{seconds}.{nanos:09}");
        check(
            "mtime",
            time(left.st_mtime, left.st_mtime_nsec),
            time(right.st_mtime, right.st_mtime_nsec),
        );
        if !options.ignore_owners {
            let owner = |uid: u32, gid: u32| format!("{uid}:{gid}");
            check("owner", owner(left.st_uid, left.st_gid), owner(right.st_uid, right.st_gid));
        }
        if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
            check("device number", left.st_rdev.to_string(), right.st_rdev.to_string());
        }
        if kind == FileType::RegularFile {
            check("size", left.st_size.to_string(), right.st_size.to_string());
            let sparse = |blocks: i64, size: i64| (blocks * 512 + (128 << 10) < size).to_string();
            if !options.ignore_sparseness {
                let (left, right) =
                    (sparse(left.st_blocks, left.st_size), sparse(right.st_blocks, right.st_size));
                check("sparse", left, right);
            }
        }
    }

    /// A further name of a file must be a further name of the same file on the other side.
    fn hard_links(&mut self, path: &[u8], ids: [(u64, u64); 2], several: bool) {
        if !several {
            return;
        }
        self.result.hard_links += 1;
        let mut firsts = [Vec::new(), Vec::new()];
        for side in 0..2 {
            let first = self.first[side].entry(ids[side]).or_insert_with(|| path.to_vec());
            firsts[side].clone_from(first);
        }
        if firsts[0] != firsts[1] {
            let [left, right] = firsts.each_ref().map(|path| String::from_utf8_lossy(path));
            self.differ(path, format!("same file as: {left} / {right}"));
        }
    }

    fn attributes(&mut self, path: &[u8], dirs: &[OwnedFd; 2], name: &[u8]) {
        let ignore = &self.options.ignore_xattrs;
        let [left, right] = dirs.each_ref().map(|dir| {
            let (mut found, problem) = xattrs(Reach::Path(&proc_path(dir, name)));
            found.retain(|xattr| !ignore.iter().any(|start| xattr.name.starts_with(start)));
            (found, problem)
        });
        self.result.xattrs += left.0.len() as u64;
        for problem in [&left.1, &right.1].into_iter().flatten() {
            self.differ(path, problem.message.clone());
        }
        for xattr in &left.0 {
            let name = String::from_utf8_lossy(&xattr.name).into_owned();
            match right.0.iter().find(|other| other.name == xattr.name) {
                None => self.differ(path, format!("xattr {name}: missing on the right")),
                Some(other) if other.value != xattr.value => {
                    self.differ(path, format!("xattr {name}: value"));
                }
                Some(_) => {}
            }
        }
        for xattr in right.0.iter().filter(|r| !left.0.iter().any(|l| l.name == r.name)) {
            let name = String::from_utf8_lossy(&xattr.name).into_owned();
            self.differ(path, format!("xattr {name}: missing on the left"));
        }
    }

    fn open(
        &mut self,
        path: &[u8],
        dirs: &[OwnedFd; 2],
        name: &[u8],
        how: OFlags,
    ) -> Option<[OwnedFd; 2]> {
        let opened = dirs.each_ref().map(|dir| openat(dir, name, how, Mode::empty()));
        match opened {
            [Ok(left), Ok(right)] => {
                let dirs = [left, right];
                if how.contains(OFlags::DIRECTORY) {
                    self.flags(path, &dirs);
                }
                Some(dirs)
            }
            [left, right] => {
                let error = left.err().or(right.err());
                self.differ(path, format!("cannot be opened: {error:?}"));
                None
            }
        }
    }

    fn flags(&mut self, path: &[u8], files: &[OwnedFd; 2]) {
        if self.options.ignore_flags {
            return;
        }
        let [left, right] =
            files.each_ref().map(|file| inode_flags(file.as_fd()).unwrap_or(u32::MAX));
        if left & flags::KEPT != right & flags::KEPT {
            self.differ(path, format!("inode flags: {left:#x} / {right:#x}"));
        }
    }

    fn content(&mut self, path: &[u8], files: &[OwnedFd; 2]) {
        self.result.files += 1;
        let mut offset = 0u64;
        loop {
            let mut lengths = [0usize; 2];
            for side in 0..2 {
                match fill(&files[side], &mut self.buffers[side], offset) {
                    Ok(length) => lengths[side] = length,
                    Err(errno) => {
                        self.differ(path, format!("cannot be read at {offset}: {errno}"));
                        return;
                    }
                }
            }
            let [left, right] = [&self.buffers[0][..lengths[0]], &self.buffers[1][..lengths[1]]];
            if left != right {
                let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
                self.differ(path, format!("content from byte {}", offset + same as u64));
                return;
            }
            self.result.content_bytes += left.len() as u64;
            offset += left.len() as u64;
            if left.len() < self.buffers[0].len() {
                return;
            }
        }
    }

    fn differ(&mut self, path: &[u8], what: String) {
        self.result.differences.push(Difference { path: path.to_vec(), what });
    }
}

fn names(dir: &OwnedFd) -> Result<BTreeSet<Vec<u8>>, Errno> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.insert(name);
        }
    }
    Ok(names)
}

fn fill(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}
