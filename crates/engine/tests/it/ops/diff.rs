//! Differences of trees, against a naive comparison, and at the cost of the change only.

use std::sync::Arc;

use proptest::prelude::*;
use tintype_engine::backend::count::Op;
use tintype_engine::backend::{Counters, CountingBackend, MemoryBackend};
use tintype_engine::env::testing::manual;
use tintype_engine::tree::diff::{Difference, What, diff};
use tintype_engine::tree::span::Span;
use tintype_model::entry::{Kind, is_within, path_order};

use super::*;

type Flat = Vec<(Vec<u8>, &'static str)>;

fn naive(old: &Files, new: &Files, within: &[u8]) -> Flat {
    let mut paths: Vec<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    paths.sort_by(|a, b| path_order(a, b));
    paths.dedup();
    let of = |path: &Vec<u8>| match (old.get(path), new.get(path)) {
        (None, _) => Some("added"),
        (_, None) => Some("removed"),
        (Some(a), Some(b)) if a.kind != b.kind => Some("type"),
        (Some(a), Some(b)) if a.content != b.content => Some("content"),
        (Some(a), Some(b)) if a != b => Some("metadata"),
        _ => None,
    };
    let inside = paths.into_iter().filter(|path| is_within(path, within));
    inside.filter_map(|path| of(path).map(|what| (path.clone(), what))).collect()
}

fn real(repository: &Repository, old: Root, new: Root, within: &[u8]) -> Flat {
    let reader = repository.reader().unwrap();
    let mut found = Flat::new();
    let counts = diff(&reader, old, new, Span::Within(within), &mut |difference| {
        let what = match &difference {
            Difference::Added(_) => "added",
            Difference::Removed(_) => "removed",
            Difference::Changed { what: What::Type, .. } => "type",
            Difference::Changed { what: What::Content, .. } => "content",
            Difference::Changed { what: What::Metadata, .. } => "metadata",
        };
        found.push((difference.path().to_vec(), what));
        Ok(())
    })
    .unwrap();
    let changes = counts.added + counts.removed + counts.content + counts.metadata + counts.types;
    assert_eq!(changes, found.len() as u64);
    found
}

#[derive(Clone, Debug)]
enum Edit {
    Add(usize),
    Remove(usize),
    Content(usize),
    Mode(usize),
    Kind(usize),
    /// A whole range goes.
    Cut(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let number = 0usize..3000;
    prop_oneof![
        number.clone().prop_map(Edit::Add),
        number.clone().prop_map(Edit::Remove),
        number.clone().prop_map(Edit::Content),
        number.clone().prop_map(Edit::Mode),
        number.clone().prop_map(Edit::Kind),
        (number, 0usize..400).prop_map(|(at, count)| Edit::Cut(at, count)),
    ]
}

fn apply(files: &mut Files, edit: &Edit) {
    let nth = |files: &Files, number: usize| {
        files.keys().nth(number % files.len().max(1)).cloned().unwrap_or_default()
    };
    match edit {
        Edit::Add(number) => {
            files.insert(name(10_000 + number), File::of("new"));
        }
        Edit::Remove(number) => {
            let path = nth(files, *number);
            files.remove(&path);
        }
        Edit::Cut(at, count) => {
            let from = nth(files, *at);
            let gone: Vec<_> = files.range(from..).take(*count).map(|(p, _)| p.clone()).collect();
            gone.iter().for_each(|path| {
                files.remove(path);
            });
        }
        Edit::Content(number) | Edit::Mode(number) | Edit::Kind(number) => {
            let path = nth(files, *number);
            let Some(file) = files.get_mut(&path) else { return };
            match edit {
                Edit::Content(_) if file.kind == Kind::File => file.content.push(b'x'),
                Edit::Kind(_) => *file = File { kind: Kind::Fifo, ..File::of("") },
                _ => file.mode ^= 0o100,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn finds_what_a_naive_diff_finds(
        entries in prop_oneof![Just(0usize), 1usize..20, 300usize..1200],
        edits in prop::collection::vec(edit(), 0..12),
        within in prop_oneof![Just("files"), Just("files/d03"), Just("files/none"), Just("")],
    ) {
        let (_, repository, _) = repository(1);
        let mut old = Files::new();
        for number in 0..entries {
            old.insert(name(number), File::of(noise(number as u64, number % 3 * 20)));
        }
        let mut new = old.clone();
        edits.iter().for_each(|edit| apply(&mut new, edit));
        let (a, b) = (snapshot(&repository, &old), snapshot(&repository, &new));
        let (a, b) = (root(&repository, a), root(&repository, b));
        let found = real(&repository, a, b, within.as_bytes());
        prop_assert_eq!(found, naive(&old, &new, within.as_bytes()));
        let back = real(&repository, b, a, b"");
        prop_assert_eq!(back, naive(&new, &old, b""));
        prop_assert!(real(&repository, a, a, b"").is_empty());
    }
}

#[test]
fn cost_follows_the_change() {
    let (env, _) = manual(2);
    let counters = Arc::new(Counters::default());
    let memory = Arc::new(MemoryBackend::new());
    let backend = CountingBackend::new(memory, counters.clone());
    let repository = init(Arc::new(backend), &env);
    let mut files: Files = (0..20_000).map(|n| (name(n), File::of("same"))).collect();
    let old = snapshot(&repository, &files);
    files.get_mut(&name(12_345)).unwrap().mode = 0o600;
    let new = snapshot(&repository, &files);
    let (old, new) = (root(&repository, old), root(&repository, new));
    assert!(old.level >= 1);
    let reader = repository.reader().unwrap();
    let before = counters.requests(Op::Read);
    let counts = diff(&reader, old, new, Span::Within(b""), &mut |_| Ok(())).unwrap();
    assert_eq!((counts.metadata, counts.added, counts.removed), (1, 0, 0));
    // Two headers of packs, and of each tree one page for every level.
    let most = 2 + 2 * (u64::from(old.level) + 1);
    let reads = counters.requests(Op::Read) - before;
    assert!(reads <= most, "{reads} reads for one change in a tree of level {}", old.level);
}
