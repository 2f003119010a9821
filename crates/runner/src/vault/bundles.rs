//! Bundles: a snapshot as one file, and a snapshot of such a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use serde_json::Value;
use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::age_file::SealFor;
use tintype_engine::crypto::slot::Secret;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_model::{Error, ErrorKind, Result, size};

use super::{Vault, WAITING_WORKERS, processors};
use crate::bundle::{
    self, ExportOptions, Exported, Format, Found, ImportOptions, Imported, Output,
};
use crate::progress::Progress;

/// The room that is left is looked at after so many bytes.
const LOOK_BYTES: u64 = 64 << 20;

/// A bundle to be written.
pub struct BundleOrder<'b> {
    /// Tree path; empty: everything.
    pub path: &'b [u8],
    /// None: whoever gets the file reads everything.
    pub seal: Option<&'b SealFor>,
    /// The new file; it is there when it is whole.
    pub to: &'b Path,
    /// So much room stays free beside it.
    pub spare_bytes: u64,
}

/// A bundle to be read.
pub struct ImportOrder<'b> {
    /// What opens it, if it is sealed.
    pub secret: Option<&'b Secret>,
    /// Of content; more is refused.
    pub most_bytes: Option<u64>,
    /// See [`super::MANAGER`].
    pub manager: Value,
}

/// Of the file system on which a directory lies.
pub fn free_bytes(directory: &Path) -> Result<u64> {
    let found = statvfs(directory).map_err(|error| Error::io(error.into(), directory.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

impl Vault {
    /// What an export of `path` shows that is likely to be secret: tree path and what it is.
    pub fn secrets(&self, snapshot: &Snapshot, path: &[u8]) -> Result<Vec<(String, String)>> {
        let reader = self.repository.reader()?;
        let found = bundle::secrets(&reader, Root::of(&snapshot.manifest), path)?;
        let text = |(path, what): (&[u8], &str)| {
            (String::from_utf8_lossy(path).into_owned(), what.to_owned())
        };
        Ok(found.into_iter().map(text).collect())
    }

    /// Writes a snapshot as a zip. What cannot be written whole leaves no file.
    pub fn export(
        &self,
        snapshot: &Snapshot,
        order: &BundleOrder<'_>,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Exported> {
        if order.path.is_empty() {
            Progress::add(&progress.total_entries, snapshot.manifest.entries);
            Progress::add(&progress.total_bytes, snapshot.manifest.bytes);
        }
        let directory = order.to.parent().unwrap_or(Path::new("/")).to_owned();
        let output = Output::create(order.to, false, &self.host.env)?;
        self.pinned_by(snapshot, |session| {
            let reader = self.repository.reader()?;
            let options = ExportOptions {
                path: order.path,
                format: Format::Zip,
                seal: order.seal,
                workers: processors(),
                scratch: &self.host.scratch,
                cancel,
            };
            let spare_bytes = order.spare_bytes;
            let mut watched =
                Watched { output, session, directory, spare_bytes, since_look: LOOK_BYTES };
            let done = bundle::export(&reader, snapshot, &options, &mut watched, progress)?;
            watched.output.finish()?;
            Ok(done)
        })
    }

    /// Makes a snapshot of a bundle. Nothing is left of one that is wrong.
    pub fn import(
        &self,
        file: File,
        order: &ImportOrder<'_>,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Imported> {
        let bundle = match bundle::open(bundle::in_file(file)?)? {
            Found::Plain(bundle) => *bundle,
            Found::Sealed(sealed) => {
                let wants = match sealed.wants_passphrase() {
                    true => "a passphrase",
                    false => "an age identity",
                };
                let fits = match order.secret {
                    Some(Secret::Passphrase(_)) => sealed.wants_passphrase(),
                    Some(Secret::Age(_)) => !sealed.wants_passphrase(),
                    _ => false,
                };
                let refused = || {
                    let what = format!("the bundle is sealed: {wants} opens it");
                    Error::new(ErrorKind::WrongKey, what)
                };
                sealed.unlock(order.secret.filter(|_| fits).ok_or_else(refused)?)?
            }
        };
        self.repository.close_abandoned()?;
        let options = ImportOptions {
            workers: processors().max(WAITING_WORKERS),
            cancel: cancel.clone(),
            most_bytes: order.most_bytes,
            manager: Some(order.manager.clone()),
        };
        bundle::import(&self.repository, bundle, &options, progress)
    }
}

/// A file that is written for long: its snapshot stays, and so does room for others.
struct Watched<'w> {
    output: Output,
    session: Option<&'w Session<'w>>,
    directory: PathBuf,
    spare_bytes: u64,
    since_look: u64,
}

impl Watched<'_> {
    fn look(&mut self) -> Result<()> {
        if let Some(session) = self.session {
            session.beat()?;
        }
        if self.since_look < LOOK_BYTES {
            return Ok(());
        }
        self.since_look = 0;
        if free_bytes(&self.directory)? < self.spare_bytes {
            return Err(no_room(&self.directory, self.spare_bytes));
        }
        Ok(())
    }
}

fn no_room(directory: &Path, spare_bytes: u64) -> Error {
    let (name, spare) = (directory.display(), size::format(spare_bytes));
    Error::new(ErrorKind::NoSpace, format!("{name}: {spare} must stay free there: make room"))
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.look().map_err(io::Error::other)?;
        let length = self.output.write(bytes)?;
        self.since_look += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
