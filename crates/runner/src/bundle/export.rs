//! Writes a bundle: first all that is said of the entries, then their content, a batch at a time:
//! while workers make one, another writes the one before.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use tintype_engine::chunker::MIN_BYTES;
use tintype_engine::crypto::age_file::{SealFor, SealedWriter};
use tintype_engine::id::ContentId;
use tintype_engine::parallel;
use tintype_engine::reader::{ContentReader, ReadBuffer};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::pieces::References;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::cancel::Cancel;
use tintype_model::entry::{Kind, ProblemKind};
use tintype_model::{Error, Result};

use super::archive::Archive;
use super::end::{Counts, End};
use super::header::Header;
use super::lines::{Lines, Selection, named};
use super::spool::Spool;
use super::tar::layout::MOST_PIECES;
use super::tar::write::TarWriter;
use super::units::{Made, Slice, Unit, Worker};
use super::zip::deflate::Packed;
use super::zip::layout::{Meta, STORED};
use super::zip::write::ZipWriter;
use super::{END, ENTRIES, HEADER};
use crate::progress::Progress;
use crate::snapshot::names::Names;
use crate::snapshot::part;

/// Content of a batch for each worker, and its steps. Two batches are held, raw and deflated.
const BATCH_BYTES: u64 = 6 << 20;
const BATCH_STEPS: usize = 8192;
const PIECE_BYTES: usize = 1 << 20;
/// Of a hole, at once.
const HOLE_BYTES: u64 = 1 << 30;

pub(super) const README: &str = "README.txt";
pub(super) const SEALED: &str = "snapshot.zip.age";

const README_TEXT: &str = "\
This is a snapshot, made by Tintype and sealed by age (https://age-encryption.org).

With the passphrase or the age identity that it was sealed for:

    unzip THIS-FILE.zip snapshot.zip.age
    age -d -o snapshot.zip snapshot.zip.age         (with an identity: age -d -i KEY-FILE -o ...)
    unzip snapshot.zip

What comes out are the files at their paths, and in tintype-*.json what a zip cannot hold.
To make a snapshot of it again, with everything: tintype repo import THIS-FILE.zip
";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Zip,
    Tar,
}

pub struct ExportOptions<'e> {
    /// Tree path; empty: everything.
    pub path: &'e [u8],
    pub format: Format,
    /// `None`: whoever gets the file reads everything.
    pub seal: Option<&'e SealFor>,
    pub workers: usize,
    /// Where the directory of a large zip waits for its end; nothing of content.
    pub scratch: &'e Path,
    pub cancel: &'e Cancel,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exported {
    pub entries: u64,
    pub bytes: u64,
    pub problems: u64,
    /// Of the file.
    pub written_bytes: u64,
}

/// Writes the snapshot to `out`, from the first byte to the last. The caller pins it. A part of one
/// is refused.
pub fn export(
    reader: &ContentReader<'_>,
    snapshot: &Snapshot,
    options: &ExportOptions<'_>,
    out: &mut (dyn Write + Send),
    progress: &Progress,
) -> Result<Exported> {
    part::refuse(snapshot)?;
    let mut out = BufWriter::with_capacity(PIECE_BYTES, Counted { out, bytes: 0 });
    let failed = |error| Error::io(error, "writing the bundle");
    let counts = match (options.seal, options.format) {
        (None, _) => plain(reader, snapshot, options, &mut out, progress)?,
        (Some(seal), Format::Tar) => {
            let mut sealed = SealedWriter::new(seal, &mut out)?;
            let counts = plain(reader, snapshot, options, &mut sealed, progress)?;
            sealed.finish().map_err(failed)?;
            counts
        }
        (Some(seal), Format::Zip) => {
            let directory = Spool::new(options.scratch, reader.repository().env());
            let mut zip = ZipWriter::new(&mut out, directory);
            zip.own(README, README_TEXT.as_bytes())?;
            zip.begin_streamed(Meta::own(SEALED), STORED, true)?;
            let mut sealed = SealedWriter::new(seal, Stored(&mut zip))?;
            let counts = plain(reader, snapshot, options, &mut sealed, progress)?;
            sealed.finish().map_err(failed)?;
            zip.end()?;
            zip.finish()?;
            counts
        }
    };
    out.flush().map_err(failed)?;
    let Counts { entries, bytes, problems } = counts;
    Ok(Exported { entries, bytes, problems, written_bytes: out.get_ref().bytes })
}

struct Counted<'o> {
    out: &'o mut (dyn Write + Send),
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The sealed member of a zip.
struct Stored<'z, 'w>(&'z mut ZipWriter<'w>);

impl Write for Stored<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.add_stored(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn plain(
    reader: &ContentReader<'_>,
    snapshot: &Snapshot,
    options: &ExportOptions<'_>,
    out: &mut (dyn Write + Send),
    progress: &Progress,
) -> Result<Counts> {
    let mut out = BufWriter::with_capacity(PIECE_BYTES, out);
    let scratch = Spool::new(options.scratch, reader.repository().env());
    let counts = match options.format {
        Format::Zip => {
            let archive = Box::new(ZipWriter::new(&mut out, scratch));
            members(reader, snapshot, options, archive, progress)?
        }
        Format::Tar => {
            let archive = Box::new(TarWriter::new(&mut out, reader)?);
            members(reader, snapshot, options, archive, progress)?
        }
    };
    out.flush().map_err(|error| Error::io(error, "writing the bundle"))?;
    Ok(counts)
}

/// Writes all members of a bundle.
fn members<'a>(
    reader: &'a ContentReader<'_>,
    snapshot: &Snapshot,
    options: &'a ExportOptions<'a>,
    mut archive: Box<dyn Archive + Send + 'a>,
    progress: &'a Progress,
) -> Result<Counts> {
    let repository = reader.repository();
    let program = &repository.identity().program;
    let Snapshot { id, manifest, standing } = snapshot;
    let header =
        Header::new(program, repository.id(), *id, options.path, manifest.clone(), standing);
    let selection = Selection { root: Root::of(manifest), path: options.path };
    let header = header.to_json()?;
    archive.own(HEADER, &header)?;
    let (counts, lines) = write_lines(reader, &selection, options, &mut *archive)?;
    let is_zip = archive.is_zip();
    let sink = Sink { archive, hasher: blake3::Hasher::new(), members: 0, progress };
    let mut content = Writing {
        reader,
        options,
        batch: Batch::default(),
        made: None,
        is_zip,
        sink: Mutex::new(sink),
        names: Names::new(),
        lists: Some(ReadBuffer::new()?),
    };
    selection.for_each(reader, options.cancel, &mut |entry| content.add(entry))?;
    // The last batch is made, then written.
    content.flush()?;
    content.flush()?;
    let mut sink = content.sink.into_inner().expect("no panic while held");
    let hash = *sink.hasher.finalize().as_bytes();
    let end = End::new(counts, sink.members, &header, lines, hash);
    sink.archive.own(END, &end.to_json()?)?;
    sink.archive.finish()?;
    Ok(counts)
}

/// Writes the second member; gives what the tree holds and the hash of the lines.
fn write_lines(
    reader: &ContentReader<'_>,
    selection: &Selection<'_>,
    options: &ExportOptions<'_>,
    archive: &mut dyn Archive,
) -> Result<(Counts, [u8; 32])> {
    let mut lines = Lines::new(reader)?;
    let mut size = 0;
    if !archive.is_zip() {
        // A tar says how long a member is before it begins.
        selection.for_each(reader, options.cancel, &mut |entry| {
            lines.write(&entry, &mut |bytes| {
                size += bytes.len() as u64;
                Ok(())
            })
        })?;
    }
    archive.begin_own(ENTRIES, size)?;
    let (mut counts, mut hasher) = (Counts::default(), blake3::Hasher::new());
    let mut waiting = Vec::with_capacity(PIECE_BYTES);
    selection.for_each(reader, options.cancel, &mut |entry| {
        counts.add(&entry);
        lines.write(&entry, &mut |bytes| {
            hasher.update(bytes);
            waiting.extend_from_slice(bytes);
            if waiting.len() >= PIECE_BYTES {
                archive.piece(&waiting, None)?;
                waiting.clear();
            }
            Ok(())
        })
    })?;
    archive.piece(&waiting, None)?;
    archive.end()?;
    Ok((counts, *hasher.finalize().as_bytes()))
}

/// What the archive is told, in order; content is a unit's, and of it a file.
enum Step {
    Bare(TreeEntry),
    Link(TreeEntry, Vec<u8>),
    Empty(TreeEntry),
    Whole(TreeEntry, usize, usize),
    Begin(TreeEntry, Option<Vec<Range<u64>>>),
    Piece(usize),
    Hole(u64),
    End,
}

#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    units: Vec<Unit>,
    /// Units of parcels.
    parcels: HashMap<ContentId, usize>,
    bytes: u64,
}

/// A batch whose content was made.
struct Ready {
    steps: Vec<Step>,
    made: Vec<Made>,
}

struct Sink<'s> {
    archive: Box<dyn Archive + Send + 's>,
    hasher: blake3::Hasher,
    members: u64,
    progress: &'s Progress,
}

struct Writing<'s, 'r> {
    reader: &'s ContentReader<'r>,
    options: &'s ExportOptions<'s>,
    batch: Batch,
    made: Option<Ready>,
    is_zip: bool,
    sink: Mutex<Sink<'s>>,
    /// Of files with several names, the first, for a tar.
    names: Names<Vec<u8>>,
    lists: Option<ReadBuffer>,
}

/// Whether there is a member for the content of an entry.
pub(super) fn has_member(entry: &tintype_model::entry::Node) -> bool {
    entry.kind.has_content() && (entry.size > 0 || !entry.is_lost())
}

impl Writing<'_, '_> {
    fn add(&mut self, entry: TreeEntry) -> Result<()> {
        if !entry.node.kind.has_content() {
            self.batch.steps.push(Step::Bare(entry));
        } else if !has_member(&entry.node) {
            return Ok(());
        } else if let Some(first) = self.first_name(&entry) {
            self.batch.steps.push(Step::Link(entry, first));
        } else {
            self.content(entry)?;
        }
        self.flush_if_full()
    }

    /// The name under which a tar holds the file already.
    fn first_name(&mut self, entry: &TreeEntry) -> Option<Vec<u8>> {
        let node = &entry.node;
        let is_gone = node.problem().is_some_and(|p| p.kind == ProblemKind::Vanished);
        if self.is_zip || node.kind != Kind::File || node.is_lost() || is_gone {
            return None;
        }
        let first = self.names.follow(&entry.path, node);
        if first.is_none() {
            self.names.meet(&entry.path, node, || entry.path.clone());
        }
        first
    }

    fn content(&mut self, entry: TreeEntry) -> Result<()> {
        let batch = &mut self.batch;
        match &entry.content {
            Content::None => batch.steps.push(Step::Empty(entry)),
            Content::Slot(slot) => {
                let slice = Slice {
                    path: entry.path.clone(),
                    offset: slot.offset,
                    size: entry.node.size,
                    digest: slot.digest,
                };
                let parcel = slot.parcel;
                let unit = *batch.parcels.entry(parcel.id).or_insert_with(|| {
                    batch.units.push(Unit::Parcel { parcel, files: Vec::new() });
                    batch.bytes += u64::from(parcel.raw_bytes);
                    batch.units.len() - 1
                });
                let Unit::Parcel { files, .. } = &mut batch.units[unit] else {
                    return Err(Error::internal("a parcel is no parcel"));
                };
                files.push(slice);
                let file = files.len() - 1;
                batch.steps.push(Step::Whole(entry, unit, file));
            }
            Content::References { depth: 0, list }
                if entry.node.size < MIN_BYTES as u64 && list.iter().all(|r| r.id.is_some()) =>
            {
                batch.bytes += entry.node.size;
                batch.units.push(Unit::Whole(entry.clone()));
                batch.steps.push(Step::Whole(entry, batch.units.len() - 1, 0));
            }
            Content::References { .. } => return self.large(entry),
        }
        Ok(())
    }

    /// Piece by piece, with as many batches as it takes.
    fn large(&mut self, entry: TreeEntry) -> Result<()> {
        let Content::References { depth, list } = &entry.content else {
            return Err(Error::internal("no references"));
        };
        let (depth, list, path) = (*depth, list.clone(), entry.path.clone());
        let mut lists = match self.lists.take() {
            Some(lists) => lists,
            None => ReadBuffer::new()?,
        };
        let mut data = None;
        if !self.is_zip {
            let references = References::new(self.reader, &mut lists, depth, list.clone());
            data = Some(data_of(references).map_err(|error| named(&entry, error))?);
        }
        let mut left = entry.node.size;
        self.batch.steps.push(Step::Begin(entry, data));
        let shown = || format!("/{}", String::from_utf8_lossy(&path));
        for reference in References::new(self.reader, &mut lists, depth, list) {
            let reference = reference.map_err(|error| error.context(shown()))?;
            let length = reference.length;
            left = left.checked_sub(length).ok_or_else(|| too_long(&shown()))?;
            match reference.id {
                // Piece by piece: somebody may ask to stop.
                None => {
                    for start in (0..length).step_by(HOLE_BYTES as usize) {
                        self.options.cancel.check()?;
                        self.batch.steps.push(Step::Hole(HOLE_BYTES.min(length - start)));
                        self.flush_if_full()?;
                    }
                }
                Some(id) => {
                    self.batch.units.push(Unit::Chunk { id, length, path: path.clone() });
                    self.batch.steps.push(Step::Piece(self.batch.units.len() - 1));
                    self.batch.bytes += length;
                }
            }
            self.options.cancel.check()?;
            self.flush_if_full()?;
        }
        if left > 0 {
            return Err(too_long(&shown()));
        }
        self.lists = Some(lists);
        self.batch.steps.push(Step::End);
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<()> {
        let most_bytes = BATCH_BYTES * self.options.workers.max(1) as u64;
        let is_full = self.batch.bytes >= most_bytes || self.batch.steps.len() >= BATCH_STEPS;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Makes the content of this batch while the one before is written.
    fn flush(&mut self) -> Result<()> {
        enum Work<'w> {
            Write,
            Make(&'w Unit),
        }
        let batch = std::mem::take(&mut self.batch);
        let before = Mutex::new(self.made.take());
        let works: Vec<Work<'_>> =
            std::iter::once(Work::Write).chain(batch.units.iter().map(Work::Make)).collect();
        let (reader, cancel, is_zip) = (self.reader, self.options.cancel, self.is_zip);
        let sink = &self.sink;
        let done = parallel::map(
            reader.repository().env(),
            self.options.workers.max(1) + 1,
            &works,
            Worker::new,
            |worker, work| {
                cancel.check()?;
                match work {
                    Work::Make(unit) => worker.make(reader, unit, is_zip).map(Some),
                    Work::Write => {
                        let ready = before.lock().expect("no panic while held").take();
                        let mut sink = sink.lock().expect("no panic while held");
                        ready.map_or(Ok(()), |ready| sink.write(ready, cancel)).map(|()| None)
                    }
                }
            },
        )?;
        let made = done.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        self.made = Some(Ready { steps: batch.steps, made });
        Ok(())
    }
}

fn too_long(shown: &str) -> Error {
    Error::corrupt(format!("{shown}: its content has another length than its size"))
}

/// Where content is no hole, neighbours joined.
fn data_of(references: References<'_, '_>) -> Result<Vec<Range<u64>>> {
    let (mut data, mut at) = (Vec::<Range<u64>>::new(), 0u64);
    for reference in references {
        let reference = reference?;
        let end = at.saturating_add(reference.length);
        if reference.id.is_some() {
            match data.last_mut() {
                Some(last) if last.end == at => last.end = end,
                _ => data.push(at..end),
            }
        }
        if data.len() > MOST_PIECES {
            return Err(Error::unsupported("it has too many holes for a tar; a zip can hold it"));
        }
        at = end;
    }
    Ok(data)
}

impl Sink<'_> {
    fn write(&mut self, ready: Ready, cancel: &Cancel) -> Result<()> {
        let Ready { steps, mut made } = ready;
        for step in steps {
            cancel.check()?;
            match step {
                Step::Bare(entry) => {
                    self.members += u64::from(self.archive.bare(&entry)?);
                    self.count(&entry);
                }
                Step::Link(entry, first) => {
                    self.archive.link(&entry, &first)?;
                    self.member(&entry);
                    self.count(&entry);
                }
                Step::Empty(entry) => {
                    let nothing = Packed { crc: crc32fast::Hasher::new(), deflated: None };
                    self.archive.whole(&entry, &[], Some(nothing))?;
                    self.member(&entry);
                    self.count(&entry);
                }
                Step::Whole(entry, unit, file) => {
                    let (raw, packed) = made[unit].file(file);
                    self.hasher.update(raw);
                    self.archive.whole(&entry, raw, packed)?;
                    Progress::add(&self.progress.moved_bytes, raw.len() as u64);
                    self.member(&entry);
                    self.count(&entry);
                }
                Step::Begin(entry, data) => {
                    self.archive.begin(&entry, data.as_deref())?;
                    self.member(&entry);
                    self.count(&entry);
                }
                Step::Piece(unit) => {
                    let (raw, packed) = made[unit].file(0);
                    self.hasher.update(raw);
                    self.archive.piece(raw, packed)?;
                    Progress::add(&self.progress.moved_bytes, raw.len() as u64);
                }
                Step::Hole(length) => self.archive.hole(length)?,
                Step::End => self.archive.end()?,
            }
        }
        Ok(())
    }

    fn member(&mut self, entry: &TreeEntry) {
        self.members += 1;
        self.progress.at(&entry.path);
    }

    fn count(&self, entry: &TreeEntry) {
        Progress::add(&self.progress.entries, 1);
        Progress::add(&self.progress.files, u64::from(entry.node.kind.has_content()));
        Progress::add(&self.progress.problems, u64::from(entry.is_problem()));
    }
}
