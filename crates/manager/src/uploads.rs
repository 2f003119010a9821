//! Bundles that wait in files of this host: written ones to be downloaded, uploaded ones to be
//! imported. Both go after a day.

use std::collections::HashSet;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use tintype_api::bundle::Upload;
use tintype_api::run::RunState;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result, size};
use tintype_runner::vault::free_bytes;

use crate::catalog::{facts, failed, runs};
use crate::outside::Network;
use crate::state::{Shared, State};

/// Of the catalog's table of states.
pub const KIND: &str = "upload";
/// So long a file waits.
pub const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// So much room stays free beside them.
pub const SPARE_BYTES: u64 = 256 << 20;
/// More than any manager has room for.
const MOST_UPLOADS: i64 = 1_000_000;
const DOWNLOADS: &str = "bundles";
const UPLOADS: &str = "uploads";

/// What may be uploaded.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of one file, and of the content of one bundle.
    pub most_bytes: u64,
    /// Addresses that are not public and may be fetched from.
    pub allowed: Vec<Network>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { most_bytes: 1 << 40, allowed: Vec::new() }
    }
}

/// Uploads that are being written to.
#[derive(Default)]
pub struct Busy(Mutex<HashSet<Id>>);

/// One at a time writes to an upload.
pub struct Writing(State, Id);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.busy.0.lock().expect("no panic while held").remove(&self.1);
    }
}

/// An upload, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub size_bytes: Option<u64>,
    pub sha256: Option<String>,
    pub from: Option<String>,
    /// All of it is here.
    pub is_whole: bool,
    pub run: Option<Id>,
    pub by: String,
    pub created: Timestamp,
    /// When more of it came.
    pub changed: Timestamp,
}

impl Shared {
    fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.data.join(name);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map(|()| directory.clone()).map_err(|error| Error::io(error, directory.display()))
    }

    /// Of a bundle that a run writes.
    pub fn bundle_file(&self, run: &Id) -> Result<PathBuf> {
        Ok(self.directory(DOWNLOADS)?.join(format!("{run}.zip")))
    }

    pub fn upload_file(&self, id: &Id) -> Result<PathBuf> {
        Ok(self.directory(UPLOADS)?.join(id.as_str()))
    }
}

/// Whether so much more fits in.
pub fn check_room(directory: &Path, bytes: u64) -> Result<()> {
    let free = free_bytes(directory)?;
    if free >= bytes.saturating_add(SPARE_BYTES) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NoSpace,
        format!(
            "{}: {} are free, and {} must stay so: make room there",
            directory.display(),
            size::format(free),
            size::format(SPARE_BYTES)
        ),
    ))
}

/// Nobody else writes to it while the guard lives.
pub fn writing(state: &State, id: &Id) -> Result<Writing> {
    let is_first = state.busy.0.lock().expect("no panic while held").insert(id.clone());
    match is_first {
        true => Ok(Writing(Arc::clone(state), id.clone())),
        false => Err(Error::locked("another piece of this upload is being written: wait for it")),
    }
}

/// Its file, which is made when it is not there.
pub fn open_file(path: &Path) -> Result<std::fs::File> {
    let mut options = std::fs::File::options();
    let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
    options.open(path).map_err(|error| Error::io(error, path.display()))
}

pub async fn get(on: &mut AnyConnection, id: &Id) -> Result<Row> {
    let absent = || Error::not_found(format!("there is no upload {id}"));
    facts::state(on, KIND, id).await?.ok_or_else(absent)
}

pub async fn put(on: &mut AnyConnection, id: &Id, row: &Row) -> Result<()> {
    facts::set_state(on, KIND, id, row.changed, row).await
}

pub async fn delete(on: &mut AnyConnection, id: &Id) -> Result<()> {
    let query = sqlx::query("DELETE FROM state WHERE kind = $1 AND id = $2");
    let done = query.bind(KIND).bind(id.as_str()).execute(on).await;
    done.map(drop).map_err(|error| failed("deleting", error))
}

/// Newest first.
pub async fn list(
    on: &mut AnyConnection,
    before: Option<&Id>,
    limit: i64,
) -> Result<Vec<(Id, Row)>> {
    facts::states(on, KIND, before, limit).await
}

/// As it is shown.
pub fn shown(state: &State, id: &Id, row: &Row) -> Result<Upload> {
    let path = state.upload_file(id)?;
    let offset = match std::fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(Error::io(error, path.display())),
    };
    let expires = row.changed.checked_add(LASTS).unwrap_or(row.changed);
    let row = row.clone();
    // Also where the last piece came and nobody could write that down.
    let is_whole = row.is_whole || (row.from.is_none() && row.size_bytes == Some(offset));
    Ok(Upload {
        id: id.clone(),
        name: row.name,
        size_bytes: row.size_bytes,
        sha256: row.sha256,
        offset,
        is_whole,
        from: row.from,
        run: row.run,
        by: row.by,
        created: row.created,
        expires,
    })
}

/// When a bundle goes.
pub fn expires(ended: Timestamp) -> Timestamp {
    ended.checked_add(LASTS).unwrap_or(ended)
}

/// Deletes what nobody will fetch or import any more.
pub async fn sweep(state: &State) -> Result<()> {
    let now = state.now();
    // Files first: each has its row before it is made, so what has none by then has lost it.
    let (made, sent) = (files(&state.data.join(DOWNLOADS))?, files(&state.data.join(UPLOADS))?);
    let mut on = state.catalog.read().await?;
    for path in made {
        let Some(id) = id_of(&path) else { continue };
        let keeps = match runs::get(&mut on, &id).await {
            Err(error) if error.is(ErrorKind::NotFound) => false,
            Err(error) => return Err(error),
            Ok(stored) => match (stored.run.state, stored.run.ended) {
                (RunState::Succeeded | RunState::Incomplete, Some(ended)) => expires(ended) > now,
                (state, _) => !state.is_over(),
            },
        };
        if !keeps {
            remove(&path);
        }
    }
    let uploads = list(&mut on, None, MOST_UPLOADS).await?;
    let mut gone = Vec::new();
    for (id, row) in &uploads {
        if row.changed.checked_add(LASTS).is_ok_and(|until| until > now) {
            continue;
        }
        let run = match &row.run {
            Some(run) => runs::get(&mut on, run).await.ok(),
            None => None,
        };
        if run.is_none_or(|stored| stored.run.state.is_over()) {
            gone.push(id.clone());
        }
    }
    drop(on);
    for id in &gone {
        let mut change = state.catalog.change().await?;
        delete(change.on(), id).await?;
        change.commit_own_books().await?;
    }
    for path in sent {
        let Some(id) = id_of(&path) else { continue };
        if gone.contains(&id) || !uploads.iter().any(|(known, _)| *known == id) {
            remove(&path);
        }
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(error, directory.display())),
    }
}

/// That with which a name begins, also one of a file that is being written.
fn id_of(path: &Path) -> Option<Id> {
    let name = path.file_name()?.to_str()?;
    name.trim_start_matches('.').get(..26)?.parse().ok()
}

pub fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file that is over stays");
        }
        _ => {}
    }
}
