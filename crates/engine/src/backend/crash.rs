//! A store whose machine dies at a chosen call: kill -9 or a power cut.
//!
//! Only calls that change something are numbered (put, begin, piece and end of a stream, delete,
//! sweep): a crash at a read leaves what a crash before the next change leaves. A test runs
//! its workload once uncut, takes [`CrashBackend::calls`], and then cuts it at each of
//! 1..=calls in every mode; what is left is [`CrashBackend::survivors`].
//!
//! ```text
//! alive --call n begins--> (effect by mode) --> dead: every later call fails
//! ```
//! What a driver promises is durable here too: an object of a put or a finished stream that
//! returned is never lost. What it does not promise is lost in the modes that say so: a delete
//! is not synced, so a power cut may bring the object back.

use std::sync::{Arc, Mutex, MutexGuard};

use tintype_model::{Error, Result};

use super::{Backend, Listed, MemoryBackend, PutStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// Call n never reached the store.
    Before,
    /// Call n is done, and nobody was told. Also a name whose directory was not synced yet but
    /// which survived.
    After,
    /// Call n left half of its bytes under no name; an end of a stream all of them.
    Torn,
    /// As `Before`, and every delete of this life is undone.
    LostCache,
    /// As `Before`, and every other delete of this life is undone.
    HalfLostCache,
    /// A store that breaks its promise: half of the bytes are visible under the name. Not in
    /// [`CrashMode::ALL`]; shows that readers notice, and that tests do.
    TornVisible,
}

impl CrashMode {
    /// What a store that keeps its promises may do.
    pub const ALL: [Self; 5] =
        [Self::Before, Self::After, Self::Torn, Self::LostCache, Self::HalfLostCache];
}

#[derive(Clone)]
pub struct CrashBackend {
    inner: MemoryBackend,
    cut: Option<(u64, CrashMode)>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: u64,
    dead: bool,
    /// What was deleted and may come back.
    deleted: Vec<(String, Vec<u8>)>,
}

/// What remains of the call for its effect.
enum Fate {
    Alive,
    Dies(CrashMode),
}

impl CrashBackend {
    /// Dies at the nth changing call, from 1; `None`: only counts.
    pub fn new(inner: MemoryBackend, cut: Option<(u64, CrashMode)>) -> Self {
        Self { inner, cut, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// Changing calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// What the store holds after the machine came up again: a copy.
    pub fn survivors(&self) -> MemoryBackend {
        let left = self.inner.copy();
        let every = match self.cut {
            Some((_, CrashMode::LostCache)) => 1,
            Some((_, CrashMode::HalfLostCache)) => 2,
            _ => return left,
        };
        for (name, data) in self.state().deleted.iter().step_by(every) {
            // The name may be in use again, which was synced.
            let _ = left.put(name, data);
        }
        left
    }

    fn check_alive(&self) -> Result<()> {
        if self.state().dead { Err(dead()) } else { Ok(()) }
    }

    fn begin_change(&self) -> Result<Fate> {
        let mut state = self.state();
        if state.dead {
            return Err(dead());
        }
        state.calls += 1;
        match self.cut {
            Some((at, mode)) if at == state.calls => {
                state.dead = true;
                Ok(Fate::Dies(mode))
            }
            _ => Ok(Fate::Alive),
        }
    }

    /// A whole object under its name, as put or as the end of a stream.
    fn publish(&self, name: &str, data: &[u8], kept_when_torn: usize) -> Result<()> {
        match self.begin_change()? {
            Fate::Alive => return self.inner.put(name, data),
            Fate::Dies(CrashMode::After) => drop(self.inner.put(name, data)),
            Fate::Dies(CrashMode::Torn) => {
                self.inner.leave_unfinished(data[..kept_when_torn].to_vec());
            }
            Fate::Dies(CrashMode::TornVisible) => {
                drop(self.inner.put(name, &data[..data.len() / 2]));
            }
            Fate::Dies(_) => {}
        }
        Err(dead())
    }
}

fn dead() -> Error {
    Error::unavailable("the machine is dead (scripted crash)")
}

impl Backend for CrashBackend {
    fn describe(&self) -> String {
        "memory that dies".to_owned()
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.publish(name, data, data.len() / 2)
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        super::name::check_name(name)?;
        match self.begin_change()? {
            Fate::Alive => {}
            Fate::Dies(mode) => {
                if mode == CrashMode::After || mode == CrashMode::Torn {
                    self.inner.leave_unfinished(Vec::new());
                }
                return Err(dead());
            }
        }
        Ok(Box::new(Stream { store: self.clone(), name: name.to_owned(), data: Vec::new() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.check_alive()?;
        self.inner.get(name, limit_bytes)
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check_alive()?;
        self.inner.read_into(name, offset, out)
    }

    fn stat(&self, name: &str) -> Result<u64> {
        self.check_alive()?;
        self.inner.stat(name)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.check_alive()?;
        self.inner.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let fate = self.begin_change()?;
        if matches!(fate, Fate::Alive | Fate::Dies(CrashMode::After)) {
            if let Ok(data) = self.inner.get(name, u64::MAX) {
                self.state().deleted.push((name.to_owned(), data));
            }
            self.inner.delete(name)?;
        }
        if matches!(fate, Fate::Alive) { Ok(()) } else { Err(dead()) }
    }

    fn conditional(&self) -> bool {
        self.inner.conditional()
    }

    fn sweep(&self) -> Result<u64> {
        match self.begin_change()? {
            Fate::Alive => self.inner.sweep(),
            Fate::Dies(CrashMode::After) => self.inner.sweep().and(Err(dead())),
            Fate::Dies(_) => Err(dead()),
        }
    }
}

struct Stream {
    store: CrashBackend,
    name: String,
    data: Vec<u8>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        if let Fate::Dies(mode) = self.store.begin_change()? {
            match mode {
                CrashMode::After => self.data.extend_from_slice(data),
                CrashMode::Torn => self.data.extend_from_slice(&data[..data.len() / 2]),
                _ => {}
            }
            self.store.inner.leave_unfinished(std::mem::take(&mut self.data));
            return Err(dead());
        }
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.store.publish(&self.name, &self.data, self.data.len())
    }
}
