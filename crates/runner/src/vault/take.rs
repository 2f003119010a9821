//! Taking a snapshot of resources.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::Result;
use tintype_model::resource::{Resource, Resources};

use super::{Host, UndoOrder, Vault, WAITING_WORKERS, processors};
pub(super) use crate::group::ORIGINS;
use crate::group::parent::parent_of;
use crate::group::undo_point::{self, Replaced};
use crate::group::{self, BORROWS, GroupOptions, Places, Taken};
use crate::progress::Progress;
use crate::snapshot::part::{PART, Part};
use crate::snapshot::{Labels, SnapshotOptions};

/// Of a manifest's options: what a manager says of the snapshot.
pub const MANAGER: &str = "manager";

const AHEAD_BYTES: usize = 16 << 20;

/// What is taken, and what is said of it.
#[derive(Clone, Default, Serialize, Deserialize)]
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
    /// See [`GroupOptions::quiesce`].
    #[serde(default)]
    pub without_quiesce: bool,
    /// It is a part of a snapshot that others capture, too.
    #[serde(default)]
    pub part: Option<PartOf>,
    /// Applications whose hooks and version another host of the run asks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub elsewhere: BTreeSet<String>,
}

/// Which part of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    pub part: Part,
    /// Where in the tree all of it lies that the run captures, in however many parts.
    pub places: Vec<String>,
    /// Where all lies that there is to capture, now or another time.
    #[serde(default)]
    pub known: Vec<String>,
}

impl Vault {
    /// Takes a snapshot; it is compared with the best one that there is.
    pub fn take(&self, order: &Order, cancel: &Cancel, progress: &Progress) -> Result<Taken> {
        let mut resources = Resources::new(order.resources.clone());
        resources.tenant.clone_from(&order.tenant);
        resources.check()?;
        let places = group::places(&resources, &order.names)?;
        self.repository.close_abandoned()?;
        let origins = self.origins(&resources, &order.names)?;
        let parent = parent_of(self.known(&origins)?, &places);
        let bytes = |places: &[String]| -> Vec<Vec<u8>> {
            places.iter().map(|place| place.clone().into_bytes()).collect()
        };
        let (all_places, known) = match &order.part {
            None => (places.clone(), group::places(&resources, &[])?),
            Some(part) => (bytes(&part.places), bytes(&part.known)),
        };
        let borrows = parent
            .as_ref()
            .is_some_and(|parent| group::borrows(parent, &all_places, &order.names, &known));
        let paths = match order.names.is_empty() {
            true => vec!["all resources".to_owned()],
            false => order.names.clone(),
        };
        let mut said = json!({
            "resources": order.names, BORROWS: borrows, MANAGER: order.manager, ORIGINS: origins,
        });
        if let Some(part) = &order.part {
            said[PART] = json!(part.part);
        }
        let labels = Labels {
            paths,
            roots: places,
            tags: order.tags.clone(),
            note: order.note.clone(),
            expiry: order.expiry,
            options: said,
        };
        let of_this = GroupOptions {
            elsewhere: order.elsewhere.clone(),
            quiesce: !order.without_quiesce,
            ..self.group_options()
        };
        let how = options(labels, parent, order.read_all, cancel);
        self.capture(&resources, &order.names, &how, &of_this, progress)
    }

    /// What is captured now is captured here.
    fn origins(&self, resources: &Resources, names: &[String]) -> Result<Map<String, Value>> {
        let origin = self.host.origin.as_deref().unwrap_or(&self.identity().host);
        let selected = group::selected(resources, names)?;
        Ok(selected.into_iter().map(|one| (one.name.clone(), origin.into())).collect())
    }

    /// What may be compared with: of it nothing was captured on another host. What says nothing of
    /// that was captured by one host alone.
    fn known(&self, origins: &Map<String, Value>) -> Result<Vec<Snapshot>> {
        let mut known = self.snapshots()?.snapshots;
        known.retain(|snapshot| match snapshot.manifest.options[ORIGINS].as_object() {
            None => snapshot.manifest.host == self.identity().host,
            Some(theirs) => origins
                .iter()
                .all(|(name, own)| theirs.get(name).is_none_or(|origin| origin == own)),
        });
        Ok(known)
    }

    /// A snapshot of exactly what a restore will replace; whole, or an error.
    pub(super) fn take_undo_point(
        &self,
        described: &[Resource],
        replaced: &[Resource],
        order: &UndoOrder,
        cancel: &Cancel,
    ) -> Result<String> {
        let names: Vec<String> = replaced.iter().map(|resource| resource.name.clone()).collect();
        let origins = self.origins(&Resources::new(replaced.to_vec()), &names)?;
        let options_of_it = json!({ MANAGER: order.manager, ORIGINS: origins });
        let labels = Labels { options: options_of_it, expiry: order.expiry, ..Labels::default() };
        let taken = undo_point::take(
            &self.repository,
            &tintype_source::connectors(),
            Replaced { described, replaced, known: self.known(&origins)? },
            labels,
            |labels, parent| options(labels, parent, false, cancel),
            &GroupOptions { elsewhere: order.elsewhere.clone(), ..self.group_options() },
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
        options: &SnapshotOptions,
        group: &GroupOptions,
        progress: &Progress,
    ) -> Result<Taken> {
        if let Some(parent) = &options.parent {
            Progress::add(&progress.total_entries, parent.manifest.entries);
            Progress::add(&progress.total_bytes, parent.manifest.bytes);
        }
        let connectors = tintype_source::connectors();
        group::snapshot(&self.repository, &connectors, resources, names, options, group, progress)
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
        let places = Places {
            runtime_dir: self.runtime.clone(),
            state_dir: self.state.clone(),
            scratch_dir: self.scratch.clone(),
        };
        let guard = self.guard.clone();
        let passwords = self.passwords.clone();
        GroupOptions { passwords, ..GroupOptions::new(&own, places, guard, AHEAD_BYTES) }
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
