//! A listing of a store in use is torn: what was put while it ran may be missing from it.

use std::collections::HashSet;
use std::sync::Mutex;

use tintype_engine::backend::{Backend, Listed, PutStream};
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{Change, names};
use tintype_engine::gc::GcOptions;
use tintype_engine::verify::{Depth, Severity, VerifyOptions};

use super::*;

/// Leaves names out of listings.
struct Torn {
    inner: MemoryBackend,
    hidden: Mutex<HashSet<String>>,
    /// Left out of the first listing that would have it.
    late: Mutex<Option<String>>,
}

impl Backend for Torn {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.inner.put(name, data)
    }
    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        self.inner.put_stream(name)
    }
    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.inner.get(name, limit_bytes)
    }
    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.inner.read_into(name, offset, out)
    }
    fn stat(&self, name: &str) -> Result<u64> {
        self.inner.stat(name)
    }
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let hidden = self.hidden.lock().unwrap().clone();
        self.inner.list(prefix, &mut |listed| {
            let late = self.late.lock().unwrap().take_if(|late| *late == listed.name);
            match late.is_some() || hidden.contains(&listed.name) {
                true => Ok(()),
                false => each(listed),
            }
        })
    }
    fn delete(&self, name: &str) -> Result<()> {
        self.inner.delete(name)
    }
    fn conditional(&self) -> bool {
        true
    }
}

impl Torn {
    fn new(inner: &MemoryBackend) -> Self {
        Self { inner: inner.clone(), hidden: Mutex::default(), late: Mutex::default() }
    }
}

/// A snapshot with an annotation that the newest gc record names.
fn annotated(repository: &Repository) -> SnapshotId {
    let id = snapshot(repository, &sample(20));
    let manifest = repository.snapshots().unwrap().snapshots.remove(0).manifest;
    repository.annotate(id, &manifest, "test", Change::Note("new".into())).unwrap();
    repository.gc(&GcOptions::default()).unwrap();
    id
}

/// Annotations are read before the gc record that names them: one put between is no damage.
#[test]
fn an_annotation_put_after_the_listing_is_not_reported_as_withheld() {
    let (env, _) = manual(10);
    let inner = MemoryBackend::new();
    let torn = Arc::new(Torn::new(&inner));
    let repository = init(torn.clone(), &env);
    let id = annotated(&repository);
    let name = names::annotation(id, 1);
    for gc in [false, true] {
        *torn.late.lock().unwrap() = Some(name.clone());
        if gc {
            repository.gc(&GcOptions::default()).unwrap();
        } else {
            let listing = repository.snapshots().unwrap();
            assert!(listing.damaged.is_empty(), "{:?}", listing.damaged);
            assert_eq!(listing.snapshots[0].standing.note, "new");
        }
        assert!(torn.late.lock().unwrap().is_none(), "it was left out once");
    }
}

#[test]
fn what_a_listing_missed_is_not_reported_as_lost() {
    let (env, _) = manual(9);
    let inner = MemoryBackend::new();
    let torn = Arc::new(Torn::new(&inner));
    let repository = init(torn.clone(), &env);
    annotated(&repository);
    let (verified, cancel) = (HashSet::new(), Cancel::default());
    for name in inner.names() {
        if name.starts_with("gc/") {
            continue;
        }
        *torn.hidden.lock().unwrap() = HashSet::from([name.clone()]);
        let plan = repository.plan_verify(Depth::All, &verified).unwrap();
        let options = VerifyOptions::quiet(Depth::All, &verified, &cancel);
        let report = repository.verify(&plan, &options).unwrap();
        let alarm = report.findings.iter().find(|f| f.severity > Severity::Info);
        assert!(alarm.is_none(), "{name}: {alarm:#?}");
    }
}
