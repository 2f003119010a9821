//! Bytes that wait in a file without a name: nobody else finds it, and it goes with its last user.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use tintype_engine::env::Env;
use tintype_engine::id::encode_hex;
use tintype_model::cancel::Cancel;
use tintype_model::{Error, Result};

use super::read_at::{ReadAt, Whole};

/// A new file in `directory` that has no name.
pub fn unnamed(directory: &Path, env: &Env) -> Result<File> {
    let how = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let what = || format!("cannot make a scratch file in {}", directory.display());
    match open(directory, how, Mode::RUSR | Mode::WUSR) {
        Ok(file) => return Ok(file.into()),
        // File systems that know no files without names.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
        Err(errno) => return Err(Error::io(errno.into(), what())),
    }
    let path = directory.join(format!(".tintype-scratch-{}", encode_hex(&env.bytes::<8>())));
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(&path).map_err(|error| Error::io(error, what()))?;
    std::fs::remove_file(&path).map_err(|error| Error::io(error, what()))?;
    Ok(file)
}

/// Writes what a stream gives into such a file, to be read at any place.
pub fn spool(
    read: &mut dyn Read,
    directory: &Path,
    most_bytes: Option<u64>,
    env: &Env,
    cancel: &Cancel,
) -> Result<Arc<dyn ReadAt>> {
    let mut file = unnamed(directory, env)?;
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0u64;
    loop {
        cancel.check()?;
        let length = match read.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                cancel.check()?;
                return Err(Error::io(error, "the stream"));
            }
        };
        total += length as u64;
        if most_bytes.is_some_and(|most| total > most) {
            return Err(Error::invalid("the bundle itself is larger than --max-size allows"));
        }
        let what = format_args!("scratch space in {}", directory.display());
        file.write_all(&buffer[..length]).map_err(|error| Error::io(error, what))?;
    }
    Ok(Arc::new(Whole::new(file)?))
}

/// What is gathered until it can be written: in memory while it is little, then in such a file.
pub(super) struct Spool<'s> {
    memory: Vec<u8>,
    file: Option<File>,
    directory: &'s Path,
    env: &'s Env,
    size_bytes: u64,
}

const MEMORY_BYTES: usize = 4 << 20;

impl<'s> Spool<'s> {
    pub(super) fn new(directory: &'s Path, env: &'s Env) -> Self {
        Self { memory: Vec::new(), file: None, directory, env, size_bytes: 0 }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Everything so far; this one is empty then.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.directory, self.env))
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(bytes);
        self.size_bytes += bytes.len() as u64;
        if self.memory.len() >= MEMORY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let what = format_args!("scratch space in {}", self.directory.display());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed(self.directory, self.env)?),
        };
        file.write_all(&self.memory).map_err(|error| Error::io(error, what))?;
        self.memory.clear();
        Ok(())
    }

    /// Gives out everything, in order.
    pub(super) fn drain(self, out: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(file) = self.file {
            let whole = Whole::new(file)?;
            let mut buffer = vec![0; 1 << 20];
            let mut at = 0;
            while at < whole.size_bytes() {
                let length = whole
                    .read_at(at, &mut buffer)
                    .map_err(|error| Error::io(error, "scratch space"))?;
                if length == 0 {
                    return Err(Error::unavailable("scratch space was cut by somebody"));
                }
                out(&buffer[..length])?;
                at += length as u64;
            }
        }
        out(&self.memory)
    }
}
