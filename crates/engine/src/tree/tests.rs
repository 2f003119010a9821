//! Encoders and decoders of pages against each other, and decoders against hostile bytes.

use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use tintype_model::entry::{
    Extras, Kind, Node, Owner, Problem, ProblemKind, Time, Xattr, flags, path_order,
};

use super::leaf::LeafEncoder;
use super::{Child, Content, LargeXattr, Parcel, Reference, Slot, TreeEntry, inner, leaf, list};
use crate::format::limits;
use crate::id::ContentId;

fn id() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId)
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    // Few letters, so that names share beginnings; some that sort around `/`.
    let letter = prop_oneof![Just(b'a'), Just(b'b'), Just(b'!'), Just(b'.'), Just(0xff), 1u8..=255];
    vec(letter, 1..12)
        .prop_map(|name| name.into_iter().filter(|b| *b != b'/').collect::<Vec<u8>>())
        .prop_filter("no name", |name| !matches!(&name[..], b"" | b"." | b".."))
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    vec(name(), 1..5).prop_map(|names| names.join(&b'/'))
}

fn time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32)
        .prop_map(|(seconds, nanoseconds)| Time { seconds, nanoseconds })
}

fn owner() -> impl Strategy<Value = Arc<Owner>> {
    (0..3u32, any::<u32>(), vec(any::<u8>(), 0..5))
        .prop_map(|(uid, gid, user)| Arc::new(Owner { uid, gid, user, group: Vec::new() }))
}

fn extras() -> impl Strategy<Value = Extras> {
    let xattr = (vec(any::<u8>(), 1..20), vec(any::<u8>(), 0..100))
        .prop_map(|(name, value)| Xattr { name, value });
    let problem = (1..=4u8, ".{0,20}").prop_map(|(kind, message)| Problem {
        kind: ProblemKind::from_number(kind).expect("1 to 4"),
        message,
    });
    let device = option::of(any::<(u32, u32)>());
    (vec(xattr, 0..3), any::<u32>(), vec(any::<u8>(), 0..30), device, option::of(problem)).prop_map(
        |(xattrs, bits, target, device_number, problem)| Extras {
            xattrs,
            flags: bits & flags::KEPT,
            target,
            device_number,
            problem,
        },
    )
}

fn node() -> impl Strategy<Value = Node> {
    let numbers = (any::<u64>(), 0..3u64, any::<u32>());
    (0..10u8, 0..0o10000u16, owner(), time(), time(), numbers, option::weighted(0.3, extras()))
        .prop_map(|(kind, mode, owner, mtime, ctime, (inode, device, links), extras)| Node {
            kind: Kind::from_number(kind).expect("below 10"),
            mode,
            owner,
            mtime,
            ctime,
            size: 0,
            inode,
            device,
            links,
            // An entry without any is the same as one without the box.
            extras: extras.filter(|extras| *extras != Extras::default()).map(Box::new),
        })
}

fn references() -> impl Strategy<Value = Vec<Reference>> {
    let reference =
        (0..1u64 << 50, option::of(id())).prop_map(|(length, id)| Reference { length, id });
    vec(reference, 0..20)
}

/// Content with its size.
fn content() -> impl Strategy<Value = (Content, u64)> {
    let slot = (0..4u8, 0..5000u32, 0..5000u64, any::<[u8; 16]>()).prop_map(
        |(number, offset, size, digest)| {
            let raw_bytes = 10_000 + u32::from(number);
            let parcel = Parcel { id: ContentId([number; 32]), raw_bytes, files: 7 };
            (Content::Slot(Slot { parcel, offset, digest }), size)
        },
    );
    let references = (0..=limits::REFERENCE_DEPTH, references()).prop_map(|(depth, list)| {
        let size = list::total(&list).expect("small");
        (Content::References { depth, list }, size)
    });
    prop_oneof![Just((Content::None, 0)), slot, references]
}

fn entry(path: Vec<u8>) -> impl Strategy<Value = TreeEntry> {
    let large = (vec(any::<u8>(), 1..20), 4097..1_000_000u32, id())
        .prop_map(|(name, length, id)| LargeXattr { name, length, id });
    (node(), content(), vec(large, 0..2)).prop_map(
        move |(mut node, (content, size), large_xattrs)| {
            let content = if node.kind.has_content() { content } else { Content::None };
            node.size = if content == Content::None { 0 } else { size };
            TreeEntry { path: path.clone(), node, content, large_xattrs }
        },
    )
}

fn entries() -> impl Strategy<Value = Vec<TreeEntry>> {
    btree_set(path(), 0..30).prop_flat_map(|paths| {
        let mut paths: Vec<_> = paths.into_iter().collect();
        paths.sort_by(|a, b| path_order(a, b));
        paths.into_iter().map(entry).collect::<Vec<_>>()
    })
}

fn children() -> impl Strategy<Value = Vec<Child>> {
    btree_set(path(), 1..20)
        .prop_flat_map(|paths| (Just(paths), vec((id(), any::<[u64; 3]>()), 20)))
        .prop_map(|(paths, numbers)| {
            let mut paths: Vec<_> = paths.into_iter().collect();
            paths.sort_by(|a, b| path_order(a, b));
            let rows = paths.into_iter().zip(numbers);
            rows.map(|(first, (id, [entries, bytes, problems]))| Child {
                first,
                id,
                entries,
                bytes,
                problems,
            })
            .collect()
        })
}

fn encode(entries: &[TreeEntry]) -> Vec<u8> {
    let mut encoder = LeafEncoder::default();
    entries.iter().for_each(|entry| encoder.push(entry));
    encoder.finish()
}

/// Changes bytes of a valid page: single ones, a cut, a repeated piece.
fn damage(raw: &mut Vec<u8>, changes: &[(usize, u8)], cut: Option<usize>) {
    for (at, value) in changes {
        if !raw.is_empty() {
            let at = at % raw.len();
            raw[at] = *value;
        }
    }
    if let Some(cut) = cut {
        let at = cut % (raw.len() + 1);
        if cut % 2 == 0 {
            raw.truncate(at);
        } else {
            let tail = raw[at..].to_vec();
            raw.extend_from_slice(&tail);
        }
    }
}

fn changes() -> impl Strategy<Value = (Vec<(usize, u8)>, Option<usize>)> {
    (vec(any::<(usize, u8)>(), 1..6), option::weighted(0.2, any::<usize>()))
}

proptest! {
    #[test]
    fn leaves_come_back(entries in entries()) {
        prop_assert_eq!(leaf::decode(&encode(&entries)).unwrap(), entries);
    }

    #[test]
    fn inner_pages_come_back(level in 1..=limits::TREE_LEVEL, children in children()) {
        let raw = inner::encode(level, &children);
        prop_assert_eq!(inner::decode(&raw).unwrap(), (level, children));
    }

    #[test]
    fn lists_come_back(depth in 0..=limits::REFERENCE_DEPTH, list in references()) {
        let raw = list::encode_list(depth, &list);
        let length = list::total(&list).unwrap();
        prop_assert_eq!(list::decode_list(&raw, depth, length).unwrap(), list.clone());
        prop_assert!(list::decode_list(&raw, depth, length + 1).is_err());
        prop_assert!(list::decode_list(&raw, depth + 1, length).is_err());
    }

    /// What a decoder accepts it could have got from an encoder.
    #[test]
    fn damaged_leaves_are_refused_or_valid(entries in entries(), changes in changes()) {
        let mut raw = encode(&entries);
        damage(&mut raw, &changes.0, changes.1);
        if let Ok(found) = leaf::decode(&raw) {
            prop_assert_eq!(leaf::decode(&encode(&found)).unwrap(), found);
        }
    }

    #[test]
    fn damaged_inner_pages_are_refused_or_valid(children in children(), changes in changes()) {
        let mut raw = inner::encode(3, &children);
        damage(&mut raw, &changes.0, changes.1);
        if let Ok((level, found)) = inner::decode(&raw) {
            prop_assert_eq!(inner::decode(&inner::encode(level, &found)).unwrap(), (level, found));
        }
    }

    #[test]
    fn damaged_lists_are_refused_or_valid(list in references(), changes in changes()) {
        let length = list::total(&list).unwrap();
        let mut raw = list::encode_list(1, &list);
        damage(&mut raw, &changes.0, changes.1);
        if let Ok(found) = list::decode_list(&raw, 1, length) {
            prop_assert_eq!(list::total(&found).unwrap(), length);
        }
    }

    #[test]
    fn noise_never_panics(raw in vec(any::<u8>(), 0..400)) {
        for magic in [&b"L\x01"[..], b"N\x01", b"R\x01", b""] {
            let raw = [magic, &raw].concat();
            let _ = leaf::decode(&raw);
            let _ = inner::decode(&raw);
            let _ = list::decode_list(&raw, 0, 0);
        }
    }
}

#[test]
fn what_the_format_forbids_is_refused() {
    let path_of = |path: &[u8]| {
        let mut entry = TreeEntry {
            path: path.to_vec(),
            node: simple(),
            content: Content::None,
            large_xattrs: Vec::new(),
        };
        let raw = encode(std::slice::from_ref(&entry));
        entry.path = b"files".to_vec();
        leaf::decode(&raw)
    };
    assert!(path_of(b"files/x").is_ok());
    for bad in [&b""[..], b"/x", b"x/", b"a//b", b"a/../b", b".", b"a\0", &[b'n'; 256]] {
        assert!(path_of(bad).is_err(), "{bad:?}");
    }
    let entry = |path: &[u8], node: Node, content| TreeEntry {
        path: path.to_vec(),
        node,
        content,
        large_xattrs: Vec::new(),
    };
    let twice = [entry(b"a", simple(), Content::None), entry(b"a", simple(), Content::None)];
    assert!(leaf::decode(&encode(&twice)).is_err());
    let missing = Node { size: 5, ..simple() };
    assert!(leaf::decode(&encode(&[entry(b"a", missing, Content::None)])).is_err());
    let parcel = Parcel { id: ContentId([1; 32]), raw_bytes: 10, files: 1 };
    let outside = Content::Slot(Slot { parcel, offset: 6, digest: [0; 16] });
    let node = Node { size: 5, ..simple() };
    assert!(leaf::decode(&encode(&[entry(b"a", node, outside.clone())])).is_err());
    let directory = Node { kind: Kind::Directory, ..simple() };
    assert!(leaf::decode(&encode(&[entry(b"a", directory, outside)])).is_err());
}

/// A path of about `length` bytes; `number` at its end.
fn long_path(length: usize, number: usize) -> Vec<u8> {
    let mut path = [&[b'd'; 250][..], b"/"].concat().repeat(length / 251);
    path.extend_from_slice(format!("{number:08}").as_bytes());
    path
}

/// A page of a few kilobytes, once it is compressed, that would be gigabytes in memory.
#[test]
fn paths_that_share_a_long_beginning_are_bounded_together() {
    let entry = |number| TreeEntry {
        path: long_path(60_000, number),
        node: simple(),
        content: Content::None,
        large_xattrs: Vec::new(),
    };
    let child = |number| Child {
        first: long_path(60_000, number),
        id: ContentId([1; 32]),
        entries: 1,
        bytes: 0,
        problems: 0,
    };
    let fits = limits::PAGE_PATH_BYTES / long_path(60_000, 0).len();
    for (count, is_good) in [(fits, true), (fits + 1, false)] {
        let entries: Vec<_> = (0..count).map(entry).collect();
        let raw = encode(&entries);
        assert!(raw.len() < 100_000);
        assert_eq!(leaf::decode(&raw).is_ok_and(|found| found == entries), is_good);
        let children: Vec<_> = (0..count).map(child).collect();
        let raw = inner::encode(1, &children);
        assert_eq!(inner::decode(&raw).is_ok_and(|found| found == (1, children)), is_good);
    }
}

/// Hundreds of megabytes in memory from a page that is none on disk.
#[test]
fn parts_of_a_page_are_bounded_together() {
    let hole = Reference { length: 1, id: None };
    let entry = |number: usize, holes: usize, names: usize| {
        let xattr = Xattr { name: b"x".to_vec(), value: Vec::new() };
        let extras = Extras { xattrs: vec![xattr; names], ..Extras::default() };
        let extras = (names > 0).then(|| Box::new(extras));
        TreeEntry {
            path: format!("{number:08}").into_bytes(),
            node: Node { size: holes as u64, extras, ..simple() },
            content: match holes {
                0 => Content::None,
                _ => Content::References { depth: 0, list: vec![hole; holes] },
            },
            large_xattrs: Vec::new(),
        }
    };
    let full = limits::PAGE_PARTS / limits::REFERENCES;
    let page = |last: TreeEntry| {
        let most = (1..full).map(|number| entry(number, limits::REFERENCES, 0));
        most.chain([last]).collect::<Vec<_>>()
    };
    for (holes, names, is_good) in [
        (limits::REFERENCES, 0, true),
        (0, limits::XATTRS, true),
        (limits::REFERENCES - 1, 1, true),
        (limits::REFERENCES, 1, false),
        (1, limits::XATTRS, false),
    ] {
        let entries = page(entry(full, holes, names));
        let decoded = leaf::decode(&encode(&entries));
        assert_eq!(decoded.is_ok_and(|found| found == entries), is_good, "{holes} {names}");
    }
    let too_many: Vec<_> = (0..=full).map(|n| entry(n, limits::REFERENCES, 0)).collect();
    let error = leaf::decode(&encode(&too_many)).unwrap_err();
    assert!(error.to_string().contains("number of references"), "{error}");
}

fn simple() -> Node {
    Node { mode: 0o644, inode: 1, device: 1, ..Node::new(Kind::File) }
}
