//! Golden vectors (format.md §14), for M = 00 01 … 1f, kept in `tests/golden/`. A change of any
//! is a new format version: do not accept one to make a test pass.

use std::sync::Arc;

use serde_json::{Value, json};
use tintype_model::entry::{Extras, Kind, Node, Owner, Problem, ProblemKind, Time, Xattr};

use crate::backend::{Backend as _, MemoryBackend};
use crate::chunker::Chunker;
use crate::compress::PAGE_DICTIONARY;
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::slot::{Passphrase, RecoveryKey, Secret, Slot as KeySlot};
use crate::env::Env;
use crate::env::testing::manual;
use crate::format::frame::{Codec, FrameHead, Kind as FrameKind};
use crate::format::object::{ObjectType, Place, open_bytes, seal_bytes};
use crate::format::records::{Config, Features};
use crate::id::{ContentId, RandomId, encode_hex};
use crate::index::segment::{PackRow, Record, Segment};
use crate::index::{PackClass, PackId};
use crate::pack::writer::PackWriter;
use crate::tree::leaf::LeafEncoder;
use crate::tree::{Child, Content, LargeXattr, Parcel, Reference, Slot, TreeEntry};
use crate::tree::{inner, leaf, list};

const REPOSITORY: RandomId = RandomId([0x52; 16]);

fn master() -> MasterKey {
    MasterKey(std::array::from_fn(|index| index as u8))
}

fn keys() -> Keys {
    Keys::new(master())
}

fn env() -> Env {
    manual(1).0
}

/// Compares with `tests/golden/<name>.snap`.
fn check(name: &str, value: &Value) {
    insta::with_settings!({
        snapshot_path => "../tests/golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_json_snapshot!(name, value) });
}

fn stream(label: &str, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut out);
    out
}

fn id(number: u8) -> ContentId {
    ContentId(*blake3::hash(&[number]).as_bytes())
}

#[test]
fn sub_keys() {
    let (keys, master) = (keys(), master());
    let derive = |context: &str| encode_hex(&blake3::derive_key(context, &master.0));
    let (_, commitment) = keys.object_key(0, &[7; 32]);
    let (_, of_epoch_1) = keys.object_key(1, &[7; 32]);
    let table = keys.gear_table();
    let kinds = [FrameKind::Chunk, FrameKind::Parcel, FrameKind::List, FrameKind::Page];
    check(
        "keys",
        &json!({
            "id key": derive("tintype v1 chunk id"),
            "gear key": derive("tintype v1 gear table"),
            "digest key": derive("tintype v1 file digest"),
            "cut key": derive("tintype v1 cut"),
            "config key": derive("tintype v1 config"),
            "gear table, first words": table[..8].iter().map(|w| format!("{w:016x}")).collect::<Vec<_>>(),
            "gear table, BLAKE3": blake3::hash(&table.map(u64::to_le_bytes).concat()).to_string(),
            "ids of \"abc\" as chunk, parcel, list, page":
                kinds.map(|kind| keys.content_id(kind, b"abc").to_string()),
            "file digest of \"abc\"": encode_hex(&keys.file_digest(b"abc")),
            "c(\"abc\")": keys.cut_hash(&[b"abc"]),
            "commitment of an object with salt 07…07": encode_hex(&commitment),
            "the same in epoch 1": encode_hex(&of_epoch_1),
        }),
    );
}

#[test]
fn page_dictionary() {
    let hash = blake3::hash(PAGE_DICTIONARY).to_string();
    check("page-dictionary", &json!({ "bytes": PAGE_DICTIONARY.len(), "blake3": hash }));
}

#[test]
fn cut_points() {
    let chunker = Chunker::new(keys().gear_table());
    let data = stream("tintype golden stream", 16 << 20);
    let (mut rest, mut cuts) = (&data[..], Vec::new());
    while !rest.is_empty() {
        let length = chunker.cut(rest, true).unwrap();
        cuts.push(length);
        rest = &rest[length..];
    }
    check(
        "cut-points",
        &json!({ "16 MiB of BLAKE3(\"tintype golden stream\"), lengths of chunks": cuts }),
    );
}

/// Which files end a parcel, a leaf page, an inner page, a list, once enough is in it.
#[test]
fn cut_marks() {
    let keys = keys();
    let marks = |modulus: u64, hash: &dyn Fn(u32) -> u64| -> Vec<u32> {
        (0..4000).filter(|n| hash(*n).is_multiple_of(modulus)).take(8).collect()
    };
    let name = |n: u32| format!("file-{n}");
    let content = |n: u32| *blake3::hash(&n.to_le_bytes()).as_bytes();
    check(
        "cut-marks",
        &json!({
            "parcels end after file-N of N bytes": marks(64, &|n| {
                keys.cut_hash(&[name(n).as_bytes(), &u64::from(n).to_le_bytes()])
            }),
            "leaf pages end after files/file-N": marks(256, &|n| {
                keys.cut_hash(&[format!("files/{}", name(n)).as_bytes()])
            }),
            "inner pages end after the id BLAKE3(u32 N)": marks(192, &|n| keys.cut_hash(&[&content(n)])),
            "lists end after the id BLAKE3(u32 N)": marks(512, &|n| keys.cut_hash(&[&content(n)])),
        }),
    );
}

#[test]
fn config_and_key_slots() {
    let (env, keys) = (env(), keys());
    let config = Config {
        tintype: "repository".into(),
        version: 1,
        id: REPOSITORY,
        created: env.clock.now(),
        single_writer: false,
        features: Features::default(),
        mac: None,
    };
    let config = serde_json::to_string(&config.seal(&keys)).unwrap();
    let recovery = RecoveryKey::parse(&format!("{}about", "abandon ".repeat(11))).unwrap();
    let passphrase = Passphrase::new("correct horse battery staple".into()).unwrap();
    let slots = [Secret::Passphrase(passphrase), Secret::Recovery(recovery)].map(|secret| {
        let slot = RandomId([3; 16]);
        let sealed = KeySlot::seal(&secret, &keys, REPOSITORY, slot, "label", &env).unwrap();
        let text = serde_json::to_string(&sealed).unwrap();
        let parsed: KeySlot = serde_json::from_str(&text).unwrap();
        let opened = parsed.open(&secret, REPOSITORY, slot).unwrap().expect("its own secret");
        assert_eq!(opened.0, master().0);
        parsed.verify(&keys, slot).unwrap();
        text
    });
    check("config-and-key-slots", &json!({ "config": config, "slots": slots }));
}

#[test]
fn sealed_object() {
    let (env, keys) = (env(), keys());
    let name = "session/0123456789abcdef0123456789abcdef";
    let place =
        Place { keys: &keys, repository: REPOSITORY, object_type: ObjectType::Session, name };
    let raw = br#"{"kind":"read","started":"2030-01-01T00:00:00Z"}"#;
    let sealed = seal_bytes(&place, FrameKind::Json, raw, &env).unwrap();
    assert_eq!(open_bytes(&place, FrameKind::Json, sealed.clone()).unwrap(), raw);
    check(
        "sealed-object",
        &json!({
            "name": name,
            "repository": REPOSITORY,
            "raw": String::from_utf8_lossy(raw),
            "object": encode_hex(&sealed),
        }),
    );
}

#[test]
fn pack() {
    let (env, keys, backend) = (env(), keys(), MemoryBackend::new());
    let mut writer =
        PackWriter::begin(&backend, &keys, REPOSITORY, PackClass::Data, 1 << 20, &env).unwrap();
    for (kind, raw) in [(FrameKind::Chunk, &b"a chunk"[..]), (FrameKind::Parcel, b"a parcel")] {
        let length = raw.len() as u32;
        let id = keys.content_id(kind, raw);
        let codec = Codec::None;
        let head = FrameHead { kind, codec, stored_bytes: length, raw_bytes: length, id };
        writer.add(head, raw).unwrap();
    }
    let finished = writer.finish().unwrap();
    let name = finished.row.pack.object_name();
    let object = backend.get(&name, 1 << 20).unwrap();
    check("pack", &json!({ "name": name, "object": encode_hex(&object) }));
}

#[test]
fn pages_and_lists() {
    let keys = keys();
    let entries = entries();
    let mut encoder = LeafEncoder::default();
    entries.iter().for_each(|entry| encoder.push(entry));
    let page = encoder.finish();
    assert_eq!(leaf::decode(&page).unwrap(), entries);
    let empty = LeafEncoder::default().finish();
    assert_eq!(leaf::decode(&empty).unwrap(), []);

    let child = |first: &str, number: u8| Child {
        first: first.into(),
        id: id(number),
        entries: u64::from(number) * 1000,
        bytes: 1 << 40,
        problems: u64::from(number),
    };
    let children = vec![child("files", 1), child("files/a/b", 2), child("files/a.txt", 3)];
    let above = inner::encode(2, &children);
    assert_eq!(inner::decode(&above).unwrap(), (2, children));

    let references = references();
    let listed = list::encode_list(1, &references);
    let length = list::total(&references).unwrap();
    assert_eq!(list::decode_list(&listed, 1, length).unwrap(), references);

    let shown =
        |kind, raw: &[u8]| json!({ "raw": encode_hex(raw), "id": keys.content_id(kind, raw) });
    check(
        "pages-and-lists",
        &json!({
            "leaf": shown(FrameKind::Page, &page),
            "empty leaf": shown(FrameKind::Page, &empty),
            "inner page": shown(FrameKind::Page, &above),
            "list": shown(FrameKind::List, &listed),
        }),
    );
}

#[test]
fn index_segment() {
    let row = |class, number: u8, size_bytes| PackRow {
        pack: PackId { class, id: RandomId([number; 16]) },
        size_bytes,
    };
    let packs = vec![row(PackClass::Data, 1, 5 << 30), row(PackClass::Meta, 2, 4096)];
    let record = |number: u8, pack, offset, kind| Record {
        id: id(number),
        pack,
        offset,
        stored_bytes: 70_000,
        raw_bytes: 4 << 20,
        kind,
    };
    let records = vec![
        record(1, 0, 80, FrameKind::Chunk),
        record(2, 0, 4 << 30, FrameKind::Parcel),
        record(3, 1, 96, FrameKind::Page),
    ];
    let segment = Segment::new(packs, records);
    let raw = segment.encode();
    assert_eq!(Segment::decode(&raw).unwrap(), segment);
    check("index-segment", &json!({ "raw": encode_hex(&raw) }));
}

fn references() -> Vec<Reference> {
    vec![
        Reference { length: 1 << 20, id: Some(id(20)) },
        Reference { length: 1 << 40, id: None },
        Reference { length: 5, id: Some(id(21)) },
    ]
}

fn node(kind: Kind, size: u64) -> Node {
    let user = b"carol".to_vec();
    Node {
        kind,
        mode: 0o644,
        owner: Arc::new(Owner { uid: 1000, gid: 100, user, group: b"users".to_vec() }),
        mtime: Time { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
        ctime: Time { seconds: 1_700_000_001, nanoseconds: 5 },
        size,
        inode: 12_345_678_901,
        device: 66_306,
        links: 1,
        extras: None,
    }
}

/// One of each: form of content, kind of extras, direction of a difference.
fn entries() -> Vec<TreeEntry> {
    let bare = |path: &[u8], node: Node| TreeEntry {
        path: path.to_vec(),
        node,
        content: Content::None,
        large_xattrs: Vec::new(),
    };
    let parcel = |number| Parcel { id: id(number), raw_bytes: 100_000, files: 3 };
    let slot = |number, offset| {
        Content::Slot(Slot { parcel: parcel(number), offset, digest: [number; 16] })
    };
    let with = |node: Node, extras: Extras| Node { extras: Some(Box::new(extras)), ..node };
    let xattr = Xattr { name: b"user.a".to_vec(), value: b"value".to_vec() };
    let message = "changed while it was read".into();
    let problem = Problem { kind: ProblemKind::Changed, message };
    let full =
        Extras { xattrs: vec![xattr], flags: 0x20, problem: Some(problem), ..Extras::default() };
    let target = Extras { target: b"\xff/elsewhere".to_vec(), ..Extras::default() };
    let device = Extras { device_number: Some((8, 1)), ..Extras::default() };
    let large = LargeXattr { name: b"user.large".to_vec(), length: 5000, id: id(30) };
    let mut early = node(Kind::Directory, 0);
    early.mtime.seconds = -5;
    early.inode = 3;
    let content = Content::References { depth: 1, list: references() };
    let length = list::total(&references()).expect("small");
    vec![
        bare(b"files", early),
        TreeEntry { content: slot(10, 0), ..bare(b"files/a", node(Kind::File, 40)) },
        TreeEntry { content: slot(10, 40), ..bare(b"files/b", node(Kind::File, 60)) },
        TreeEntry { content: slot(11, 7), ..bare(b"files/c", node(Kind::File, 1)) },
        TreeEntry {
            content,
            large_xattrs: vec![large],
            ..bare(b"files/d\xe9", with(node(Kind::File, length), full))
        },
        bare(b"files/e", with(node(Kind::Symlink, 0), target)),
        bare(b"files/f", with(node(Kind::BlockDevice, 0), device)),
    ]
}
