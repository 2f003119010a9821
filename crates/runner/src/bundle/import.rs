//! Makes a snapshot of a bundle. Lines and members are read side by side and compared; whatever is
//! wrong ends it before there is a snapshot.

use std::sync::Mutex;

use serde_json::{Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::{Change, Manifest};
use tintype_engine::id::{SnapshotId, encode_hex};
use tintype_engine::repo::Repository;
use tintype_engine::tree::{Content as TreeContent, TreeEntry};
use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, ErrorKind, Result};

use super::end::{Counts, End};
use super::export::has_member;
use super::header::Header;
use super::listing::{Listed, Listing};
use super::names;
use super::open::{Bundle, Members};
use super::record::Form;
use super::tar::layout::{FILE, LINK, type_of};
use super::{END, IMPORTED};
use crate::progress::Progress;
use crate::snapshot::part::{JOINED, PART};
use crate::snapshot::ready::{Content, ReadyFile, Run, Shelf, is_small};
use crate::snapshot::{self, Input, Labels, Ready, SnapshotOptions};
use crate::vault::MANAGER;

/// Of a hole, at once.
const HOLE_BYTES: u64 = 256 << 20;
/// Annotations that a bundle may bring.
const MOST_HOLDS: usize = 1000;

pub struct ImportOptions {
    pub workers: usize,
    pub cancel: Cancel,
    /// Content bytes; more are refused.
    pub most_bytes: Option<u64>,
    /// What a manager says of the import, in place of what one said of the original.
    pub manager: Option<Value>,
}

/// What came of it.
#[derive(Debug)]
pub struct Imported {
    pub id: SnapshotId,
    pub manifest: Manifest,
    /// What was said of the original and is not of the import.
    pub lock_left: Option<jiff::Timestamp>,
}

/// Stores all that the bundle holds as a new snapshot.
pub fn import(
    repository: &Repository,
    bundle: Bundle,
    options: &ImportOptions,
    progress: &Progress,
) -> Result<Imported> {
    let Bundle { header, header_text, members, listing } = bundle;
    announced(&header, options, progress)?;
    let counts = Mutex::new(Counts::default());
    let mut reading = Reading {
        header_text,
        members,
        listing,
        counts: Counts::default(),
        count_members: 0,
        hasher: blake3::Hasher::new(),
        most_bytes: options.most_bytes,
        piece: Vec::new(),
    };
    let give = Box::new(|shelf: &mut Shelf<'_, '_, '_>| {
        reading.all(shelf)?;
        *counts.lock().expect("no panic while held") = reading.counts;
        Ok(())
    });
    let taking = SnapshotOptions {
        labels: Labels::default(),
        parent: None,
        workers: options.workers,
        most_workers: options.workers,
        cancel: options.cancel.clone(),
        read_all: true,
    };
    let finish = |own: Manifest| {
        let found = *counts.lock().expect("no panic while held");
        manifest(&header, own, found, options.manager.as_ref())
    };
    let input = Input::Ready(Ready(give));
    let outcome = snapshot::run_as(repository, input, &taking, progress, &finish)?;
    hold(repository, outcome.id, &outcome.manifest, &header)?;
    let lock_left =
        header.standing.locked_until.filter(|until| *until > repository.env().clock.now());
    Ok(Imported { id: outcome.id, manifest: outcome.manifest, lock_left })
}

/// What the bundle says of itself before anything of it is read.
fn announced(header: &Header, options: &ImportOptions, progress: &Progress) -> Result<()> {
    if header.standing.holds.len() > MOST_HOLDS {
        return Err(Error::unsupported(format!("the bundle brings more than {MOST_HOLDS} holds")));
    }
    if !header.is_whole() {
        return Ok(());
    }
    let Manifest { entries, bytes, .. } = header.manifest;
    if options.most_bytes.is_some_and(|most| bytes > most) {
        return Err(too_large(bytes));
    }
    Progress::add(&progress.total_entries, entries);
    Progress::add(&progress.total_bytes, bytes);
    Ok(())
}

fn too_large(bytes: u64) -> Error {
    Error::invalid(format!(
        "the bundle holds {bytes} bytes or more, which is more than --max-size allows"
    ))
}

/// The manifest of the import: what is said of the original, of the tree that was made.
fn manifest(
    header: &Header,
    own: Manifest,
    counts: Counts,
    manager: Option<&Value>,
) -> Result<Manifest> {
    let said = &header.manifest;
    let found = (own.entries, own.bytes, own.problems);
    let is_right = found == (counts.entries, counts.bytes, counts.problems)
        && (!header.is_whole() || found == (said.entries, said.bytes, said.problems))
        && !(header.is_whole() && said.complete && said.problems > 0);
    if !is_right {
        return Err(Error::corrupt(format!(
            "{}: announces other entries, bytes or problems than the bundle holds",
            super::HEADER
        )));
    }
    let path = header.path()?;
    let shown = String::from_utf8_lossy(&path);
    let (scope, paths, roots, complete) = if header.is_whole() {
        (said.scope.clone(), said.paths.clone(), said.roots.clone(), said.complete)
    } else {
        // Of what lay below `files` the path is the one that it was captured from.
        let captured = shown.strip_prefix("files").unwrap_or(&shown);
        let captured = format!("/{}", captured.trim_start_matches('/'));
        ("partial".into(), vec![captured], vec![encode_hex(&path)], own.problems == 0)
    };
    Ok(Manifest {
        scope,
        time: said.time,
        host: said.host.clone(),
        user: said.user.clone(),
        program: said.program.clone(),
        paths,
        roots,
        tags: header.standing.tags.clone(),
        note: header.standing.note.clone(),
        expiry: header.standing.expiry,
        complete,
        options: options_of(header, manager),
        ..own
    })
}

/// How the original was taken, and where the bundle says it is from: for people.
fn options_of(header: &Header, manager: Option<&Value>) -> Value {
    let mut options = match &header.manifest.options {
        Value::Object(options) => options.clone(),
        _ => serde_json::Map::new(),
    };
    let from = json!({
        "repository": header.repository,
        "snapshot": header.snapshot,
        "origin": header.manifest.origin,
        "program": header.program,
    });
    // Whatever it says, it is a snapshot of its own here.
    options.remove(PART);
    options.remove(JOINED);
    options.insert(IMPORTED.into(), from);
    if let Some(manager) = manager {
        options.insert(MANAGER.into(), manager.clone());
    }
    Value::Object(options)
}

/// Holds go with it, as with a copy.
fn hold(
    repository: &Repository,
    id: SnapshotId,
    manifest: &Manifest,
    header: &Header,
) -> Result<()> {
    let by = format!("import of {}/{}", header.repository, header.snapshot);
    for reason in &header.standing.holds {
        repository.annotate(id, manifest, &by, Change::Hold(reason.clone()))?;
    }
    Ok(())
}

struct Reading {
    header_text: Vec<u8>,
    members: Members,
    listing: Listing,
    counts: Counts,
    count_members: u64,
    hasher: blake3::Hasher,
    most_bytes: Option<u64>,
    piece: Vec<u8>,
}

fn named(path: &[u8], error: &Error) -> Error {
    let message = error.message();
    if message.starts_with("member ") || matches!(error.kind(), ErrorKind::Canceled) {
        return Error::new(error.kind(), message);
    }
    Error::new(error.kind(), format!("/{}: {message}", String::from_utf8_lossy(path)))
}

impl Reading {
    fn all(&mut self, shelf: &mut Shelf<'_, '_, '_>) -> Result<()> {
        while let Some(listed) = self.listing.next()? {
            shelf.beat()?;
            let path = listed.path.clone();
            self.count(&listed)?;
            self.one(shelf, listed).map_err(|error| named(&path, &error))?;
        }
        let hash = *self.hasher.finalize().as_bytes();
        let end =
            End::new(self.counts, self.count_members, &self.header_text, self.listing.hash(), hash);
        end.check(&self.members.own(END)?)?;
        self.members.finish()
    }

    fn count(&mut self, listed: &Listed) -> Result<()> {
        let Listed { path, node, .. } = listed;
        let (content, large_xattrs) = (TreeContent::None, Vec::new());
        let entry = TreeEntry { path: path.clone(), node: node.clone(), content, large_xattrs };
        self.counts.add(&entry);
        match self.most_bytes {
            Some(most) if self.counts.bytes > most => Err(too_large(self.counts.bytes)),
            _ => Ok(()),
        }
    }

    fn one(&mut self, shelf: &mut Shelf<'_, '_, '_>, listed: Listed) -> Result<()> {
        let Listed { path, node, form } = listed;
        if !node.kind.has_content() {
            self.bare(&path, &node)?;
            return shelf.bare(path, node);
        }
        if !has_member(&node) {
            return shelf.bare(path, node);
        }
        self.count_members += 1;
        if self.begin(&path, &node)? {
            return shelf.link(path, node);
        }
        if node.size == 0 {
            self.members.end()?;
            return shelf.bare(path, node);
        }
        if form == Some(Form::Parcel) && is_small(node.size) {
            let bytes = self.small(&node)?;
            return shelf.small(ReadyFile { path, node, bytes });
        }
        let mut content = Runs { reading: self, size: node.size, at: 0, hole: None, next: 0 };
        shelf.large(path, node, &mut content)?;
        content.finish()
    }

    /// Something without content: its member, if it has one, must say the same.
    fn bare(&mut self, path: &[u8], node: &Node) -> Result<()> {
        if node.is_lost() {
            return Ok(());
        }
        let target = node.extras.as_ref().map_or(&[][..], |extras| &extras.target);
        match &mut self.members {
            Members::Zip(zip) => {
                if !matches!(node.kind, Kind::Directory | Kind::Symlink) {
                    return Ok(());
                }
                zip.begin(&names::in_zip(path, node)?)?;
                if zip.size_bytes() != target.len() as u64 {
                    return Err(Error::corrupt("its member says another target, or has content"));
                }
                let mut found = vec![0; target.len()];
                fill(&mut found, &mut |out| zip.read(out))?;
                zip.end()?;
                if found != target {
                    return Err(Error::corrupt("its member says another target"));
                }
            }
            Members::Tar(tar) => {
                let Some(kind) = type_of(node.kind) else { return Ok(()) };
                tar.begin(&names::in_tar(path, node), &[kind])?;
                if node.kind == Kind::Symlink && tar.link() != target {
                    return Err(Error::corrupt("its member says another target"));
                }
                tar.end()?;
            }
        }
        self.count_members += 1;
        Ok(())
    }

    /// Begins the member of some content, which must be as long as its line says; true if it is
    /// another name of a file that came before.
    fn begin(&mut self, path: &[u8], node: &Node) -> Result<bool> {
        let size = match &mut self.members {
            Members::Zip(zip) => {
                zip.begin(&names::in_zip(path, node)?)?;
                zip.size_bytes()
            }
            Members::Tar(tar) => {
                let can_link = node.kind == Kind::File && node.links > 1 && !node.is_lost();
                let kinds = if can_link { &[FILE, LINK][..] } else { &[FILE] };
                if tar.begin(&names::in_tar(path, node), kinds)? == LINK {
                    tar.end()?;
                    return Ok(true);
                }
                tar.size_bytes()
            }
        };
        if size == node.size {
            return Ok(false);
        }
        Err(Error::corrupt(format!("its member has {size} bytes, its entry says {}", node.size)))
    }

    /// All of a small file, which has no holes.
    fn small(&mut self, node: &Node) -> Result<Vec<u8>> {
        let mut bytes = vec![0; node.size as usize];
        fill(&mut bytes, &mut |out| self.members.read(out))?;
        if let Members::Tar(tar) = &self.members
            && (tar.data().len() > 1 || tar.data().first() != Some(&(0..node.size)))
        {
            return Err(Error::corrupt("its member has holes, its entry has none"));
        }
        self.members.end()?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Reads what must be zeros, where a hole has bytes in the archive.
    fn zeros(&mut self, length: u64) -> Result<()> {
        if let Members::Tar(_) = &self.members {
            return Ok(());
        }
        let mut left = length;
        self.piece.resize(256 << 10, 0);
        while left > 0 {
            let length = left.min(self.piece.len() as u64) as usize;
            let piece = &mut self.piece[..length];
            fill(piece, &mut |out| self.members.read(out))?;
            if piece.iter().any(|byte| *byte != 0) {
                return Err(Error::corrupt("its member has bytes where its entry has a hole"));
            }
            left -= length as u64;
        }
        Ok(())
    }
}

fn fill(out: &mut [u8], read: &mut dyn FnMut(&mut [u8]) -> Result<usize>) -> Result<()> {
    let mut filled = 0;
    while filled < out.len() {
        match read(&mut out[filled..])? {
            0 => return Err(Error::corrupt("its member holds less than its entry says")),
            length => filled += length,
        }
    }
    Ok(())
}

/// The content of one entry, as its lines say where the holes are.
struct Runs<'r> {
    reading: &'r mut Reading,
    size: u64,
    at: u64,
    /// The hole that comes next, once it was asked for.
    hole: Option<(u64, u64)>,
    /// Number of the next run of data.
    next: usize,
}

impl Content for Runs<'_> {
    fn next_run(&mut self) -> Result<Option<Run>> {
        if self.at == self.size {
            return Ok(None);
        }
        let reading = &mut *self.reading;
        if self.hole.is_none() {
            self.hole = reading.listing.next_hole()?;
        }
        let (start, length) = self.hole.unwrap_or((self.size, 0));
        let end = start.checked_add(length).filter(|end| *end <= self.size && start >= self.at);
        let end = end.ok_or_else(|| Error::corrupt("its holes lie outside of it"))?;
        if start > self.at {
            let data = self.at..start;
            if let Members::Tar(tar) = &reading.members
                && tar.data().get(self.next) != Some(&data)
            {
                return Err(Error::corrupt("its member has other holes than its entry"));
            }
            self.next += 1;
            let length = start - self.at;
            self.at = start;
            return Ok(Some(Run::Data(length)));
        }
        // A piece: whoever asks shows in between that it lives.
        let piece = length.min(HOLE_BYTES);
        reading.zeros(piece)?;
        self.at = start + piece;
        self.hole = (self.at < end).then_some((self.at, length - piece));
        Ok(Some(Run::Hole(piece)))
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        let reading = &mut *self.reading;
        fill(out, &mut |out| reading.members.read(out))?;
        reading.hasher.update(out);
        Ok(())
    }
}

impl Runs<'_> {
    /// The member must have ended, and have had nothing else.
    fn finish(self) -> Result<()> {
        let reading = self.reading;
        if let Members::Tar(tar) = &reading.members
            && tar.data().len() != self.next
        {
            return Err(Error::corrupt("its member has other holes than its entry"));
        }
        reading.members.end()
    }
}
