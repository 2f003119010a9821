//! What is found on this host.

use std::fs;

use tintype_model::resource::{Consistency, Kind, Resources};
use tintype_source::connector::Discovered;

use super::world::subvolume;
use crate::conformance::Session;
use crate::support::{Mounted, skipped_without_root};

fn all() -> Vec<Discovered> {
    let session = Session::new(Vec::new());
    let connectors = tintype_source::connectors();
    let volumes = connectors.iter().filter(|c| ["files", "btrfs", "reflink"].contains(&c.name()));
    volumes.flat_map(|connector| connector.discover(&session.context).unwrap()).collect()
}

#[test]
fn mounts_and_subvolumes_with_what_they_can_reach() {
    if skipped_without_root("volumes") {
        return;
    }
    let btrfs = Mounted::new("btrfs");
    let ext4 = btrfs.stack("ext4");
    let plain = Mounted::new("ext4");
    let inner = btrfs.path.join("inner one");
    subvolume(&inner);
    fs::create_dir(btrfs.path.join("directory")).unwrap();
    let found = all();
    let at = |path: &std::path::Path| {
        let is_it = |one: &&Discovered| one.resource.at["path"] == *path.to_str().unwrap();
        let one = found.iter().find(is_it);
        one.unwrap_or_else(|| panic!("{} is not among {found:#?}", path.display()))
    };
    let root = at("/".as_ref());
    assert_eq!(root.resource.at["mounted"], true);
    let whole = at(&btrfs.path);
    assert_eq!((&whole.resource.connector[..], whole.reaches), ("btrfs", Consistency::Filesystem));
    assert_eq!(whole.resource.excludes, ["/inner one/"], "a volume of its own");
    let inner = at(&inner);
    assert_eq!((&inner.resource.connector[..], inner.reaches), ("btrfs", Consistency::Filesystem));
    let ext4 = at(&ext4.path);
    assert_eq!((&ext4.resource.connector[..], ext4.reaches), ("reflink", Consistency::Filesystem));
    let plain = at(&plain.path);
    assert_eq!((&plain.resource.connector[..], plain.reaches), ("files", Consistency::None));
    let why = plain.why_not_more.as_ref().unwrap();
    assert!(why.contains("read while others write"), "{why}");
    assert!(
        found.iter().all(|one| one.resource.kind == Kind::Volume && one.why_not_more.is_some())
    );
    // Other tests mount and unmount meanwhile; what is written is one document all the same.
    let mut resources: Vec<_> = found.into_iter().map(|one| one.resource).collect();
    resources.sort_by(|a, b| a.name.cmp(&b.name));
    resources.dedup_by(|a, b| a.name == b.name);
    Resources::new(resources).check().unwrap();
}
