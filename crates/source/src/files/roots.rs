//! The roots of a walk as a tree of names: overlapping roots merge, and what lies on the way
//! to a root is known as such.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// One directory on the way to roots, or a root (which may have other roots below it: these
/// are entered even where excludes or file system limits would stop the walk).
#[derive(Debug, Default, Clone)]
pub(crate) struct Trie {
    pub children: BTreeMap<Vec<u8>, Arc<Trie>>,
    pub is_root: bool,
}

impl Trie {
    /// Of paths relative to the walk's base; an empty path is the base itself.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Arc<Self> {
        let mut top = Self::default();
        for path in paths {
            let mut at = &mut top;
            for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
                at = Arc::make_mut(at.children.entry(name.to_vec()).or_default());
            }
            at.is_root = true;
        }
        Arc::new(top)
    }

    /// The same names, none of which is entered: each is only looked at.
    pub(crate) fn into_ways(self: Arc<Self>) -> Arc<Self> {
        let children = self.children.iter();
        let children = children.map(|(name, child)| (name.clone(), Arc::clone(child).into_ways()));
        Arc::new(Self { children: children.collect(), is_root: false })
    }
}

/// Makes what a user typed into roots: absolute, with the symlinks *above* the last component
/// resolved, so that the tree paths are those of real directories. A root that is itself a
/// symlink stands for both: the link, and what it points to under its real path. A path that
/// does not exist is kept as it is, and the walk reports it.
pub fn resolve(paths: &[PathBuf], working_directory: &Path) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for path in paths {
        let path = lexical(&working_directory.join(path));
        let resolved = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                parent.canonicalize().map_or_else(|_| path.clone(), |parent| parent.join(name))
            }
            _ => path.clone(),
        };
        if resolved.is_symlink()
            && let Ok(target) = resolved.canonicalize()
        {
            roots.push(target);
        }
        roots.push(resolved);
    }
    roots.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    roots.dedup();
    roots
}

/// Without `.`; with `..` resolved by the file system where it can be.
fn lexical(path: &Path) -> PathBuf {
    let mut made = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                made = made.canonicalize().unwrap_or(made);
                made.pop();
            }
            other => made.push(other),
        }
    }
    made
}

/// The path relative to `base`, or `None` if it does not lie there.
pub(crate) fn below(base: &Path, path: &Path) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(base).ok()?;
    let plain = rest.components().all(|component| matches!(component, Component::Normal(_)));
    plain.then(|| rest.to_path_buf().into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_roots_merge_and_dots_go() {
        let roots = resolve(
            &[PathBuf::from("/usr/./bin/../share"), PathBuf::from("share")],
            Path::new("/usr"),
        );
        assert_eq!(roots, vec![PathBuf::from("/usr/share")]);
        let trie = Trie::new([&b"a/b"[..], b"a", b"c"].into_iter());
        assert!(trie.children[&b"a"[..]].is_root);
        assert!(trie.children[&b"a"[..]].children[&b"b"[..]].is_root);
        assert!(!trie.is_root);
    }

    #[test]
    fn a_root_that_is_a_link_stands_for_its_target_too() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        std::fs::create_dir(top.join("real")).unwrap();
        std::os::unix::fs::symlink("real", top.join("link")).unwrap();
        let roots = resolve(&[PathBuf::from("link")], &top);
        assert_eq!(roots, vec![top.join("link"), top.join("real")]);
    }
}
