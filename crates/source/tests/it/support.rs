//! Trees to test with, and a whole transfer from a walk to a target.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, lsetxattr};
use tintype_model::entry::{Kind, Node, Problem};
use tintype_source::files::{Found, Put, Target, TargetOptions, Walk, WalkOptions};

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Tests of mounts and devices run as root; they must in continuous checks.
pub(crate) fn skipped_without_root(what: &str) -> bool {
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "{what}: must run as root in CI");
        eprintln!("{what}: not run, because it needs root");
    }
    !is_root()
}

pub(crate) use tintype_testkit::volumes::{Mounted, run};

/// Walks everything below `base` as `t/…`, with helpers.
pub(crate) fn walk_all(base: &Path, helpers: usize, options: WalkOptions) -> Vec<Found> {
    walk_roots(
        vec![base.to_owned()],
        helpers,
        WalkOptions { base: base.to_owned(), prefix: b"t".to_vec(), ..options },
    )
}

pub(crate) fn walk_roots(roots: Vec<PathBuf>, helpers: usize, options: WalkOptions) -> Vec<Found> {
    let walk = Walk::new(roots, options);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|| walk.help());
        }
        while walk.next_batch(&mut found, 7) {}
    });
    found
}

pub(crate) fn paths(found: &[Found]) -> Vec<String> {
    found.iter().map(|found| String::from_utf8_lossy(&found.path).into_owned()).collect()
}

pub(crate) fn find<'f>(found: &'f [Found], path: &str) -> &'f Found {
    found
        .iter()
        .find(|found| found.path == path.as_bytes())
        .unwrap_or_else(|| panic!("{path} is not among {:?}", paths(found)))
}

/// Captures `from` and restores it to `to`, as a snapshot and a restore would; gives all
/// problems of both.
pub(crate) fn transfer(from: &Path, to: &Path, options: TargetOptions) -> Vec<(String, Problem)> {
    transfer_found(walk_all(from, 1, WalkOptions::default()), to, options)
}

/// Restores what a walk found below `t`.
pub(crate) fn transfer_found(
    all: Vec<Found>,
    to: &Path,
    options: TargetOptions,
) -> Vec<(String, Problem)> {
    let target = Target::open(to, options).unwrap();
    let mut problems = Vec::new();
    let mut dirs: Vec<(Vec<u8>, Node)> = Vec::new();
    let mut links = std::collections::HashMap::new();
    for mut found in all {
        let path = found.path.strip_prefix(b"t").unwrap();
        let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        let several = found.node.links > 1 && found.node.kind != Kind::Directory;
        let id = (found.node.device, found.node.inode);
        let first = if several { links.insert(id, path.clone()) } else { None };
        let more = if let Some(first) = first {
            links.insert(id, first.clone());
            target.hard_link(&first, &path, Put::New).map(|()| Vec::new())
        } else {
            restore(&target, &mut found, &path)
        };
        let shown = String::from_utf8_lossy(&path).into_owned();
        problems.extend(more.unwrap().into_iter().map(|problem| (shown.clone(), problem)));
        problems.extend(found.node.problem().map(|problem| (shown, problem.clone())));
        if found.node.kind == Kind::Directory {
            dirs.push((path, found.node));
        }
    }
    for (path, node) in dirs.iter().rev() {
        let shown = String::from_utf8_lossy(path).into_owned();
        let more = target.finish_dir(path, node).unwrap();
        problems.extend(more.into_iter().map(|problem| (shown.clone(), problem)));
    }
    let last = target.complete().into_iter();
    problems.extend(last.map(|(path, problem)| (String::from_utf8_lossy(&path).into(), problem)));
    problems
}

fn restore(target: &Target, found: &mut Found, path: &[u8]) -> tintype_model::Result<Vec<Problem>> {
    match found.node.kind {
        Kind::File => restore_file(target, found, path),
        kind => {
            found.load_extras();
            match kind {
                Kind::Directory if path.is_empty() => Ok(Vec::new()),
                Kind::Directory => target.make_dir(path).map(|_| Vec::new()),
                Kind::Symlink => target.symlink(path, &found.node, Put::New),
                Kind::Socket => Ok(Vec::new()),
                _ => target.special(path, &found.node, Put::New),
            }
        }
    }
}

fn restore_file(
    target: &Target,
    found: &mut Found,
    path: &[u8],
) -> tintype_model::Result<Vec<Problem>> {
    let file = match found.open() {
        Ok(file) => file,
        Err(problem) => {
            found.node.extras_mut().problem = Some(problem);
            return Ok(Vec::new());
        }
    };
    file.refresh(&mut found.node);
    file.load_extras(&mut found.node);
    let restored = target.begin_file(path, &found.node)?;
    for segment in file.segments().filter(|segment| !segment.hole) {
        let mut data = vec![0; segment.length as usize];
        let length = file.read_full_at(&mut data, segment.offset).unwrap();
        restored.write_at(segment.offset, &data[..length])?;
    }
    assert!(!file.changed(&found.node));
    restored.finish(&found.node, Put::New)
}

pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|errno| panic!("{name} on {}: {errno}", path.display()));
}

/// A POSIX ACL as the kernel takes it: one more user may read.
pub(crate) fn acl(uid: u32) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (1u16, 6u16, u32::MAX),
        (2, 4, uid),
        (4, 4, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ] {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// `cap_net_bind_service=ep` as the kernel takes it.
pub(crate) fn capability() -> Vec<u8> {
    [0x0200_0001u32, 1 << 10, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
