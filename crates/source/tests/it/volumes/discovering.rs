//! What is found on this host.

use std::fs;

use serde_json::Value;
use tintype_model::resource::{Consistency, Kind, Resources};
use tintype_source::connector::Discovered;

use super::world::subvolume;
use crate::conformance::{Session, connector, resource};
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

/// A disk that is not mounted looks like an empty directory to all of them.
#[test]
fn an_empty_volume_is_doubted_unless_it_may_be_empty() {
    let session = Session::new(Vec::new());
    for name in ["files", "btrfs", "reflink"] {
        for may_be_empty in [false, true] {
            let at: [(_, Value); 2] =
                [("path", "/srv".into()), ("may_be_empty", may_be_empty.into())];
            let resource = resource(Kind::Volume, "data", name, &at);
            let source = connector(name).source(&resource, &session.context).unwrap();
            assert_eq!(source.may_be_empty(), may_be_empty, "{name}");
        }
    }
}
