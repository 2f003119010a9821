//! Trees of very long paths: their pages are cut before they are longer than a page may be.

use tintype_engine::id::ContentId;
use tintype_engine::tree::Child;
use tintype_engine::tree::cursor::{Page, read_page};

use super::*;

/// A directory so many levels down, each with a long name.
fn deep(top: &str, levels: usize) -> Vec<u8> {
    let mut path = top.as_bytes().to_vec();
    for _ in 0..levels {
        path.push(b'/');
        path.extend_from_slice(&[b'd'; 250]);
    }
    path
}

#[test]
fn many_files_far_down_come_back() {
    let (_, repository, _) = repository(41);
    let mut files = Files::new();
    for levels in 0..240 {
        files.insert(deep("files", levels), File::directory());
    }
    for number in 0..300 {
        let mut path = deep("files", 239);
        path.extend_from_slice(format!("/{number:03}").as_bytes());
        assert!(path.len() > 59_000);
        files.insert(path, File::of(noise(number, 10)));
    }
    let id = snapshot(&repository, &files);
    let (found, failed) = read_all(&repository, root(&repository, id)).unwrap();
    assert!(failed.is_empty() && found == files);
}

#[test]
fn inner_pages_of_long_keys_come_back() {
    let (_, repository, _) = repository(42);
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let mut builder = TreeBuilder::new(&store).unwrap();
    let child = |number| Child {
        first: deep(&format!("{number:03}"), 239),
        id: ContentId([1; 32]),
        entries: 1,
        bytes: 0,
        problems: 0,
    };
    let children: Vec<Child> = (0..100).map(child).collect();
    for child in &children {
        builder.push_leaf(child.clone(), &child.first).unwrap();
    }
    let root = builder.finish().unwrap();
    assert_eq!((root.level, root.entries), (2, 100));
    store.commit(manifest(&repository, &root)).unwrap();
    let reader = repository.reader().unwrap();
    let mut buffer = ReadBuffer::new().unwrap();
    let mut inner =
        |id: &ContentId, level| match read_page(&reader, &mut buffer, id, level, None, None)
            .unwrap()
        {
            Page::Inner(children) => children,
            Page::Leaf(_) => panic!("a leaf"),
        };
    let found: Vec<Child> =
        inner(&root.id, 2).iter().flat_map(|child| inner(&child.id, 1)).collect();
    assert!(found == children);
}
