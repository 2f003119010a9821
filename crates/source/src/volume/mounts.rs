//! What is mounted, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags, makedev, statx};
use tintype_model::{Error, Result};

/// A longer list is not read.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub id: u64,
    pub device: u64,
    /// The directory of the file system that is mounted; `/` unless it is a bind mount or a
    /// subvolume.
    pub root: Vec<u8>,
    pub point: PathBuf,
    pub options: String,
    pub kind: String,
    pub source: PathBuf,
    pub super_options: String,
}

impl Mount {
    pub(super) fn is_read_only(&self) -> bool {
        let has = |options: &str| options.split(',').any(|option| option == "ro");
        has(&self.options) || has(&self.super_options)
    }
}

/// All mounts, in the order in which they were made.
pub(super) fn all() -> Result<Vec<Mount>> {
    use std::io::Read as _;
    let name = "/proc/self/mountinfo";
    let mut text = Vec::new();
    std::fs::File::open(name)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text))
        .map_err(|error| Error::io(error, name))?;
    Ok(parse(&text))
}

/// The mount that an open file is reached through.
pub(super) fn of(file: impl AsFd, what: &Path) -> Result<Mount> {
    let stat = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|errno| Error::io(errno.into(), what.display()))?;
    let mount = all()?.into_iter().find(|mount| mount.id == stat.stx_mnt_id);
    mount.ok_or_else(|| {
        Error::unsupported(format!(
            "{}: what it is mounted on cannot be found in /proc/self/mountinfo",
            what.display()
        ))
    })
}

/// Lines that are not understood are left out.
pub(super) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<u64>().ok();
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let id = number(fields.next()?)?;
    fields.next()?;
    let device = std::str::from_utf8(fields.next()?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = makedev(major.parse().ok()?, minor.parse().ok()?);
    let root = unescaped(fields.next()?);
    let point = OsString::from_vec(unescaped(fields.next()?)).into();
    let options = text(fields.next()?);
    // Optional fields end with a dash.
    fields.find(|field| *field == b"-")?;
    let kind = text(&unescaped(fields.next()?));
    let source = OsString::from_vec(unescaped(fields.next()?)).into();
    let super_options = text(fields.next().unwrap_or_default());
    Some(Mount { id, device, root, point, options, kind, source, super_options })
}

/// Octal escapes: `\040` is a blank.
pub(super) fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        if let (b'\\', Some(octal)) = (first, after.get(..3))
            && let Ok(octal) = std::str::from_utf8(octal)
            && let Ok(byte) = u8::from_str_radix(octal, 8)
        {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

/// What is mounted below a directory, not on it.
pub(super) fn below(mounts: &[Mount], directory: &Path) -> Vec<PathBuf> {
    let is_below = |mount: &&Mount| mount.point != directory && mount.point.starts_with(directory);
    mounts.iter().filter(is_below).map(|mount| mount.point.clone()).collect()
}

/// A path in the file system itself, of one that was reached through a mount.
pub(super) fn path_in(mount: &Mount, path: &Path) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(&mount.point).ok()?;
    let top = mount.root.strip_prefix(b"/").unwrap_or(&mount.root);
    let mut inside = top.to_vec();
    if !inside.is_empty() && !rest.as_os_str().is_empty() {
        inside.push(b'/');
    }
    inside.extend_from_slice(rest.as_os_str().as_bytes());
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_optional_fields_escapes_and_bind_mounts() {
        let text = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=x\n\
            91 22 0:45 /@home /srv/a\\040b\\012c rw shared:1 master:2 - btrfs /dev/loop0 rw,subvol=/@home\n\
            nonsense\n\
            92 22 7:1 /in/side /bind ro,nosuid - xfs /dev/loop1 rw";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].point, Path::new("/"));
        assert_eq!(mounts[1].point, Path::new("/srv/a b\nc"));
        assert_eq!((&mounts[1].kind[..], &mounts[1].root[..]), ("btrfs", &b"/@home"[..]));
        assert!(!mounts[1].is_read_only() && mounts[2].is_read_only());
        assert_eq!(path_in(&mounts[2], Path::new("/bind/x")).unwrap(), b"in/side/x");
        assert_eq!(path_in(&mounts[0], Path::new("/")).unwrap(), b"");
        assert_eq!(path_in(&mounts[2], Path::new("/else")), None);
        assert_eq!(below(&mounts, Path::new("/srv")), [PathBuf::from("/srv/a b\nc")]);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(unescaped(b"a\\04"), b"a\\04");
        assert_eq!(unescaped(b"\\777\\134"), b"\\777\\");
    }

    proptest::proptest! {
        #[test]
        fn changed_lines_are_read_or_left_out(bytes in tintype_testkit::hostile::changed([
            "91 22 0:45 /@home /srv/a\\040b\\012c rw shared:1 master:2 - btrfs /dev/loop0 rw\n\
             92 22 7:1 /in/side /bind ro,nosuid - xfs /dev/loop1 rw\n",
        ])) {
            for mount in parse(&bytes) {
                let _ = (path_in(&mount, Path::new("/bind/x")), unescaped(&bytes));
            }
        }
    }
}
