//! Named paths as one walk from the top: patterns leave out all else.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tintype_model::Result;

use crate::files::{Excludes, ExcludesBuilder};

/// What tells how a host reaches others, starts, and is named.
const USUAL: [&str; 16] = [
    "/etc/apt",
    "/etc/crontab",
    "/etc/exports",
    "/etc/fstab",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/NetworkManager/system-connections",
    "/etc/netplan",
    "/etc/network",
    "/etc/resolv.conf",
    "/etc/samba/smb.conf",
    "/etc/ssh",
    "/etc/sysctl.d",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/etc/yum.repos.d",
];

/// Those that are there.
pub(super) fn usual() -> Vec<&'static str> {
    USUAL.into_iter().filter(|path| Path::new(path).symlink_metadata().is_ok()).collect()
}

/// Where it is: the links on the way are followed, one at its end is not. None if it is not there, or
/// no pattern can name it.
pub(super) fn real(path: &Path) -> Option<PathBuf> {
    let real = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize().ok()?.join(name),
        _ => path.to_owned(),
    };
    (real.symlink_metadata().is_ok() && !is_unusual(&real)).then_some(real)
}

/// No pattern can name it exactly.
pub(super) fn is_unusual(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.to_str().is_none()
        || bytes.contains(&b'\n')
        || bytes.ends_with(b" ")
        || path.components().any(|part| matches!(part, Component::ParentDir | Component::CurDir))
}

/// Leaves out everything but what is named, and of that what `excludes` say.
pub(super) fn only(named: &[PathBuf], excludes: &[String]) -> Result<Excludes> {
    let named: BTreeSet<&Path> = named.iter().map(PathBuf::as_path).collect();
    let is_covered = |path: &Path| path.ancestors().skip(1).any(|above| named.contains(above));
    // By directory on the way: the names in it that are wanted.
    let mut ways: BTreeMap<(usize, PathBuf), BTreeSet<String>> = BTreeMap::new();
    ways.insert((1, PathBuf::from("/")), BTreeSet::new());
    for path in named.iter().filter(|path| !is_covered(path)) {
        for at in path.ancestors() {
            if let (Some(above), Some(name)) = (at.parent(), at.file_name()) {
                let depth = above.components().count();
                let way = ways.entry((depth, above.to_owned())).or_default();
                way.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    let mut builder = ExcludesBuilder::default();
    if !named.contains(Path::new("/")) {
        for ((_, way), names) in &ways {
            let way = escaped(&way.to_string_lossy());
            let way = way.trim_end_matches('/');
            builder.pattern(&format!("{way}/*"), "paths");
            for name in names {
                builder.pattern(&format!("!{way}/{}", escaped(name)), "paths");
            }
        }
    }
    for line in excludes {
        builder.pattern(line, "excludes");
    }
    builder.build()
}

fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for letter in path.chars() {
        if "*?[]\\!#{}".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_walked() {
        let named = ["/etc/hosts", "/etc/net*work", "/etc/net*work/inner", "/srv/a/b"];
        let excludes = only(&named.map(PathBuf::from), &["*.bak".into()]).unwrap();
        let is_out = |path: &str, dir| excludes.by_pattern(path.as_bytes(), dir);
        for (path, dir) in [("etc", true), ("srv", true), ("srv/a", true), ("etc/net*work", true)] {
            assert!(!is_out(path, dir), "{path}");
        }
        for path in ["etc/hosts", "etc/net*work/x", "etc/net*work/inner/y", "srv/a/b/c"] {
            assert!(!is_out(path, false), "{path}");
        }
        for path in ["usr", "etc/passwd", "etc/network", "srv/b", "srv/a/c", "etc/net*work/x.bak"] {
            assert!(is_out(path, path == "usr"), "{path}");
        }
        let nothing = only(&[], &[]).unwrap();
        assert!(nothing.by_pattern(b"etc", true));
    }
}
