//! What somebody with the key can put into a repository: frames that lie about their length or
//! their id, pages made byte by byte, fates that say anything.

use serde_json::{Value, json};
use tintype_engine::backend::{BackendOptions, SharedBackend, open_backend};
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::env::Env;
use tintype_engine::format::frame::{Codec, FrameHead, Kind as Frame};
use tintype_engine::format::object::{ObjectType, Place, seal_bytes};
use tintype_engine::format::records::SessionKind;
use tintype_engine::id::{ContentId, RandomId};
use tintype_engine::index::PackClass;
use tintype_engine::index::segment::{Segment, SegmentBuilder};
use tintype_engine::pack::writer::PackWriter;
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::tree::leaf::LeafEncoder;
use tintype_engine::tree::{Content, Reference, TreeEntry};
use tintype_model::entry::{Kind, Node, Time};

use crate::support::Lab;

pub(crate) struct Forge {
    repository: Repository,
}

/// What a manifest says of its tree.
#[derive(Clone, Copy)]
pub(crate) struct Top {
    pub(crate) page: ContentId,
    pub(crate) level: u8,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// Content of one snapshot on its way into two packs and a segment.
pub(crate) struct Draft<'f> {
    forge: &'f Forge,
    data: PackWriter,
    meta: PackWriter,
    frames: [usize; 2],
}

impl Forge {
    pub(crate) fn new(lab: &Lab) -> Self {
        let env = Env::system();
        let opened =
            open_backend(&lab.text("repository"), &BackendOptions::default(), &env).unwrap();
        let sheet = String::from_utf8(lab.read(super::SHEET)).unwrap();
        let secret = Secret::Recovery(RecoveryKey::parse(&sheet).unwrap());
        let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
        Self { repository: Repository::open(opened.backend, &secret, options).unwrap() }
    }

    pub(crate) fn backend(&self) -> &SharedBackend {
        self.repository.backend()
    }

    pub(crate) fn begin(&self) -> Draft<'_> {
        let begin = |class| {
            let repository = &self.repository;
            let (backend, env) = (&**repository.backend(), repository.env());
            let size = 1 << 30;
            PackWriter::begin(backend, repository.keys(), repository.id(), class, size, env)
                .unwrap()
        };
        let (data, meta) = (begin(PackClass::Data), begin(PackClass::Meta));
        Draft { forge: self, data, meta, frames: [0; 2] }
    }

    /// Seals anything as an object of a kind and puts it under a name.
    pub(crate) fn put(&self, object_type: ObjectType, name: &str, raw: &[u8]) {
        let repository = &self.repository;
        let (keys, repository_id) = (repository.keys(), repository.id());
        let place = Place { keys, repository: repository_id, object_type, name };
        let is_segment = object_type == ObjectType::IndexSegment;
        let kind = if is_segment { Frame::IndexBlock } else { Frame::Json };
        let sealed = seal_bytes(&place, kind, raw, repository.env()).unwrap();
        repository.backend().put(name, &sealed).unwrap();
    }

    pub(crate) fn put_json(&self, object_type: ObjectType, name: &str, record: &Value) {
        self.put(object_type, name, record.to_string().as_bytes());
    }

    pub(crate) fn random_id(&self) -> RandomId {
        RandomId(self.repository.env().bytes())
    }

    /// A session that is decided as `fate` says; gives its id.
    pub(crate) fn decide(&self, segments: &[Vec<u8>], fate: impl FnOnce(&mut Value)) -> RandomId {
        let session = self.repository.begin_session(SessionKind::Snapshot, Vec::new()).unwrap();
        let names: Vec<String> =
            (0..segments.len()).map(|number| format!("index/{}-{number}", session.id)).collect();
        for (name, raw) in names.iter().zip(segments) {
            self.put(ObjectType::IndexSegment, name, raw);
        }
        let mut record = json!({"state": "committed", "segments": names});
        fate(&mut record);
        self.put_json(ObjectType::Fate, &format!("fate/{}", session.id), &record);
        session.id
    }
}

/// A manifest of a tree; what it says more is up to the case.
pub(crate) fn manifest(top: Top) -> Value {
    json!({
        "scope": "partial", "time": "2030-01-01T00:00:00Z", "host": "host", "paths": ["/a"],
        "roots": [hex(b"files")], "root": top.page.to_string(), "level": top.level,
        "entries": top.entries, "bytes": top.bytes, "problems": 0, "complete": true,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl Draft<'_> {
    /// A frame whose id is right.
    pub(crate) fn frame(&mut self, kind: Frame, raw: &[u8]) -> ContentId {
        let id = self.forge.repository.keys().content_id(kind, raw);
        self.forged(kind, id, raw);
        id
    }

    /// A frame whose id is what the caller says.
    pub(crate) fn forged(&mut self, kind: Frame, id: ContentId, raw: &[u8]) {
        self.stored(kind, Codec::None, id, raw.len() as u32, raw);
    }

    /// A frame that claims `raw_bytes` and holds a gigabyte of zeros in a few kilobytes.
    pub(crate) fn bomb(&mut self, kind: Frame, raw_bytes: u32) -> ContentId {
        let id = self.forge.repository.keys().content_id(kind, &vec![0; raw_bytes as usize]);
        self.stored(kind, Codec::Zstd, id, raw_bytes, &gigabyte_of_zeros());
        id
    }

    fn stored(&mut self, kind: Frame, codec: Codec, id: ContentId, raw_bytes: u32, stored: &[u8]) {
        let head = FrameHead { kind, codec, stored_bytes: stored.len() as u32, raw_bytes, id };
        let number = usize::from(kind.is_metadata());
        self.frames[number] += 1;
        [&mut self.data, &mut self.meta][number].add(head, stored).unwrap();
    }

    /// A leaf page of these entries as the whole tree.
    pub(crate) fn leaf(&mut self, entries: &[TreeEntry]) -> Top {
        let mut page = LeafEncoder::default();
        entries.iter().for_each(|entry| page.push(entry));
        let id = self.frame(Frame::Page, &page.finish());
        let bytes = entries.iter().fold(0u64, |sum, entry| sum.wrapping_add(entry.node.size));
        Top { page: id, level: 0, entries: entries.len() as u64, bytes }
    }

    /// The segment of all frames.
    pub(crate) fn segment(self) -> Segment {
        let mut builder = SegmentBuilder::default();
        for (pack, frames) in [self.data, self.meta].into_iter().zip(self.frames) {
            let finished = pack.finish().unwrap();
            if frames > 0 {
                builder.add(finished.row, &finished.placed);
            }
        }
        builder.take()
    }

    pub(crate) fn commit(self, top: Top) -> RandomId {
        self.commit_as(&manifest(top))
    }

    pub(crate) fn commit_as(self, manifest: &Value) -> RandomId {
        let forge = self.forge;
        let segment = self.segment().encode();
        forge.decide(&[segment], |fate| fate["manifest"] = manifest.clone())
    }
}

fn gigabyte_of_zeros() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 1 << 30), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn entry(path: &[u8], kind: Kind) -> TreeEntry {
    let time = Time { seconds: 1_700_000_000, nanoseconds: 5 };
    let node =
        Node { mode: 0o755, mtime: time, ctime: time, inode: 7, device: 1, ..Node::new(kind) };
    TreeEntry { path: path.to_vec(), node, content: Content::None, large_xattrs: Vec::new() }
}

pub(crate) fn directory(path: &[u8]) -> TreeEntry {
    entry(path, Kind::Directory)
}

/// A file of references of depth `depth`, each a length and an id or a hole.
pub(crate) fn file(path: &[u8], depth: u8, list: &[(u64, Option<ContentId>)]) -> TreeEntry {
    let mut file = entry(path, Kind::File);
    file.node.size = list.iter().fold(0u64, |sum, (length, _)| sum.wrapping_add(*length));
    let list = list.iter().map(|(length, id)| Reference { length: *length, id: *id }).collect();
    file.content = Content::References { depth, list };
    file
}
