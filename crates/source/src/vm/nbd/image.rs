//! An export as an image that several threads read, or write.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tintype_model::{Error, Result};

use super::client::Nbd;
use super::protocol::{ALLOCATION, STATE_DIRTY, STATE_ZERO};
use crate::connector::ReadImage;
use crate::vm::socket::Waits;

/// How much of a disk is asked at once for what is allocated.
const WINDOW_BYTES: u64 = 1 << 30;
/// Threads read near each other.
const MOST_WINDOWS: usize = 8;

/// Says more of a failed read than the protocol can.
type Explain = Box<dyn Fn(Error) -> Error + Send + Sync>;
/// Ends of extents, each with whether it is zeros.
type Extents = Arc<Vec<(u64, bool)>>;

/// Connections to one export, as many as are used at once.
struct Pool {
    path: PathBuf,
    export: String,
    context: Option<&'static str>,
    waits: Waits,
    idle: Mutex<Vec<Nbd>>,
}

impl Pool {
    fn with<T>(&self, work: impl FnOnce(&mut Nbd) -> Result<T>) -> Result<T> {
        let idle = locked(&self.idle).pop();
        let mut nbd = match idle {
            Some(nbd) => nbd,
            None => Nbd::connect(&self.path, &self.export, self.context, self.waits.clone())?,
        };
        let result = work(&mut nbd);
        if !nbd.is_broken() {
            locked(&self.idle).push(nbd);
        }
        result
    }
}

pub(crate) struct NbdImage {
    pool: Pool,
    size_bytes: u64,
    windows: Mutex<BTreeMap<u64, Extents>>,
    explain: Explain,
}

impl NbdImage {
    pub(crate) fn open(path: &Path, export: &str, waits: Waits, explain: Explain) -> Result<Self> {
        let context = Some(ALLOCATION);
        let nbd = Nbd::connect(path, export, context, waits.clone()).map_err(&explain)?;
        let size_bytes = nbd.size_bytes();
        let (path, export, idle) = (path.to_owned(), export.to_owned(), Mutex::new(vec![nbd]));
        let pool = Pool { path, export, context, waits, idle };
        Ok(Self { pool, size_bytes, windows: Mutex::default(), explain })
    }

    fn window(&self, number: u64) -> Result<Extents> {
        if let Some(found) = locked(&self.windows).get(&number) {
            return Ok(found.clone());
        }
        let begin = number * WINDOW_BYTES;
        let end = (begin + WINDOW_BYTES).min(self.size_bytes);
        let extents = self.pool.with(|nbd| extents(nbd, begin..end))?;
        let is_zero = |(range, state): (Range<u64>, u32)| (range.end, state & STATE_ZERO != 0);
        let extents: Extents = Arc::new(extents.into_iter().map(is_zero).collect());
        let mut windows = locked(&self.windows);
        if windows.len() >= MOST_WINDOWS {
            windows.pop_first();
        }
        windows.insert(number, extents.clone());
        Ok(extents)
    }
}

impl ReadImage for NbdImage {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.pool.with(|nbd| nbd.read(offset, buffer)).map_err(&self.explain)
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        let (mut at, mut found) = (range.start, None);
        while at < range.end {
            let extents = self.window(at / WINDOW_BYTES).map_err(&self.explain)?;
            let index = extents.partition_point(|(end, _)| *end <= at);
            let Some((end, is_zero)) = extents.get(index) else { break };
            if *found.get_or_insert(*is_zero) != *is_zero {
                break;
            }
            at = *end;
        }
        match found {
            Some(is_zero) => Ok((at.min(range.end), is_zero)),
            None => Ok((range.end, false)),
        }
    }

    fn is_served(&self) -> bool {
        true
    }
}

/// What a dirty bitmap says of a whole export: sorted, disjoint, joined.
pub(crate) fn dirty(
    path: &Path,
    export: &str,
    bitmap: &str,
    waits: Waits,
) -> Result<Vec<Range<u64>>> {
    let context = format!("qemu:dirty-bitmap:{bitmap}");
    let mut nbd = Nbd::connect(path, export, Some(&context), waits)?;
    let size = nbd.size_bytes();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for (range, state) in extents(&mut nbd, 0..size)? {
        if state & STATE_DIRTY == 0 {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    Ok(ranges)
}

/// States of a range, cut to it.
fn extents(nbd: &mut Nbd, range: Range<u64>) -> Result<Vec<(Range<u64>, u32)>> {
    let mut extents = Vec::new();
    let mut at = range.start;
    while at < range.end {
        for (length, state) in nbd.states(at, range.end - at)? {
            let end = (at + u64::from(length)).min(range.end);
            if at < end {
                extents.push((at..end, state));
            }
            at = end;
        }
    }
    Ok(extents)
}

/// Writes an image to an export that may be written to.
pub(crate) struct NbdSink(Pool);

impl NbdSink {
    pub(crate) fn open(path: &Path, export: &str, waits: Waits) -> Result<(Self, u64)> {
        let nbd = Nbd::connect(path, export, None, waits.clone())?;
        let size_bytes = nbd.size_bytes();
        let (path, export, idle) = (path.to_owned(), export.to_owned(), Mutex::new(vec![nbd]));
        Ok((Self(Pool { path, export, context: None, waits, idle }), size_bytes))
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.with(|nbd| nbd.write(offset, bytes))
    }

    /// What was written by any connection is then on the disk.
    pub(crate) fn flush(&self) -> Result<()> {
        self.0.with(Nbd::flush)
    }
}

/// What it guards is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
