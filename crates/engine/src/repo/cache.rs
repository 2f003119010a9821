//! The local cache: index segments in searchable form and small immutable objects as stored
//! (sealed). Never the truth; bounded by what the repository holds; may be deleted any time.
//! Without a directory everything stays in memory.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::id::RandomId;

/// What is kept, each in a directory of its own.
const KINDS: [&str; 3] = ["index", "fate", "retired"];

#[derive(Clone, Debug, Default)]
pub struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// `<root>/<repository id>/`; if it cannot be made, there is no cache.
    pub fn open(root: Option<&Path>, repository: RandomId) -> Self {
        let dir = root.map(|root| root.join(repository.to_string()));
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let dir = dir.filter(|dir| {
            let made =
                KINDS.iter().try_for_each(|kind| builder.create(dir.join(kind)));
            if let Err(error) = &made {
                tracing::warn!(dir = %dir.display(), %error, "no local cache: directory cannot be made");
            }
            made.is_ok()
        });
        Self { dir }
    }

    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Where the local form of a segment is or goes.
    pub fn segment_path(&self, segment: &str) -> Option<PathBuf> {
        let name = segment.strip_prefix("index/")?;
        self.dir.as_ref().map(|dir| dir.join("index").join(name))
    }

    /// Removes local forms of segments that do not count any more.
    pub fn keep_segments(&self, wanted: &[String]) {
        let Some(dir) = &self.dir else { return };
        let Ok(entries) = fs::read_dir(dir.join("index")) else { return };
        let wanted: HashSet<&str> =
            wanted.iter().filter_map(|w| w.strip_prefix("index/")).collect();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| wanted.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Names of all kept objects of a kind, whether or not they open.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let Some(dir) = &self.dir else { return Vec::new() };
        let Ok(entries) = fs::read_dir(dir.join(kind)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.map(|name| format!("{kind}/{name}")).collect()
    }

    fn object_path(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    /// A fate or a retired list as stored; it is checked like any other object when it is opened.
    pub fn object(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.object_path(name)?).ok()
    }

    pub fn keep_object(&self, name: &str, sealed: &[u8]) {
        if let Some(path) = self.object_path(name) {
            let temporary = path.with_extension("new");
            let _ = fs::write(&temporary, sealed).and_then(|()| fs::rename(&temporary, &path));
        }
    }

    pub fn forget_object(&self, name: &str) {
        if let Some(path) = self.object_path(name) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the local form of the index. Fates and lists never change, and may be all that is
    /// left of what the store lost.
    pub fn clear(&self) {
        if let Some(dir) = &self.dir {
            let _ = fs::remove_dir_all(dir.join("index"));
            let _ = fs::create_dir_all(dir.join("index"));
        }
    }
}
