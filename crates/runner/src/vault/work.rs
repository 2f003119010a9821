//! Work orders: everything that a host does for a manager is one, and is done by [`perform`], on the
//! manager's own host and by agents alike. An order says what, in which repository, and with which
//! keys; what comes of it is told with the same types on the way back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_engine::backend::{AccessKey, Limit};
use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::keys::MasterKey;
use tintype_engine::id::{decode_hex, encode_hex};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::bandwidth::Bandwidth;
use tintype_model::item::{Descriptor, Item, Window};
use tintype_model::resource::{Hook, Resource};
use tintype_model::{Error, Result};

use super::discover::{Discovery, Reached};
use super::{
    Expected, FilesOutcome, FilesTo, HookTrial, Host, Order, Passwords, Place, UndoOrder, Undoing,
    Vault, check_mount,
};
use crate::group::Taken;

use crate::group::restore::{Broken, GroupPlan, LeftRestore, Restored, Undone, Wanted};
use crate::progress::Progress;

/// What is to be done. It may hold secrets, in steps of plans and in descriptions of resources.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// What runs on the host and can be protected?
    Discover,
    /// Whether a resource's server lets in whom it names. Changes nothing.
    Reach {
        resource: Box<Resource>,
    },
    Take(Box<Order>),
    /// Looks and decides; changes nothing.
    PlanRestore {
        snapshot: String,
        wanted: Wanted,
    },
    /// Carries out a plan that somebody agreed to. `undo` is what the manager says of the snapshot
    /// of what is replaced; none: without one.
    ApplyRestore {
        snapshot: String,
        plan: Box<GroupPlan>,
        undo: Option<UndoOrder>,
    },
    /// What of a restore was interrupted?
    LeftRestore {
        snapshot: String,
    },
    /// Takes that back.
    UndoRestore {
        snapshot: String,
    },
    /// Runs a hook of a resource.
    TryHook {
        resource: Box<Resource>,
        hook: Hook,
    },
    /// Plans it, and with `apply` does it.
    RestoreFiles {
        snapshot: String,
        to: FilesTo,
        apply: bool,
    },
}

impl Work {
    /// In a word, for logs and for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Reach { .. } => "try a connector",
            Self::Take(_) => "take a snapshot",
            Self::PlanRestore { .. } => "plan a restore",
            Self::ApplyRestore { .. } => "restore",
            Self::LeftRestore { .. } => "look for an interrupted restore",
            Self::UndoRestore { .. } => "take a restore back",
            Self::TryHook { .. } => "try a hook",
            Self::RestoreFiles { apply: false, .. } => "plan a restore of files",
            Self::RestoreFiles { apply: true, .. } => "restore files",
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A repository, and what opens it. No passphrase: a data key opens this one and no other.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Keys", try_from = "Keys")]
pub struct Access {
    pub place: Place,
    pub key: MasterKey,
    /// Something must be mounted there.
    pub mount_point: Option<PathBuf>,
    /// URL of the storage in which it lies: the same credential opens that.
    pub storage: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("place", &self.place.url).finish_non_exhaustive()
    }
}

/// As it travels.
#[derive(Serialize, Deserialize)]
struct Keys {
    url: String,
    access: Option<(String, String, Option<String>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bandwidth: Option<Bandwidth>,
    key: String,
    mount_point: Option<PathBuf>,
    storage: String,
}

impl From<Access> for Keys {
    fn from(access: Access) -> Self {
        let Access { place, key, mount_point, storage } = access;
        let revealed = place.access.as_ref().map(|access| {
            let (id, secret, token) = access.reveal();
            (id.to_owned(), secret.to_owned(), token.map(str::to_owned))
        });
        let key = encode_hex(key.bytes());
        let bandwidth = place.limit.and_then(|limit| limit.bandwidth());
        Self { url: place.url, access: revealed, bandwidth, key, mount_point, storage }
    }
}

impl TryFrom<Keys> for Access {
    type Error = Error;

    fn try_from(keys: Keys) -> Result<Self> {
        let wrong = || Error::invalid("the order's data key");
        let mut key = [0; 32];
        decode_hex(&keys.key, &mut key).ok_or_else(wrong)?;
        let access = keys.access.as_ref();
        let access = access.map(|(id, secret, token)| AccessKey::new(id, secret, token.as_deref()));
        let limit = keys.bandwidth.map(|bandwidth| Arc::new(Limit::new(Some(bandwidth))));
        Ok(Self {
            place: Place { limit, ..Place::parse(&keys.url, access)? },
            key: MasterKey::from_bytes(key),
            mount_point: keys.mount_point,
            storage: keys.storage,
        })
    }
}

/// An order as a host gets it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkOrder {
    pub work: Work,
    /// None for what needs no repository.
    pub access: Option<Access>,
    /// Of the manager's connectors that it needs.
    #[serde(default, skip_serializing_if = "Passwords::is_empty")]
    pub passwords: Passwords,
}

impl WorkOrder {
    pub fn new(work: Work, access: Option<Access>) -> Self {
        Self { work, access, passwords: Passwords::default() }
    }
}

/// What came of a snapshot, or of a part of one: what its run tells. The whole stands in the
/// repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub snapshot: String,
    pub is_complete: bool,
    pub items: Vec<Item>,
    pub windows: Vec<Window>,
    /// What dead sessions had left and was removed, in words.
    pub cleaned: Vec<String>,
    /// What could not be removed after the run.
    pub unreleased: Vec<String>,
}

impl Captured {
    /// Of a snapshot that an earlier attempt took.
    pub fn of(snapshot: &Snapshot, descriptor: Descriptor) -> Self {
        Self {
            snapshot: snapshot.id.to_string(),
            is_complete: snapshot.manifest.complete,
            items: told(descriptor.items),
            windows: descriptor.windows,
            cleaned: Vec::new(),
            unreleased: Vec::new(),
        }
    }
}

impl From<Taken> for Captured {
    fn from(taken: Taken) -> Self {
        Self {
            snapshot: taken.outcome.id.to_string(),
            is_complete: taken.outcome.manifest.complete,
            items: told(taken.descriptor.items),
            windows: taken.descriptor.windows,
            cleaned: taken.cleaned,
            unreleased: taken.unreleased,
        }
    }
}

/// Without what only connectors read.
fn told(items: Vec<Item>) -> Vec<Item> {
    let told = items.into_iter().map(|item| Item { mark: None, facts: Value::Null, ..item });
    told.collect()
}

/// What came of an order that did not fail.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    Discovered(Discovery),
    Reached(Reached),
    Captured(Box<Captured>),
    Planned(Box<GroupPlan>),
    Restored(Box<Restored>),
    /// The restore broke; this says what became of it.
    Broken(Box<Broken>),
    Files(FilesOutcome),
    Left(Option<LeftRestore>),
    Undone(Undone),
    Tried(HookTrial),
}

/// Does it: the only place where that is done.
pub fn perform(
    order: WorkOrder,
    host: &Host,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<Done> {
    let WorkOrder { work, access, passwords } = order;
    let host = &Host { passwords, ..host.clone() };
    let work = match work {
        Work::Discover => return host.discover(cancel).map(Done::Discovered),
        Work::Reach { resource } => return host.reach(&resource, cancel).map(Done::Reached),
        Work::TryHook { resource, hook } => {
            return host.try_hook(&hook, &resource, cancel).map(Done::Tried);
        }
        work => work,
    };
    let missing = || Error::invalid("the order names no repository");
    let Access { place, key, mount_point, storage: _ } = access.ok_or_else(missing)?;
    check_mount(&Expected { mount_point, ..Expected::default() }, &place)?;
    let vault = Vault::open(&place, key, host)?;
    let found = |id: &str| vault.snapshot(id);
    Ok(match work {
        Work::Discover | Work::Reach { .. } | Work::TryHook { .. } => return Err(missing()),
        Work::Take(order) => Done::Captured(Box::new(vault.take(&order, cancel, progress)?.into())),
        Work::PlanRestore { snapshot, wanted } => {
            Done::Planned(Box::new(vault.plan_restore(&found(&snapshot)?, &wanted, cancel)?))
        }
        Work::ApplyRestore { snapshot, plan, undo } => {
            let undoing = undo.as_ref().map_or(Undoing::Without, Undoing::Point);
            let snapshot = found(&snapshot)?;
            match vault.apply_restore(&snapshot, *plan, &undoing, cancel, progress)? {
                Ok(restored) => Done::Restored(Box::new(restored)),
                Err(broken) => Done::Broken(Box::new(broken)),
            }
        }
        Work::LeftRestore { snapshot } => {
            Done::Left(vault.left_restore(&found(&snapshot)?, cancel)?)
        }
        Work::UndoRestore { snapshot } => {
            Done::Undone(vault.undo_restore(&found(&snapshot)?, cancel, progress)?)
        }
        Work::RestoreFiles { snapshot, to, apply } => {
            Done::Files(vault.restore_files(&found(&snapshot)?, &to, apply, cancel, progress)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_travels_whole_and_shows_no_key() {
        let url = "s3://bucket/place?endpoint=http://h:1";
        let access = AccessKey::new("public-id", "canary-secret", Some("canary-token"));
        let bandwidth = serde_json::json!({
            "windows": [{ "from": "08:00", "to": "18:00", "rate": "20MiB" }],
        });
        let bandwidth: Bandwidth = serde_json::from_value(bandwidth).unwrap();
        let limit = Some(Arc::new(Limit::new(Some(bandwidth.clone()))));
        let mut order = WorkOrder {
            work: Work::RestoreFiles {
                snapshot: "s".into(),
                to: FilesTo {
                    paths: vec![b"a".to_vec(), b"c/d".to_vec()],
                    directory: "/b".into(),
                    overwrite: true,
                },
                apply: true,
            },
            access: Some(Access {
                place: Place { limit, ..Place::parse(url, Some(access)).unwrap() },
                key: MasterKey::from_bytes([7; 32]),
                mount_point: Some("/mnt".into()),
                storage: "s3://bucket?endpoint=http://h:1".into(),
            }),
            passwords: Passwords::default(),
        };
        order.passwords.insert("01h", "canary-password".into());
        let shown = format!("{order:?}");
        assert!(!shown.contains("canary") && !shown.contains("0707"), "{shown}");
        let text = serde_json::to_string(&order).unwrap();
        let read: WorkOrder = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let access = read.access.unwrap();
        assert_eq!((access.place.url.as_str(), access.key.bytes()), (url, &[7; 32]));
        assert_eq!(access.place.limit.unwrap().bandwidth(), Some(bandwidth));
        let revealed = access.place.access.as_ref().unwrap().reveal();
        assert_eq!(revealed, ("public-id", "canary-secret", Some("canary-token")));
        let broken = text.replace("0707", "07");
        assert!(serde_json::from_str::<WorkOrder>(&broken).is_err());
    }
}
