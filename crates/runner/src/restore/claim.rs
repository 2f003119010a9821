//! Two restores into one place at once would find each other's files in the way, and plan to
//! delete them. So a restore holds a lock (flock(2)) on each directory that it restores into, and
//! a shared one on all directories above: restores that lie in each other exclude each other,
//! others do not. Nothing is written for it, and the system releases it when the process ends,
//! however it ends. Where a directory cannot be locked (NFS, or no right to read it) the restore
//! goes on without.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use tintype_model::{Error, Result};

/// Held while it lives.
pub(crate) struct Claim {
    _locks: Vec<File>,
}

impl Claim {
    /// Claims directories that exist.
    pub(crate) fn take(places: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        // Whether alone, by path: the root comes first.
        let mut wanted = BTreeMap::new();
        for place in places.into_iter().filter_map(|place| place.canonicalize().ok()) {
            for above in place.ancestors().skip(1) {
                wanted.entry(above.to_path_buf()).or_insert(false);
            }
            wanted.insert(place, true);
        }
        let how = OFlags::DIRECTORY | OFlags::NONBLOCK;
        // By device and inode: what has two paths is locked once.
        let mut locks: HashMap<(u64, u64), (PathBuf, File, bool)> = HashMap::new();
        for (path, is_alone) in wanted {
            let opened = OpenOptions::new().read(true).custom_flags(how.bits() as i32).open(&path);
            let Ok(file) = opened else { continue };
            let Ok(found) = file.metadata() else { continue };
            let known = locks.entry((found.dev(), found.ino())).or_insert((path, file, false));
            known.2 |= is_alone;
        }
        locks.values().try_for_each(lock)?;
        Ok(Self { _locks: locks.into_values().map(|(_, file, _)| file).collect() })
    }
}

fn lock((path, file, is_alone): &(PathBuf, File, bool)) -> Result<()> {
    let how = if *is_alone {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match flock(file, how) {
        Err(Errno::WOULDBLOCK) => Err(Error::locked(format!(
            "{} is locked{}: another restore works there, or below (or another program holds a \
             lock on it, flock(2)); nothing was changed: run it again when that is done",
            path.display(),
            holder(file).map(|process| format!(" by process {process}")).unwrap_or_default(),
        ))),
        _ => Ok(()),
    }
}

/// Who holds a lock on it, as proc_locks(5) tells: `1: FLOCK ADVISORY WRITE 4711 fe:00:2 0 EOF`.
/// Some file systems give other device numbers there than stat(2) does; then nobody is named.
fn holder(file: &File) -> Option<u32> {
    let found = file.metadata().ok()?;
    let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", found.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let fields = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut held = fields.filter(|f| f.get(1) == Some(&"FLOCK") && f.get(5) == Some(&&place[..]));
    held.find_map(|fields| fields[4].parse().ok())
}
