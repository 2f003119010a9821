//! A store that fails as told: the nth call of a kind fails, reads come short or changed,
//! answers are slow, the store is full, read-only or gone.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};

use super::count::Op;
use super::{Backend, Listed, PutStream, SharedBackend, StoreFeatures};
use crate::env::Clock;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails and nothing was done.
    Fail(ErrorKind),
    /// It is done and yet fails: the answer was lost on its way.
    FailAfter(ErrorKind),
    /// `get` gives all but the last byte; `read_into` says `Corrupt`.
    Short,
    /// Bit number n (modulo the length) of what is read is changed.
    FlipBit(u64),
    /// It takes this much longer.
    Slow(Duration),
}

/// One line of the script: the `nth` call (from 1; 0: every one) of `op` on a name that begins
/// with `prefix`.
#[derive(Clone, Debug)]
pub struct Fault {
    pub op: Op,
    pub nth: u64,
    pub prefix: String,
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    #[default]
    Well,
    /// Deletes and reads still work.
    Full,
    ReadOnly,
    /// Nothing works.
    Gone,
}

#[derive(Clone)]
pub struct FaultyBackend {
    inner: SharedBackend,
    control: Arc<Control>,
}

struct Control {
    clock: Arc<dyn Clock>,
    condition: AtomicU8,
    /// With the number of calls that matched so far.
    script: Mutex<Vec<(Fault, u64)>>,
}

impl FaultyBackend {
    pub fn new(inner: SharedBackend, clock: Arc<dyn Clock>) -> Self {
        let control =
            Control { clock, condition: AtomicU8::new(0), script: Mutex::new(Vec::new()) };
        Self { inner, control: Arc::new(control) }
    }

    /// Adds a line to the script.
    pub fn on(&self, op: Op, nth: u64, prefix: &str, effect: Effect) -> &Self {
        let fault = Fault { op, nth, prefix: prefix.to_owned(), effect };
        self.control.script.lock().expect("no holder panics").push((fault, 0));
        self
    }

    /// From now on, until told otherwise.
    pub fn set(&self, condition: Condition) {
        self.control.condition.store(condition as u8, Ordering::SeqCst);
    }

    /// Forgets the script.
    pub fn heal(&self) {
        self.set(Condition::Well);
        self.control.script.lock().expect("no holder panics").clear();
    }
}

impl Control {
    fn check_condition(&self, op: Op) -> Result<()> {
        let writes = matches!(op, Op::Put | Op::PutStream | Op::Write | Op::Finish);
        let changes = writes || matches!(op, Op::Delete | Op::Sweep);
        match self.condition.load(Ordering::SeqCst) {
            1 if writes => Err(Error::no_space("the store is full")),
            2 if changes => Err(Error::denied("the store is read-only")),
            3 => Err(Error::unavailable("the store is gone")),
            _ => Ok(()),
        }
    }

    /// Applies the script to one call.
    fn apply<T>(
        &self,
        op: Op,
        name: &str,
        call: impl FnOnce() -> Result<T>,
        spoil: impl FnOnce(Effect, &mut T) -> Result<()>,
    ) -> Result<T> {
        self.check_condition(op)?;
        let failure = |kind| Error::new(kind, format!("scripted failure of {op:?} {name}"));
        match self.matching(op, name) {
            None => call(),
            Some(Effect::Fail(kind)) => Err(failure(kind)),
            Some(Effect::FailAfter(kind)) => call().and(Err(failure(kind))),
            Some(Effect::Slow(duration)) => {
                self.clock.sleep(duration);
                call()
            }
            Some(effect) => {
                let mut value = call()?;
                spoil(effect, &mut value)?;
                Ok(value)
            }
        }
    }

    fn plain<T>(&self, op: Op, name: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        self.apply(op, name, call, |_, _| Ok(()))
    }

    /// Every line that matches counts the call; the first whose turn it is wins.
    fn matching(&self, op: Op, name: &str) -> Option<Effect> {
        let mut script = self.script.lock().expect("no holder panics");
        let mut found = None;
        for (fault, seen) in script.iter_mut() {
            if fault.op == op && name.starts_with(&fault.prefix) {
                *seen += 1;
                if fault.nth == 0 || fault.nth == *seen {
                    found = found.or(Some(fault.effect));
                }
            }
        }
        found
    }
}

fn flip(data: &mut [u8], bit: u64) {
    if !data.is_empty() {
        let bit = bit % (data.len() as u64 * 8);
        data[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}

impl Backend for FaultyBackend {
    crate::pass_on!(describe, conditional);

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        self.control.plain(Op::Put, name, || self.inner.put(name, data))
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        let inner = self.control.plain(Op::PutStream, name, || self.inner.put_stream(name))?;
        Ok(Box::new(Stream { inner, name: name.to_owned(), control: self.control.clone() }))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        let call = || self.inner.get(name, limit_bytes);
        self.control.apply(Op::Get, name, call, |effect, data| {
            match effect {
                Effect::FlipBit(bit) => flip(data, bit),
                _ => drop(data.pop()),
            }
            Ok(())
        })
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        let call = || self.inner.read_into(name, offset, out).map(|()| out);
        let read = self.control.apply(Op::Read, name, call, |effect, out| match effect {
            Effect::FlipBit(bit) => {
                flip(out, bit);
                Ok(())
            }
            _ => Err(super::too_short(name, offset, offset, out.len())),
        });
        read.map(drop)
    }

    fn stat(&self, name: &str) -> Result<u64> {
        self.control.plain(Op::Stat, name, || self.inner.stat(name))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.control.plain(Op::List, prefix, || self.inner.list(prefix, each))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.control.plain(Op::Delete, name, || self.inner.delete(name))
    }

    fn store_features(&self) -> Result<StoreFeatures> {
        self.control.check_condition(Op::Stat)?;
        self.inner.store_features()
    }

    crate::pass_on!(reserve);

    fn sweep(&self) -> Result<u64> {
        self.control.plain(Op::Sweep, "", || self.inner.sweep())
    }
}

struct Stream {
    inner: Box<dyn PutStream>,
    name: String,
    control: Arc<Control>,
}

impl PutStream for Stream {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        let inner = &mut self.inner;
        self.control.plain(Op::Write, &self.name, || inner.write(data))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { inner, name, control } = *self;
        control.plain(Op::Finish, &name, || inner.finish())
    }
}
