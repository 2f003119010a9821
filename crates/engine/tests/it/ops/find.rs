//! Searching several snapshots: right, and every shared page once.

use std::collections::BTreeSet;

use tintype_engine::cancel::Cancel;
use tintype_engine::tree::find::{Pattern, Query, Search};
use tintype_model::entry::Kind;

use super::*;

struct Three {
    repository: Repository,
    files: Vec<Files>,
}

fn three() -> Three {
    let (_, repository, clock) = repository(3);
    let mut files = vec![sample(900)];
    let mut next = files[0].clone();
    next.insert(b"files/d01/report.pdf".to_vec(), File { mtime: 99, ..File::of("one") });
    files.push(next.clone());
    next.insert(b"files/d01/report.pdf".to_vec(), File { mtime: 100, ..File::of("two!") });
    next.remove(&name(700));
    files.push(next);
    for files in &files {
        clock.advance(std::time::Duration::from_mins(1));
        snapshot(&repository, files);
    }
    Three { repository, files }
}

fn run(three: &Three, query: &Query) -> (BTreeSet<(usize, Vec<u8>)>, u64) {
    let roots = roots(&three.repository);
    let reader = three.repository.reader().unwrap();
    let cancel = Cancel::default();
    let search = Search { reader: &reader, snapshots: &roots, workers: 2, cancel: &cancel };
    let mut found = BTreeSet::new();
    let counts = search
        .find(
            query,
            &mut |entry, snapshots| {
                for id in snapshots {
                    let number = roots.iter().position(|(other, _)| other == id).unwrap();
                    assert!(found.insert((number, entry.path.clone())), "found twice");
                }
                Ok(())
            },
            &mut |unread| panic!("{unread:?}"),
        )
        .unwrap();
    (found, counts.pages)
}

fn naive(three: &Three, keep: impl Fn(&[u8], &File) -> bool) -> BTreeSet<(usize, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for (number, files) in three.files.iter().enumerate() {
        let kept = files.iter().filter(|(path, file)| keep(path, file));
        found.extend(kept.map(|(path, _)| (number, path.clone())));
    }
    found
}

#[test]
fn finds_by_every_criterion() {
    let three = three();
    let glob = |text| Query { patterns: vec![Pattern::glob(text).unwrap()], ..Query::default() };
    let (found, _) = run(&three, &glob("*.pdf"));
    assert_eq!(found, naive(&three, |path, _| path.ends_with(b".pdf")));
    assert_eq!(found.len(), 2);
    let (found, _) = run(&three, &glob("/files/d0[12]/*"));
    let in_two = |path: &[u8]| path.starts_with(b"files/d01/") || path.starts_with(b"files/d02/");
    assert_eq!(found, naive(&three, |path, _| in_two(path)));
    let (found, _) = run(&three, &glob("files/*"));
    assert_eq!(found, naive(&three, |path, _| path.split(|b| *b == b'/').count() == 2));
    let part = Pattern::Substring(b"-0070".to_vec());
    let (found, _) = run(&three, &Query { patterns: vec![part], ..Query::default() });
    assert_eq!(found, naive(&three, |path, _| path.windows(5).any(|w| w == b"-0070")));
    let query = Query { kinds: vec![Kind::Directory], ..Query::default() };
    assert_eq!(run(&three, &query).0, naive(&three, |_, file| file.kind == Kind::Directory));
    let query = Query {
        least_bytes: Some(300),
        most_bytes: Some(900),
        within: b"files/d05".to_vec(),
        ..Query::default()
    };
    let wanted = |path: &[u8], file: &File| {
        (300..=900).contains(&file.content.len()) && path.starts_with(b"files/d05/")
    };
    assert_eq!(run(&three, &query).0, naive(&three, wanted));
    let from = Some(Time { seconds: 100, nanoseconds: 0 });
    let query = Query { modified_from: from, ..Query::default() };
    assert_eq!(run(&three, &query).0, naive(&three, |_, file| file.mtime >= 100));
    assert!(Pattern::glob("a[").is_err());
}

#[test]
fn reads_every_shared_page_once() {
    let three = three();
    let (_, pages) = run(&three, &Query::default());
    let alone = |files: &Files| {
        let (_, repository, _) = repository(3);
        snapshot(&repository, files);
        run(&Three { repository, files: vec![files.clone()] }, &Query::default()).1
    };
    let first = alone(&three.files[0]);
    assert!(first >= 4, "the trees have several pages");
    // Of each later tree: the root and the pages that changed.
    assert!(pages <= first + 6, "{pages} pages, the first tree has {first}");
    let query = Query { within: b"files/d03".to_vec(), ..Query::default() };
    assert!(run(&three, &query).1 < pages);
}

#[test]
fn tells_the_versions_of_a_path() {
    let three = three();
    let roots = roots(&three.repository);
    let reader = three.repository.reader().unwrap();
    let cancel = Cancel::default();
    let search = Search { reader: &reader, snapshots: &roots, workers: 2, cancel: &cancel };
    let versions = |path: &[u8]| {
        let versions = search.versions(path, &mut |unread| panic!("{unread:?}")).unwrap();
        versions.into_iter().map(|v| (v.entry.node.size, v.snapshots)).collect::<Vec<_>>()
    };
    let ids: Vec<SnapshotId> = roots.iter().map(|(id, _)| *id).collect();
    assert_eq!(versions(b"files/d01/report.pdf"), [(3, vec![ids[1]]), (4, vec![ids[2]])]);
    assert_eq!(versions(b"files/large"), [((100 * CHUNK) as u64, ids.clone())]);
    assert_eq!(versions(&name(700)), [(0, vec![ids[0], ids[1]])]);
    assert!(versions(b"files/none").is_empty());
}
