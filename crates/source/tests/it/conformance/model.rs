//! A tree as text: what is at each path.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tintype_model::entry::Kind;
use tintype_source::files::Found;

/// Paths below a top, each with all that is known of it; the top is an empty path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(pub BTreeMap<Vec<u8>, Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    is_directory: bool,
    /// What a restore must bring back.
    what: String,
    /// What only a snapshot of the same files has.
    identity: String,
}

impl Model {
    pub(crate) fn of(mut all: Vec<Found>) -> Self {
        let entry = |found: &mut Found| {
            found.load_extras();
            let path = found.path.strip_prefix(b"t").unwrap();
            let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
            let content = content(found);
            let node = &found.node;
            assert_eq!(node.problem(), None, "{}", String::from_utf8_lossy(&path));
            let what = format!(
                "{:?} {:o} {}:{} {:?} {} bytes {content:x} {:?}",
                node.kind,
                node.mode,
                node.owner.uid,
                node.owner.gid,
                node.mtime,
                node.size,
                node.extras
            );
            let identity = format!("{:?} {} {}", node.ctime, node.inode, node.links);
            (path, Entry { is_directory: node.kind == Kind::Directory, what, identity })
        };
        Self(all.iter_mut().map(entry).collect())
    }

    /// What a restore must bring back.
    pub(crate) fn state(&self) -> String {
        let line = |(path, entry): (&Vec<u8>, &Entry)| {
            format!("{:?}: {}\n", String::from_utf8_lossy(path), entry.what)
        };
        self.0.iter().map(line).collect()
    }

    /// This, with what is named taken from `new`: what a snapshot does that is told what changed.
    pub(crate) fn updated(&self, names: &[Vec<u8>], new: &Self) -> Self {
        let mut made = self.clone();
        for name in names.iter().chain([&Vec::new()]) {
            let is_directory =
                |model: &Self| model.0.get(name).is_some_and(|entry| entry.is_directory);
            if is_directory(&made) && is_directory(new) {
                made.0.insert(name.clone(), new.0[name].clone());
                continue;
            }
            let below = [name, &b"/"[..]].concat();
            let is_there = |path: &[u8]| path == name || path.starts_with(&below);
            made.0.retain(|path, _| !is_there(path));
            let fresh = new.0.iter().filter(|(path, _)| is_there(path));
            made.0.extend(fresh.map(|(path, entry)| (path.clone(), entry.clone())));
        }
        made
    }
}

fn content(found: &mut Found) -> u64 {
    let mut hasher = DefaultHasher::new();
    if found.node.kind == Kind::File
        && let Ok(file) = found.open()
    {
        file.load_extras(&mut found.node);
        let mut buffer = vec![0; 1 << 16];
        let mut offset = 0;
        loop {
            let length = file.read_full_at(&mut buffer, offset).unwrap();
            buffer[..length].hash(&mut hasher);
            offset += length as u64;
            if length < buffer.len() {
                break;
            }
        }
    }
    hasher.finish()
}
