//! A snapshot of exactly what a restore will replace. It has a parent, so that little is read while
//! everybody waits for the switch, and belongs to no series.

use serde_json::{Map, Value, json};
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::resource::{Resource, Resources};
use tintype_model::{Error, Result};
use tintype_source::connector::Connector;

use super::parent::parent_of;
use super::{BORROWS, GroupOptions, Taken, places, snapshot};
use crate::progress::Progress;
use crate::snapshot::{Labels, SnapshotOptions};

/// Of a manifest's options: why it was taken.
pub const TRIGGER: &str = "trigger";
/// Taken of what a restore replaces; also its tag.
pub const PRE_RESTORE: &str = "pre-restore";

/// What an undo point is taken of.
pub struct Replaced<'r> {
    /// As the snapshot that is restored describes its resources.
    pub described: &'r [Resource],
    /// As they are now.
    pub replaced: &'r [Resource],
    /// Snapshots of this host, oldest first.
    pub known: Vec<Snapshot>,
}

/// Whole, or an error. `labels` gets what it says of itself besides; `budget` makes of labels and
/// parent how it is read.
pub fn take(
    repository: &Repository,
    connectors: &[Box<dyn Connector>],
    of: Replaced<'_>,
    mut labels: Labels,
    budget: impl FnOnce(Labels, Option<Snapshot>) -> SnapshotOptions,
    group: &GroupOptions,
) -> Result<Taken> {
    let names: Vec<String> = of.replaced.iter().map(|resource| resource.name.clone()).collect();
    let described = of.described.iter().map(|resource| {
        let now = of.replaced.iter().find(|replaced| replaced.name == resource.name);
        now.unwrap_or(resource).clone()
    });
    let resources = Resources::new(described.collect());
    let roots = places(&resources, &names)?;
    let parent = parent_of(of.known, &roots);
    let mut options = Map::new();
    if let Value::Object(more) = std::mem::take(&mut labels.options) {
        options.extend(more);
    }
    options.insert("resources".into(), json!(names));
    options.insert(TRIGGER.into(), json!(PRE_RESTORE));
    options.insert(BORROWS.into(), json!(true));
    labels.options = Value::Object(options);
    labels.tags.push(PRE_RESTORE.into());
    labels.note = "what a restore replaced".into();
    (labels.paths, labels.roots) = (names.clone(), roots);
    let options = budget(labels, parent);
    let progress = Progress::default();
    let taken = snapshot(repository, connectors, &resources, &names, &options, group, &progress)
        .map_err(|error| error.context("the undo point"))?;
    if taken.outcome.manifest.complete {
        return Ok(taken);
    }
    let failed = taken.descriptor.items.iter().find_map(|item| item.reason.clone());
    Err(Error::unavailable(format!(
        "what will be replaced cannot be captured first: {}",
        failed.unwrap_or_default()
    )))
}
