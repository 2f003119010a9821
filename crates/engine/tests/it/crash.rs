//! A scripted life of a repository is cut at every changing call of the backend, in every way
//! that a crash can leave things. Whatever was committed stays readable, and going on works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tintype_engine::backend::{Backend as _, CrashBackend, CrashMode, MemoryBackend};
use tintype_engine::cancel::Cancel;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::format::object::{ObjectType, Place, open_bytes};
use tintype_engine::format::records::{Change, SessionKind, SessionRecord, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::SnapshotId;
use tintype_engine::repair::RepairScope;
use tintype_engine::repo::Repository;
use tintype_engine::{Error, ErrorKind, Result};

use crate::support::{Files, cheap_secret, files, find, init, noise, open, read_back, snapshot};

/// What the workload was told before it was cut.
#[derive(Default)]
struct Told {
    initialized: bool,
    committed: BTreeMap<SnapshotId, Files>,
    /// A deletion was begun: it may or may not be there.
    deleting: Option<SnapshotId>,
    tagged: Option<SnapshotId>,
}

fn versions() -> [Files; 3] {
    let big = noise(1, 700_000);
    let first = files(&[
        ("files/a/big", big.clone()),
        ("files/a/one", b"one".to_vec()),
        ("files/b/two", noise(2, 3000)),
        ("files/empty", Vec::new()),
    ]);
    let mut second = first.clone();
    second.insert("files/b/two".into(), noise(3, 2500));
    second.insert("files/c/new".into(), noise(4, 400_000));
    let mut third = second.clone();
    third.remove("files/a/big");
    third.insert("files/a/one".into(), b"another".to_vec());
    [first, second, third]
}

/// Repacks whatever is not completely live.
fn gc_options() -> GcOptions {
    GcOptions { keep_above_percent: 100, ..GcOptions::default() }
}

fn delete(repository: &Repository, id: SnapshotId) -> Result<()> {
    let Some(found) = find(repository, id)? else { return Ok(()) };
    for reason in found.standing.holds {
        repository.annotate(id, &found.manifest, "test", Change::Release(reason))?;
    }
    let change = Change::Deleted("test".into());
    repository.annotate(id, &found.manifest, "test", change).map(|_| ())
}

/// init, three snapshots, tag, delete, gc with repack, key change.
fn workload(backend: &CrashBackend, told: &mut Told) -> Result<()> {
    let repository = init(Arc::new(backend.clone()), 1)?;
    told.initialized = true;
    let mut parent = None;
    for version in versions() {
        let id = snapshot(&repository, &version, parent)?;
        told.committed.insert(id, version);
        parent = Some(id);
    }
    let newest = parent.expect("three snapshots");
    let manifest = find(&repository, newest)?.expect("just made").manifest;
    let tag = Change::Tag { add: vec!["kept".into()], remove: Vec::new() };
    repository.annotate(newest, &manifest, "test", tag)?;
    told.tagged = Some(newest);
    // What a later gc retires was absorbed by an earlier one.
    repository.gc(&gc_options())?;
    let oldest = oldest(&repository)?;
    told.deleting = Some(oldest);
    delete(&repository, oldest)?;
    repository.gc(&gc_options())?;
    let first_key = repository.slot_of(&cheap_secret(1))?.expect("made by init");
    repository.add_key(&cheap_secret(2), "second")?;
    repository.remove_key(first_key)
}

fn oldest(repository: &Repository) -> Result<SnapshotId> {
    Ok(repository.snapshots()?.snapshots[0].id)
}

/// After the crash: all that was told is true, and life goes on.
fn survives(left: &MemoryBackend, told: &Told, cut: &str) {
    let backend = Arc::new(left.clone());
    if !told.initialized && open(backend.clone(), 1, 2).is_err() {
        init(backend.clone(), 3).unwrap_or_else(|e| panic!("{cut}: init again: {e}"));
    }
    let repository = open(backend.clone(), 1, 4)
        .or_else(|_| open(backend.clone(), 2, 4))
        .unwrap_or_else(|e| panic!("{cut}: no key opens it: {e}"));
    holds(&repository, told, cut);
    lives_on(&repository, left, told, cut);
}

/// Snapshots, gcs and deletions until nothing is left.
fn lives_on(repository: &Repository, left: &MemoryBackend, told: &Told, cut: &str) {
    let extra = files(&[("files/after", noise(9, 300_000)), ("files/small", b"x".to_vec())]);
    let again = snapshot(repository, &extra, None)
        .unwrap_or_else(|e| panic!("{cut}: a snapshot afterwards: {e}"));
    let mut told_more = Told { initialized: true, ..Told::default() };
    told_more.committed.clone_from(&told.committed);
    told_more.committed.insert(again, extra);
    told_more.deleting = told.deleting;
    told_more.tagged = told.tagged;
    // The writers and gcs of the dead machine gave no sign of life for long.
    let patient = GcOptions { fence_after: std::time::Duration::ZERO, ..gc_options() };
    for round in 0..2 {
        repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: gc {round} afterwards: {e}"));
        holds(repository, &told_more, cut);
    }
    for (id, _) in told_more.committed.clone() {
        delete(repository, id).unwrap_or_else(|e| panic!("{cut}: delete: {e}"));
    }
    for snapshot in repository.snapshots().expect("listing").snapshots {
        delete(repository, snapshot.id).unwrap_or_else(|e| panic!("{cut}: delete: {e}"));
    }
    repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: last gc: {e}"));
    repository.gc(&patient).unwrap_or_else(|e| panic!("{cut}: very last gc: {e}"));
    let rests: Vec<String> = tintype_engine::backend::list_all(left, "")
        .expect("listing")
        .into_iter()
        .map(|l| l.name)
        .filter(|n| n.starts_with("data/") || n.starts_with("meta/"))
        .collect();
    assert!(rests.is_empty(), "{cut}: packs of nobody remain: {rests:?}");
}

fn holds(repository: &Repository, told: &Told, cut: &str) {
    let listing = repository.snapshots().unwrap_or_else(|e| panic!("{cut}: list: {e}"));
    assert!(listing.damaged.is_empty(), "{cut}: {:?}", listing.damaged);
    for (id, wanted) in &told.committed {
        let Some(found) = listing.snapshots.iter().find(|s| s.id == *id) else {
            assert_eq!(told.deleting, Some(*id), "{cut}: snapshot {id} is gone");
            continue;
        };
        let files = read_back(repository, found)
            .unwrap_or_else(|e| panic!("{cut}: snapshot {id} cannot be read: {e}"));
        assert_eq!(&files, wanted, "{cut}: snapshot {id} differs");
        if told.tagged == Some(*id) {
            assert!(found.standing.tags.contains("kept"), "{cut}: the tag is lost");
        }
    }
}

#[test]
fn every_cut_of_a_scripted_life_is_survived() {
    let whole = CrashBackend::new(MemoryBackend::new(), None);
    let mut told = Told::default();
    workload(&whole, &mut told).expect("nothing is cut");
    assert_eq!(told.committed.len(), 3);
    survives(&whole.survivors(), &told, "uncut");
    let calls = whole.calls();
    assert!(calls > 60, "the workload is cut at {calls} calls");
    for mode in CrashMode::ALL {
        for call in 1..=calls {
            let backend = CrashBackend::new(MemoryBackend::new(), Some((call, mode)));
            let mut told = Told::default();
            let outcome = workload(&backend, &mut told);
            assert!(outcome.is_err() || call == calls, "call {call} was not cut");
            survives(&backend.survivors(), &told, &format!("{mode:?} at call {call} of {calls}"));
        }
    }
}

/// What is damaged or gone, each with its own way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Config,
    ConfigCopy,
    Record,
    RetiredList,
    Segment,
    Pack,
    Annotation,
    Fate,
    Session,
}

impl Harm {
    const ALL: [Self; 9] = [
        Self::Config,
        Self::ConfigCopy,
        Self::Record,
        Self::RetiredList,
        Self::Segment,
        Self::Pack,
        Self::Annotation,
        Self::Session,
        Self::Fate,
    ];

    fn object(self, life: &Life) -> String {
        let first = |prefix: &str| {
            let mut names = life.memory.names().into_iter();
            names.find(|name| name.starts_with(prefix)).expect("there is one")
        };
        match self {
            Self::Config => names::CONFIG.to_owned(),
            Self::ConfigCopy => names::CONFIG_COPY.to_owned(),
            Self::Record => first("gc/"),
            Self::RetiredList => life.retired.clone(),
            Self::Segment => first("index/"),
            Self::Pack => life.unneeded.clone(),
            Self::Annotation => names::annotation(life.tagged(), 2),
            Self::Fate => names::fate(life.oldest),
            Self::Session => names::session(life.oldest),
        }
    }

    fn inflict(self, life: &Life) -> MemoryBackend {
        let left = life.memory.copy();
        let name = self.object(life);
        let mut bytes = left.get(&name, u64::MAX).expect("it is there");
        match self {
            Self::Config | Self::Record | Self::Segment | Self::Annotation | Self::Session => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                left.overwrite(&name, bytes);
            }
            _ => left.delete(&name).expect("it is there"),
        }
        left
    }

    fn mend(self, repository: &Repository, life: &Life) -> Result<()> {
        match self {
            Self::Annotation => repository.accept_lost_changes(life.tagged(), "test").map(|_| ()),
            Self::Fate => {
                let options = GcOptions { give_up: [life.oldest].into(), ..gc_options() };
                repository.gc(&options).map(|_| ())
            }
            _ => {
                let cancel = Cancel::default();
                let report = repository.repair_index(&RepairScope::Unnamed, 1, &cancel)?;
                match report.not_mended.first() {
                    Some((name, why)) => Err(Error::unavailable(format!("{name}: {why}"))),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A repository with a past, and what the harm is done to.
struct Life {
    memory: MemoryBackend,
    told: Told,
    oldest: SnapshotId,
    /// Named by the newest gc record.
    retired: String,
    /// Of a snapshot that is deleted, and that gc has not met yet.
    unneeded: String,
}

impl Life {
    fn lived() -> Self {
        let memory = MemoryBackend::new();
        let mut told = Told { initialized: true, ..Told::default() };
        let repository = init(Arc::new(memory.clone()), 1).expect("init");
        let make = |files: &Files| snapshot(&repository, files, None).expect("a snapshot");
        let all = versions().map(|version| {
            let id = make(&version);
            told.committed.insert(id, version);
            id
        });
        let change = |change| {
            let manifest = find(&repository, all[2]).expect("list").expect("it is there").manifest;
            repository.annotate(all[2], &manifest, "test", change).expect("a change");
        };
        change(Change::Tag { add: vec!["kept".into()], remove: Vec::new() });
        change(Change::Note("of no weight".into()));
        told.tagged = Some(all[2]);
        // The second record names the list that the first one retired by.
        for seed in [20, 21] {
            let gone = make(&files(&[("files/gone", noise(seed, 3000))]));
            delete(&repository, gone).expect("delete");
            repository.gc(&gc_options()).expect("gc");
        }
        let named = |prefix: &str| {
            let names = memory.names().into_iter();
            names.filter(|name| name.starts_with(prefix)).collect::<BTreeSet<_>>()
        };
        let retired = named("retired/").pop_first().expect("two gcs retired something");
        repository.gc(&gc_options()).expect("gc");
        let before = named("data/");
        let deleted = make(&files(&[("files/deleted", noise(22, 300_000))]));
        let unneeded = named("data/").difference(&before).next().expect("its own").clone();
        delete(&repository, deleted).expect("delete");
        Self { memory, told, oldest: all[0], retired, unneeded }
    }

    fn tagged(&self) -> SnapshotId {
        self.told.tagged.expect("it was tagged")
    }
}

/// A repair that was cut is done again, and nothing is lost but what was.
#[test]
fn every_cut_of_a_repair_is_survived() {
    let mut life = Life::lived();
    for harm in Harm::ALL {
        if harm == Harm::Fate {
            life.told.committed.remove(&life.oldest);
        }
        let mend = |cut| {
            let backend = CrashBackend::new(harm.inflict(&life), cut);
            let repository = open(Arc::new(backend.clone()), 1, 2).expect("it opens");
            (harm.mend(&repository, &life), backend)
        };
        let (mended, whole) = mend(None);
        mended.unwrap_or_else(|e| panic!("{harm:?}: {e}"));
        is_mended(harm, &life, &whole.survivors(), &format!("{harm:?}, uncut"));
        let calls = whole.calls();
        assert!(calls > 1, "{harm:?}: the repair is cut at {calls} calls");
        // `Before` leaves what `Torn` leaves, but for what nobody reads.
        for mode in CrashMode::ALL.into_iter().filter(|mode| *mode != CrashMode::Before) {
            for call in 1..=calls {
                let (mended, backend) = mend(Some((call, mode)));
                assert!(mended.is_err() || call == calls, "{harm:?}: call {call} was not cut");
                let cut = format!("{harm:?}, {mode:?} at call {call} of {calls}");
                is_mended(harm, &life, &backend.survivors(), &cut);
            }
        }
    }
}

fn is_mended(harm: Harm, life: &Life, left: &MemoryBackend, cut: &str) {
    let (mut options, _) = crate::support::options(4);
    // The next process of the same machine.
    options.identity.is_gone = |_, _| true;
    let repository = Repository::open(Arc::new(left.clone()), &cheap_secret(1), options)
        .unwrap_or_else(|e| panic!("{cut}: it does not open: {e}"));
    match harm.mend(&repository, life) {
        // It was given up already.
        Err(error) if harm == Harm::Fate && error.is(ErrorKind::Invalid) => {}
        mended => mended.unwrap_or_else(|e| panic!("{cut}: again: {e}")),
    }
    holds(&repository, &life.told, cut);
    if harm == Harm::Session {
        let wanted = (SessionKind::Snapshot, Vec::new());
        assert_eq!(session(&repository, left, life.oldest), wanted, "{cut}");
    }
    lives_on(&repository, left, &life.told, cut);
}

/// Kind and pins.
fn session(
    repository: &Repository,
    left: &MemoryBackend,
    id: SnapshotId,
) -> (SessionKind, Vec<SnapshotId>) {
    let name = names::session(id);
    let (keys, object_type) = (repository.keys(), ObjectType::Session);
    let place = Place { keys, repository: repository.id(), object_type, name: &name };
    let sealed = left.get(&name, u64::MAX).expect("it is there");
    let text = open_bytes(&place, FrameKind::Json, sealed).expect("it opens");
    let record: SessionRecord = serde_json::from_slice(&text).expect("a session");
    (record.kind, record.pins)
}

/// No gc record knows of it, so that only the row of changes itself can tell.
#[test]
fn a_lost_lock_is_never_forgotten() {
    let memory = MemoryBackend::new();
    let repository = init(Arc::new(memory.clone()), 1).unwrap();
    let id = snapshot(&repository, &versions()[0], None).unwrap();
    let manifest = find(&repository, id).unwrap().unwrap().manifest;
    let until = repository.env().clock.now() + Duration::from_hours(1);
    repository.annotate(id, &manifest, "test", Change::Lock(until)).unwrap();
    let name = names::annotation(id, 1);
    let mut bytes = memory.get(&name, u64::MAX).unwrap();
    bytes[100] ^= 1;
    memory.overwrite(&name, bytes);
    let accept = |cut| {
        let backend = CrashBackend::new(memory.copy(), cut);
        let repository = open(Arc::new(backend.clone()), 1, 2).unwrap();
        (repository.accept_lost_changes(id, "test").is_ok(), backend)
    };
    let (is_done, whole) = accept(None);
    assert!(is_done && whole.calls() > 2, "{} calls", whole.calls());
    for mode in CrashMode::ALL {
        for call in 1..=whole.calls() {
            let (_, backend) = accept(Some((call, mode)));
            let repository = open(Arc::new(backend.survivors()), 1, 3).unwrap();
            let change = Change::Deleted("test".into());
            let deleted = repository.annotate(id, &manifest, "test", change);
            assert!(deleted.is_err(), "{mode:?} at call {call}: deleted without its lock");
            repository.accept_lost_changes(id, "test").unwrap();
            let standing = repository.standing(id, &manifest).unwrap();
            assert_eq!(standing.holds.len(), 1, "{mode:?} at call {call}: {standing:?}");
        }
    }
}

/// The test of a scripted life can fail: a store that shows torn objects is noticed.
#[test]
fn a_store_that_tears_objects_is_noticed() {
    let whole = CrashBackend::new(MemoryBackend::new(), None);
    workload(&whole, &mut Told::default()).expect("nothing is cut");
    let mut noticed = 0;
    for call in 1..=whole.calls() {
        let backend = CrashBackend::new(MemoryBackend::new(), Some((call, CrashMode::TornVisible)));
        let mut told = Told::default();
        let _ = workload(&backend, &mut told);
        if !told.initialized {
            continue;
        }
        let left: Arc<MemoryBackend> = Arc::new(backend.survivors());
        let listing =
            open(left.clone(), 1, 5).or_else(|_| open(left, 2, 5)).and_then(|repository| {
                // What was committed before is never returned wrong.
                for (id, wanted) in &told.committed {
                    if let Some(found) = find(&repository, *id)? {
                        assert_eq!(&read_back(&repository, &found)?, wanted);
                    }
                }
                repository.snapshots()
            });
        noticed += usize::from(!listing.is_ok_and(|l| l.damaged.is_empty()));
    }
    assert!(noticed > 0);
}
