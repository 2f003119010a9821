//! What a snapshot would hold, in a directory; restored from there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write as _};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tintype_model::entry::{Kind, Node};
use tintype_model::resource::Consistency;
use tintype_model::{Error, Result};
use tintype_source::connector::{
    Changed, Content, FilesDone, ImageSink, Part, Released, Source, Stored, StoredEntry, View,
};
use tintype_source::files::{Found, TargetOptions, WalkOptions};

use super::image;
use super::model::Model;
use crate::support::{transfer, transfer_found, walk_all};

pub(crate) type Tree = (Vec<u8>, Model, Changed<Vec<Vec<u8>>>);
pub(crate) type Image = (Vec<u8>, Changed<Vec<Range<u64>>>);

pub(crate) struct Held {
    dir: tempfile::TempDir,
    pub mark: Option<Value>,
    pub facts: Value,
    pub consistency: Consistency,
    pub why_not_more: Option<String>,
    /// Of each part that is walked: its path, the tree, and what was said to have changed.
    pub trees: Vec<Tree>,
    /// Of each image: its path, and what was said to have changed.
    pub images: Vec<Image>,
    /// Whoever reads content gets a part of it and then an error.
    pub fails: AtomicBool,
}

/// From plan to release.
pub(crate) fn capture(
    source: &mut dyn Source,
    mark: Option<&Value>,
    released: Released,
) -> Result<Held> {
    let held = through(source, mark);
    source.release(if held.is_ok() { released } else { Released::Failed })?;
    held
}

fn through(source: &mut dyn Source, mark: Option<&Value>) -> Result<Held> {
    source.plan()?;
    source.prepare(mark)?;
    let ahead = source.ahead()?;
    let ahead = Ahead::read(ahead);
    let frozen = source.freeze();
    frozen.and(source.thaw())?;
    Ok(ahead.and(source.view()?))
}

/// What comes before the window, read to its end.
pub(crate) struct Ahead {
    dir: tempfile::TempDir,
    trees: Vec<Tree>,
    images: Vec<Image>,
}

impl Ahead {
    pub(crate) fn nothing() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, trees: Vec::new(), images: Vec::new() }
    }

    pub(crate) fn read(parts: Vec<Part>) -> Self {
        let mut read = Self::nothing();
        read.keep(parts);
        read
    }

    /// Reads all of a view that continues it.
    pub(crate) fn and(mut self, view: View) -> Held {
        let View { parts, consistency, why_not_more, mark, facts, .. } = view;
        assert!(parts.is_sorted_by_key(|part| part.at.clone()), "parts are sorted");
        self.keep(parts);
        let Self { dir, trees, images } = self;
        let fails = false.into();
        Held { dir, mark, facts, consistency, why_not_more, trees, images, fails }
    }

    fn keep(&mut self, parts: Vec<Part>) {
        for part in parts {
            let to = self.dir.path().join("parts").join(OsStr::from_bytes(&part.at));
            if let Content::Files { changed, .. } = &part.content {
                std::fs::create_dir_all(&to).unwrap();
                let problems = transfer_found(walk_part(&part), &to, TargetOptions::default());
                assert!(problems.is_empty(), "{problems:?}");
                self.trees.push((part.at.clone(), Model::of(walk_part(&part)), changed.clone()));
                continue;
            }
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let mut file = File::create_new(&to).unwrap();
            match part.content {
                Content::Files { .. } => {}
                Content::Object(bytes) => file.write_all(&bytes).unwrap(),
                Content::Stream { mut read, end, .. } => {
                    std::io::copy(&mut read, &mut file).unwrap();
                    end().unwrap();
                }
                Content::Image { image: disk, changed, .. } => {
                    image::read(&*disk, &file);
                    self.images.push((part.at.clone(), changed));
                }
            }
        }
    }
}

/// What is found where a part is walked.
fn walk_part(part: &Part) -> Vec<Found> {
    let Content::Files { root, excludes, one_file_system, never_enter, grafts, .. } = &part.content
    else {
        panic!("no files");
    };
    let options = WalkOptions {
        excludes: Arc::clone(excludes),
        one_file_system: *one_file_system,
        never_enter: never_enter.clone(),
        grafts: grafts.clone(),
        ..WalkOptions::default()
    };
    walk_all(root, 1, options)
}

impl Held {
    /// Reads all of a view before which nothing came.
    pub(crate) fn of(view: View) -> Self {
        Ahead::nothing().and(view)
    }

    fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    /// Whether an image is that of the parent but for what was said to have changed.
    pub(crate) fn only_changed(&self, parent: &Self, at: &[u8], said: &[Range<u64>]) -> bool {
        let [old, new] = [parent, self].map(|held| File::open(held.path(at)).unwrap());
        image::differs_only_in(&old, &new, said)
    }

    /// Where what was captured lies as plain files.
    pub(crate) fn path(&self, at: &[u8]) -> PathBuf {
        self.dir.path().join("parts").join(OsStr::from_bytes(at))
    }
}

impl Stored for Held {
    fn list(&self, at: &[u8]) -> Result<Vec<StoredEntry>> {
        let node = |path: &Path| {
            let found = path.symlink_metadata().map_err(|e| Error::io(e, path.display()))?;
            let kind = if found.is_dir() { Kind::Directory } else { Kind::File };
            Ok::<_, Error>(Node { size: found.len(), ..Node::new(kind) })
        };
        let top = self.path(at);
        let mut all = vec![StoredEntry { at: at.to_vec(), node: node(&top)? }];
        if top.is_dir() {
            let names = std::fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            for name in names {
                let path = Path::new(OsStr::from_bytes(at)).join(&name);
                let node = node(&top.join(name))?;
                all.push(StoredEntry { at: path.into_os_string().into_vec(), node });
            }
        }
        Ok(all)
    }

    fn object(&self, at: &[u8], most_bytes: u64) -> Result<Vec<u8>> {
        let path = self.path(at);
        let bytes = std::fs::read(&path).map_err(|error| Error::io(error, path.display()))?;
        if bytes.len() as u64 > most_bytes { Err(Error::invalid("too long")) } else { Ok(bytes) }
    }

    fn read(&self, at: &[u8], consume: &mut dyn FnMut(&mut dyn Read) -> Result<()>) -> Result<()> {
        let path = self.path(at);
        let file = File::open(&path).map_err(|error| Error::io(error, path.display()))?;
        if !self.fails() {
            return consume(&mut { file });
        }
        let half = file.metadata().unwrap().len() / 2;
        consume(&mut file.take(half).chain(Broken))
    }

    fn image(&self, at: &[u8], sink: &dyn ImageSink) -> Result<()> {
        let path = self.path(at);
        let file = File::open(&path).map_err(|error| Error::io(error, path.display()))?;
        image::write(&file, sink, self.fails())
    }

    fn image_bytes(&self, at: &[u8]) -> Result<u64> {
        let path = self.path(at);
        let file = File::open(&path).map_err(|error| Error::io(error, path.display()))?;
        Ok(image::bytes(&file))
    }

    fn files(&self, at: &[u8], to: &Path) -> Result<FilesDone> {
        assert!(to.read_dir().unwrap().next().is_none(), "{} is not empty", to.display());
        if self.fails() {
            std::fs::create_dir_all(to.join("half/a tree")).unwrap();
            std::fs::write(to.join("half/a tree/file"), b"half").unwrap();
            return Err(Error::unavailable("injected"));
        }
        let problems = transfer(&self.path(at), to, TargetOptions::default());
        let failed = problems.into_iter().map(|(path, p)| (path.into_bytes(), p.message));
        Ok(FilesDone { entries: 1, bytes: 1, failed: failed.collect() })
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("injected"))
    }
}
