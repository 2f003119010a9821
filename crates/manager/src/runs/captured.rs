//! From what a repository says of a snapshot to what the catalog keeps of it: the same when it was
//! just taken and when the catalog is made anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tintype_api::snapshot::{Excluded, Snapshot, SnapshotItem, SnapshotScope, Trigger, Verified};
use tintype_model::identifier::Id;
use tintype_model::item::{Descriptor, Item, Outcome};
use tintype_model::resource::Kind;
use tintype_runner::vault::{self, MANAGER, Standing};

use super::locks;

/// In the options of a manifest, at [`MANAGER`]: what only the manager knew when it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub installation: Id,
    pub tenant: Id,
    pub scope: SnapshotScope,
    #[serde(default)]
    pub trigger: Trigger,
    #[serde(default)]
    pub name: String,
    pub by: String,
    #[serde(default)]
    pub is_private: bool,
    /// Of the full snapshot to which this is a tenant's part: the run that took both.
    #[serde(default)]
    pub full_run: Option<Id>,
    #[serde(default)]
    pub run: Option<Id>,
    #[serde(default)]
    pub profile: Option<Id>,
    #[serde(default)]
    pub period: Option<String>,
    /// Ids of the resources by their names.
    #[serde(default)]
    pub resources: BTreeMap<String, Id>,
    /// Ids of agents by the names of the resources on their hosts; all others are on the manager's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, Id>,
    /// Resources that the manager knows and that were left out on purpose.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// Of a full snapshot: its parts in the repositories of the tenants.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Of a full snapshot: tenants of which it holds nothing.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What of the manager's state was left out on purpose.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub excluded: BTreeSet<Excluded>,
}

/// A tenant that has something and no part in a full snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub tenant: Id,
    pub name: String,
    /// It should have been captured.
    pub is_failed: bool,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    pub name: String,
    pub kind: Kind,
    pub reason: String,
}

/// A tenant's part of a full snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub tenant: Id,
    pub repository: Id,
    pub snapshot: String,
    pub is_complete: bool,
}

/// Tag of a copy that a rule made, before the rule's id: said last, so that one with it is as the rule
/// wants it.
pub const SYNCED: &str = "sync:";

impl Word {
    /// `None` where no manager took it.
    pub fn of(snapshot: &vault::Snapshot) -> Option<Self> {
        serde_json::from_value(snapshot.manifest.options.get(MANAGER)?.clone()).ok()
    }
}

/// As the catalog keeps it.
pub fn describe(
    found: &vault::Snapshot,
    word: &Word,
    descriptor: &Descriptor,
    storage: &Id,
) -> (Snapshot, Vec<SnapshotItem>) {
    let items: Vec<SnapshotItem> = descriptor
        .items
        .iter()
        .map(|item| item_of(item, word))
        .chain(word.skipped.iter().map(|skipped| skipped_item(skipped, word)))
        .chain(word.left_out.iter().map(LeftOut::item))
        .collect();
    let count = |outcome| items.iter().filter(|item| item.outcome == outcome).count() as u32;
    let manifest = &found.manifest;
    let stored = manifest.stats.get("pack_bytes").and_then(serde_json::Value::as_u64);
    let mut snapshot = Snapshot {
        id: found.id.to_string(),
        tenant: word.tenant.clone(),
        tenant_name: None,
        storage: storage.clone(),
        storage_name: None,
        scope: word.scope,
        trigger: word.trigger,
        name: word.name.clone(),
        note: String::new(),
        time: manifest.time,
        by: word.by.clone(),
        is_complete: manifest.complete
            && word.parts.iter().all(|part| part.is_complete)
            && !word.left_out.iter().any(|tenant| tenant.is_failed),
        entries: manifest.entries,
        bytes: manifest.bytes,
        stored_bytes: stored.unwrap_or_default(),
        expiry: None,
        holds: BTreeSet::new(),
        locked_until: None,
        unlock_delay_days: None,
        is_unlocking: false,
        verified: None,
        is_private: word.is_private,
        full: word.full_run.as_ref().map(Id::to_string),
        parts: word.parts.iter().map(|part| part.snapshot.clone()).collect(),
        run: word.run.clone(),
        profile: word.profile.clone(),
        period: word.period.clone(),
        copy_of: manifest.origin.as_ref().map(|origin| origin.snapshot.to_string()),
        sync: None,
        captured: count(Outcome::Captured),
        failed: count(Outcome::Failed),
        skipped: count(Outcome::Skipped),
        excluded: word.excluded.clone(),
    };
    stand(&mut snapshot, &found.standing);
    (snapshot, items)
}

/// What may change about a snapshot, as the repository has it now.
pub fn stand(snapshot: &mut Snapshot, standing: &Standing) {
    snapshot.note.clone_from(&standing.note);
    snapshot.expiry = standing.expiry;
    snapshot.holds.clone_from(&standing.holds);
    snapshot.locked_until = standing.locked_until;
    snapshot.unlock_delay_days = locks::delay_days(standing);
    snapshot.is_unlocking = standing.tags.contains(locks::UNLOCKING);
    snapshot.sync = standing.tags.iter().find_map(|tag| tag.strip_prefix(SYNCED)?.parse().ok());
    if snapshot.sync.is_some() {
        // The rule says how long it is kept, not what took the first.
        snapshot.trigger = Trigger::Sync;
        (snapshot.profile, snapshot.period) = (None, None);
    }
    snapshot.verified =
        standing.verified.map(|(time, percent, damaged)| Verified { time, percent, damaged });
}

fn item_of(item: &Item, word: &Word) -> SnapshotItem {
    SnapshotItem {
        tenant: None,
        tenant_name: None,
        part: None,
        resource: word.resources.get(&item.name).cloned(),
        name: item.name.clone(),
        kind: item.kind,
        outcome: item.outcome,
        reason: item.reason.clone(),
        consistency: item.consistency,
        version: item.version.clone(),
        entries: item.entries,
        bytes: item.bytes,
        problems: item.problems,
        frozen_seconds: item.frozen_seconds,
        place: item.place.clone(),
    }
}

impl LeftOut {
    fn item(&self) -> SnapshotItem {
        let outcome = if self.is_failed { Outcome::Failed } else { Outcome::Skipped };
        without_content(None, &self.name, Kind::Tenant, outcome, &self.reason)
    }
}

fn skipped_item(skipped: &Skipped, word: &Word) -> SnapshotItem {
    let resource = word.resources.get(&skipped.name).cloned();
    without_content(resource, &skipped.name, skipped.kind, Outcome::Skipped, &skipped.reason)
}

fn without_content(
    resource: Option<Id>,
    name: &str,
    kind: Kind,
    outcome: Outcome,
    reason: &str,
) -> SnapshotItem {
    SnapshotItem {
        tenant: None,
        tenant_name: None,
        part: None,
        resource,
        name: name.to_owned(),
        kind,
        outcome,
        reason: Some(reason.to_owned()),
        consistency: None,
        version: None,
        entries: 0,
        bytes: 0,
        problems: 0,
        frozen_seconds: None,
        place: String::new(),
    }
}
