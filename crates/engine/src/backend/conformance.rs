//! What every backend must do, in one suite: run by the tests of each driver, and for users by
//! [`super::probe()`] on the store they have. It believes only what it saw.
//!
//! Each check works in a directory of its own below `probe-<random>/`; all is removed at the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tintype_model::{Error, ErrorKind, Result};

use super::{Backend, SCRATCH, list_all};
use crate::env::{Env, Task};

const MIB: usize = 1 << 20;

/// How much a run writes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub large_bytes: usize,
    /// Objects in the listing; over 1,000 stores answer in pages.
    pub many: usize,
}

impl Extent {
    pub const FULL: Self = Self { large_bytes: 20 * MIB, many: 1_100 };
    /// Seconds on a store across the world.
    pub const PROBE: Self = Self { large_bytes: 9 * MIB, many: 40 };
}

pub struct Check {
    pub name: &'static str,
    /// What it means for the user when it fails.
    pub consequence: &'static str,
    run: fn(&Scratch<'_>) -> Result<()>,
}

/// A directory of the store for one check.
pub struct Scratch<'a> {
    backend: &'a dyn Backend,
    env: &'a Env,
    extent: Extent,
    directory: String,
}

const WRONG: &str = "this store cannot hold a repository";

pub const CHECKS: &[Check] = &[
    Check { name: "put-get", consequence: WRONG, run: put_get },
    Check {
        name: "put-if-absent",
        consequence: "only one writer may use the repository at a time (single-writer mode)",
        run: put_if_absent,
    },
    Check {
        name: "put-if-absent-race",
        consequence: "only one writer may use the repository at a time (single-writer mode)",
        run: put_if_absent_race,
    },
    Check { name: "names", consequence: WRONG, run: names },
    Check { name: "get-limit", consequence: "a damaged store could use up memory", run: get_limit },
    Check { name: "missing", consequence: WRONG, run: missing },
    Check { name: "range-reads", consequence: WRONG, run: range_reads },
    Check {
        name: "list-after-put",
        consequence: "snapshots could be overlooked and their data deleted; do not use this store",
        run: list_after_put,
    },
    Check { name: "list-many", consequence: "do not use this store", run: list_many },
    Check { name: "delete", consequence: "space cannot be freed", run: delete },
    Check { name: "streams", consequence: WRONG, run: streams },
    Check { name: "concurrency", consequence: "do not use this store", run: concurrency },
];

pub struct Outcome {
    pub check: &'static Check,
    pub result: Result<()>,
}

/// Runs all checks and removes what they wrote. An error: the store could not be cleaned up.
pub fn run(backend: &dyn Backend, env: &Env, extent: Extent) -> Result<Vec<Outcome>> {
    let random = u64::from_le_bytes(env.bytes());
    let top = format!("{SCRATCH}{random:016x}/");
    let outcomes = CHECKS
        .iter()
        .map(|check| {
            let directory = format!("{top}{}/", check.name);
            let scratch = Scratch { backend, env, extent, directory };
            Outcome { check, result: (check.run)(&scratch) }
        })
        .collect();
    clean_up(backend, env, &top)?;
    Ok(outcomes)
}

/// Panics with all that is wrong.
#[cfg(feature = "testing")]
pub fn assert_conforms(backend: &dyn Backend, env: &Env, extent: Extent) {
    let outcomes = run(backend, env, extent).expect("scratch objects can be removed");
    let wrong: Vec<_> = outcomes
        .iter()
        .filter_map(|o| o.result.as_ref().err().map(|error| format!("{}: {error}", o.check.name)))
        .collect();
    assert!(wrong.is_empty(), "{} does not conform: {wrong:#?}", backend.describe());
    let left = list_all(backend, "").expect("the store can be listed");
    assert!(left.iter().all(|l| !l.name.starts_with(SCRATCH)), "left behind: {left:?}");
}

pub(super) fn clean_up(backend: &dyn Backend, env: &Env, directory: &str) -> Result<()> {
    let listed = list_all(backend, directory)?;
    each_of(env, 8, listed.len(), |index| backend.delete(&listed[index].name))
}

/// Calls `work` for 0..`count` from `threads` threads; the first error wins.
fn each_of(
    env: &Env,
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Ok(()));
    let one = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            if let Err(error) = work(index) {
                *failed.lock().expect("no holder panics") = Err(error);
                return;
            }
        }
    };
    env.tasks.run((0..threads).map(|_| Box::new(one) as Task<'_>).collect());
    failed.into_inner().expect("no holder panics")
}

impl Scratch<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.directory)
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<String> {
        let name = self.name(name);
        self.backend.put(&name, data)?;
        Ok(name)
    }

    /// Bytes that no compression or cache makes equal.
    fn random_bytes(&self, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        self.env.random.fill(&mut data);
        data
    }

    fn listed(&self, directory: &str) -> Result<Vec<String>> {
        let listed = list_all(self.backend, &self.name(directory))?;
        Ok(listed.into_iter().map(|l| l.name[self.directory.len()..].to_owned()).collect())
    }
}

fn ensure(good: bool, what_is_wrong: impl Into<String>) -> Result<()> {
    if good { Ok(()) } else { Err(Error::unsupported(what_is_wrong)) }
}

fn ensure_kind<T>(result: Result<T>, kind: ErrorKind, call: &str) -> Result<()> {
    match result {
        Err(error) if error.is(kind) => Ok(()),
        Err(error) => Err(Error::unsupported(format!(
            "{call} fails with {:?} instead of {kind:?}: {error}",
            error.kind()
        ))),
        Ok(_) => Err(Error::unsupported(format!("{call} succeeds instead of {kind:?}"))),
    }
}

fn put_get(s: &Scratch<'_>) -> Result<()> {
    for length in [0, 1, 4_097, s.extent.large_bytes] {
        let data = s.random_bytes(length);
        let name = s.put(&format!("of-{length}"), &data)?;
        let found = s.backend.get(&name, length as u64)?;
        ensure(found == data, format!("an object of {length} bytes comes back changed"))?;
        let size_bytes = s.backend.stat(&name)?;
        ensure(size_bytes == length as u64, format!("{length} bytes have size {size_bytes}"))?;
    }
    Ok(())
}

fn put_if_absent(s: &Scratch<'_>) -> Result<()> {
    let name = s.put("one", b"first")?;
    for data in [&b"second"[..], b"first", b""] {
        ensure_kind(s.backend.put(&name, data), ErrorKind::AlreadyExists, "a second put")?;
    }
    ensure(s.backend.get(&name, 100)? == b"first", "a refused put changed the object")
}

/// Only for who claims to tell writers apart and refuses one alone: elsewhere all would win, and
/// some stores hold a broken object after that.
fn put_if_absent_race(s: &Scratch<'_>) -> Result<()> {
    if !s.backend.conditional() {
        return Ok(());
    }
    let taken = s.put("taken", b"one")?;
    ensure_kind(s.backend.put(&taken, b"two"), ErrorKind::AlreadyExists, "put of a taken name")?;
    for round in 0..3 {
        let name = s.name(&format!("round-{round}"));
        let winners = Mutex::new(Vec::new());
        each_of(s.env, 8, 8, |index| match s.backend.put(&name, &[index as u8; 1_000]) {
            Ok(()) => {
                winners.lock().expect("no holder panics").push(index as u8);
                Ok(())
            }
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        })?;
        let winners = winners.into_inner().expect("no holder panics");
        ensure(!winners.is_empty(), "of eight writers none won")?;
        let held = s.backend.get(&name, 1_000)?;
        let whole = held.len() == 1_000 && held.iter().all(|byte| *byte == held[0]);
        ensure(whole && winners.contains(&held[0]), "the object is not what its writer put")?;
        let count = winners.len();
        ensure(count == 1, format!("of eight writers of one name {count} won"))?;
    }
    Ok(())
}

fn names(s: &Scratch<'_>) -> Result<()> {
    let longest = "l".repeat(200 - s.directory.len());
    let good = ["0az.9_-x", "a/b/c/d/e", "a/tmp/x", "a.tmp", "a/b.c/d", &longest];
    for name in good {
        let name = s.put(name, name.as_bytes())?;
        let data = s.backend.get(&name, 1_000)?;
        ensure(name.as_bytes().ends_with(&data) && !data.is_empty(), "mixed up names")?;
    }
    let mut expected = good.to_vec();
    expected.sort_unstable();
    ensure(s.listed("")? == expected, "listed names differ from those put")?;
    for bad in ["", "/a", "a//b", ".a", "a/.b", "../a", "A", "a b", "tmp/a", "a/", &"x".repeat(201)]
    {
        let call = format!("put of {bad:?}");
        ensure_kind(s.backend.put(bad, b"x"), ErrorKind::Invalid, &call)?;
        ensure_kind(s.backend.get(bad, 10), ErrorKind::Invalid, "get of a bad name")?;
        ensure_kind(s.backend.stat(bad), ErrorKind::Invalid, "stat of a bad name")?;
        ensure_kind(s.backend.delete(bad), ErrorKind::Invalid, "delete of a bad name")?;
        ensure(s.backend.put_stream(bad).is_err(), "a stream of a bad name")?;
    }
    ensure_kind(s.backend.list("a", &mut |_| Ok(())), ErrorKind::Invalid, "list of half a name")
}

fn get_limit(s: &Scratch<'_>) -> Result<()> {
    let name = s.put("thousand", &[7; 1_000])?;
    ensure_kind(s.backend.get(&name, 999), ErrorKind::Invalid, "get over the limit")?;
    ensure(s.backend.get(&name, 1_000)?.len() == 1_000, "get at the limit")
}

fn missing(s: &Scratch<'_>) -> Result<()> {
    s.put("directory/object", b"x")?;
    for name in ["nothing", "no/where/at-all", "directory", "directory/object/below"] {
        let name = s.name(name);
        ensure_kind(s.backend.get(&name, 10), ErrorKind::NotFound, "get of nothing")?;
        ensure_kind(s.backend.stat(&name), ErrorKind::NotFound, "stat of nothing")?;
        let read = s.backend.read_into(&name, 0, &mut [0; 4]);
        ensure_kind(read, ErrorKind::NotFound, "read of nothing")?;
    }
    ensure(s.listed("nothing/")?.is_empty(), "an empty directory lists something")
}

fn range_reads(s: &Scratch<'_>) -> Result<()> {
    let data = s.random_bytes(100_000);
    let name = s.put("object", &data)?;
    for (offset, length) in
        [(0, 1), (0, 100_000), (99_999, 1), (1, 99_999), (50_000, 4_096), (0, 0), (100_000, 0)]
    {
        let mut out = vec![0; length];
        s.backend.read_into(&name, offset as u64, &mut out)?;
        let same = out == data[offset..offset + length];
        ensure(same, format!("{length} bytes at {offset} are not those put"))?;
    }
    for (offset, length) in [(99_999, 2), (100_000, 1), (0, 100_001), (1_000_000, 1), (100_001, 0)]
    {
        let read = s.backend.read_into(&name, offset, &mut vec![0; length]);
        ensure_kind(read, ErrorKind::Corrupt, "read over the end")?;
    }
    let empty = s.put("empty", b"")?;
    s.backend.read_into(&empty, 0, &mut [])?;
    ensure_kind(s.backend.read_into(&empty, 0, &mut [0]), ErrorKind::Corrupt, "read of nothing")
}

fn list_after_put(s: &Scratch<'_>) -> Result<()> {
    for round in 0..8_usize {
        let name = format!("in/object-{round}");
        s.put(&name, &vec![1; round])?;
        ensure(s.listed("in/")?.len() == round + 1, "an object just put is not listed")?;
    }
    s.put("inner/x", b"x")?;
    s.put("in-/x", b"x")?;
    s.put("in/deep/er/x", b"x")?;
    let inside = s.listed("in/")?;
    ensure(inside.len() == 9 && inside.iter().all(|n| n.starts_with("in/")), "wrong prefix")?;
    ensure(s.listed("in/deep/")? == ["in/deep/er/x"], "a directory in a directory is not listed")?;
    ensure(s.listed("")?.len() == 11, "the directory above does not list all")?;
    for listed in list_all(s.backend, &s.name("in/"))? {
        let size_bytes = s.backend.stat(&listed.name)?;
        ensure(listed.size_bytes == size_bytes, "listed size differs from the object's")?;
    }
    let stop = s.backend.list(&s.name("in/"), &mut |_| Err(Error::canceled("enough")));
    ensure_kind(stop, ErrorKind::Canceled, "a list whose reader stops")
}

fn list_many(s: &Scratch<'_>) -> Result<()> {
    let name = |index: usize| format!("{:02x}/object-{index:05}", index % 7);
    each_of(s.env, 8, s.extent.many, |index| s.put(&name(index), b"").map(drop))?;
    let mut expected: Vec<_> = (0..s.extent.many).map(name).collect();
    expected.sort_unstable();
    let found = s.listed("")?;
    ensure(found == expected, format!("of {} objects {} are listed", expected.len(), found.len()))
}

fn delete(s: &Scratch<'_>) -> Result<()> {
    let name = s.put("a/b", b"x")?;
    s.backend.read_into(&name, 0, &mut [0])?;
    for _ in 0..2 {
        s.backend.delete(&name)?;
    }
    s.backend.delete(&s.name("never/was"))?;
    ensure_kind(s.backend.get(&name, 10), ErrorKind::NotFound, "get of a deleted object")?;
    let read = s.backend.read_into(&name, 0, &mut [0]);
    ensure_kind(read, ErrorKind::NotFound, "read of a deleted object")?;
    ensure(s.listed("")?.is_empty(), "a deleted object is listed")?;
    s.backend.put(&name, b"again")?;
    ensure(s.backend.get(&name, 10)? == b"again", "a name cannot be used again")
}

fn streams(s: &Scratch<'_>) -> Result<()> {
    for length in [0, 1_000, s.extent.large_bytes] {
        let data = s.random_bytes(length);
        let name = s.name(&format!("d/finished-{length}"));
        let mut stream = s.backend.put_stream(&name)?;
        for piece in data.chunks(77_777) {
            stream.write(piece)?;
        }
        ensure_kind(s.backend.stat(&name), ErrorKind::NotFound, "stat before the end")?;
        ensure(!s.listed("d/")?.contains(&format!("d/finished-{length}")), "listed too early")?;
        stream.finish()?;
        let found = s.backend.get(&name, length as u64)?;
        ensure(found == data, format!("a stream of {length} bytes comes back changed"))?;

        let name = s.name(&format!("d/dropped-{length}"));
        let mut stream = s.backend.put_stream(&name)?;
        stream.write(&data)?;
        drop(stream);
        ensure_kind(s.backend.stat(&name), ErrorKind::NotFound, "stat of a dropped stream")?;
    }
    ensure(s.listed("d/")?.len() == 3, "a stream that was dropped is listed")
}

fn concurrency(s: &Scratch<'_>) -> Result<()> {
    let shared = s.random_bytes(256 << 10);
    let shared_name = s.put("shared", &shared)?;
    each_of(s.env, 8, 32, |index| {
        let data = vec![index as u8; 1_000 * index];
        let name = s.put(&format!("own/{index}"), &data)?;
        let mut out = vec![0; 1_000];
        s.backend.read_into(&shared_name, 5_000 * index as u64, &mut out)?;
        ensure(out == shared[5_000 * index..][..1_000], "reads at once get each other's bytes")?;
        ensure(s.backend.get(&name, 40_000)? == data, "puts at once are mixed up")?;
        if index % 2 == 0 { s.backend.delete(&name) } else { Ok(()) }
    })?;
    ensure(s.listed("own/")?.len() == 16, "after puts and deletes at once the list is wrong")
}
