//! Small files: read one after the other into one parcel.

use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::store::Worker;
use tintype_engine::tree::{Content, Parcel, Slot, TreeEntry};
use tintype_model::Result;
use tintype_model::entry::{Node, Problem, ProblemKind};
use tintype_source::files::{Found, OpenFile};

use super::job::SmallFile;
use super::ready::ReadyFile;
use super::{KNOWN_FILES, Shared, large};
use crate::progress::Progress;

/// A parcel that grew beyond this, because files grew since they were listed, is ended.
const MOST_BYTES: usize = 2 << 20;
/// Smaller files are not worth being looked up.
const WORTH_SHARING: usize = 512;

struct Open<'b> {
    bytes: &'b mut Vec<u8>,
    /// Entries that wait for the parcel's id: number in the results, offset, digest.
    waiting: Vec<(usize, u32, [u8; 16])>,
}

pub(super) fn store(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    files: Vec<SmallFile>,
) -> Result<Vec<TreeEntry>> {
    buffer.clear();
    let count = files.len();
    let mut parcel = Open { bytes: buffer, waiting: Vec::with_capacity(count) };
    let mut read = Read { entries: Vec::with_capacity(count), grown: Vec::new() };
    let mut watch = shared.watch();
    for file in files {
        let length = read.file(shared, worker, &mut parcel, file)?;
        shared.have_read(&mut watch, 1, length);
    }
    let Read { mut entries, grown } = read;
    close(shared, worker, &mut parcel, &mut entries)?;
    let buffer = parcel.bytes;
    for (number, file) in grown {
        entries[number] = large::store(shared, worker, buffer, file)?;
    }
    Ok(entries)
}

/// Files whose bytes are at hand.
pub(super) fn store_ready(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    buffer: &mut Vec<u8>,
    files: Vec<ReadyFile>,
) -> Result<Vec<TreeEntry>> {
    buffer.clear();
    let mut parcel = Open { bytes: buffer, waiting: Vec::with_capacity(files.len()) };
    let mut entries = Vec::with_capacity(files.len());
    for ReadyFile { path, node, bytes } in files {
        let start = parcel.bytes.len();
        parcel.bytes.extend_from_slice(&bytes);
        Progress::add(&shared.progress.moved_bytes, bytes.len() as u64);
        let content = place(shared, &mut parcel, start, entries.len());
        entries.push(TreeEntry { content, ..bare(path, node) });
    }
    close(shared, worker, &mut parcel, &mut entries)?;
    Ok(entries)
}

/// What came of the files of one job.
struct Read {
    entries: Vec<TreeEntry>,
    /// Not small any more, with their place among the entries.
    grown: Vec<(usize, Found)>,
}

impl Read {
    /// Reads one file; how many bytes.
    fn file(
        &mut self,
        shared: &Shared<'_, '_>,
        worker: &mut Worker,
        parcel: &mut Open<'_>,
        SmallFile { found: file, old }: SmallFile,
    ) -> Result<u64> {
        if let Some(old) = old {
            return Ok(self.again(shared, parcel, &file, *old));
        }
        let start = parcel.bytes.len();
        let mut node = file.node.clone();
        let outcome = file.open().and_then(|open| {
            open.refresh(&mut node);
            open.load_extras(&mut node);
            read(&open, &node, parcel.bytes).map(|()| open)
        });
        match outcome {
            Ok(open) if parcel.bytes.len() - start < MIN_BYTES => {
                finish(&open, &mut node, parcel.bytes.len() - start);
            }
            Ok(_) => {
                parcel.bytes.truncate(start);
                self.grown.push((self.entries.len(), file));
                self.entries.push(bare(Vec::new(), node));
                return Ok(0);
            }
            Err(problem) => {
                parcel.bytes.truncate(start);
                failed(shared, &mut node, problem);
            }
        }
        let length = (parcel.bytes.len() - start) as u64;
        Progress::add(&shared.progress.moved_bytes, length);
        let content = place(shared, parcel, start, self.entries.len());
        self.entries.push(TreeEntry { content, ..bare(file.path, node) });
        if parcel.bytes.len() > MOST_BYTES {
            close(shared, worker, parcel, &mut self.entries)?;
        }
        Ok(length)
    }
}

impl Read {
    /// Puts a file that did not change into this parcel, as it was. What cannot be read, or reads
    /// otherwise although nothing says that it changed, stays where it is stored.
    fn again(
        &mut self,
        shared: &Shared<'_, '_>,
        parcel: &mut Open<'_>,
        file: &Found,
        old: TreeEntry,
    ) -> u64 {
        let start = parcel.bytes.len();
        let read = file.open().and_then(|open| read(&open, &old.node, parcel.bytes));
        let digest = shared.store.repository().keys().file_digest(&parcel.bytes[start..]);
        if read.is_err() || !matches!(&old.content, Content::Slot(slot) if slot.digest == digest) {
            parcel.bytes.truncate(start);
            if read.is_ok() {
                let path = String::from_utf8_lossy(&old.path);
                tracing::warn!(%path, "reads otherwise than it was stored, although by size and \
                                       times it did not change; what was stored is kept");
            }
            self.entries.push(old);
            return 0;
        }
        let length = (parcel.bytes.len() - start) as u64;
        Progress::add(&shared.progress.moved_bytes, length);
        let content = place(shared, parcel, start, self.entries.len());
        self.entries.push(TreeEntry { content, ..old });
        length
    }
}

pub(super) fn bare(path: Vec<u8>, node: Node) -> TreeEntry {
    TreeEntry { path, node, content: Content::None, large_xattrs: Vec::new() }
}

/// Reads all of a file, but no more than shows that it is not small.
fn read(open: &OpenFile, node: &Node, out: &mut Vec<u8>) -> Result<(), Problem> {
    let start = out.len();
    // One byte more than expected, so that the end is seen by the same call.
    let mut room = (node.size as usize).min(MIN_BYTES) + 1;
    loop {
        let at = out.len();
        out.resize(at + room, 0);
        let length = open.read(&mut out[at..])?;
        out.truncate(at + length);
        if length < room && out.len() - start >= node.size as usize {
            return Ok(());
        }
        if length == 0 || out.len() - start >= MIN_BYTES {
            return Ok(());
        }
        room = (room - length).max(16 << 10);
    }
}

/// What was read is what is recorded; if the file changed meanwhile, that is said.
fn finish(open: &OpenFile, node: &mut Node, length: usize) {
    let changed = open.changed(node) || length as u64 != node.size;
    node.size = length as u64;
    if changed && node.problem().is_none() {
        node.extras_mut().problem = Some(Problem {
            kind: ProblemKind::Changed,
            message: "changed while it was read".into(),
        });
    }
}

pub(super) fn failed(shared: &Shared<'_, '_>, node: &mut Node, problem: Problem) {
    if problem.kind.makes_incomplete() {
        Progress::add(&shared.progress.problems, 1);
    }
    node.size = 0;
    node.extras_mut().problem = Some(problem);
}

/// Finds an equal file of this run, or leaves the bytes in the parcel.
fn place(shared: &Shared<'_, '_>, parcel: &mut Open<'_>, start: usize, number: usize) -> Content {
    let bytes = &parcel.bytes[start..];
    if bytes.is_empty() {
        return Content::None;
    }
    let digest = shared.store.repository().keys().file_digest(bytes);
    if bytes.len() >= WORTH_SHARING {
        let known = shared.known.lock().expect("no panic while held");
        if let Some((parcel_number, offset)) = known.slots.get(&digest) {
            let slot =
                Slot { parcel: known.parcels[*parcel_number as usize], offset: *offset, digest };
            parcel.bytes.truncate(start);
            return Content::Slot(slot);
        }
    }
    parcel.waiting.push((number, start as u32, digest));
    Content::None
}

/// Stores the parcel and tells the waiting entries where their bytes are.
fn close(
    shared: &Shared<'_, '_>,
    worker: &mut Worker,
    open: &mut Open<'_>,
    entries: &mut [TreeEntry],
) -> Result<()> {
    if open.waiting.is_empty() {
        return Ok(());
    }
    let stored = shared.store.put(worker, FrameKind::Parcel, open.bytes)?;
    let parcel = Parcel {
        id: stored.id,
        raw_bytes: open.bytes.len() as u32,
        files: open.waiting.len() as u32,
    };
    let mut known = shared.known.lock().expect("no panic while held");
    let number = known.parcels.len() as u32;
    known.parcels.push(parcel);
    for (entry, offset, digest) in open.waiting.drain(..) {
        let entry = &mut entries[entry];
        entry.content = Content::Slot(Slot { parcel, offset, digest });
        if entry.node.size as usize >= WORTH_SHARING && known.slots.len() < KNOWN_FILES {
            known.slots.insert(digest, (number, offset));
        }
    }
    drop(known);
    open.bytes.clear();
    Ok(())
}
