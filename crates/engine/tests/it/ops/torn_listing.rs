//! A listing of a store in use is torn: what was put while it ran may be missing from it.

use std::collections::HashSet;
use std::sync::Mutex;

use tintype_engine::backend::{Backend, Listed, PutStream};
use tintype_engine::cancel::Cancel;
use tintype_engine::verify::{Depth, Severity, VerifyOptions};

use super::*;

/// Leaves names out of listings.
struct Torn {
    inner: MemoryBackend,
    hidden: Mutex<HashSet<String>>,
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
        self.inner.list(prefix, &mut |listed| match hidden.contains(&listed.name) {
            true => Ok(()),
            false => each(listed),
        })
    }
    fn delete(&self, name: &str) -> Result<()> {
        self.inner.delete(name)
    }
    fn conditional(&self) -> bool {
        true
    }
}

#[test]
fn what_a_listing_missed_is_not_reported_as_lost() {
    let (env, _) = manual(9);
    let inner = MemoryBackend::new();
    let torn = Arc::new(Torn { inner: inner.clone(), hidden: Mutex::default() });
    let repository = init(torn.clone(), &env);
    snapshot(&repository, &sample(20));
    let (verified, cancel) = (HashSet::new(), Cancel::default());
    for name in inner.names() {
        if name.starts_with("gc/") || name == "config" {
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
