//! Taking a snapshot of resources.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::Result;
use tintype_model::resource::{Resource, Resources};

use super::{Host, Vault, WAITING_WORKERS, processors};
use crate::group::parent::parent;
use crate::group::undo_point::{self, Replaced};
use crate::group::{self, BORROWS, GroupOptions, Taken};
use crate::progress::Progress;
use crate::snapshot::{Labels, SnapshotOptions};

/// Of a manifest's options: what a manager says of the snapshot.
pub const MANAGER: &str = "manager";
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
        let labels = Labels { options: json!({ MANAGER: manager }), ..Labels::default() };
        let taken = undo_point::take(
            &self.repository,
            &tintype_source::connectors(),
            &Replaced { described, replaced },
            labels,
            |labels, parent| options(labels, parent, false, cancel),
            &self.group_options(),
        )?;
        for what in &taken.unreleased {
            tracing::warn!(%what, "after the undo point");
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
        let options = options(labels, parent, read_all, cancel);
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
        let own: Vec<PathBuf> = self.own.iter().chain(more).cloned().collect();
        let places = (self.runtime.clone(), self.scratch.clone());
        GroupOptions::new(&own, places, self.guard.clone(), DEADLINE, AHEAD_BYTES)
    }
}

fn options(
    labels: Labels,
    parent: Option<Snapshot>,
    read_all: bool,
    cancel: &Cancel,
) -> SnapshotOptions {
    SnapshotOptions {
        labels,
        parent,
        workers: processors(),
        most_workers: processors().max(WAITING_WORKERS),
        cancel: cancel.clone(),
        read_all,
    }
}
