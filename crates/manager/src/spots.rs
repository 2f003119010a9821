//! Where storages lie, so that no two have to do with each other: what is freed, counted or restored in
//! one would reach the other.

use std::path::{Path, PathBuf};

use tintype_api::storage::{StorageKind, StorageSpec};

/// Files that only the data directory of a manager or an agent has.
const OF_DATA: [&str; 2] = ["master.key", "manager.lock"];

/// A place in a space of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Endpoint and the like; none of this host.
    space: String,
    path: PathBuf,
    /// A file system of its own begins there.
    mounted_at: Option<PathBuf>,
}

impl Spot {
    /// `data`: where the internal storage lies.
    pub(crate) fn of(spec: &StorageSpec, data: &Path) -> Self {
        let local = |path: PathBuf| Self { space: String::new(), path, mounted_at: None };
        match spec.kind {
            StorageKind::Internal => local(real(&data.join("repositories"))),
            StorageKind::Directory | StorageKind::Mounted => Self {
                mounted_at: spec.mount_point.as_ref().map(|point| real(Path::new(point))),
                ..local(real(Path::new(spec.url.trim_start_matches("file://"))))
            },
            StorageKind::S3 | StorageKind::Google | StorageKind::Azure => {
                let (path, space) = spec.url.split_once('?').unwrap_or((&spec.url, ""));
                let space = format!("?{space}");
                Self { space, path: PathBuf::from(path.trim_end_matches('/')), mounted_at: None }
            }
        }
    }

    /// How another one lies to it, in words; none: they have nothing to do with each other.
    pub(crate) fn beside(&self, other: &Self) -> Option<&'static str> {
        match () {
            () if self.space != other.space => None,
            () if self.path == other.path => Some("lies there already"),
            () if self.path.starts_with(&other.path) => Some("lies above it"),
            () if other.path.starts_with(&self.path) => Some("lies below it"),
            () => None,
        }
    }

    /// Whether a volume of this host has it in itself, on the same file system.
    pub(crate) fn is_in(&self, volume: &Path) -> bool {
        let volume = real(volume);
        let is_other = self.mounted_at.as_ref().is_some_and(|point| !volume.starts_with(point));
        self.space.is_empty() && self.path.starts_with(&volume) && !is_other
    }

    /// The data directory in which it lies, of whatever manager of this host.
    pub(crate) fn data_directory(&self) -> Option<&Path> {
        let is_data = |above: &&Path| OF_DATA.iter().any(|name| above.join(name).is_file());
        self.path.ancestors().filter(|_| self.space.is_empty()).find(is_data)
    }
}

/// Without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let found = path
        .ancestors()
        .find_map(|above| Some(above.canonicalize().ok()?.join(path.strip_prefix(above).ok()?)));
    found.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spot(kind: &str, url: &str) -> Spot {
        let spec = serde_json::from_value(json!({ "kind": kind, "url": url })).unwrap();
        Spot::of(&spec, Path::new("/nowhere/data"))
    }

    #[test]
    fn two_storages_have_nothing_to_do_with_each_other() {
        let there = spot("directory", "/nowhere/vault");
        for (other, want) in [
            (spot("directory", "/nowhere/vault"), Some("lies there already")),
            (spot("directory", "/nowhere/vault/"), Some("lies there already")),
            (spot("directory", "file:///nowhere/vault"), Some("lies there already")),
            (spot("mounted", "/nowhere/vault/deep"), Some("lies below it")),
            (spot("directory", "/nowhere"), Some("lies above it")),
            (spot("directory", "/nowhere/vault-2"), None),
            (spot("s3", "s3://nowhere/vault"), None),
        ] {
            assert_eq!(there.beside(&other), want, "{other:?}");
            assert_eq!(other.beside(&there).is_some(), want.is_some(), "{other:?}");
        }
        let internal = spot("internal", "");
        assert_eq!(internal.beside(&spot("directory", "/nowhere/data")), Some("lies above it"));
        let bucket = spot("s3", "s3://b/deep?endpoint=https://one");
        for (url, is_beside) in [
            ("s3://b/deep/?endpoint=https://one", true),
            ("s3://b?endpoint=https://one", true),
            ("s3://b/deeper?endpoint=https://one", false),
            ("s3://b/deep?endpoint=https://two", false),
        ] {
            assert_eq!(bucket.beside(&spot("s3", url)).is_some(), is_beside, "{url}");
        }
    }

    #[test]
    fn a_link_leads_to_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, link) = (dir.path().join("vault"), dir.path().join("link"));
        std::fs::create_dir(&vault).unwrap();
        std::os::unix::fs::symlink(&vault, &link).unwrap();
        let [vault, below] = [vault, link.join("deep/er")].map(|path| path.display().to_string());
        let below = spot("directory", &below);
        assert_eq!(below.beside(&spot("directory", &vault)), Some("lies above it"));
        assert!(below.is_in(dir.path()) && !below.is_in(Path::new("/nowhere")));
        assert_eq!(below.data_directory(), None);
        std::fs::write(dir.path().join("master.key"), "").unwrap();
        assert!(below.data_directory().is_some());
    }

    #[test]
    fn what_is_mounted_inside_of_a_volume_is_not_of_it() {
        let spec =
            json!({ "kind": "mounted", "url": "/nowhere/nas/tt", "mount_point": "/nowhere/nas" });
        let nas = Spot::of(&serde_json::from_value(spec).unwrap(), Path::new("/nowhere/data"));
        assert!(!nas.is_in(Path::new("/nowhere")));
        assert!(nas.is_in(Path::new("/nowhere/nas")));
    }
}
