//! Snapshots written as one file, and made of one.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tintype_api::bundle::Secret as Known;
use tintype_api::run::{LogLevel, RunState};
use tintype_api::snapshot::{SnapshotScope, Trigger};
use tintype_api::storage::StorageSpec;
use tintype_model::identifier::Id;
use tintype_model::item::Descriptor;
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::progress::Progress;
use tintype_runner::vault::{
    AgeIdentity, AgeRecipient, BundleOrder, Cancel, Change, ImportOrder, Passphrase, SealFor,
    Secret, Vault, decode_hex, encode_hex,
};

use super::Handle;
use super::captured::{Word, describe};
use super::dispatcher::{Ended, Write, nothing};
use super::quota;
use super::restore::{KIND, vault_of};
use crate::catalog::runs::Stored;
use crate::catalog::secrets::{self, Of};
use crate::catalog::snapshots;
use crate::outside;
use crate::state::State;
use crate::uploads::{self, SPARE_BYTES, check_room};
use crate::vaults::blocking;

/// Names of secrets of a run; they are deleted when it is over.
pub const PASSPHRASE: &str = "passphrase";
pub const IDENTITY: &str = "identity";
pub const URL: &str = "url";

const PIECE_BYTES: usize = 1 << 20;
/// Room is looked at after so many bytes.
const LOOK_BYTES: u64 = 64 << 20;

/// What an export is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportSpec {
    pub snapshot: String,
    /// Of the tree.
    pub path_hex: String,
    pub plain: bool,
    pub recipients: Vec<String>,
    pub secrets: Vec<Known>,
    /// Of the file that is downloaded.
    pub name: String,
}

/// What an import is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportSpec {
    pub upload: Id,
    pub tenant: Id,
    pub storage: Id,
    pub expiry: Option<Timestamp>,
    pub is_private: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchSpec {
    pub upload: Id,
}

async fn secret(state: &State, run: &Id, name: &str) -> Result<Option<String>> {
    let of = Of { kind: KIND, id: run, name };
    let found = secrets::get(&mut *state.catalog.read().await?, of, &state.key).await?;
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::corrupt("a secret of a run"))?;
        Ok(text.to_owned())
    };
    found.map(|bytes| text(&bytes)).transpose()
}

async fn seal(state: &State, run: &Id, spec: &ExportSpec) -> Result<Option<SealFor>> {
    if spec.plain {
        return Ok(None);
    }
    if let Some(text) = secret(state, run, PASSPHRASE).await? {
        return Ok(Some(SealFor::Passphrase(Passphrase::new(text)?)));
    }
    let recipients: Result<Vec<AgeRecipient>> =
        spec.recipients.iter().map(|text| text.parse()).collect();
    match recipients? {
        none if none.is_empty() => Err(Error::corrupt("a bundle without anything to seal it with")),
        recipients => Ok(Some(SealFor::Recipients(recipients))),
    }
}

pub(super) async fn export(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let spec: ExportSpec = stored.read_spec()?;
    let known = snapshots::get(&mut *state.catalog.read().await?, &spec.snapshot).await?;
    let vault = vault_of(state, &known).await?;
    let seal = seal(state, &stored.run.id, &spec).await?;
    let to = state.bundle_file(&stored.run.id)?;
    handle.doing("writing the bundle");
    let mut path = vec![0; spec.path_hex.len() / 2];
    decode_hex(&spec.path_hex, &mut path).ok_or_else(|| Error::corrupt("the path of a bundle"))?;
    let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
    let done = blocking(move || {
        // Of an attempt that was interrupted after its last byte.
        uploads::remove(&to);
        let snapshot = vault.snapshot(&spec.snapshot)?;
        let order =
            BundleOrder { path: &path, seal: seal.as_ref(), to: &to, spare_bytes: SPARE_BYTES };
        vault.export(&snapshot, &order, &cancel, &progress)
    });
    let done = done.await?;
    let result = json!({
        "bytes": done.written_bytes, "entries": done.entries, "problems": done.problems,
        // Another file has another: whoever resumes sees that.
        "identity": encode_hex(&state.host.env.bytes::<16>()),
    });
    let (ended, cause) = match done.problems {
        0 => (RunState::Succeeded, None),
        n => {
            let what = "entries were not captured whole: in the bundle they lie below \
                        tintype-incomplete/";
            (RunState::Incomplete, Some(format!("{n} {what}")))
        }
    };
    Ok(Ended { state: ended, result, cause, write: nothing() })
}

/// Brings a file from a URL.
pub(super) async fn fetch(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let FetchSpec { upload } = stored.read_spec()?;
    let mut row = uploads::get(&mut *state.catalog.read().await?, &upload).await?;
    let url = secret(state, &stored.run.id, URL).await?;
    let url = url.ok_or_else(|| Error::corrupt("the catalog has lost the URL"))?;
    let writing = uploads::writing(state, &upload)?;
    let to = state.upload_file(&upload)?;
    let (limits, expected) = (state.limits.clone(), row.sha256.clone());
    handle.doing("fetching");
    let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
    let bytes = blocking(move || {
        let _writing = writing;
        receive(&url, &to, &limits, expected.as_deref(), &cancel, &progress)
    });
    let bytes = bytes.await?;
    row.size_bytes = Some(bytes);
    row.is_whole = true;
    row.changed = state.now();
    let result = json!({ "upload": upload, "bytes": bytes });
    let write: Write = Box::new(move |change| {
        Box::pin(async move { uploads::put(change.on(), &upload, &row).await })
    });
    Ok(Ended { state: RunState::Succeeded, result, cause: None, write })
}

fn receive(
    url: &str,
    to: &Path,
    limits: &uploads::Limits,
    expected: Option<&str>,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<u64> {
    let name = outside::shown(url)?;
    let mut incoming = outside::fetch(url, &limits.allowed)?;
    let directory = to.parent().unwrap_or(to);
    let announced = incoming.size_bytes.unwrap_or(0);
    if announced > limits.most_bytes {
        return Err(too_large(&name, limits.most_bytes));
    }
    check_room(directory, announced)?;
    Progress::add(&progress.total_bytes, announced);
    let mut file = uploads::open_file(to)?;
    let failed = |error| Error::io(error, to.display());
    file.set_len(0).map_err(failed)?;
    let (mut hash, mut piece) = (digest::Context::new(&digest::SHA256), vec![0; PIECE_BYTES]);
    let (mut at, mut looked) = (0u64, 0u64);
    loop {
        cancel.check()?;
        let length = incoming.body.read(&mut piece).map_err(|error| Error::io(error, &name))?;
        if length == 0 {
            break;
        }
        at += length as u64;
        if at > limits.most_bytes {
            return Err(too_large(&name, limits.most_bytes));
        }
        if at - looked >= LOOK_BYTES {
            looked = at;
            check_room(directory, 0)?;
        }
        hash.update(&piece[..length]);
        file.write_all(&piece[..length]).map_err(failed)?;
        Progress::add(&progress.bytes, length as u64);
    }
    if incoming.size_bytes.is_some_and(|announced| announced != at) {
        return Err(Error::unavailable(format!("{name}: it ends after {at} bytes: try again")));
    }
    file.sync_all().map_err(failed)?;
    check_hash(expected, hash.finish().as_ref())?;
    Ok(at)
}

fn too_large(name: &str, most_bytes: u64) -> Error {
    let most = tintype_model::size::format(most_bytes);
    Error::invalid(format!(
        "{name}: more than {most} are not taken (`uploads.most` in tintype.toml)"
    ))
}

fn check_hash(expected: Option<&str>, found: &[u8]) -> Result<()> {
    let found = encode_hex(found);
    match expected {
        Some(expected) if expected != found => Err(Error::corrupt(format!(
            "the file has SHA-256 {found}, and should have {expected}: upload it again"
        ))),
        _ => Ok(()),
    }
}

/// What opens the bundle.
async fn opens(state: &State, run: &Id) -> Result<Option<Secret>> {
    if let Some(text) = secret(state, run, PASSPHRASE).await? {
        return Ok(Some(Secret::Passphrase(Passphrase::new(text)?)));
    }
    let identity = secret(state, run, IDENTITY).await?;
    identity.map(|text| Ok(Secret::Age(AgeIdentity::parse(&text)?))).transpose()
}

pub(super) async fn import(state: &State, handle: &Arc<Handle>, stored: &Stored) -> Result<Ended> {
    let spec: ImportSpec = stored.read_spec()?;
    quota::check(state, &state.tenant(&spec.tenant).await?).await?;
    let row = uploads::get(&mut *state.catalog.read().await?, &spec.upload).await?;
    let secret = opens(state, &stored.run.id).await?;
    let storage = state.catalog.get::<StorageSpec>(&spec.storage).await?;
    let (repository, vault) = state.vault(&storage, &spec.tenant).await?;
    let word = word(state, stored, &spec, &row.name);
    let path = state.upload_file(&spec.upload)?;
    let (cancel, progress) = (handle.cancel.clone(), Arc::clone(&handle.progress));
    let most_bytes = Some(state.limits.most_bytes);
    let (is_checked, expected) = (handle.finished("checked").is_some(), row.sha256.clone());
    handle.doing("checking the upload");
    let (file, checked) = blocking({
        let cancel = cancel.clone();
        move || {
            let mut file = uploads::open_file(&path)?;
            if let Some(expected) = expected.filter(|_| !is_checked) {
                check_hash(Some(&expected), &hash_of(&mut file, &cancel)?)?;
            }
            Ok((file, json!({})))
        }
    })
    .await?;
    handle.finish(state, "checked", checked).await?;
    handle.doing("importing");
    let (expiry, by) = (spec.expiry, stored.run.by.clone());
    let (word, storage_id) = (Arc::new(word), storage.id.clone());
    let done = blocking(move || {
        // By an attempt that was interrupted.
        let found = if let Some(found) = imported(&vault, &word)? {
            found
        } else {
            let manager = serde_json::to_value(&*word).unwrap_or_default();
            let order = ImportOrder { secret: secret.as_ref(), most_bytes, manager };
            let done = vault.import(file, &order, &cancel, &progress)?;
            vault.snapshot(&done.id.to_string())?
        };
        vault.change(&found, &by, Change::Expiry(expiry))?;
        let found = vault.snapshot(&found.id.to_string())?;
        let descriptor = match vault.descriptor(&found)? {
            Some(descriptor) => descriptor,
            None => without_resources(&found),
        };
        Ok(describe(&found, &word, &descriptor, &storage_id))
    });
    let (snapshot, items) = done.await?;
    handle.log(state, LogLevel::Info, format!("snapshot {} was made of it", snapshot.id)).await;
    let result = json!({ "snapshot": snapshot.id, "is_complete": snapshot.is_complete });
    let write: Write = Box::new(move |change| {
        Box::pin(async move {
            snapshots::put(change.on(), &repository.id, &snapshot, Some(&items)).await?;
            uploads::delete(change.on(), &spec.upload).await
        })
    });
    Ok(Ended { state: RunState::Succeeded, result, cause: None, write })
}

fn hash_of(file: &mut std::fs::File, cancel: &Cancel) -> Result<Vec<u8>> {
    let (mut hash, mut piece) = (digest::Context::new(&digest::SHA256), vec![0; PIECE_BYTES]);
    loop {
        cancel.check()?;
        let length = file.read(&mut piece).map_err(|error| Error::io(error, "the upload"))?;
        if length == 0 {
            return Ok(hash.finish().as_ref().to_vec());
        }
        hash.update(&piece[..length]);
    }
}

/// What is said of it here. Whatever the bundle says of itself, none of its resources is one of this
/// manager's: retention must not take it for one of their snapshots.
fn word(state: &State, stored: &Stored, spec: &ImportSpec, name: &str) -> Word {
    Word {
        installation: state.installation.clone(),
        tenant: spec.tenant.clone(),
        scope: SnapshotScope::Partial,
        trigger: Trigger::Upload,
        name: name.to_owned(),
        by: stored.run.by.clone(),
        is_private: spec.is_private,
        full_run: None,
        run: Some(stored.run.id.clone()),
        profile: None,
        period: None,
        resources: [].into(),
        agents: [].into(),
        skipped: Vec::new(),
        parts: Vec::new(),
        left_out: Vec::new(),
        excluded: [].into(),
    }
}

/// The snapshot that this run made already.
fn imported(vault: &Vault, word: &Word) -> Result<Option<tintype_runner::vault::Snapshot>> {
    let all = vault.snapshots()?.snapshots;
    let is_own = |found: &tintype_runner::vault::Snapshot| {
        Word::of(found).is_some_and(|other| other.run.is_some() && other.run == word.run)
    };
    Ok(all.into_iter().find(is_own))
}

/// Of a snapshot of files alone.
pub fn without_resources(found: &tintype_runner::vault::Snapshot) -> Descriptor {
    Descriptor {
        format: Descriptor::FORMAT,
        program: found.manifest.program.clone(),
        host: found.manifest.host.clone(),
        started: found.manifest.time,
        resources: Vec::new(),
        items: Vec::new(),
        applications: Vec::new(),
        windows: Vec::new(),
    }
}

/// Whether somebody who sends this can open what is sealed with it.
pub fn check_secret(passphrase: Option<&str>, identity: Option<&str>) -> Result<()> {
    match (passphrase, identity) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("`passphrase` and `identity`: one of them opens the bundle"))
        }
        (Some(text), None) => Passphrase::new(text.to_owned()).map(drop),
        (None, Some(text)) => AgeIdentity::parse(text).map(drop).map_err(|error| {
            // What was sent must not stand in an answer.
            Error::new(
                ErrorKind::Invalid,
                match error.kind() {
                    ErrorKind::Unsupported => "`identity` is of a kind that is not known",
                    _ => "`identity` is no age identity",
                },
            )
        }),
        (None, None) => Ok(()),
    }
}
