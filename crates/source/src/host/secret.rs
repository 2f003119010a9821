//! Passwords come from files that nobody else can read, never from a description or an argument.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use crate::connector::Passwords;

const MOST_BYTES: u64 = 4096;

/// The first line of a file, which must belong to this user or to root and be closed to all others;
/// or what was told with the run.
pub(crate) fn read(path: &Path, told: &Passwords) -> Result<Zeroizing<String>> {
    if let Some(found) = told.find(path) {
        return found;
    }
    let shown = path.display();
    let failed = |error| Error::io(error, format_args!("password file {shown}"));
    let file = std::fs::File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() || meta.mode() & 0o077 != 0 || (meta.uid() != own && meta.uid() != 0) {
        return Err(Error::denied(format!(
            "password file {shown}: others may read or change it; make it yours, with chmod 600"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(failed)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Error::invalid(format!(
            "password file {shown} is empty; write the password as its first line"
        )));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// A new file that only this user can read, for a program that takes its password from one.
pub(crate) fn write(path: &Path, content: &str) -> Result<()> {
    let failed = |error| Error::io(error, path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)
}
