//! Files out of a disk, with what that says of them, into a directory of this host.
//!
//! Names come from a guest that nobody trusts: one that is no name of a file is refused, and all is
//! written through a [`Target`], which nothing leaves. What goes wrong with one entry is told, and
//! the others still come out.

use std::path::Path;

use tintype_engine::cancel::Cancel;
use tintype_model::entry::{Kind, Node, Problem, is_valid_path};
use tintype_model::{Error, ErrorKind, Result};
use tintype_source::disk::{DiskEntry, DiskFiles, Visit, walk};
use tintype_source::files::{Owners, Put, Target, TargetOptions};

use crate::progress::Progress;
use crate::restore::{Claim, make_base};

/// As long as names can be.
const NAME_BYTES: usize = 255;
/// Zeros of at least this become holes.
const HOLE_BYTES: usize = 64 << 10;

/// A directory that files are put into; nobody else restores there while it lives.
pub struct Place {
    pub target: Target,
    _claim: Claim,
}

impl Place {
    /// One that does not exist is made for its owner alone: what comes into it may have been below a
    /// directory that others could not enter.
    pub fn open(dir: &Path, owners: Owners, nonce: u64) -> Result<Self> {
        let made = make_base(dir);
        made.map_err(|error| Error::io(error, format_args!("cannot make {}", dir.display())))?;
        let claim = Claim::take([dir.to_path_buf()])?;
        let options = TargetOptions { owners, nonce, ..TargetOptions::default() };
        Ok(Self { target: Target::open(dir, options)?, _claim: claim })
    }
}

pub struct Extract<'e> {
    pub files: &'e dyn DiskFiles,
    /// Of the partition that they lie on.
    pub size_bytes: u64,
    pub target: &'e Target,
    /// Whether files that exist are replaced.
    pub put: Put,
    pub progress: &'e Progress,
    pub cancel: &'e Cancel,
}

/// What was done. Paths are those below the target.
#[derive(Debug, Default)]
pub struct Extracted {
    pub entries: u64,
    pub files: u64,
    pub bytes: u64,
    /// What does not stand in the target, and why.
    pub failed: Vec<(Vec<u8>, String)>,
    /// How many of these failed because the repository is damaged.
    pub damaged: u64,
    /// What is there, but not with all that the disk says of it.
    pub imperfect: Vec<(Vec<u8>, String)>,
    /// Sockets: programs that listen make them.
    pub sockets: u64,
}

impl Extract<'_> {
    /// The content of a directory into the target, or anything else by its name. An error ends it;
    /// what concerns one entry is in the report.
    pub fn run(&self, path: &[u8]) -> Result<Extracted> {
        let mut done = Extracted::default();
        let found = self.files.stat(path)?;
        if found.node.kind == Kind::Directory {
            self.below(path, &mut done)?;
        } else {
            self.entry(path, &found.name.clone(), &found, &mut done)?;
        }
        let late = self.target.complete();
        done.imperfect.extend(late.into_iter().map(|(path, problem)| (path, problem.message)));
        self.target.sync()?;
        Ok(done)
    }

    fn below(&self, top: &[u8], done: &mut Extracted) -> Result<()> {
        let skip = if top.is_empty() { 0 } else { top.len() + 1 };
        walk(self.files, top, self.size_bytes, &mut |visit| {
            self.cancel.check()?;
            match visit {
                Visit::Entry(path, entry) => {
                    self.entry(path, &path[skip..], entry, done)?;
                }
                Visit::Enter(path, entry) => {
                    let to = &path[skip..];
                    let made = named(entry).and_then(|()| self.target.make_dir(to));
                    return self.is_done(made, to, done).map(|made| made.is_some());
                }
                Visit::Leave(path, entry) => {
                    let to = &path[skip..];
                    let finished = self.target.finish_dir(to, &entry.node);
                    if let Some(problems) = self.is_done(finished, to, done)? {
                        self.count(to, 0, problems, done);
                    }
                }
                Visit::Failed(path, error) => {
                    let to = path.get(skip..).unwrap_or_default();
                    self.failed(to, error, done)?;
                }
            }
            Ok(true)
        })
    }

    fn entry(&self, from: &[u8], to: &[u8], entry: &DiskEntry, done: &mut Extracted) -> Result<()> {
        self.progress.at(to);
        if entry.node.kind == Kind::Socket {
            done.sockets += 1;
            return Ok(());
        }
        let written = named(entry).and_then(|()| self.write(from, to, &entry.node));
        if let Some(problems) = self.is_done(written, to, done)? {
            self.count(to, entry.node.size, problems, done);
            let files = u64::from(entry.node.kind == Kind::File);
            done.files += files;
            Progress::add(&self.progress.files, files);
        }
        Ok(())
    }

    fn write(&self, from: &[u8], to: &[u8], node: &Node) -> Result<Vec<Problem>> {
        if self.put == Put::New && self.target.stat(to)?.is_some() {
            return Err(Error::already_exists("something stands there; --overwrite replaces it"));
        }
        match node.kind {
            Kind::File => self.content(from, to, node),
            Kind::Symlink => self.target.symlink(to, node, self.put),
            Kind::Fifo => self.target.special(to, node, self.put),
            Kind::Unknown => {
                let why = node.problem().map_or("it cannot be looked at", |p| &p.message);
                Err(Error::invalid(why))
            }
            _ => Err(Error::unsupported("the number of a device is not read out of an image")),
        }
    }

    fn content(&self, from: &[u8], to: &[u8], node: &Node) -> Result<Vec<Problem>> {
        let file = self.target.begin_file(to, node)?;
        let mut at = 0;
        let length = self.files.read(from, &mut |bytes| {
            for part in bytes.chunks(HOLE_BYTES) {
                self.cancel.check()?;
                if part.iter().any(|byte| *byte != 0) {
                    file.write_at(at, part)?;
                }
                at += part.len() as u64;
            }
            Progress::add(&self.progress.moved_bytes, bytes.len() as u64);
            Ok(())
        })?;
        if length != node.size {
            let size = node.size;
            return Err(Error::invalid(format!("has {length} of {size} bytes on the disk")));
        }
        file.finish(node, self.put)
    }

    /// What it gave; nothing if that concerns this entry alone, and is noted.
    fn is_done<T>(&self, result: Result<T>, to: &[u8], done: &mut Extracted) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.failed(to, &error, done).map(|()| None),
        }
    }

    fn failed(&self, to: &[u8], error: &Error, done: &mut Extracted) -> Result<()> {
        if matches!(error.kind(), ErrorKind::Canceled | ErrorKind::NoSpace) {
            return Err(Error::new(error.kind(), error.to_string()));
        }
        Progress::add(&self.progress.problems, 1);
        done.damaged += u64::from(error.is(ErrorKind::Corrupt));
        done.failed.push((to.to_vec(), error.to_string()));
        Ok(())
    }

    fn count(&self, to: &[u8], size: u64, problems: Vec<Problem>, done: &mut Extracted) {
        done.entries += 1;
        done.bytes += size;
        done.imperfect.extend(problems.into_iter().map(|p| (to.to_vec(), p.message)));
        Progress::add(&self.progress.entries, 1);
        Progress::add(&self.progress.bytes, size);
    }
}

/// Whether it bears a name that a file can have.
fn named(entry: &DiskEntry) -> Result<()> {
    let name = &entry.name;
    if is_valid_path(name, NAME_BYTES) && !name.contains(&b'/') {
        return Ok(());
    }
    Err(Error::invalid("no file can have this name: the disk is damaged, or somebody made it so"))
}
