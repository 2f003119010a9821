//! Writing content: parcels to many small files, chunks to large ones.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use tintype_engine::fetch::Wanted;
use tintype_engine::format::frame::Kind as FrameKind;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::tree::{Parcel, Reference};
use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::files::image::DeviceTarget;
use tintype_source::files::{Put, Target, TempFile};

use super::Report;
use super::hold::Hold;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::queue::{Cost, Queue};

/// A file that gets its bytes from a parcel, or none.
pub(super) struct SmallFile {
    pub path: Vec<u8>,
    pub node: Node,
    pub put: Put,
    pub offset: usize,
    pub hold: Hold,
}

impl SmallFile {
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.node.extras_bytes()
    }
}

/// Where the bytes of a large file go.
enum Sink<'t> {
    File(TempFile<'t>),
    Device(DeviceTarget),
}

/// A file that several workers write. Jobs are taken in order, so no more files are open at
/// once than there are workers, however many files wait.
pub(super) struct LargeFile<'t> {
    pub path: Vec<u8>,
    pub node: Node,
    pub put: Put,
    /// The content goes onto the block device at `path`.
    is_device: bool,
    /// Opened by whoever writes first.
    sink: RwLock<Option<Sink<'t>>>,
    /// Jobs that are not done, and one for whoever still makes jobs.
    parts: AtomicUsize,
    failed: AtomicBool,
    hold: Mutex<Hold>,
}

pub(super) enum Job<'t> {
    Small { parcel: Option<Parcel>, files: Vec<SmallFile> },
    Large { file: std::sync::Arc<LargeFile<'t>>, pieces: Vec<(u64, Reference)> },
}

impl Cost for Job<'_> {
    fn cost(&self) -> usize {
        let heap = match self {
            Job::Small { files, .. } => files.iter().map(SmallFile::memory_bytes).sum(),
            Job::Large { pieces, .. } => pieces.len() * size_of::<(u64, Reference)>(),
        };
        size_of::<Self>() + heap
    }
}

/// What the threads of an applying plan share.
pub(super) struct Shared<'a, 't> {
    pub reader: &'a ContentReader<'a>,
    pub target: &'t Target,
    pub jobs: Queue<Job<'t>>,
    pub failure: Failure,
    pub progress: &'a Progress,
    pub cancel: &'a tintype_engine::cancel::Cancel,
    pub report: Mutex<Report>,
}

impl Shared<'_, '_> {
    /// Of an error of the repository or the target. What concerns one entry ends nothing; a full
    /// disk concerns them all.
    pub(super) fn failed(&self, path: &[u8], error: &Error) {
        if error.is(ErrorKind::NoSpace) {
            return self.stop(Error::no_space(format!(
                "{error}; the restore ends here: what came back so far stays, and a restore that \
                 is run again goes on from there"
            )));
        }
        Progress::add(&self.progress.problems, 1);
        let mut report = self.report.lock().expect("no panic while held");
        report.damaged += u64::from(error.is(ErrorKind::Corrupt));
        report.failed.push((path.to_vec(), error.to_string()));
    }

    /// Ends the restore; the first reason is told.
    pub(super) fn stop(&self, error: Error) {
        self.failure.set(error);
        self.jobs.abort();
    }

    /// An attribute that is lost does not make its file lost.
    pub(super) fn without_xattr(&self, path: &[u8], name: &[u8], error: &Error) {
        let mut report = self.report.lock().expect("no panic while held");
        report.damaged += u64::from(error.is(ErrorKind::Corrupt));
        let name = String::from_utf8_lossy(name);
        report.imperfect.push((path.to_vec(), format!("xattr {name} not restored: {error}")));
    }

    pub(super) fn imperfect(&self, path: &[u8], problems: Vec<tintype_model::entry::Problem>) {
        if problems.is_empty() {
            return;
        }
        let mut report = self.report.lock().expect("no panic while held");
        let text = problems.into_iter().map(|p| (path.to_vec(), p.message));
        report.imperfect.extend(text);
    }

    pub(super) fn done(&self, size: u64, is_file: bool) {
        Progress::add(&self.progress.entries, 1);
        Progress::add(&self.progress.bytes, size);
        Progress::add(&self.progress.files, u64::from(is_file));
    }
}

/// A worker's life.
pub(super) fn work(shared: &Shared<'_, '_>) -> Result<()> {
    let mut buffer = ReadBuffer::new()?;
    while let Some(job) = shared.jobs.pop() {
        shared.cancel.check()?;
        match job {
            Job::Small { parcel: None, files } => {
                files.iter().for_each(|file| write_small(shared, file, &[]));
                files.into_iter().for_each(|file| file.hold.release(shared));
            }
            Job::Small { parcel: Some(parcel), files } => {
                small_files(shared, &mut buffer, &parcel, &files)?;
                files.into_iter().for_each(|file| file.hold.release(shared));
            }
            Job::Large { file, pieces } => large_part(shared, &mut buffer, &file, &pieces)?,
        }
    }
    Ok(())
}

fn small_files(
    shared: &Shared<'_, '_>,
    buffer: &mut ReadBuffer,
    parcel: &Parcel,
    files: &[SmallFile],
) -> Result<()> {
    let wanted = [Wanted { id: parcel.id, kind: FrameKind::Parcel, tag: 0 }];
    shared.reader.fetch(&wanted, buffer, &mut |_, bytes| {
        for file in files {
            let bytes = match &bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    shared.failed(&file.path, error);
                    continue;
                }
            };
            let end = file.offset.saturating_add(file.node.size as usize);
            match bytes.get(file.offset..end) {
                Some(data) => write_small(shared, file, data),
                None => {
                    shared.failed(&file.path, &Error::corrupt("lies outside its parcel"));
                }
            }
        }
        Ok(())
    })
}

fn write_small(shared: &Shared<'_, '_>, file: &SmallFile, data: &[u8]) {
    if shared.failure.is_set() {
        return;
    }
    match shared.target.write_small(&file.path, data, &file.node, file.put) {
        Ok(problems) => {
            shared.imperfect(&file.path, problems);
            Progress::add(&shared.progress.moved_bytes, data.len() as u64);
            shared.done(data.len() as u64, true);
        }
        Err(error) => shared.failed(&file.path, &error),
    }
}

impl<'t> LargeFile<'t> {
    pub(super) fn new(path: Vec<u8>, node: Node, put: Put, hold: Hold) -> Self {
        Self {
            path,
            node,
            put,
            is_device: false,
            sink: RwLock::new(None),
            parts: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            hold: Mutex::new(hold),
        }
    }

    /// An image that is written onto a block device.
    pub(super) fn onto(device: Vec<u8>, node: Node, hold: Hold) -> Self {
        Self { is_device: true, ..Self::new(device, node, Put::Replace, hold) }
    }

    /// Before a job is made of a part of it.
    pub(super) fn begin_part(&self) {
        self.parts.fetch_add(1, Ordering::AcqRel);
    }

    /// After a job was done, and when no more jobs are made.
    pub(super) fn end_part(&self, shared: &Shared<'_, 't>) {
        if self.parts.fetch_sub(1, Ordering::AcqRel) == 1 {
            finish(shared, self);
            std::mem::take(&mut *self.hold.lock().expect("no panic while held")).release(shared);
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Before it is written to; by any number of workers. A failure is told.
    fn open(&self, shared: &Shared<'_, 't>) {
        if self.has_failed() || self.sink.read().expect("no panic while held").is_some() {
            return;
        }
        let mut sink = self.sink.write().expect("no panic while held");
        if sink.is_some() {
            return;
        }
        match Sink::open(shared.target, self) {
            Ok(opened) => *sink = Some(opened),
            Err(error) => self.fail(shared, &error),
        }
    }

    /// It will not take its name; the first reason is told.
    pub(super) fn fail(&self, shared: &Shared<'_, '_>, error: &Error) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            shared.failed(&self.path, error);
        }
    }
}

impl<'t> Sink<'t> {
    fn open(target: &'t Target, file: &LargeFile<'t>) -> Result<Self> {
        if !file.is_device {
            return Ok(Sink::File(target.begin_file(&file.path, &file.node)?));
        }
        match target.stat(&file.path)? {
            Some(standing) if standing.kind == Kind::BlockDevice => {
                Ok(Sink::Device(target.open_device(&file.path, &standing, file.node.size)?))
            }
            _ => Err(Error::denied(
                "the block device that stood there is gone; attach it and run it again",
            )),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        match self {
            Sink::File(file) => file.write_at(offset, data),
            Sink::Device(device) => device.write_at(offset, data),
        }
    }
}

/// Chunks read by one call of `fetch`.
const TOGETHER: usize = 8;

fn large_part<'t>(
    shared: &Shared<'_, 't>,
    buffer: &mut ReadBuffer,
    file: &LargeFile<'t>,
    pieces: &[(u64, Reference)],
) -> Result<()> {
    file.open(shared);
    for pieces in pieces.chunks(TOGETHER) {
        shared.cancel.check()?;
        if file.has_failed() {
            break;
        }
        let wanted: Vec<Wanted> = pieces
            .iter()
            .enumerate()
            .filter_map(|(tag, (_, r))| r.id.map(|id| Wanted { id, kind: FrameKind::Chunk, tag }))
            .collect();
        zero_holes(file, pieces).unwrap_or_else(|error| file.fail(shared, &error));
        shared.reader.fetch(&wanted, buffer, &mut |tag, bytes| {
            let (offset, reference) = &pieces[tag];
            let outcome = bytes.and_then(|bytes| {
                if bytes.len() as u64 != reference.length {
                    return Err(Error::corrupt("a chunk has not the length of its reference"));
                }
                let sink = file.sink.read().expect("no panic while held");
                match &*sink {
                    Some(sink) => sink.write_at(*offset, bytes),
                    None => Ok(()),
                }
            });
            match outcome {
                Ok(()) => Progress::add(&shared.progress.moved_bytes, reference.length),
                Err(error) => file.fail(shared, &error),
            }
            Ok(())
        })?;
    }
    file.end_part(shared);
    Ok(())
}

/// A new file has holes where nothing is written; a device must be zeroed.
fn zero_holes(file: &LargeFile<'_>, pieces: &[(u64, Reference)]) -> Result<()> {
    let sink = file.sink.read().expect("no panic while held");
    if let Some(Sink::Device(device)) = &*sink {
        for (offset, reference) in pieces.iter().filter(|(_, r)| r.id.is_none()) {
            device.zero(*offset, reference.length)?;
        }
    }
    Ok(())
}

fn finish<'t>(shared: &Shared<'_, 't>, file: &LargeFile<'t>) {
    // Nothing wrote to a file without pieces.
    file.open(shared);
    let Some(sink) = file.sink.write().expect("no panic while held").take() else { return };
    if file.has_failed() {
        return;
    }
    let finished = match sink {
        Sink::File(temporary) => temporary.finish(&file.node, file.put),
        Sink::Device(device) => device.finish().map(|()| Vec::new()),
    };
    match finished {
        Ok(problems) => {
            shared.imperfect(&file.path, problems);
            shared.done(file.node.size, true);
        }
        Err(error) => shared.failed(&file.path, &error),
    }
}
