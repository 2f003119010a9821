//! Reading, checking, mending and copying repositories that the tests build themselves: trees
//! straight from the builder, no files.

mod copy;
mod damage;
mod diff;
mod find;
mod joining;
mod long_paths;
mod remedies;
mod repair;
mod rewriting;
mod stats;
mod torn_listing;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;

use tintype_engine::Result;
use tintype_engine::backend::{MemoryBackend, SharedBackend};
use tintype_engine::crypto::slot::{Passphrase, Secret};
use tintype_engine::env::testing::manual;
use tintype_engine::env::{Env, testing::ManualClock};
use tintype_engine::format::frame::Kind;
use tintype_engine::format::records::{Manifest, SessionKind};
use tintype_engine::id::SnapshotId;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::store::{Store, Worker};
use tintype_engine::tree::builder::TreeBuilder;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Parcel, Reference, Root, Slot, TreeEntry};
use tintype_model::entry::{self, Extras, Node, Time, Xattr, path_order};

use crate::support::{self, noise};

/// Content up to this length goes into parcels.
const SMALL: usize = 950;
const PARCEL: usize = 8 << 10;
/// Chunks are short, so that files of a few hundred KiB have lists of references.
const CHUNK: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    content: Vec<u8>,
    mode: u16,
    mtime: i64,
    xattr: Option<Vec<u8>>,
    kind: entry::Kind,
}

type Files = BTreeMap<Vec<u8>, File>;

impl File {
    fn of(content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: content.into(),
            mode: 0o644,
            mtime: 5,
            xattr: None,
            kind: entry::Kind::File,
        }
    }

    fn directory() -> Self {
        Self { kind: entry::Kind::Directory, mode: 0o755, ..Self::of("") }
    }

    fn node(&self) -> Node {
        let time = Time { seconds: self.mtime, nanoseconds: 0 };
        let extras = self.xattr.as_ref().map(|value| {
            let xattrs = vec![Xattr { name: b"user.x".to_vec(), value: value.clone() }];
            Box::new(Extras { xattrs, ..Extras::default() })
        });
        Node {
            kind: self.kind,
            mode: self.mode,
            owner: Arc::default(),
            mtime: time,
            ctime: time,
            size: self.content.len() as u64,
            inode: 0,
            device: 1,
            links: 1,
            extras,
        }
    }
}

/// A name that makes pages short: long names weigh much.
fn name(number: usize) -> Vec<u8> {
    format!("files/d{:02}/{}-{number:05}", number % 7, "n".repeat(200)).into_bytes()
}

fn options(env: &Env) -> OpenOptions {
    OpenOptions { cache_root: None, identity: Identity::anonymous(), env: env.clone() }
}

fn secret() -> Secret {
    Secret::Passphrase(Passphrase::new("correct horse".to_owned()).unwrap())
}

fn repository(seed: u64) -> (MemoryBackend, Repository, Arc<ManualClock>) {
    let (env, clock) = manual(seed);
    let memory = MemoryBackend::new();
    let repository = init(Arc::new(memory.clone()), &env);
    (memory, repository, clock)
}

fn init(backend: SharedBackend, env: &Env) -> Repository {
    Repository::init(backend, &[(&secret(), "test")], false, options(env)).unwrap().0
}

/// Paths of `files` in tree order.
fn ordered(files: &Files) -> Vec<(&Vec<u8>, &File)> {
    let mut all: Vec<_> = files.iter().collect();
    all.sort_by(|(a, _), (b, _)| path_order(a, b));
    all
}

struct Packer<'p, 'r> {
    store: &'p Store<'r>,
    worker: Worker,
    waiting: Vec<(Vec<u8>, File)>,
    bytes: usize,
}

impl Packer<'_, '_> {
    fn flush(&mut self, builder: &mut TreeBuilder<'_, '_>) -> Result<()> {
        let raw: Vec<u8> = self.waiting.iter().flat_map(|(_, file)| small(file)).copied().collect();
        let files = self.waiting.iter().filter(|(_, file)| !small(file).is_empty()).count() as u32;
        let parcel = if raw.is_empty() {
            None
        } else {
            let stored = self.store.put(&mut self.worker, Kind::Parcel, &raw)?;
            Some(Parcel { id: stored.id, raw_bytes: raw.len() as u32, files })
        };
        let mut offset = 0;
        for (path, file) in self.waiting.drain(..) {
            let content = if file.content.is_empty() {
                Content::None
            } else if file.content.len() <= SMALL {
                let digest = self.store.repository().keys().file_digest(&file.content);
                let parcel = parcel.expect("it has content");
                offset += file.content.len() as u32;
                Content::Slot(Slot { parcel, offset: offset - file.content.len() as u32, digest })
            } else {
                let mut list = Vec::new();
                for piece in file.content.chunks(CHUNK) {
                    let is_hole = piece.iter().all(|b| *b == 0);
                    let id = if is_hole {
                        None
                    } else {
                        Some(self.store.put(&mut self.worker, Kind::Chunk, piece)?.id)
                    };
                    list.push(Reference { length: piece.len() as u64, id });
                }
                Content::References { depth: 0, list }
            };
            let node = file.node();
            builder.push(TreeEntry { path, node, content, large_xattrs: Vec::new() })?;
        }
        self.bytes = 0;
        Ok(())
    }
}

fn small(file: &File) -> &[u8] {
    if file.content.len() <= SMALL { &file.content } else { &[] }
}

fn build(store: &Store<'_>, files: &Files) -> Result<Root> {
    let mut builder = TreeBuilder::new(store)?;
    let mut packer = Packer { store, worker: Worker::new()?, waiting: Vec::new(), bytes: 0 };
    for (path, file) in ordered(files) {
        packer.bytes += small(file).len();
        packer.waiting.push((path.clone(), file.clone()));
        if packer.bytes >= PARCEL {
            packer.flush(&mut builder)?;
        }
    }
    packer.flush(&mut builder)?;
    builder.finish()
}

fn manifest(repository: &Repository, root: &Root) -> Manifest {
    Manifest {
        user: "user".into(),
        tags: vec!["first".into()],
        note: "a note".into(),
        ..support::manifest(repository, *root, None)
    }
}

fn snapshot(repository: &Repository, files: &Files) -> SnapshotId {
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let root = build(&store, files).unwrap();
    store.commit(manifest(repository, &root)).unwrap()
}

fn roots(repository: &Repository) -> Vec<(SnapshotId, Root)> {
    let snapshots = repository.snapshots().unwrap().snapshots;
    snapshots.iter().map(|s| (s.id, Root::of(&s.manifest))).collect()
}

fn root(repository: &Repository, id: SnapshotId) -> Root {
    roots(repository).into_iter().find(|(other, _)| *other == id).expect("it is listed").1
}

/// A file as stored, or why not.
fn read_file(
    reader: &ContentReader<'_>,
    buffer: &mut ReadBuffer,
    entry: TreeEntry,
) -> Result<File> {
    let mut content = Vec::new();
    match entry.content {
        Content::None => {}
        Content::Slot(slot) => {
            let mut raw = Vec::new();
            reader.read(&slot.parcel.id, Kind::Parcel, buffer, &mut raw)?;
            let start = slot.offset as usize;
            content.extend_from_slice(&raw[start..start + entry.node.size as usize]);
            assert_eq!(reader.repository().keys().file_digest(&content), slot.digest);
        }
        Content::References { depth, list } => {
            let all = References::new(reader, buffer, depth, list).collect::<Result<Vec<_>>>()?;
            for reference in all {
                match reference.id {
                    Some(id) => reader.read(&id, Kind::Chunk, buffer, &mut content)?,
                    None => content.resize(content.len() + reference.length as usize, 0),
                }
            }
        }
    }
    let inline = entry.node.extras.as_ref().and_then(|e| e.xattrs.first());
    let xattr = match (inline, entry.large_xattrs.first()) {
        (Some(xattr), _) => Some(xattr.value.clone()),
        (None, Some(large)) => {
            let mut value = Vec::new();
            reader.read(&large.id, Kind::List, buffer, &mut value)?;
            Some(value)
        }
        (None, None) => None,
    };
    let node = entry.node;
    Ok(File { content, mode: node.mode, mtime: node.mtime.seconds, xattr, kind: node.kind })
}

/// Everything of a snapshot that can be read.
fn read_all(repository: &Repository, root: Root) -> Result<(Files, Vec<Vec<u8>>)> {
    let reader = repository.reader()?;
    let mut cursor = Cursor::new(&reader, root)?.tolerant();
    let mut buffer = ReadBuffer::new()?;
    let (mut files, mut failed) = (Files::new(), Vec::new());
    while let Some(entry) = cursor.next_entry()? {
        let path = entry.path.clone();
        match read_file(&reader, &mut buffer, entry) {
            Ok(file) => {
                files.insert(path, file);
            }
            Err(_) => failed.push(path),
        }
    }
    Ok((files, failed))
}

/// A few hundred entries of every form: small files, large ones with lists, holes, xattrs.
fn sample(entries: usize) -> Files {
    let mut files = Files::new();
    files.insert(b"files".to_vec(), File::directory());
    for number in 0..7 {
        files.insert(format!("files/d{number:02}").into_bytes(), File::directory());
    }
    for number in 0..entries {
        let length = [0, 30, 300, 900][number % 4];
        files.insert(name(number), File::of(noise(number as u64, length)));
    }
    files.insert(b"files/large".to_vec(), File::of(noise(1_000_001, 100 * CHUNK)));
    let mut sparse = vec![0; 20 * CHUNK];
    sparse[4 * CHUNK..5 * CHUNK].fill(7);
    files.insert(b"files/sparse".to_vec(), File::of(sparse));
    let tagged = File { xattr: Some(noise(1_000_002, 6000)), ..File::of("tagged") };
    files.insert(b"files/tagged".to_vec(), tagged);
    files
}
