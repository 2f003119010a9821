//! Objects in memory: the reference of what a backend does, and the store of tests.
//!
//! A clone is the same store; [`MemoryBackend::copy`] is another one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tintype_model::{Error, Result};

use super::name::{check_name, check_prefix};
use super::{Backend, Listed, PutStream};

type Objects = BTreeMap<String, Arc<[u8]>>;

#[derive(Clone, Default)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    objects: Objects,
    /// What interrupted writers left; never visible as an object.
    unfinished: Vec<Vec<u8>>,
}

impl MemoryBackend {
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    fn object(&self, name: &str) -> Result<Arc<[u8]>> {
        check_name(name)?;
        let state = self.state();
        state.objects.get(name).cloned().ok_or_else(|| missing(name))
    }

    /// Another store with the same objects.
    pub fn copy(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    pub fn size_bytes(&self) -> u64 {
        self.state().objects.values().map(|data| data.len() as u64).sum()
    }

    /// Sets an object whatever was there: what no backend does; for tests of damage.
    pub fn overwrite(&self, name: &str, data: impl Into<Vec<u8>>) {
        self.state().objects.insert(name.to_owned(), data.into().into());
    }

    /// What is left of a write that was cut; [`Backend::sweep`] removes it.
    pub fn leave_unfinished(&self, data: Vec<u8>) {
        self.state().unfinished.push(data);
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("object {name} does not exist"))
}

impl Backend for MemoryBackend {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        check_name(name)?;
        let mut state = self.state();
        if state.objects.contains_key(name) {
            return Err(Error::already_exists(format!("object {name} exists already")));
        }
        state.objects.insert(name.to_owned(), data.into());
        Ok(())
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        check_name(name)?;
        Ok(Box::new(Stream { store: self.clone(), name: name.to_owned(), data: Vec::new() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let object = self.object(name)?;
        super::check_limit(name, object.len() as u64, limit_bytes)?;
        Ok(object.to_vec())
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        let object = self.object(name)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match start.checked_add(out.len()).and_then(|end| object.get(start..end)) {
            Some(range) => {
                out.copy_from_slice(range);
                Ok(())
            }
            None => Err(super::too_short(name, object.len() as u64, offset, out.len())),
        }
    }

    fn stat(&self, name: &str) -> Result<u64> {
        Ok(self.object(name)?.len() as u64)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        check_prefix(prefix)?;
        let found: Vec<_> = {
            let state = self.state();
            let from_prefix = state.objects.range(prefix.to_owned()..);
            from_prefix
                .take_while(|(name, _)| name.starts_with(prefix))
                .map(|(name, data)| Listed { name: name.clone(), size_bytes: data.len() as u64 })
                .collect()
        };
        found.into_iter().try_for_each(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.state().objects.remove(name);
        Ok(())
    }

    fn conditional(&self) -> bool {
        true
    }

    fn sweep(&self) -> Result<u64> {
        Ok(std::mem::take(&mut self.state().unfinished).len() as u64)
    }
}

struct Stream {
    store: MemoryBackend,
    name: String,
    data: Vec<u8>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.store.put(&self.name, &self.data)
    }
}
