//! Small repositories made by hand: trees from paths and bytes, without a file source.

use std::collections::BTreeMap;
use std::sync::Arc;

use tintype_engine::Result;
use tintype_engine::backend::count::Op;
use tintype_engine::backend::{Backend, Listed, MemoryBackend, PutStream, SharedBackend, list_all};
use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::env::Env;
use tintype_engine::env::testing::{ManualClock, manual};
use tintype_engine::fetch::Wanted;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::records::{Manifest, SessionKind};
use tintype_engine::id::SnapshotId;
use tintype_engine::reader::ReadBuffer;
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::store::{Store, Worker};
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Content, Parcel, Reference, Root, Slot, TreeEntry};
use tintype_model::entry::{Kind, Node, Time, path_order};

type Before = Box<dyn Fn(Op, &str, &[u8]) + Send + Sync>;
type Listing = Box<dyn Fn(&str, &mut Vec<Listed>) + Send + Sync>;

/// A store in which a test has its hands: something happens before calls that ask or change, and
/// listings may be untrue.
pub(crate) struct Meddled {
    inner: MemoryBackend,
    before: Before,
    listing: Listing,
}

impl Meddled {
    /// `before` gets what is put, or nothing.
    pub(crate) fn before(
        inner: &MemoryBackend,
        before: impl Fn(Op, &str, &[u8]) + Send + Sync + 'static,
    ) -> SharedBackend {
        let (before, listing) = (Box::new(before), Box::new(|_: &str, _: &mut Vec<Listed>| ()));
        Arc::new(Self { inner: inner.clone(), before, listing })
    }

    /// `listing` gets the prefix and what is there.
    pub(crate) fn listing(
        inner: &MemoryBackend,
        listing: impl Fn(&str, &mut Vec<Listed>) + Send + Sync + 'static,
    ) -> SharedBackend {
        let (before, listing) = (Box::new(|_: Op, _: &str, _: &[u8]| ()), Box::new(listing));
        Arc::new(Self { inner: inner.clone(), before, listing })
    }
}

impl Backend for Meddled {
    tintype_engine::pass_on!(describe, stat, conditional);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        (self.before)(Op::Put, name, data);
        self.inner.put(name, data)
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        self.inner.put_stream(name)
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        (self.before)(Op::Get, name, &[]);
        self.inner.get(name, limit_bytes)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.inner.read_into(name, offset, out)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        (self.before)(Op::List, prefix, &[]);
        let mut all = list_all(&self.inner, prefix)?;
        (self.listing)(prefix, &mut all);
        all.into_iter().try_for_each(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        (self.before)(Op::Delete, name, &[]);
        self.inner.delete(name)
    }
}

/// What a snapshot holds: path and bytes.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A key that costs no argon2.
pub(crate) fn cheap_secret(number: u8) -> Secret {
    let entropy = [number; 16];
    let env = FixedRandom::env(entropy);
    Secret::Recovery(RecoveryKey::generate(&env))
}

struct FixedRandom([u8; 16]);

impl FixedRandom {
    fn env(bytes: [u8; 16]) -> Env {
        Env { random: Arc::new(Self(bytes)), ..manual(0).0 }
    }
}

impl tintype_engine::env::Random for FixedRandom {
    fn fill(&self, out: &mut [u8]) {
        for (byte, fixed) in out.iter_mut().zip(self.0.iter().cycle()) {
            *byte = *fixed;
        }
    }
}

pub(crate) fn options(seed: u64) -> (OpenOptions, Arc<ManualClock>) {
    let (env, clock) = manual(seed);
    (OpenOptions { cache_root: None, identity: Identity::anonymous(), env }, clock)
}

pub(crate) fn init(backend: SharedBackend, seed: u64) -> Result<Repository> {
    let made = Repository::init(backend, &[(&cheap_secret(1), "test")], false, options(seed).0)?;
    Ok(made.0)
}

pub(crate) fn open(backend: SharedBackend, key: u8, seed: u64) -> Result<Repository> {
    Repository::open(backend, &cheap_secret(key), options(seed).0)
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

pub(crate) fn files(list: &[(&str, Vec<u8>)]) -> Files {
    list.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect()
}

fn node(kind: Kind, size: usize) -> Node {
    let time = Time { seconds: 1_700_000_000, nanoseconds: 5 };
    let known = Node { mode: 0o644, mtime: time, ctime: time, ..Node::new(kind) };
    Node { size: size as u64, inode: 7, device: 1, ..known }
}

/// Stores files the way the runner does: small ones together, large ones in chunks.
pub(crate) fn build(store: &Store<'_>, files: &Files) -> Result<Root> {
    let mut worker = Worker::new()?;
    let mut builder = TreeBuilder::new(store)?;
    let repository = store.repository();
    let small: Vec<u8> =
        files.values().filter(|b| b.len() < MIN_BYTES).flatten().copied().collect();
    let mut parcel = None;
    if !small.is_empty() {
        let id = store.put(&mut worker, FrameKind::Parcel, &small)?.id;
        parcel = Some(Parcel { id, raw_bytes: small.len() as u32, files: files.len() as u32 });
    }
    let mut entries = Vec::new();
    let mut offset = 0;
    for (path, bytes) in files {
        let content = if bytes.is_empty() {
            Content::None
        } else if bytes.len() < MIN_BYTES {
            let digest = repository.keys().file_digest(bytes);
            let slot = Slot { parcel: parcel.expect("made above"), offset, digest };
            offset += bytes.len() as u32;
            Content::Slot(slot)
        } else {
            Content::References { depth: 0, list: chunks(store, &mut worker, bytes)? }
        };
        let node = node(Kind::File, bytes.len());
        let path = path.clone().into_bytes();
        entries.push(TreeEntry { path, node, content, large_xattrs: Vec::new() });
    }
    entries.sort_by(|a, b| path_order(&a.path, &b.path));
    entries.into_iter().try_for_each(|entry| builder.push(entry))?;
    builder.finish()
}

fn chunks(store: &Store<'_>, worker: &mut Worker, bytes: &[u8]) -> Result<Vec<Reference>> {
    let (mut list, mut rest) = (Vec::new(), bytes);
    while let Some(length) = store.repository().chunker().cut(rest, true).filter(|l| *l > 0) {
        let id = store.put(worker, FrameKind::Chunk, &rest[..length])?.id;
        list.push(Reference { length: length as u64, id: Some(id) });
        rest = &rest[length..];
    }
    Ok(list)
}

pub(crate) fn manifest(
    repository: &Repository,
    root: Root,
    parent: Option<SnapshotId>,
) -> Manifest {
    Manifest {
        scope: "partial".into(),
        time: repository.env().clock.now(),
        host: "host".into(),
        user: String::new(),
        program: String::new(),
        paths: vec!["/data".into()],
        roots: Vec::new(),
        tags: Vec::new(),
        note: String::new(),
        parent,
        expiry: None,
        root: root.id,
        level: root.level,
        entries: root.entries,
        bytes: root.bytes,
        problems: root.problems,
        complete: true,
        options: serde_json::Value::Null,
        stats: serde_json::Value::Null,
        origin: None,
    }
}

pub(crate) fn snapshot(
    repository: &Repository,
    files: &Files,
    parent: Option<SnapshotId>,
) -> Result<SnapshotId> {
    let store = repository.begin_writing(SessionKind::Snapshot, parent)?;
    let root = build(&store, files)?;
    let manifest = manifest(repository, root, parent);
    store.commit(manifest)
}

pub(crate) fn find(repository: &Repository, id: SnapshotId) -> Result<Option<Snapshot>> {
    Ok(repository.snapshots()?.snapshots.into_iter().find(|s| s.id == id))
}

/// Everything that a snapshot holds, read and checked.
pub(crate) fn read_back(repository: &Repository, snapshot: &Snapshot) -> Result<Files> {
    let manifest = &snapshot.manifest;
    let root = Root::of(manifest);
    let reader = repository.reader()?;
    let mut buffer = ReadBuffer::new()?;
    let mut cursor = Cursor::new(&reader, root)?;
    let mut files = Files::new();
    while let Some(entry) = cursor.next_entry()? {
        let mut bytes = Vec::new();
        match &entry.content {
            Content::None => {}
            Content::Slot(slot) => {
                let mut parcel = Vec::new();
                reader.read(&slot.parcel.id, FrameKind::Parcel, &mut buffer, &mut parcel)?;
                let start = slot.offset as usize;
                bytes = parcel[start..start + entry.node.size as usize].to_vec();
            }
            Content::References { list, .. } => {
                let wanted: Vec<Wanted> = list
                    .iter()
                    .enumerate()
                    .map(|(tag, r)| Wanted {
                        id: r.id.expect("no holes"),
                        kind: FrameKind::Chunk,
                        tag,
                    })
                    .collect();
                let mut pieces = vec![Vec::new(); list.len()];
                reader.fetch(&wanted, &mut buffer, &mut |tag, piece| {
                    pieces[tag] = piece?.to_vec();
                    Ok(())
                })?;
                bytes = pieces.concat();
            }
        }
        files.insert(String::from_utf8(entry.path).expect("test paths are UTF-8"), bytes);
    }
    Ok(files)
}
