//! Taking a snapshot of resources.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::resource::{Resource, Resources};
use tintype_model::{Error, Result};

use super::{Host, Vault, WAITING_WORKERS, processors};
use crate::group::parent::parent;
use crate::group::{self, BORROWS, GroupOptions, Taken};
use crate::progress::Progress;
use crate::snapshot::{Labels, SnapshotOptions};

/// Of a manifest's options: what a manager says of the snapshot.
pub const MANAGER: &str = "manager";
/// Of a manifest's options: why it was taken.
pub const TRIGGER: &str = "trigger";
/// Taken of what a restore replaces.
pub const PRE_RESTORE: &str = "pre-restore";

/// Nothing is frozen for longer.
const DEADLINE: Duration = Duration::from_secs(10);
const AHEAD_BYTES: usize = 16 << 20;

/// What is taken, and what is said of it.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Name of the tenant to which they belong.
    pub tenant: String,
    pub resources: Vec<Resource>,
    /// Those of `resources` that are captured, applications for their components; none: all.
    pub names: Vec<String>,
    pub tags: Vec<String>,
    pub note: String,
    pub expiry: Option<Timestamp>,
    /// See [`MANAGER`].
    pub manager: Value,
    /// Read everything, also what seems unchanged.
    pub read_all: bool,
}

impl Vault {
    /// Takes a snapshot; it is compared with the best one that there is.
    pub fn take(&self, order: &Order, cancel: &Cancel, progress: &Progress) -> Result<Taken> {
        let mut resources = Resources::new(order.resources.clone());
        resources.tenant.clone_from(&order.tenant);
        resources.check()?;
        let places = group::places(&resources, &order.names)?;
        self.repository.close_abandoned()?;
        let known = self.snapshots()?.snapshots;
        let parent = parent(known, &self.repository.identity().host, &places);
        let borrows = parent.as_ref().is_some_and(|p| group::borrows(p, &places, &order.names));
        let paths = match order.names.is_empty() {
            true => vec!["all resources".to_owned()],
            false => order.names.clone(),
        };
        let labels = Labels {
            paths,
            roots: places,
            tags: order.tags.clone(),
            note: order.note.clone(),
            expiry: order.expiry,
            options: json!({
                "resources": order.names, BORROWS: borrows, MANAGER: order.manager,
            }),
        };
        self.capture(&resources, &order.names, labels, parent, order.read_all, cancel, progress)
    }

    /// A snapshot of exactly what a restore will replace; whole, or an error.
    pub(super) fn take_undo_point(
        &self,
        described: &[Resource],
        replaced: &[Resource],
        manager: &Value,
        cancel: &Cancel,
    ) -> Result<String> {
        let names: Vec<String> = replaced.iter().map(|resource| resource.name.clone()).collect();
        let resources = described.iter().map(|resource| {
            let now = replaced.iter().find(|replaced| replaced.name == resource.name);
            now.unwrap_or(resource).clone()
        });
        let resources = Resources::new(resources.collect());
        let places = group::places(&resources, &names)?;
        let parent = parent(self.snapshots()?.snapshots, &self.identity().host, &places);
        let labels = Labels {
            paths: names.clone(),
            roots: places,
            tags: vec![PRE_RESTORE.into()],
            note: "what a restore replaced".into(),
            options: json!({ "resources": names, TRIGGER: PRE_RESTORE, BORROWS: true, MANAGER: manager }),
            ..Labels::default()
        };
        let progress = Progress::default();
        let taken = self
            .capture(&resources, &names, labels, parent, false, cancel, &progress)
            .map_err(|error| error.context("the undo point"))?;
        for what in &taken.unreleased {
            tracing::warn!(%what, "after the undo point");
        }
        if !taken.outcome.manifest.complete {
            let failed = taken.descriptor.items.iter().find_map(|item| item.reason.clone());
            return Err(Error::unavailable(format!(
                "what will be replaced cannot be captured first: {}",
                failed.unwrap_or_default()
            )));
        }
        Ok(taken.outcome.id.to_string())
    }

    fn capture(
        &self,
        resources: &Resources,
        names: &[String],
        labels: Labels,
        parent: Option<Snapshot>,
        read_all: bool,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Taken> {
        if let Some(parent) = &parent {
            Progress::add(&progress.total_entries, parent.manifest.entries);
            Progress::add(&progress.total_bytes, parent.manifest.bytes);
        }
        let options = SnapshotOptions {
            labels,
            parent,
            workers: processors(),
            most_workers: processors().max(WAITING_WORKERS),
            cancel: cancel.clone(),
            read_all,
        };
        let connectors = tintype_source::connectors();
        let group = self.group_options();
        group::snapshot(&self.repository, &connectors, resources, names, &options, &group, progress)
    }

    pub(super) fn group_options(&self) -> GroupOptions {
        let directory = self.place.directory();
        let own: Vec<PathBuf> = directory.into_iter().chain(self.host.cache.clone()).collect();
        self.host.group_options(&own)
    }
}

impl Host {
    /// `more`: directories besides its own that a run writes to.
    pub(super) fn group_options(&self, more: &[PathBuf]) -> GroupOptions {
        let own: Vec<&PathBuf> = self.own.iter().chain(more).collect();
        let found = |path: &&PathBuf| std::fs::metadata(path).ok();
        let never_enter = own.iter().filter_map(found).map(|found| (found.dev(), found.ino()));
        let written = own.iter().copied().chain([&self.scratch, &self.runtime]);
        GroupOptions {
            never_enter: never_enter.collect(),
            written_devices: written.filter_map(|p| found(&p)).map(|found| found.dev()).collect(),
            runtime_dir: self.runtime.clone(),
            scratch_dir: self.scratch.clone(),
            deadline: DEADLINE,
            guard: self.guard.clone(),
            ahead_bytes: AHEAD_BYTES,
        }
    }
}
