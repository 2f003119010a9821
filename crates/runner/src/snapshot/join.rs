//! Joins parts to the snapshot that users see: one commit, which copies no content and reads the
//! pages where the parts meet. The parts go afterwards: an interruption leaves either the parts, or
//! the joined snapshot and some of them.

mod unite;

use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::records::{Change, Manifest, SessionKind};
use tintype_engine::reader::ContentReader;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::store::{Store, Worker};
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::join::{self, Branch};
use tintype_engine::tree::list::ListBuilder;
use tintype_engine::tree::{Reference, Root, TreeEntry};
use tintype_model::entry::{Kind, Node, Time, path_order};
use tintype_model::item::{DESCRIPTOR_BYTES, DESCRIPTOR_PATH, Descriptor, Item, Outcome as Came};
use tintype_model::resource::{APPLICATION_FILE, Resource, Resources};
use tintype_model::{Error, ErrorKind, Result};

use super::gather::Totals;
use super::part::{JOINED, PART, joined_of};
use super::{Built, Labels, Noticed, Outcome, SnapshotOptions, conclude, manifest};
use crate::group::{BORROWS, read_descriptor};

/// What the joined snapshot says beside what its parts say.
pub struct Joining<'j> {
    /// Paths and roots are those of the parts, unless there are more.
    pub labels: Labels,
    /// What no part holds: failed, or skipped with the reason.
    pub missing: Vec<Item>,
    /// How that was described.
    pub resources: Vec<Resource>,
    pub cancel: &'j Cancel,
}

/// Commits a snapshot of all that the parts hold; `finish` has the last word in what its manifest
/// says. It counts from the moment when the first part began, and is incomplete where a part is or
/// where an item failed. The parts stay: see [`delete_parts`].
pub fn join(
    repository: &Repository,
    parts: &[Snapshot],
    joining: Joining<'_>,
    finish: &dyn Fn(Manifest) -> Result<Manifest>,
) -> Result<Outcome> {
    let pins = parts.iter().map(|part| part.id);
    let store = repository.begin_writing(SessionKind::Snapshot, pins)?;
    let made = make(repository, &store, parts, joining);
    let finished = made.and_then(|(built, manifest)| Ok((built, Vec::new(), finish(manifest)?)));
    conclude(store, finished)
}

/// Deletes the parts of a snapshot that is committed; those that are gone already are no error, so
/// that it goes on where it was interrupted. Gives those that are locked or held, and stay.
pub fn delete_parts(
    repository: &Repository,
    parts: &[Snapshot],
    joined: &Snapshot,
    by: &str,
) -> Result<Vec<(Snapshot, Error)>> {
    repository.check_visible(&[joined.id])?;
    let own = joined_of(&joined.manifest);
    if let Some(other) = parts.iter().find(|part| !own.contains(&part.id)) {
        return Err(Error::invalid(format!(
            "snapshot {} is not what {} was joined of, and is not deleted",
            other.id.short(),
            joined.id.short()
        )));
    }
    let mut kept = Vec::new();
    for part in parts {
        let change = Change::Deleted(format!("joined into {}", joined.id));
        match repository.annotate(part.id, &part.manifest, by, change) {
            Ok(_) => {}
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) if error.is(ErrorKind::Locked) => kept.push((part.clone(), error)),
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

fn make(
    repository: &Repository,
    store: &Store<'_>,
    parts: &[Snapshot],
    joining: Joining<'_>,
) -> Result<(Built, Manifest)> {
    let reader = ContentReader::new(repository, store.index().clone());
    let mut beat = || {
        joining.cancel.check()?;
        store.beat()
    };
    let mut described = Vec::with_capacity(parts.len());
    for part in parts {
        beat()?;
        let found = read_descriptor(&reader, part)?;
        described.push(found.ok_or_else(|| {
            let id = part.id.short();
            Error::invalid(format!("snapshot {id} is not of resources, and cannot be joined"))
        })?);
    }
    let is_missing = joining.missing.iter().any(|item| item.outcome == Came::Failed);
    let branches = branches(&reader, parts, &described)?;
    let now = repository.env().clock.now();
    let descriptor = Descriptor {
        program: repository.identity().program.clone(),
        host: repository.identity().host.clone(),
        ..unite::unite(described, joining.missing, joining.resources, now)?
    };
    let captured = descriptor.items.iter().filter(|item| item.outcome == Came::Captured).count();
    let mut builder = TreeBuilder::new(store)?;
    let done = join::join(&mut builder, &reader, &branches, &mut beat)?;
    tracing::debug!(?done, parts = parts.len(), "trees joined");
    builder.push(store_descriptor(store, &descriptor, now)?)?;
    let built = Built {
        root: builder.finish()?,
        noticed: Noticed::default(),
        parcels: parts.iter().map(Totals::of).fold(Totals::default(), Totals::plus),
        is_complete: !is_missing && parts.iter().all(|part| part.manifest.complete),
        captured: Some(captured as u64),
    };
    store.flush()?;
    let options = SnapshotOptions {
        labels: labels(joining.labels, parts),
        parent: None,
        workers: 1,
        most_workers: 1,
        cancel: joining.cancel.clone(),
        read_all: false,
    };
    let started = parts.iter().map(|part| part.manifest.time).min().unwrap_or(now);
    let own = manifest(repository, store, &options, started, &built);
    Ok((built, with_parts(own, parts)))
}

/// What is left out of each part: its descriptor, and definitions of applications that an earlier
/// one has.
fn branches(
    reader: &ContentReader<'_>,
    parts: &[Snapshot],
    described: &[Descriptor],
) -> Result<Vec<Branch>> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut branches = Vec::with_capacity(parts.len());
    for (part, descriptor) in parts.iter().zip(described) {
        let root = Root::of(&part.manifest);
        let mut skip = vec![DESCRIPTOR_PATH.as_bytes().to_vec()];
        let resources = Resources::new(descriptor.resources.clone());
        for application in &descriptor.applications {
            let by_name = |r: &&Resource| r.name == application.name;
            let Some(own) = resources.resources.iter().find(by_name) else { continue };
            let file = format!("{}/{APPLICATION_FILE}", resources.place_of(own)).into_bytes();
            if kept.contains(&file) {
                skip.push(file);
            } else if Cursor::new(reader, root)?.get(&file)?.is_some() {
                kept.push(file);
            }
        }
        branches.push(Branch { root, captured: part.manifest.root_paths(), skip });
    }
    Ok(branches)
}

fn store_descriptor(
    store: &Store<'_>,
    descriptor: &Descriptor,
    now: jiff::Timestamp,
) -> Result<TreeEntry> {
    let bytes = serde_json::to_vec_pretty(descriptor)
        .map_err(|error| Error::internal(error.to_string()))?;
    let size = bytes.len() as u64;
    if size > DESCRIPTOR_BYTES {
        return Err(Error::unsupported(format!(
            "/{DESCRIPTOR_PATH} would have {size} bytes, more than {DESCRIPTOR_BYTES}"
        )));
    }
    let mut worker = Worker::new()?;
    let mut list = ListBuilder::new(store, 0);
    let (mut rest, chunker) = (&bytes[..], store.repository().chunker());
    while let Some(length) = chunker.cut(rest, true).filter(|length| *length > 0) {
        let stored = store.put(&mut worker, FrameKind::Chunk, &rest[..length])?;
        list.push(&mut worker, Reference { length: length as u64, id: Some(stored.id) })?;
        rest = &rest[length..];
    }
    let time =
        Time { seconds: now.as_second(), nanoseconds: now.subsec_nanosecond().max(0) as u32 };
    let node = Node { mode: 0o600, mtime: time, ctime: time, size, ..Node::new(Kind::File) };
    let content = list.finish(&mut worker)?;
    Ok(TreeEntry { path: DESCRIPTOR_PATH.into(), node, content, large_xattrs: Vec::new() })
}

fn labels(own: Labels, parts: &[Snapshot]) -> Labels {
    let mut roots = own.roots;
    roots.extend(parts.iter().flat_map(|part| part.manifest.root_paths()));
    roots.sort_by(|a, b| path_order(a, b));
    roots.dedup();
    let mut paths = own.paths;
    for path in parts.iter().flat_map(|part| &part.manifest.paths) {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    let mut options = match own.options {
        serde_json::Value::Object(options) => options,
        _ => serde_json::Map::new(),
    };
    let is_true = |part: &Snapshot| part.manifest.options[BORROWS] == true;
    if parts.iter().any(is_true) {
        options.insert(BORROWS.into(), true.into());
    }
    options.remove(PART);
    let ids: Vec<_> = parts.iter().map(|part| part.id).collect();
    options.insert(JOINED.into(), serde_json::json!(ids));
    Labels { roots, paths, options: options.into(), ..own }
}

/// What the runs of the parts counted belongs to it.
fn with_parts(mut own: Manifest, parts: &[Snapshot]) -> Manifest {
    let names =
        ["new_bytes", "stored_bytes", "metadata_bytes", "pack_bytes", "known_bytes"].into_iter();
    for name in names {
        let all = parts.iter().map(|part| &part.manifest.stats).chain([&own.stats]);
        let sum: u64 = all.filter_map(|stats| stats[name].as_u64()).sum();
        own.stats[name] = sum.into();
    }
    let parents: Vec<_> = parts.iter().map(|part| part.manifest.parent).collect();
    let common = parents.first().copied().flatten();
    own.parent = common.filter(|_| parents.iter().all(|parent| *parent == common));
    own
}
