//! Listing: only the directories below the prefix are read, without recursion. Whatever is no
//! legal name (hidden files, `tmp/`, lost+found) is not ours and is passed over, and so is
//! what vanishes meanwhile.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use tintype_model::Result;

use super::root::{Root, join, relative};
use crate::backend::Listed;
use crate::backend::name::check_name;

pub(super) fn walk(
    root: &Root,
    top: &str,
    each: &mut dyn FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let mut pending = vec![top.to_owned()];
    while let Some(directory) = pending.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = relative(&directory);
        let open = match rustix::fs::openat(&root.directory, path, flags, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT | Errno::NOTDIR) if !root.is_gone() => continue,
            Err(errno) => return Err(root.fail(errno, &directory)),
        };
        for entry in Dir::new(open).map_err(|errno| root.fail(errno, &directory))? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::NOENT) if !root.is_gone() => break,
                Err(errno) => return Err(root.fail(errno, &directory)),
            };
            let Ok(name) = entry.file_name().to_str() else { continue };
            let name = join(&directory, name);
            if check_name(&name).is_err() {
                continue;
            }
            match look(root, &name, entry.file_type())? {
                Found::Directory => pending.push(name),
                Found::Object(size_bytes) => each(Listed { name, size_bytes })?,
                Found::Nothing => {}
            }
        }
    }
    if root.is_gone() {
        return Err(root.fail(Errno::NOENT, top));
    }
    Ok(())
}

enum Found {
    Directory,
    Object(u64),
    Nothing,
}

/// Directories may be links (a fan-out moved to another disk), objects may not.
fn look(root: &Root, name: &str, hint: FileType) -> Result<Found> {
    if hint == FileType::Directory {
        return Ok(Found::Directory);
    }
    let (stat, link) = match hint {
        FileType::Symlink => (rustix::fs::statat(&root.directory, name, AtFlags::empty()), true),
        _ => (rustix::fs::statat(&root.directory, name, AtFlags::SYMLINK_NOFOLLOW), false),
    };
    match stat {
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::RegularFile if !link => Found::Object(stat.st_size as u64),
            _ => Found::Nothing,
        }),
        Err(Errno::NOENT | Errno::LOOP) => Ok(Found::Nothing),
        Err(errno) => Err(root.fail(errno, name)),
    }
}
