//! Which snapshot a new one is compared with.

use std::collections::HashSet;

use tintype_engine::format::records::Manifest;
use tintype_engine::id::encode_hex;
use tintype_engine::repo::snapshots::Snapshot;

use super::BORROWS;
use crate::snapshot::holds_nothing;

/// The one that holds most of `places`, of those the newest. `snapshots` are oldest first, and of this
/// host. One that was imported never: it says of itself what did not change, and nobody vouches for it.
pub fn parent_of(snapshots: Vec<Snapshot>, places: &[Vec<u8>]) -> Option<Snapshot> {
    let own: HashSet<String> = places.iter().map(|place| encode_hex(place)).collect();
    let common = |known: &Manifest| match known.options[BORROWS].as_bool() {
        Some(true) => 0,
        _ => known.roots.iter().filter(|root| own.contains(*root)).count(),
    };
    best(snapshots, common)
}

/// The newest of a host, where `fits` says how well one fits; 0 is not at all.
pub fn newest_of(
    mut snapshots: Vec<Snapshot>,
    host: &str,
    fits: impl Fn(&Manifest) -> usize,
) -> Option<Snapshot> {
    snapshots.retain(|snapshot| snapshot.manifest.host == host);
    best(snapshots, fits)
}

fn best(snapshots: Vec<Snapshot>, fits: impl Fn(&Manifest) -> usize) -> Option<Snapshot> {
    let known = snapshots.into_iter();
    let known = known.filter(|s| s.manifest.options.get(crate::bundle::IMPORTED).is_none());
    let known = known.filter(|s| !holds_nothing(&s.manifest));
    known.filter(|s| fits(&s.manifest) > 0).max_by_key(|s| fits(&s.manifest))
}
