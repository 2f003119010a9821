//! Objects of the protocol that are there and cannot be read: damaged sessions, names that
//! somebody without the key took, damaged condemned lists. Nothing stops for good.

use std::collections::HashSet;
use std::time::Duration;

use tintype_engine::ErrorKind;
use tintype_engine::backend::Backend as _;
use tintype_engine::backend::count::Op;
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{Change, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::id::RandomId;
use tintype_engine::repair::RepairScope;
use tintype_engine::verify::{Depth, VerifyOptions};

use super::*;
use crate::support::Meddled;

struct Place {
    memory: MemoryBackend,
    repository: Repository,
    clock: Arc<ManualClock>,
    all: Vec<(SnapshotId, Files)>,
}

fn place() -> Place {
    let (memory, repository, clock) = repository(31);
    let mut files = sample(40);
    let mut all = Vec::new();
    for number in 0..2 {
        clock.advance(Duration::from_mins(1));
        files.insert(b"files/own".to_vec(), File::of(noise(number, 5 * CHUNK)));
        all.push((snapshot(&repository, &files), files.clone()));
    }
    Place { memory, repository, clock, all }
}

fn spoil(memory: &MemoryBackend, name: &str) {
    let mut bytes = memory.get(name, u64::MAX).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    memory.overwrite(name, bytes);
}

impl Place {
    #[track_caller]
    fn is_whole(&self) {
        for (id, files) in &self.all {
            let (found, failed) = read_all(&self.repository, root(&self.repository, *id)).unwrap();
            assert!(failed.is_empty() && found == *files);
        }
    }

    fn delete(&self, id: SnapshotId) {
        let listed = self.repository.snapshots().unwrap().snapshots;
        let found = listed.into_iter().find(|s| s.id == id).unwrap();
        let change = Change::Deleted("test".into());
        self.repository.annotate(id, &found.manifest, "test", change).unwrap();
    }

    fn findings(&self) -> Vec<String> {
        let (verified, cancel) = (HashSet::new(), Cancel::default());
        let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
        let plan = self.repository.plan_verify(Depth::All, &verified).unwrap();
        let report = self.repository.verify(&plan, &options).unwrap();
        report.findings.into_iter().map(|finding| finding.object).collect()
    }

    fn repair(&self) -> tintype_engine::repair::RepairReport {
        let scope = RepairScope::Unnamed;
        self.repository.repair_index(&scope, 2, &Cancel::default()).unwrap()
    }

    /// Everything that everybody does every day.
    #[track_caller]
    fn goes_on(&mut self) {
        self.repository.close_abandoned().unwrap();
        let files = self.all.last().unwrap().1.clone();
        self.all.push((snapshot(&self.repository, &files), files));
        self.repair();
        self.repository.gc(&GcOptions::default()).unwrap();
        self.is_whole();
    }
}

#[test]
fn damaged_sessions_that_are_decided_are_not_needed() {
    let mut place = place();
    let sessions = [0, 1].map(|number: usize| names::session(place.all[number].0));
    spoil(&place.memory, &sessions[0]);
    place.memory.overwrite(&sessions[1], b"no object of ours");
    let found = place.findings();
    assert!(sessions.iter().all(|name| found.contains(name)), "{found:?}");
    let mut mended = place.repair().sessions;
    mended.sort();
    let mut wanted = sessions.to_vec();
    wanted.sort();
    assert_eq!(mended, wanted);
    assert_eq!(place.findings(), [""; 0]);
    assert_eq!(place.repair().sessions, [""; 0]);
    spoil(&place.memory, &sessions[0]);
    place.goes_on();
    // They go with their snapshots.
    let gone = place.all.remove(0).0;
    place.delete(gone);
    place.goes_on();
    assert!(!place.memory.names().contains(&names::session(gone)));
    place.goes_on();
}

/// A gc deletes it between the look of a repair and what that puts.
#[test]
fn a_session_that_is_mended_late_is_nobody() {
    let mut place = place();
    let gone = place.all.remove(0).0;
    let name = names::session(gone);
    spoil(&place.memory, &name);
    place.delete(gone);
    let env = place.repository.env();
    let gc = Repository::open(Arc::new(place.memory.clone()), &secret(), options(env)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let damaged = name.clone();
    let meddled = Meddled::before(&place.memory, move |op, name, _| {
        let is_first = || !done.swap(true, std::sync::atomic::Ordering::Relaxed);
        if op == Op::Delete && name == damaged && is_first() {
            gc.gc(&GcOptions { give_up: [].into(), ..GcOptions::default() }).unwrap();
        }
    });
    let other = Repository::open(meddled, &secret(), options(env)).unwrap();
    let report = other.repair_index(&RepairScope::Unnamed, 1, &Cancel::default()).unwrap();
    assert_eq!(report.sessions, [&name[..]]);
    assert!(place.memory.names().contains(&name));
    assert!(place.repository.undecided_sessions().unwrap().is_empty());
    assert_eq!(place.findings(), [""; 0]);
    place.goes_on();
    assert!(!place.memory.names().contains(&name));
}

/// Its owner may be alive, so it is waited for; nobody knows since when it is silent, so that is
/// what is looked at.
#[test]
fn a_writer_whose_session_is_damaged_is_fenced_when_it_is_silent() {
    let mut place = place();
    let files = place.all[1].1.clone();
    let store = place.repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let id = store.id();
    let root = build(&store, &files).unwrap();
    spoil(&place.memory, &names::session(id));
    assert_eq!(place.repository.close_abandoned().unwrap(), 0);
    let again = snapshot(&place.repository, &files);
    place.all.push((again, files.clone()));
    let before = place.clock.slept().len();
    let report = place.repository.gc(&GcOptions::default()).unwrap();
    let waited = place.clock.slept()[before..].iter().sum::<Duration>();
    assert_eq!(report.fenced, 1);
    assert!(waited >= Duration::from_mins(2) && waited < Duration::from_mins(3), "{waited:?}");
    let refused = store.commit(manifest(&place.repository, &root)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    place.goes_on();
    place.goes_on();
    assert!(!place.memory.names().contains(&names::session(id)));
    assert_eq!(place.findings(), [""; 0]);
}

#[test]
fn a_writer_whose_session_is_damaged_is_not_fenced_while_it_lives() {
    let mut place = place();
    let files = place.all[1].1.clone();
    let store = place.repository.begin_writing(SessionKind::Snapshot, None).unwrap();
    let root = build(&store, &files).unwrap();
    spoil(&place.memory, &names::session(store.id()));
    let (id, memory) = (store.id(), place.memory.clone());
    let beating = Meddled::before(&place.memory, move |op, name, _| {
        if op == Op::List && name == "session/" {
            let beats = memory.names().into_iter().filter(|name| name.starts_with("beat/"));
            memory.put(&names::beat(id, beats.count() as u32 + 1), &[]).unwrap();
        }
    });
    let env = place.repository.env();
    let other = Repository::open(beating, &secret(), options(env)).unwrap();
    let busy = other.gc(&GcOptions::default()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Locked, "{busy}");
    assert!(busy.to_string().contains(&id.to_string()), "{busy}");
    let id = store.commit(manifest(&place.repository, &root)).unwrap();
    place.all.push((id, files));
    place.goes_on();
}

#[test]
fn sessions_that_somebody_without_the_key_put_do_not_stop_anything() {
    let mut place = place();
    let ids = [1, 2, 3].map(|number| RandomId([number; 16]));
    let known = place.memory.get(&names::session(place.all[0].0), u64::MAX).unwrap();
    for (id, junk) in ids.iter().zip([b"" as &[u8], b"junk", &known]) {
        place.memory.put(&names::session(*id), junk).unwrap();
    }
    place.goes_on();
    place.goes_on();
    let left = place.memory.names();
    for id in ids {
        assert!(!left.contains(&names::session(id)) && !left.contains(&names::fate(id)));
    }
    assert_eq!(place.findings(), [""; 0]);
}

/// What it pins cannot be read either: until it is decided, it pins everything.
#[test]
fn a_reader_whose_session_is_damaged_keeps_what_it_pinned() {
    let mut place = place();
    let (pinned, _) = place.all.remove(0);
    let pin = place.repository.pin(pinned).unwrap();
    place.delete(pinned);
    let options = GcOptions { keep_above_percent: 100, ..GcOptions::default() };
    let plan = || place.repository.plan_gc(&options).unwrap().candidates.len();
    assert_eq!(plan(), 0);
    spoil(&place.memory, &names::session(pin.id));
    assert_eq!(plan(), 0);
    pin.close().unwrap();
    assert!(plan() > 0);
    place.goes_on();
}

/// The kind of the session tells whether a fate is missed; where it cannot be read, one is.
#[test]
fn a_lost_fate_is_missed_although_its_session_is_damaged() {
    let mut place = place();
    place.repository.gc(&GcOptions::default()).unwrap();
    let name = names::fate(place.all[0].0);
    let fate = place.memory.get(&name, u64::MAX).unwrap();
    place.memory.delete(&name).unwrap();
    spoil(&place.memory, &names::session(place.all[0].0));
    for _ in 0..2 {
        let refused = place.repository.gc(&GcOptions::default()).unwrap_err();
        assert!(refused.is(ErrorKind::Corrupt), "{refused}");
        assert!(refused.to_string().contains(&name), "{refused}");
    }
    place.memory.put(&name, &fate).unwrap();
    place.goes_on();
}

/// A repair does not need a gc, which would need a whole index.
#[test]
fn an_index_is_made_anew_beside_sessions_that_cannot_be_read() {
    let mut place = place();
    let is_segment = |name: &String| name.starts_with("index/");
    let lost = place.memory.names().into_iter().find(is_segment).unwrap();
    place.memory.delete(&lost).unwrap();
    place.memory.put(&names::session(RandomId([9; 16])), b"junk").unwrap();
    assert_eq!(place.repair().replaced, [lost]);
    place.is_whole();
    place.goes_on();
}

#[test]
fn a_damaged_condemned_list_is_left_behind_by_gc_or_repair() {
    for by_repair in [false, true] {
        let mut place = place();
        let seq = |number| names::condemned(number, RandomId([7; 16]));
        // Whatever its number is: not in force.
        for name in [seq(99_999), seq(77), "condemned/x/y".to_owned()] {
            place.memory.put(&name, b"junk").unwrap();
        }
        let files = place.all[1].1.clone();
        place.all.push((snapshot(&place.repository, &files), files));
        place.memory.put(&seq(0), b"junk").unwrap();
        let refused = place.repository.begin_writing(SessionKind::Snapshot, None).err().unwrap();
        assert!(refused.is(ErrorKind::Corrupt), "{refused}");
        let said = refused.to_string();
        assert!(said.contains(&seq(0)) && said.contains("tintype repo gc"), "{said}");
        if by_repair {
            assert!(place.repair().record.is_some());
        } else {
            place.repository.gc(&GcOptions::default()).unwrap();
        }
        place.is_whole();
        place.goes_on();
        assert!(!place.memory.names().contains(&seq(0)));
    }
}
