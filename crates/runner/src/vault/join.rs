//! One snapshot of what several hosts captured.

use serde_json::{Map, Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::Result;
use tintype_model::item::Item;
use tintype_model::resource::Resource;

use super::take::ORIGINS;
use super::work::Captured;
use super::{MANAGER, Vault};
use crate::snapshot::Labels;
use crate::snapshot::join::{Joining, delete_parts, join};
use crate::snapshot::part::{Part, joined_of, rests};

/// What the joined snapshot says beside what its parts say.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// Of all that was to be captured.
    pub names: Vec<String>,
    pub note: String,
    pub expiry: Option<jiff::Timestamp>,
    /// See [`MANAGER`].
    pub manager: Value,
    /// What no part holds.
    pub missing: Vec<Item>,
    /// How that was described.
    pub resources: Vec<Resource>,
}

impl Vault {
    /// A part that an earlier attempt of its run took.
    pub fn part(&self, wanted: &Part) -> Result<Option<Captured>> {
        let all = self.snapshots()?.snapshots;
        let own = all.iter().rev().find(|s| Part::of(&s.manifest).as_ref() == Some(wanted));
        let Some(own) = own else { return Ok(None) };
        Ok(self.descriptor(own)?.map(|descriptor| Captured::of(own, descriptor)))
    }

    /// Commits one snapshot of all that the parts hold, then deletes them. Gives what of them stays.
    pub fn join(
        &self,
        parts: &[String],
        whole: Whole,
        by: &str,
        cancel: &Cancel,
    ) -> Result<(String, Vec<String>)> {
        let parts: Vec<Snapshot> =
            parts.iter().map(|id| self.snapshot(id)).collect::<Result<_>>()?;
        let mut origins = Map::new();
        for part in &parts {
            origins.extend(part.manifest.options[ORIGINS].as_object().cloned().unwrap_or_default());
        }
        let labels = Labels {
            note: whole.note,
            expiry: whole.expiry,
            options: json!({
                "resources": whole.names, MANAGER: whole.manager, ORIGINS: origins,
            }),
            ..Labels::default()
        };
        let joining =
            Joining { labels, missing: whole.missing, resources: whole.resources, cancel };
        let outcome = join(&self.repository, &parts, joining, &Ok)?;
        let id = outcome.id.to_string();
        let kept = self.forget_parts(&self.snapshot(&id)?, by)?;
        Ok((id, kept))
    }

    /// Deletes the parts that a joined snapshot was made of, as far as they are still there. Gives
    /// in words what of them stays.
    pub fn forget_parts(&self, joined: &Snapshot, by: &str) -> Result<Vec<String>> {
        let own = joined_of(&joined.manifest);
        let mut parts = self.snapshots()?.snapshots;
        parts.retain(|snapshot| own.contains(&snapshot.id));
        let kept = delete_parts(&self.repository, &parts, joined, by)?;
        let told = |(part, error): &(Snapshot, tintype_model::Error)| {
            format!("part {} stays: {error}", part.id.short())
        };
        Ok(kept.iter().map(told).collect())
    }

    /// Deletes parts of runs that nobody goes on with any more. Gives their ids.
    pub fn forget_rests(&self, by: &str) -> Result<Vec<String>> {
        use tintype_engine::format::records::Change;
        let all = self.snapshots()?.snapshots;
        let mut gone = Vec::new();
        for rest in rests(&all, self.host.env.clock.now()) {
            let reason = "its run was not joined for a week".to_owned();
            self.change(rest, by, Change::Deleted(reason))?;
            gone.push(rest.id.to_string());
        }
        Ok(gone)
    }
}
