//! Compares trees of two repositories: every field of every entry, every byte, every hole.

use std::io::Read as _;

use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_runner::content::ContentStream;

fn entries(reader: &ContentReader<'_>, snapshot: &Snapshot) -> Vec<TreeEntry> {
    let mut cursor = Cursor::new(reader, Root::of(&snapshot.manifest)).unwrap();
    std::iter::from_fn(|| cursor.next_entry().unwrap()).collect()
}

pub(super) fn paths(repository: &Repository, snapshot: &Snapshot) -> Vec<String> {
    let reader = repository.reader().unwrap();
    let all = entries(&reader, snapshot).into_iter();
    all.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

fn bytes(reader: &ContentReader<'_>, entry: &TreeEntry) -> Vec<u8> {
    let (mut lists, cancel, mut bytes) =
        (ReadBuffer::new().unwrap(), Cancel::default(), Vec::new());
    let mut stream = ContentStream::new(reader, entry, &mut lists, &cancel).unwrap();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Offset and length, neighbours joined.
fn holes(reader: &ContentReader<'_>, entry: &TreeEntry) -> Vec<(u64, u64)> {
    let Content::References { depth, list } = &entry.content else { return Vec::new() };
    let mut buffer = ReadBuffer::new().unwrap();
    let (mut holes, mut at) = (Vec::<(u64, u64)>::new(), 0);
    for reference in References::new(reader, &mut buffer, *depth, list.clone()) {
        let reference = reference.unwrap();
        match (reference.id, holes.last_mut()) {
            (None, Some((start, length))) if *start + *length == at => *length += reference.length,
            (None, _) => holes.push((at, reference.length)),
            _ => {}
        }
        at += reference.length;
    }
    holes
}

fn large_xattrs(reader: &ContentReader<'_>, entry: &TreeEntry) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut buffer = ReadBuffer::new().unwrap();
    let all = entry.large_xattrs.iter().map(|xattr| {
        let mut value = Vec::new();
        reader.read(&xattr.id, FrameKind::List, &mut buffer, &mut value).unwrap();
        (xattr.name.clone(), value)
    });
    all.collect()
}

#[track_caller]
pub(super) fn assert_same(a: &Repository, left: &Snapshot, b: &Repository, right: &Snapshot) {
    let (left_reader, right_reader) = (a.reader().unwrap(), b.reader().unwrap());
    let (left, right) = (entries(&left_reader, left), entries(&right_reader, right));
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(&right) {
        let path = String::from_utf8_lossy(&left.path).into_owned();
        assert_eq!(left.path, right.path);
        assert_eq!(left.node, right.node, "{path}");
        let form = |entry: &TreeEntry| std::mem::discriminant(&entry.content);
        assert_eq!(form(left), form(right), "{path}");
        assert_eq!(holes(&left_reader, left), holes(&right_reader, right), "{path}");
        assert_eq!(large_xattrs(&left_reader, left), large_xattrs(&right_reader, right), "{path}");
        assert!(bytes(&left_reader, left) == bytes(&right_reader, right), "{path}");
    }
}
