//! A directory: each object is a file, the slashes of its name are directories.
//!
//! Invariants: a file appears under its name whole and durable or not at all; a name is never
//! replaced; nothing is mapped into memory, so that a file that shrinks or a server that goes
//! away is an error and never a signal. How a file gets its name depends on the file system:
//! see [`Way`]. Files are 0600, directories 0700.

mod handles;
mod reserve;
mod root;
mod sweep;
mod unfinished;
mod walk;
mod way;

use std::fs::File;
use std::io::{ErrorKind as Io, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use tintype_model::{Error, Result};

use self::handles::Handles;
pub use self::root::is_remote;
use self::root::{Root, parent};
use self::unfinished::{Unfinished, regular_size};
pub use self::way::Way;
use super::name::{check_name, check_prefix};
use super::{
    Backend, Listed, PutStream, SCRATCH, StoreFeatures, Timestamp, check_limit, too_short,
};

pub struct LocalBackend {
    root: Arc<Root>,
    handles: Handles,
}

impl LocalBackend {
    /// The directory must exist.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { root: Root::open(path)?, handles: Handles::default() })
    }

    /// Makes the directory if it does not exist.
    pub fn create(path: &Path) -> Result<Self> {
        Root::create(path)?;
        Self::open(path)
    }

    /// With a given way to name files instead of the best one.
    pub fn open_with(path: &Path, way: Way) -> Result<Self> {
        let backend = Self::open(path)?;
        backend.root.way.get_or_init(|| way);
        Ok(backend)
    }

    /// Whether the directory is on another machine, or served by a program (FUSE).
    pub fn is_network(&self) -> bool {
        self.root.network
    }

    fn open_object(&self, name: &str) -> Result<(File, u64)> {
        check_name(name)?;
        let file = self.root.open_object(name).map_err(|errno| self.fail(errno, name))?;
        let size_bytes = regular_size(&file, name, &self.root)?;
        Ok((file, size_bytes))
    }

    /// A name below what is a file is a name that does not exist.
    fn fail(&self, errno: Errno, name: &str) -> Error {
        let errno = if errno == Errno::NOTDIR { Errno::NOENT } else { errno };
        self.root.fail(errno, name)
    }
}

impl Backend for LocalBackend {
    fn describe(&self) -> String {
        self.root.path.display().to_string()
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        check_name(name)?;
        let mut file = Unfinished::create(&self.root, name)?;
        file.append(data)?;
        file.publish()
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        check_name(name)?;
        Ok(Box::new(Unfinished::create(&self.root, name)?))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let (file, size_bytes) = self.open_object(name)?;
        check_limit(name, size_bytes, limit_bytes)?;
        let mut data = Vec::with_capacity(size_bytes as usize);
        let read = file.take(size_bytes).read_to_end(&mut data);
        read.map_err(|error| self.root.fail(error, name))?;
        if (data.len() as u64) < size_bytes {
            return Err(too_short(name, data.len() as u64, 0, size_bytes as usize));
        }
        Ok(data)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut cached = self.handles.get(name);
        loop {
            let from_cache = cached.is_some();
            let file = if let Some(file) = cached.take() {
                file
            } else {
                let file = Arc::new(self.open_object(name)?.0);
                self.handles.keep(name, file.clone());
                file
            };
            let size_bytes = || regular_size(&file, name, &self.root);
            if out.is_empty() && offset > size_bytes()? {
                return Err(too_short(name, size_bytes()?, offset, 0));
            }
            match file.read_exact_at(out, offset) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == Io::UnexpectedEof => {
                    return Err(too_short(name, size_bytes()?, offset, out.len()));
                }
                Err(error) if from_cache && error.kind() == Io::StaleNetworkFileHandle => {
                    self.handles.forget(name);
                }
                Err(error) => return Err(self.root.fail(error, name)),
            }
        }
    }

    fn stat(&self, name: &str) -> Result<u64> {
        check_name(name)?;
        let stat = rustix::fs::statat(&self.root.directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.fail(errno, name))?;
        if FileType::from_raw_mode(stat.st_mode).is_file() {
            Ok(stat.st_size as u64)
        } else {
            Err(Error::not_found(format!("object {name} does not exist: not a file")))
        }
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        check_prefix(prefix)?;
        walk::walk(&self.root, prefix.trim_end_matches('/'), each)
    }

    /// Needs no free space. Not durable by itself: after a power cut the object may be back.
    fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.handles.forget(name);
        match rustix::fs::unlinkat(&self.root.directory, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR) if !self.root.is_gone() => {}
            Err(errno) => return Err(self.root.fail(errno, name)),
        }
        let mut directory = parent(name);
        while name.starts_with(SCRATCH) && !directory.is_empty() {
            let removed = rustix::fs::unlinkat(&self.root.directory, directory, AtFlags::REMOVEDIR);
            if removed.is_err() {
                break;
            }
            self.root.forget(directory);
            directory = parent(directory);
        }
        Ok(())
    }

    fn conditional(&self) -> bool {
        self.root.way() != Way::Rename
    }

    fn store_features(&self) -> Result<StoreFeatures> {
        let stat = rustix::fs::fstatvfs(&self.root.directory)
            .map_err(|errno| self.root.fail(errno, "statvfs"))?;
        let blocks = stat.f_blocks.saturating_sub(stat.f_bfree).saturating_add(stat.f_bavail);
        Ok(StoreFeatures {
            total_bytes: Some(blocks.saturating_mul(stat.f_frsize)),
            versioning: Some(false),
            object_lock: Some(false),
            free_bytes: Some(stat.f_bavail.saturating_mul(stat.f_frsize)),
        })
    }

    /// The server's, where the directory is on one.
    fn now(&self) -> Result<Option<Timestamp>> {
        let mut file = Unfinished::create(&self.root, "clock")?;
        file.append(b"x")?;
        file.modified().map(Some)
    }

    fn sweep(&self) -> Result<u64> {
        sweep::sweep(&self.root)
    }

    fn keep_reserve(&self) {
        reserve::keep(&self.root);
    }

    fn give_up_reserve(&self) -> Result<bool> {
        reserve::give_up(&self.root)
    }
}
