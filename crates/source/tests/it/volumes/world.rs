//! A volume whose files tell a number.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tintype_model::resource::{Kind, Resource};
use tintype_source::connector::{Destination, session_of};
use tintype_source::files::{ExcludesBuilder, WalkOptions};

use crate::conformance::{AsNew, Held, Model, World, path_at, resource};
use crate::support::{Mounted, os, set_xattr, walk_all};

pub(super) struct VolumeWorld {
    pub resource: Resource,
    pub path: PathBuf,
    /// Where leftovers could be.
    pub look_in: Vec<PathBuf>,
    /// File systems that could be frozen.
    pub freezes: Vec<PathBuf>,
    /// A further directory that is written to.
    pub nested: Option<PathBuf>,
    pub mounts: Vec<Mounted>,
}

pub(super) fn subvolume(path: &Path) {
    crate::support::run(
        "btrfs",
        &["-q", "subvolume", "create"]
            .map(AsRef::as_ref)
            .iter()
            .copied()
            .chain([path.as_os_str()])
            .collect::<Vec<_>>(),
    );
}

impl VolumeWorld {
    pub(super) fn new(connector: &str, path: &Path, mounts: Vec<Mounted>) -> Self {
        let resource = resource(Kind::Volume, "data", connector, &[("path", path_at(path))]);
        let mut look_in = vec![path.to_owned()];
        look_in.extend(path.parent().map(Path::to_owned));
        for mounted in &mounts {
            look_in.push(mounted.path.clone());
            look_in.push(mounted.path.join(".tintype-snapshots"));
        }
        let freezes = mounts.iter().map(|mounted| mounted.path.clone()).collect();
        let path = path.to_owned();
        let world = Self { resource, path, look_in, freezes, nested: None, mounts };
        world.fill();
        world
    }

    fn fill(&self) {
        let path = &self.path;
        fs::create_dir_all(path.join("deep/er/still")).unwrap();
        fs::write(path.join(os(b"deep/a name\nof two lines")), b"content").unwrap();
        fs::write(path.join(os(b"deep/er/\xff\xfe")), vec![7; 300_000]).unwrap();
        fs::hard_link(path.join(os(b"deep/er/\xff\xfe")), path.join("second name")).unwrap();
        symlink("nowhere/at/all", path.join("link")).unwrap();
        set_xattr(&path.join("deep"), "user.note", b"kept");
        set_xattr(path, "user.top", b"kept too");
        for name in ["a", "b"] {
            put(path, name, 0);
        }
        self.write(1);
    }

    pub(super) fn model(&self) -> Model {
        let mut builder = ExcludesBuilder::default();
        builder.pattern("/.tintype-snapshots/", "test");
        let excludes = Arc::new(builder.build().unwrap());
        Model::of(walk_all(&self.path, 0, WalkOptions { excludes, ..WalkOptions::default() }))
    }
}

/// At once or not at all.
fn put(dir: &Path, name: &str, number: u64) {
    let unfinished = dir.join(format!("{name}.unfinished"));
    fs::write(&unfinished, number.to_string()).unwrap();
    fs::rename(unfinished, dir.join(name)).unwrap();
}

fn get(dir: &Path, name: &str) -> u64 {
    fs::read_to_string(dir.join(name)).unwrap().parse().unwrap()
}

impl World for VolumeWorld {
    fn resource(&self) -> Resource {
        self.resource.clone()
    }

    fn write(&self, number: u64) {
        let path = &self.path;
        put(path, "a", number);
        let dir = |number: u64| path.join(format!("dir {number}"));
        fs::create_dir_all(dir(number).join("inside")).unwrap();
        fs::write(dir(number).join("inside/file"), number.to_string()).unwrap();
        if dir(number.saturating_sub(1)).exists() {
            // What was there may have another thing of the same name inside.
            let _ = fs::remove_dir_all(path.join("moved"));
            fs::rename(dir(number - 1), path.join("moved")).unwrap();
        }
        let _ = fs::remove_file(path.join("further"));
        fs::hard_link(path.join("second name"), path.join("further")).unwrap();
        if let Some(nested) = &self.nested {
            put(nested, "c", number);
        }
        put(path, "b", number);
    }

    fn now(&self) -> u64 {
        get(&self.path, "b")
    }

    fn captured(&self, held: &Held) -> u64 {
        let dir = held.path(b"");
        let (first, last) = (get(&dir, "a"), get(&dir, "b"));
        assert!(first == last || first == last + 1, "torn: {first} and {last}");
        if let Some(nested) = &self.nested {
            let nested = dir.join(nested.strip_prefix(&self.path).unwrap());
            // A subvolume of its own is snapshotted a moment later.
            assert!(get(&nested, "c") >= last);
        }
        assert_eq!(fs::read(dir.join(os(b"deep/a name\nof two lines"))).unwrap(), b"content");
        assert_eq!(fs::read_link(dir.join("link")).unwrap(), Path::new("nowhere/at/all"));
        assert!(!dir.join(".tintype-snapshots").exists());
        last
    }

    fn state(&self) -> String {
        self.model().state()
    }

    fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for dir in &self.look_in {
            let names = fs::read_dir(dir).into_iter().flatten().flatten();
            let names = names.map(|entry| entry.file_name());
            // Other programs run beside this test.
            let own = format!("{:08x}", std::process::id());
            let is_ours = |name: &OsString| {
                session_of(&name.to_string_lossy()).is_some_and(|name| name.starts_with(&own))
            };
            found.extend(names.filter(is_ours).map(|name| dir.join(name).display().to_string()));
        }
        for path in &self.freezes {
            let thawed = Command::new("fsfreeze").arg("-u").arg(path).output().unwrap();
            if thawed.status.success() {
                found.push(format!("{} was frozen", path.display()));
            }
        }
        found
    }

    fn as_new(&self) -> Option<AsNew> {
        let path = self.mounts[0].path.join("copy");
        let at = resource(Kind::Volume, "copy", "files", &[("path", path_at(&path))]).at;
        let rules = std::collections::BTreeMap::new();
        let destination = Destination::AsNew { name: "copy".into(), at, rules };
        Some(AsNew { destination, now: Box::new(move || get(&path, "b")) })
    }
}
