//! Restoring resources and files out of a snapshot, onto this host.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_engine::cancel::Cancel;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::item::Descriptor;
use tintype_model::{Error, Result};
use tintype_source::files::{Excludes, Owners};

use super::{Vault, WAITING_WORKERS, processors};
use crate::group::Run;
use crate::group::restore::{Broken, GroupPlan, LeftRestore, Restore, Restored, Undone, Wanted};
use crate::progress::Progress;
use crate::restore::{self, ApplyOptions, Counts, Destination, Overwrite, Request};

/// Whether what is replaced is captured first.
pub enum Undoing<'u> {
    Point(&'u UndoOrder),
    Without,
}

/// What is said of a snapshot of what is replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UndoOrder {
    /// See [`super::MANAGER`].
    pub manager: Value,
    /// None: it stays until somebody deletes it.
    pub expiry: Option<Timestamp>,
    /// See [`super::Order::elsewhere`].
    #[serde(default)]
    pub elsewhere: BTreeSet<String>,
}

/// Files into a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesTo {
    /// Paths in the tree: the content of one, or several by their names. An agent that knows one only
    /// refuses several.
    #[serde(rename = "path", with = "one_or_several")]
    pub paths: Vec<Vec<u8>>,
    pub directory: PathBuf,
    pub overwrite: bool,
}

mod one_or_several {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Paths {
        One(Vec<u8>),
        Several(Vec<Vec<u8>>),
    }

    pub(super) fn serialize<S: Serializer>(paths: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        match paths {
            [one] => one.serialize(to),
            several => several.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        Ok(match Paths::deserialize(from)? {
            Paths::One(one) => vec![one],
            Paths::Several(several) => several,
        })
    }
}

/// What became of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesOutcome {
    pub counts: Counts,
    /// Entries that the snapshot does not hold whole, or that were in the way.
    pub left: Vec<(Vec<u8>, String)>,
}

impl Vault {
    fn described(&self, snapshot: &Snapshot) -> Result<Descriptor> {
        self.descriptor(snapshot)?.ok_or_else(|| {
            Error::unsupported(format!(
                "snapshot {} holds files and no resources: restore its files",
                snapshot.id.short()
            ))
        })
    }

    /// Calls `work` with what a restore on this host needs; gc leaves the snapshot alone meanwhile.
    fn restoring<T>(
        &self,
        snapshot: &Snapshot,
        cancel: &Cancel,
        progress: &Progress,
        work: impl FnOnce(&Restore<'_>) -> Result<T>,
    ) -> Result<T> {
        self.pinned(snapshot, || {
            let run = Run::begin(self.repository.env(), cancel, &self.group_options())?;
            let connectors = tintype_source::connectors();
            let name = format!("{}-{}.json", self.repository.id(), snapshot.id);
            work(&Restore {
                repository: &self.repository,
                connectors: &connectors,
                snapshot,
                context: run.context(),
                cancel,
                progress,
                workers: processors().max(WAITING_WORKERS),
                journal: self.host.journals.join(name),
            })
        })
    }

    /// Where the store is read-only the work goes on without a pin: nobody can delete there either.
    fn pinned<T>(&self, snapshot: &Snapshot, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.pinned_by(snapshot, |_| work())
    }

    /// The same, for what takes long: it shows by the session that it lives.
    pub(super) fn pinned_by<T>(
        &self,
        snapshot: &Snapshot,
        work: impl FnOnce(Option<&Session<'_>>) -> Result<T>,
    ) -> Result<T> {
        use tintype_model::ErrorKind::{Denied, NoSpace};
        let pin = match self.repository.pin(snapshot.id) {
            Err(error) if matches!(error.kind(), Denied | NoSpace) => None,
            pin => Some(pin?),
        };
        let result = work(pin.as_ref());
        if let Some(Err(error)) = pin.map(Session::close) {
            tracing::warn!(%error, "the pin could not be taken off; the next gc does it");
        }
        result
    }

    /// Looks and decides; changes nothing. Its steps may hold secrets.
    pub fn plan_restore(
        &self,
        snapshot: &Snapshot,
        wanted: &Wanted,
        cancel: &Cancel,
    ) -> Result<GroupPlan> {
        let described = self.described(snapshot)?;
        self.restoring(snapshot, cancel, &Progress::default(), |restore| {
            match restore.interrupted(wanted)? {
                Some(plan) => Ok(plan),
                None => restore.plan(&described, wanted),
            }
        })
    }

    /// Carries out a plan that somebody agreed to.
    pub fn apply_restore(
        &self,
        snapshot: &Snapshot,
        plan: GroupPlan,
        undoing: &Undoing<'_>,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Result<Restored, Broken>> {
        let described = self.described(snapshot)?.resources;
        self.restoring(snapshot, cancel, progress, |restore| {
            // What was begun goes on as it was begun, with the versions that were asked for then.
            let plan = match restore.interrupted(&plan.wanted)? {
                Some(begun) => begun,
                None => restore.with_versions(plan),
            };
            Ok(match undoing {
                Undoing::Without => restore.apply(plan, None),
                Undoing::Point(order) => restore.apply(
                    plan,
                    Some(&|replaced| self.take_undo_point(&described, replaced, order, cancel)),
                ),
            })
        })
    }

    /// What of a restore of the snapshot was interrupted on this host.
    pub fn left_restore(
        &self,
        snapshot: &Snapshot,
        cancel: &Cancel,
    ) -> Result<Option<LeftRestore>> {
        // Of any lifetime, which the method itself is not.
        fn left(restore: &Restore<'_>) -> Result<Option<LeftRestore>> {
            restore.left()
        }
        self.restoring(snapshot, cancel, &Progress::default(), left)
    }

    /// Takes that back.
    pub fn undo_restore(
        &self,
        snapshot: &Snapshot,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Undone> {
        fn undo(restore: &Restore<'_>) -> Result<Undone> {
            restore.undo()
        }
        self.restoring(snapshot, cancel, progress, undo)
    }

    /// Plans it, and with `apply` does it: what is in the way stays unless `overwrite`.
    pub fn restore_files(
        &self,
        snapshot: &Snapshot,
        to: &FilesTo,
        apply: bool,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<FilesOutcome> {
        let own = self.host.own.iter().chain(&self.host.cache).cloned();
        let nothing = || Error::invalid("no path is named");
        let (path, also) = to.paths.split_first().ok_or_else(nothing)?;
        let request = Request {
            path: path.clone(),
            also: also.to_vec(),
            destination: Destination::Directory(to.directory.clone()),
            include: None,
            exclude: Excludes::default(),
            overwrite: if to.overwrite { Overwrite::Always } else { Overwrite::Never },
            delete_extra: false,
            owners: Owners::Numbers,
            claim: apply,
            untouchable: own.chain(self.place.directory()).collect(),
        };
        self.pinned(snapshot, || {
            let reader = self.repository.reader()?;
            let plan = restore::plan(&reader, snapshot, &request, cancel)?;
            Progress::add(&progress.total_bytes, plan.counts.bytes);
            let mut left = plan.missing.clone();
            left.extend(plan.refused.iter().cloned());
            if apply {
                let workers = processors().max(WAITING_WORKERS);
                let cancel = cancel.clone();
                let options = ApplyOptions { workers, cancel, verify: false, sync: true };
                let report = restore::apply(&reader, &plan, &options, progress)?;
                left.extend(report.failed);
            }
            Ok(FilesOutcome { counts: plan.counts, left })
        })
    }
}
