//! Trees joined to one: against a naive union, and at the cost of where they meet only.

use std::collections::HashSet;

use proptest::prelude::*;
use tintype_engine::ErrorKind;
use tintype_engine::backend::{Counters, CountingBackend};
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::Change;
use tintype_engine::gc::GcOptions;
use tintype_engine::tree::join::{Branch, Joined, join};
use tintype_engine::verify::{Depth, VerifyOptions};
use tintype_model::entry::is_within;

use super::*;

const OWN: &[u8] = b"own.json";

fn branch(root: Root) -> Branch {
    Branch { root, captured: Vec::new(), skip: vec![OWN.to_vec()] }
}

fn joined(store: &Store<'_>, branches: &[Branch]) -> Result<(Root, Joined)> {
    let reader = store.repository().reader()?;
    let mut builder = TreeBuilder::new(store)?;
    let done = join(&mut builder, &reader, branches, &mut || Ok(()))?;
    Ok((builder.finish()?, done))
}

fn entries(repository: &Repository, root: Root) -> Vec<TreeEntry> {
    let reader = repository.reader().unwrap();
    let mut cursor = Cursor::new(&reader, root).unwrap();
    std::iter::from_fn(|| cursor.next_entry().unwrap()).collect()
}

/// What the trees hold together, entry by entry.
fn union(trees: &[(Branch, Vec<TreeEntry>)]) -> Vec<TreeEntry> {
    let mut all = BTreeMap::<Vec<u8>, (bool, TreeEntry)>::new();
    for (branch, entries) in trees {
        for entry in entries.iter().filter(|entry| entry.path != OWN) {
            let captured = &branch.captured;
            let is_own =
                captured.is_empty() || captured.iter().any(|place| is_within(&entry.path, place));
            let slot = all.entry(entry.path.clone()).or_insert_with(|| (is_own, entry.clone()));
            if is_own && !slot.0 {
                *slot = (true, entry.clone());
            }
        }
    }
    let mut all: Vec<_> = all.into_values().map(|(_, entry)| entry).collect();
    all.sort_by(|a, b| path_order(&a.path, &b.path));
    all
}

#[derive(Clone, Debug)]
struct Shape {
    /// Of each: directory, first number, how many.
    runs: Vec<(usize, usize, usize)>,
    captured: Vec<usize>,
    /// Whether it has one that is left out.
    has_own: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let run = (0..4usize, 0..12usize, 0..500usize).prop_map(|(d, at, n)| (d, at * 100, n));
    let runs = prop::collection::vec(run, 0..5);
    let captured = prop::collection::vec(0..4usize, 0..3);
    (runs, captured, any::<bool>()).prop_map(|(runs, captured, has_own)| Shape {
        runs,
        captured,
        has_own,
    })
}

/// The trees' files: what one has no other has, but for directories.
fn disjoint(shapes: &[Shape]) -> Vec<Files> {
    let mut taken = HashSet::new();
    let tree = |(number, shape): (usize, &Shape)| {
        let directory = || File { mode: 0o700 + number as u16, ..File::directory() };
        let mut files = Files::new();
        if shape.has_own {
            files.insert(OWN.to_vec(), File::of(format!("of tree {number}")));
        }
        for (d, first, count) in &shape.runs {
            let above = format!("files/d{d}");
            files.insert(b"files".to_vec(), directory());
            files.insert(above.clone().into_bytes(), directory());
            for at in *first..first + count {
                let path = format!("{above}/{}-{at:05}", "n".repeat(200)).into_bytes();
                if taken.insert(path.clone()) {
                    let length = [0, 10, 300][at % 3];
                    files.insert(path, File::of(noise(at as u64, length)));
                }
            }
        }
        files
    };
    shapes.iter().enumerate().map(tree).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// The joined tree is, page by page, the one that is made of all entries at once.
    #[test]
    fn a_joined_tree_is_the_union(shapes in prop::collection::vec(shape(), 0..5)) {
        let (_, repository, _) = repository(51);
        let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
        let roots: Vec<_> = disjoint(&shapes).iter().map(|f| build(&store, f).unwrap()).collect();
        store.abandon().unwrap();
        let trees: Vec<_> = roots.iter().zip(&shapes).map(|(root, shape)| {
            let place = |d: &usize| format!("files/d{d}").into_bytes();
            let captured = shape.captured.iter().map(place).collect();
            let skip = if shape.has_own { vec![OWN.to_vec()] } else { Vec::new() };
            (Branch { captured, skip, root: *root }, entries(&repository, *root))
        }).collect();
        let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
        let branches: Vec<_> = trees.iter().map(|(branch, _)| branch.clone()).collect();
        let (root, _) = joined(&store, &branches).unwrap();
        let wanted = union(&trees);
        let mut builder = TreeBuilder::new(&store).unwrap();
        wanted.iter().for_each(|entry| builder.push(entry.clone()).unwrap());
        prop_assert_eq!(root, builder.finish().unwrap());
        store.abandon().unwrap();
        prop_assert!(entries(&repository, root) == wanted);
    }
}

fn many(top: &str, count: usize) -> Files {
    let mut files = Files::from([(OWN.to_vec(), File::of("own"))]);
    files.insert(b"files".to_vec(), File::directory());
    files.insert(format!("files/{top}").into_bytes(), File::directory());
    let file = |n: usize| (format!("files/{top}/{n:06}.txt").into_bytes(), File::of(""));
    files.extend((0..count).map(file));
    files
}

/// Two trees of 100,000 entries each meet in a few pages; no others are read.
#[test]
fn a_join_reads_where_trees_meet_only() {
    let counters = Arc::<Counters>::default();
    let backend = CountingBackend::new(Arc::new(MemoryBackend::new()), Arc::clone(&counters));
    let repository = init(Arc::new(backend), &manual(52).0);
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let roots = ["a", "b"].map(|top| build(&store, &many(top, 100_000)).unwrap());
    store.abandon().unwrap();
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let before = counters.now();
    let (root, done) = joined(&store, &roots.map(branch)).unwrap();
    let read = counters.now().reads - before.reads;
    assert_eq!(root.entries, 2 * 100_001 + 1);
    assert!(done.leaves_taken > 150, "{done:?}");
    assert!(done.leaves_read < 20 && read < 60, "{done:?}, {read} reads");
}

/// Interleaved ranges of one directory, so that pages of all trees are cut anew.
fn parts() -> [Files; 3] {
    let part = |number: usize| {
        let mut files = Files::from([(OWN.to_vec(), File::of("own"))]);
        files.insert(b"files".to_vec(), File::directory());
        files.insert(b"files/d".to_vec(), File::directory());
        let of_part = |n: &usize| (n / 400) % 3 == number;
        let path = |n: usize| format!("files/d/{}-{n:05}", "n".repeat(200)).into_bytes();
        let file = |n: usize| (path(n), File::of(noise(n as u64, [0, 30, 2500][n % 3])));
        files.extend((0..3600).filter(of_part).map(file));
        files
    };
    [part(0), part(1), part(2)]
}

#[test]
fn a_joined_snapshot_needs_none_of_its_parts() {
    let (_, repository, _) = repository(53);
    let parts = parts();
    let ids = parts.each_ref().map(|files| snapshot(&repository, files));
    let branches = ids.map(|id| branch(root(&repository, id)));
    let store = repository.begin_writing(SessionKind::Snapshot, ids).unwrap();
    let (all, _) = joined(&store, &branches).unwrap();
    let id = store.commit(manifest(&repository, &all)).unwrap();
    let found = repository.snapshots().unwrap().snapshots;
    for part in found.iter().filter(|snapshot| snapshot.id != id) {
        let change = Change::Deleted("joined".into());
        repository.annotate(part.id, &part.manifest, "test", change).unwrap();
    }
    let options = GcOptions { keep_above_percent: 100, ..GcOptions::default() };
    (0..2).for_each(|_| drop(repository.gc(&options).unwrap()));
    assert_eq!(roots(&repository), [(id, all)]);
    let mut wanted: Files = parts.into_iter().flatten().collect();
    wanted.remove(OWN);
    assert_eq!(read_all(&repository, all).unwrap(), (wanted, Vec::new()));
    let (verified, cancel) = (HashSet::new(), Cancel::default());
    let plan = repository.plan_verify(Depth::All, &verified).unwrap();
    let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
    assert_eq!(repository.verify(&plan, &options).unwrap().findings, []);
}

/// While it is joined, a part that somebody deletes stays.
#[test]
fn gc_leaves_parts_alone_while_they_are_joined() {
    let (_, repository, _) = repository(54);
    let parts = parts();
    let ids = parts.each_ref().map(|files| snapshot(&repository, files));
    let branches = ids.map(|id| branch(root(&repository, id)));
    let store = repository.begin_writing(SessionKind::Snapshot, ids).unwrap();
    for part in repository.snapshots().unwrap().snapshots {
        let change = Change::Deleted("by hand".into());
        repository.annotate(part.id, &part.manifest, "test", change).unwrap();
    }
    let again = repository.begin_writing(SessionKind::Snapshot, ids).err().unwrap();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let plan = repository.plan_gc(&GcOptions::default()).unwrap();
    assert_eq!(plan.candidates.len(), 0, "{plan:?}");
    let (all, _) = joined(&store, &branches).unwrap();
    let id = store.commit(manifest(&repository, &all)).unwrap();
    (0..2).for_each(|_| drop(repository.gc(&GcOptions::default()).unwrap()));
    assert_eq!(roots(&repository), [(id, all)]);
    assert_eq!(read_all(&repository, all).unwrap().1, Vec::<Vec<u8>>::new());
}

#[test]
fn what_two_trees_have_is_refused_with_its_path() {
    let (_, repository, _) = repository(55);
    let tree = |path: &str, file: File| {
        let files = Files::from([(b"files".to_vec(), File::directory()), (path.into(), file)]);
        let id = snapshot(&repository, &files);
        branch(root(&repository, id))
    };
    let store = repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let refused = |branches: &[Branch]| {
        let error = joined(&store, branches).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("/files/x is in more than one"), "{error}");
    };
    let file = || tree("files/x", File::of("1"));
    let directory = tree("files/x", File::directory());
    refused(&[file(), file()]);
    refused(&[file(), directory.clone()]);
    refused(&[directory.clone(), file()]);
    let (root, _) =
        joined(&store, &[directory.clone(), directory, tree("y", File::of(""))]).unwrap();
    assert_eq!(root.entries, 3);
}
