//! `tests/fixtures/repo-v1` stays readable, and holds what its `expected.txt` says: that was
//! taken from the source tree, and an independent reader agrees with it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tintype_engine::ErrorKind;
use tintype_engine::backend::SharedBackend;
use tintype_engine::backend::local::LocalBackend;
use tintype_engine::crypto::age::AgeIdentity;
use tintype_engine::crypto::slot::{Passphrase, RecoveryKey, Secret};
use tintype_engine::env::Env;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::list::decode_list;
use tintype_engine::tree::{Content, Reference, Root, TreeEntry};
use tintype_model::Result;
use tintype_model::entry::Kind;

use crate::escape::escape;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/repo-v1")
}

/// A copy: who reads puts sessions.
fn copy() -> TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_below(&fixture().join("repository"), target.path());
    target
}

fn copy_below(source: &Path, target: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_below(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn open(directory: &Path, secret: &Secret) -> Result<Repository> {
    let backend: SharedBackend = Arc::new(LocalBackend::open(directory)?);
    let identity = Identity::anonymous();
    Repository::open(
        backend,
        secret,
        OpenOptions { cache_root: None, identity, env: Env::system() },
    )
}

struct Expected {
    passphrase: String,
    recovery: String,
    age: String,
    snapshots: Vec<ExpectedSnapshot>,
}

/// See the first lines of the file.
struct ExpectedSnapshot {
    id: String,
    standing: String,
    tags: String,
    note: String,
    entries: Vec<String>,
}

fn expected() -> Expected {
    let text = fs::read_to_string(fixture().join("expected.txt")).unwrap();
    let (mut passphrase, mut recovery, mut age) = (String::new(), String::new(), String::new());
    let mut snapshots: Vec<ExpectedSnapshot> = Vec::new();
    for line in text.lines() {
        let (first, rest) = line.split_once(' ').unwrap();
        match first {
            "#" => {}
            "passphrase" => rest.clone_into(&mut passphrase),
            "recovery" => rest.clone_into(&mut recovery),
            "age" => rest.clone_into(&mut age),
            "snapshot" => {
                let fields: Vec<String> = rest.split(' ').map(str::to_owned).collect();
                let [id, standing, tags, note] = fields.try_into().unwrap();
                let entries = Vec::new();
                snapshots.push(ExpectedSnapshot { id, standing, tags, note, entries });
            }
            _ => snapshots.last_mut().unwrap().entries.push(line.to_owned()),
        }
    }
    Expected { passphrase, recovery, age, snapshots }
}

fn passphrase(text: &str) -> Secret {
    Secret::Passphrase(Passphrase::new(text.to_owned()).unwrap())
}

#[test]
fn lists_snapshots_as_expected() {
    let (copy, expected) = (copy(), expected());
    let repository = open(copy.path(), &passphrase(&expected.passphrase)).unwrap();
    let listing = repository.snapshots().unwrap();
    assert!(listing.damaged.is_empty());
    let found: Vec<_> = listing
        .snapshots
        .iter()
        .map(|snapshot| {
            let standing = &snapshot.standing;
            let tags: Vec<_> = standing.tags.iter().cloned().collect();
            (snapshot.id.to_string(), tags.join(","), escape(standing.note.as_bytes()))
        })
        .collect();
    let visible = expected.snapshots.iter().filter(|snapshot| snapshot.standing == "visible");
    let wanted: Vec<_> = visible.map(|s| (s.id.clone(), s.tags.clone(), s.note.clone())).collect();
    assert_eq!(found, wanted);
    let holds: Vec<_> =
        listing.snapshots.iter().flat_map(|snapshot| snapshot.standing.holds.iter()).collect();
    assert_eq!(holds, ["court case 7"]);
}

#[test]
fn trees_and_contents_are_as_expected() {
    let (copy, expected) = (copy(), expected());
    let repository = open(copy.path(), &passphrase(&expected.passphrase)).unwrap();
    for snapshot in repository.snapshots().unwrap().snapshots {
        let session = repository.pin(snapshot.id).unwrap();
        let wanted = expected.snapshots.iter().find(|s| s.id == snapshot.id.to_string()).unwrap();
        let found = Lines::of(&repository, &snapshot).unwrap();
        for (found, wanted) in found.iter().zip(&wanted.entries) {
            assert_eq!(found, wanted);
        }
        assert_eq!(found.len(), wanted.entries.len());
        session.close().unwrap();
    }
}

#[test]
fn the_recovery_words_and_the_age_identity_open_it_and_other_secrets_do_not() {
    let (copy, expected) = (copy(), expected());
    let words = Secret::Recovery(RecoveryKey::parse(&expected.recovery).unwrap());
    let repository = open(copy.path(), &words).unwrap();
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 4);
    let identity = Secret::Age(AgeIdentity::parse(&expected.age).unwrap());
    let repository = open(copy.path(), &identity).unwrap();
    assert_eq!(repository.snapshots().unwrap().snapshots.len(), 4);
    let refused = open(copy.path(), &passphrase("wrong")).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::WrongKey);
}

/// The lines of expected.txt, made of what the engine reads.
struct Lines<'r> {
    reader: ContentReader<'r>,
    buffer: ReadBuffer,
    links: HashMap<(u64, u64), String>,
}

impl<'r> Lines<'r> {
    fn of(repository: &'r Repository, snapshot: &Snapshot) -> Result<Vec<String>> {
        let reader = repository.reader()?;
        let mut lines = Lines { reader, buffer: ReadBuffer::new()?, links: HashMap::new() };
        let manifest = &snapshot.manifest;
        let root = Root::of(manifest);
        let mut entries = Vec::new();
        Cursor::new(&lines.reader, root)?.for_each_within(b"files", &mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        assert_eq!(entries.len() as u64, manifest.entries);
        entries.iter().skip(1).map(|entry| lines.line(entry)).collect()
    }

    fn line(&mut self, entry: &TreeEntry) -> Result<String> {
        let node = &entry.node;
        let letter = char::from(b"fdlpcbsISu"[node.kind as usize]);
        let path = escape(&entry.path);
        let mut links =
            if node.kind == Kind::Directory { "-".to_owned() } else { node.links.to_string() };
        if node.links > 1 && node.kind != Kind::Directory {
            let key = (node.device, node.inode);
            let first = self.links.entry(key).or_insert_with(|| path.clone());
            links = format!("{links}={first}");
        }
        let content = if node.kind.has_content() {
            blake3::hash(&self.content(entry)?).to_string()
        } else {
            "-".to_owned()
        };
        Ok(format!(
            "{letter} {:04o} {}:{} {} {}.{:09} {links} {content} {} {path} {}",
            node.mode,
            node.owner.uid,
            node.owner.gid,
            node.size,
            node.mtime.seconds,
            node.mtime.nanoseconds,
            self.xattrs(entry)?,
            target(entry),
        ))
    }

    fn content(&mut self, entry: &TreeEntry) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match &entry.content {
            Content::None => {}
            Content::Slot(slot) => {
                let mut raw = Vec::new();
                self.reader.read(&slot.parcel.id, FrameKind::Parcel, &mut self.buffer, &mut raw)?;
                let start = slot.offset as usize;
                out.extend_from_slice(&raw[start..start + entry.node.size as usize]);
                assert_eq!(self.reader.repository().keys().file_digest(&out), slot.digest);
            }
            Content::References { depth, list } => self.pieces(*depth, list, &mut out)?,
        }
        assert_eq!(out.len() as u64, entry.node.size);
        Ok(out)
    }

    fn pieces(&mut self, depth: u8, list: &[Reference], out: &mut Vec<u8>) -> Result<()> {
        for reference in list {
            let end = out.len() + reference.length as usize;
            match reference.id {
                None => out.resize(end, 0),
                Some(id) if depth == 0 => {
                    self.reader.read(&id, FrameKind::Chunk, &mut self.buffer, out)?;
                }
                Some(id) => {
                    let mut raw = Vec::new();
                    self.reader.read(&id, FrameKind::List, &mut self.buffer, &mut raw)?;
                    let below = decode_list(&raw, depth - 1, reference.length)?;
                    self.pieces(depth - 1, &below, out)?;
                }
            }
            assert_eq!(out.len(), end);
        }
        Ok(())
    }

    fn xattrs(&mut self, entry: &TreeEntry) -> Result<String> {
        let mut found = Vec::new();
        for xattr in entry.node.extras.iter().flat_map(|extras| &extras.xattrs) {
            found.push((xattr.name.clone(), xattr.value.clone()));
        }
        for large in &entry.large_xattrs {
            let mut value = Vec::new();
            self.reader.read(&large.id, FrameKind::List, &mut self.buffer, &mut value)?;
            assert_eq!(value.len(), large.length as usize);
            found.push((large.name.clone(), value));
        }
        found.sort();
        let shown: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), blake3::hash(value)))
            .collect();
        Ok(if shown.is_empty() { "-".to_owned() } else { shown.join(",") })
    }
}

fn target(entry: &TreeEntry) -> String {
    let Some(extras) = &entry.node.extras else { return "-".to_owned() };
    match extras.device_number {
        Some((major, minor)) => format!("{major}:{minor}"),
        None => escape(&extras.target),
    }
}
