//! Damaged packs go when what lives in them is elsewhere, and until then nobody is told of damage
//! that touches nothing.

use std::collections::HashSet;

use tintype_engine::backend::Backend as _;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::Change;
use tintype_engine::gc::{GcOptions, GcReport, Reason};
use tintype_engine::index::PackId;
use tintype_engine::repair::RepairScope;
use tintype_engine::verify::{Depth, Finding, Problem, Severity, VerifyOptions};

use super::*;

struct Place {
    memory: MemoryBackend,
    repository: Repository,
    all: Vec<(SnapshotId, Files)>,
}

impl Place {
    fn new() -> Self {
        let (memory, repository, _) = repository(51);
        let files = sample(100);
        let all = vec![(snapshot(&repository, &files), files)];
        Self { memory, repository, all }
    }

    fn flip(&self, name: &str, at: usize) {
        let mut bytes = self.memory.get(name, u64::MAX).unwrap();
        bytes[at] ^= 1;
        self.memory.overwrite(name, bytes);
    }

    fn pack(&self, class: &str) -> (String, usize) {
        let name = self.memory.names().into_iter().find(|name| name.starts_with(class)).unwrap();
        let length = self.memory.get(&name, u64::MAX).unwrap().len();
        (name, length)
    }

    fn findings(&self) -> Vec<Finding> {
        let (verified, cancel) = (HashSet::new(), Cancel::default());
        let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
        let plan = self.repository.plan_verify(Depth::All, &verified).unwrap();
        self.repository.verify(&plan, &options).unwrap().findings
    }

    fn damaged(&self) -> Vec<String> {
        let damaged = self.findings().into_iter().filter(|f| f.severity == Severity::Damage);
        damaged.map(|finding| finding.object).collect()
    }

    fn repair(&self, suspects: &[&str]) {
        let suspects = suspects.iter().filter_map(|name| PackId::parse(name)).collect();
        let scope = RepairScope::Suspects(suspects);
        self.repository.repair_index(&scope, 2, &Cancel::default()).unwrap();
    }

    fn heal(&mut self) {
        let files = self.all[0].1.clone();
        self.all.push((snapshot(&self.repository, &files), files));
    }

    /// As nobody would run it by day: nothing but what is damaged is copied.
    fn rewrite(&self) -> GcReport {
        let options =
            GcOptions { rewrite_damaged: true, keep_above_percent: 0, ..GcOptions::default() };
        self.repository.gc(&options).unwrap()
    }

    #[track_caller]
    fn is_whole(&self) {
        assert_eq!(self.findings(), []);
        for (id, files) in &self.all {
            let (found, failed) = read_all(&self.repository, root(&self.repository, *id)).unwrap();
            assert!(failed.is_empty() && found == *files);
        }
    }

    #[track_caller]
    fn is_rewritten(&self, pack: &str) {
        let report = self.rewrite();
        let reasons: Vec<_> =
            report.plan.candidates.iter().map(|c| (&c.pack[..], c.reason)).collect();
        assert_eq!(reasons, [(pack, Reason::Damaged)]);
        assert!(report.spared.is_empty() && report.copied_bytes > 0, "{report:?}");
        assert!(!self.memory.names().iter().any(|name| name == pack));
        self.is_whole();
    }
}

#[test]
fn what_a_repair_left_out_is_told_until_the_pack_is_rewritten() {
    for class in ["data/", "meta/"] {
        let mut place = Place::new();
        let (pack, length) = place.pack(class);
        place.flip(&pack, length / 4);
        assert!(place.damaged().contains(&pack));
        place.repair(&[&pack]);
        // Nobody misses what is only in the pack and not in the index; snapshots miss the rest.
        let missed = place.findings();
        let of_chunks = |f: &&Finding| f.object.starts_with("chunk ");
        let lost = missed.iter().find(of_chunks).unwrap_or_else(|| panic!("{missed:#?}"));
        assert_eq!((lost.severity, lost.problem), (Severity::Damage, Problem::Missing));
        assert!(!lost.affected.is_empty());
        place.heal();
        let told = place.findings();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!((&told[0].object, told[0].severity), (&pack, Severity::Info));
        assert!(told[0].found.contains("--rewrite-damaged"), "{}", told[0].found);
        // Another repair does not believe the pack's own list.
        let other = place.memory.names().into_iter().find(|n| n.starts_with(class) && *n != pack);
        place.repair(&[&other.unwrap()]);
        assert_eq!(place.findings(), told);
        place.is_rewritten(&pack);
    }
}

#[test]
fn packs_with_damaged_ends_or_padding_are_rewritten() {
    for class in ["data/", "meta/"] {
        let place = Place::new();
        let (pack, length) = place.pack(class);
        for at in [length - 5, length - 40] {
            let place = Place::new();
            let (pack, _) = place.pack(class);
            place.flip(&pack, at);
            assert_eq!(place.damaged(), [&pack[..]]);
            place.is_rewritten(&pack);
        }
        // From the end on, the first byte that is neither of footer nor trailer.
        let is_padding = |finding: &Finding| !finding.found.contains("end is damaged");
        let at = (0..length).rev().step_by(16).find(|at| {
            place.flip(&pack, *at);
            let found = place.findings();
            place.flip(&pack, *at);
            assert_eq!(found.len(), 1, "{found:#?}");
            is_padding(&found[0]) && !found[0].found.contains("trailer is damaged; byte")
        });
        place.flip(&pack, at.unwrap());
        assert_eq!(place.damaged(), [&pack[..]]);
        place.is_rewritten(&pack);
    }
}

/// Something living is lost in it: nothing of it goes before that is elsewhere.
#[test]
fn a_damaged_pack_of_which_something_is_missed_is_spared() {
    let mut place = Place::new();
    let (pack, length) = place.pack("data/");
    place.flip(&pack, length / 4);
    place.flip(&pack, length - 5);
    let report = place.rewrite();
    assert_eq!(report.spared, [&pack[..]]);
    assert!(place.memory.names().contains(&pack));
    place.repair(&[&pack]);
    place.heal();
    assert_eq!(place.damaged(), [&pack[..]]);
    // Copies of the rest were made the first time.
    assert_eq!(place.rewrite().plan.reasons(), [(Reason::Empty, 1)].into());
    assert!(!place.memory.names().contains(&pack));
    place.is_whole();
}

/// Two writers stored the same at once, and what one of them stored is lost: the pack of the other
/// must not go for damage to its end before its content is stored elsewhere.
#[test]
fn the_last_whole_copy_of_something_is_not_taken_for_one_of_two() {
    let (memory, repository, _) = repository(51);
    let files = sample(100);
    let stores = [(); 2].map(|()| repository.begin_writing(SessionKind::Snapshot, None).unwrap());
    let roots = stores.each_ref().map(|store| build(store, &files).unwrap());
    let written = stores.into_iter().zip(roots);
    let all: Vec<_> = written
        .map(|(store, root)| (store.commit(manifest(&repository, &root)).unwrap(), files.clone()))
        .collect();
    let packs: Vec<_> = memory.names().into_iter().filter(|n| n.starts_with("data/")).collect();
    assert_eq!(packs.len(), 2);
    for (lost, ending) in [(0, 1), (1, 0)].map(|(a, b)| (&packs[a], &packs[b])) {
        for is_gone in [true, false] {
            for rewrite_damaged in [true, false] {
                let (env, _) = manual(52);
                let memory = memory.copy();
                let backend = Arc::new(memory.clone());
                let repository = Repository::open(backend, &secret(), options(&env)).unwrap();
                let place = Place { memory, repository, all: all.clone() };
                let length = place.memory.get(lost, u64::MAX).unwrap().len();
                match is_gone {
                    true => place.memory.delete(lost).unwrap(),
                    // Nobody but `--rewrite-damaged` reads what it leaves behind.
                    false if !rewrite_damaged => continue,
                    false => place.flip(lost, length / 4),
                }
                let length = place.memory.get(ending, u64::MAX).unwrap().len();
                place.flip(ending, length - 5);
                for _ in 0..3 {
                    let options = GcOptions { rewrite_damaged, ..GcOptions::default() };
                    place.repository.gc(&options).unwrap();
                    for (id, files) in &place.all {
                        let root = root(&place.repository, *id);
                        let (found, failed) = read_all(&place.repository, root).unwrap();
                        assert!(failed.is_empty() && found == *files, "{is_gone} {}", failed.len());
                    }
                }
                assert_eq!(place.memory.names().contains(ending), !rewrite_damaged);
            }
        }
    }
}

/// The other copy is read before a pack goes that is only sparse.
#[test]
fn a_sparse_pack_with_the_last_whole_copy_is_copied() {
    let (memory, repository, _) = repository(53);
    let files = sample(100);
    let mut more = files.clone();
    more.insert(b"files/more".to_vec(), File::of(noise(9, 40 * CHUNK)));
    let stores = [(); 2].map(|()| repository.begin_writing(SessionKind::Snapshot, None).unwrap());
    let [kept, deleted] = stores;
    let root_of = |store: &Store<'_>, files| build(store, files).unwrap();
    let (first, second) = (root_of(&kept, &files), root_of(&deleted, &more));
    let kept = kept.commit(manifest(&repository, &first)).unwrap();
    let packs = |memory: &MemoryBackend| -> Vec<String> {
        memory.names().into_iter().filter(|name| name.starts_with("data/")).collect()
    };
    let own = packs(&memory).remove(0);
    let manifest = manifest(&repository, &second);
    let deleted = deleted.commit(manifest.clone()).unwrap();
    let gone = Change::Deleted("test".into());
    repository.annotate(deleted, &manifest, "test", gone).unwrap();
    assert_eq!(packs(&memory).len(), 2);
    let place = Place { memory, repository, all: vec![(kept, files)] };
    let length = place.memory.get(&own, u64::MAX).unwrap().len();
    place.flip(&own, length / 4);
    for _ in 0..2 {
        place.repository.gc(&GcOptions::default()).unwrap();
        let (id, files) = &place.all[0];
        let (found, failed) = read_all(&place.repository, root(&place.repository, *id)).unwrap();
        assert!(failed.is_empty() && found == *files, "{}", failed.len());
    }
}

/// Two writers stored the same at once, and one copy rotted unseen: the index must not forget the
/// other, whichever of them comes first.
#[test]
fn of_two_copies_the_index_keeps_the_one_that_opens() {
    let (memory, repository, _) = repository(54);
    let files = sample(100);
    let stores = [(); 2].map(|()| repository.begin_writing(SessionKind::Snapshot, None).unwrap());
    let roots = stores.each_ref().map(|store| build(store, &files).unwrap());
    let written = stores.into_iter().zip(roots);
    let all: Vec<_> = written
        .map(|(store, root)| (store.commit(manifest(&repository, &root)).unwrap(), files.clone()))
        .collect();
    let is_pack = |name: &String| name.starts_with("data/") || name.starts_with("meta/");
    let packs: Vec<_> = memory.names().into_iter().filter(is_pack).collect();
    assert_eq!(packs.len(), 4, "data and metadata of each");
    for rotten in &packs {
        let (env, _) = manual(55);
        let memory = memory.copy();
        let backend = Arc::new(memory.clone());
        let repository = Repository::open(backend, &secret(), options(&env)).unwrap();
        let place = Place { memory, repository, all: all.clone() };
        let length = place.memory.get(rotten, u64::MAX).unwrap().len();
        place.flip(rotten, length / 4);
        for _ in 0..3 {
            place.repository.gc(&GcOptions::default()).unwrap();
            for (id, files) in &place.all {
                let root = root(&place.repository, *id);
                let (found, failed) = read_all(&place.repository, root).unwrap();
                assert!(failed.is_empty() && found == *files, "{rotten} {}", failed.len());
            }
        }
    }
}

/// Reading the ends of all packs is not for every gc.
#[test]
fn a_gc_leaves_damaged_packs_alone_unless_it_is_told() {
    let place = Place::new();
    let (pack, length) = place.pack("data/");
    place.flip(&pack, length - 5);
    let report = place.repository.gc(&GcOptions::default()).unwrap();
    assert_eq!((report.plan.candidates, report.deleted_packs), (Vec::new(), 0));
    assert_eq!(place.damaged(), [&pack[..]]);
}
