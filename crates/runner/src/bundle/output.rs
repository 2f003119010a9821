//! The file of a bundle: written beside its name, which it gets when it is whole and on the disk.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tintype_engine::env::Env;
use tintype_model::{Error, Result};

/// Dropped before [`Output::finish`] it leaves nothing.
pub struct Output {
    path: PathBuf,
    /// Where it is while it is written.
    beside: PathBuf,
    file: File,
    replaces: bool,
    is_finished: bool,
}

impl Output {
    /// Whether there could be such a file; makes nothing. `replaces`: one may be there.
    pub fn check(path: &Path, replaces: bool) -> Result<()> {
        let shown = path.display();
        if path.file_name().is_none() {
            return Err(Error::invalid(format!("{shown}: is no name of a file")));
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                Err(Error::invalid(format!("{shown}: is a directory; name a file in it")))
            }
            Ok(_) if !replaces => Err(exists(path)),
            _ => Ok(()),
        }
    }

    pub fn create(path: &Path, replaces: bool, env: &Env) -> Result<Self> {
        Self::check(path, replaces)?;
        let name = path.file_name().unwrap_or_default();
        let number = u64::from_le_bytes(env.bytes()) % 10_000_000_000_000_000;
        let mut own = std::ffi::OsString::from(".");
        own.push(name);
        own.push(format!(".{number:016}.partial"));
        let beside = path.with_file_name(own);
        let mut options = std::fs::OpenOptions::new();
        // For its owner alone: even a sealed one says what it is.
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&beside).map_err(|error| Error::io(error, beside.display()))?;
        Ok(Self { path: path.to_owned(), beside, file, replaces, is_finished: false })
    }

    /// Gives it its name.
    pub fn finish(mut self) -> Result<()> {
        let failed = |error: io::Error, path: &Path| Error::io(error, path.display());
        self.file.sync_all().map_err(|error| failed(error, &self.beside))?;
        if self.replaces {
            std::fs::rename(&self.beside, &self.path).map_err(|e| failed(e, &self.path))?;
        } else {
            match renameat_with(CWD, &self.beside, CWD, &self.path, RenameFlags::NOREPLACE) {
                Ok(()) => {}
                Err(Errno::EXIST) => return Err(exists(&self.path)),
                // File systems that cannot: a second name is never given to two.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.link()?,
                Err(errno) => return Err(failed(errno.into(), &self.path)),
            }
        }
        self.is_finished = true;
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failed(error, directory))
    }

    fn link(&self) -> Result<()> {
        std::fs::hard_link(&self.beside, &self.path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => Error::io(error, self.path.display()),
        })?;
        std::fs::remove_file(&self.beside).map_err(|e| Error::io(e, self.beside.display()))
    }
}

fn exists(path: &Path) -> Error {
    Error::already_exists(format!("{} exists; --overwrite replaces it", path.display()))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}
