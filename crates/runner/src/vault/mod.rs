//! A repository together with where it lies, what opens it and what this host has for working on
//! it: all that managers and agents need to know of engine and sources.

mod bundles;
mod care;
mod check;
mod content;
mod copy;
pub mod discover;
mod disks;
mod guard;
mod join;
mod keys;
mod place;
mod restore;
mod room;
mod take;
mod trial;
pub mod work;

use std::path::PathBuf;
use std::sync::Arc;

use tintype_engine::backend::{SharedBackend, SingleWriterBackend, probe};
use tintype_engine::crypto::slot::RecoveryKey;
pub use tintype_engine::crypto::slot::Secret;
use tintype_engine::repo::open::{OpenOptions, read_config};
use tintype_engine::repo::{Identity, Repository};
use tintype_engine::tree::Root;
use tintype_model::item::Descriptor;
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

pub use bundles::{BundleOrder, ImportOrder, free_bytes};
pub use check::{Expected, check, check_key_of_agents, check_mount};
pub use content::{
    Altered, At, Changed, Differences, FileInfo, Found, Held, Listed, Matches, OnDisk, View,
};
pub use copy::Copied;
pub use disks::DiskPart;
pub use guard::guard;
pub use join::Whole;
pub use keys::KeySlot;
pub use place::Place;
pub use restore::{FilesOutcome, FilesTo, UndoOrder, Undoing};
pub use room::Room;
pub use take::{MANAGER, Order, PartOf};
pub use tintype_engine::backend::{AccessKey, Limit};
pub use tintype_engine::cancel::Cancel;
pub use tintype_engine::crypto::age::{AgeIdentity, AgeRecipient};
pub use tintype_engine::crypto::age_file::SealFor;
pub use tintype_engine::crypto::keys::MasterKey as DataKey;
pub use tintype_engine::crypto::slot::Passphrase;
pub use tintype_engine::env::Env;
pub use tintype_engine::format::records::Change;
pub use tintype_engine::gc::GcReport;
pub use tintype_engine::id::{SnapshotId, decode_hex, encode_hex};
pub use tintype_engine::repo::annotate::Standing;
pub use tintype_engine::repo::snapshots::{Listing, Snapshot};
pub use tintype_engine::tree::diff::{DiffCounts, What};
pub use tintype_engine::tree::find::{Pattern, Query};
pub use tintype_engine::verify::{Severity, VerifyReport};
pub use tintype_source::connector::Passwords;
pub use trial::HookTrial;

use crate::group::GuardCommand;
pub use crate::group::undo_point::{PRE_RESTORE, TRIGGER};
use crate::identity;

/// What a host has for its work on repositories.
#[derive(Clone)]
pub struct Host {
    pub env: Env,
    /// Of all repositories; none: they keep everything in memory.
    pub cache: Option<PathBuf>,
    /// Where runs know of each other: one directory for all programs of a host.
    pub runtime: PathBuf,
    /// Keeps what tells its leftovers from those of others.
    pub state: PathBuf,
    /// Needs room for what changes while runs read.
    pub scratch: PathBuf,
    /// Where unfinished restores are remembered.
    pub journals: PathBuf,
    pub guard: GuardCommand,
    /// Directories that walks do not enter and restores do not touch.
    pub own: Vec<PathBuf>,
    /// Id of the agent that this is; none: the host is known by its name.
    pub origin: Option<String>,
    /// Told with the work at hand.
    pub passwords: Passwords,
}

/// An opened repository.
pub struct Vault {
    place: Place,
    host: Host,
    repository: Arc<Repository>,
}

/// A repository that was just made.
pub struct Made {
    pub vault: Vault,
    /// The twelve words that open it.
    pub words: String,
}

impl Vault {
    /// Makes a repository. `of` is the key of the system's repository, for that of a tenant: it
    /// opens this one, too.
    pub fn create(place: &Place, of: Option<&DataKey>, host: &Host) -> Result<Made> {
        let backend = place.open(&host.env, true, false)?;
        let report = probe(&*backend, &host.env)?;
        if !report.usable() {
            return Err(Error::unsupported(format!(
                "{} cannot hold a repository: check the storage",
                backend.describe()
            )));
        }
        let single_writer = !report.many_writers();
        let backend = match single_writer {
            true => Arc::new(SingleWriterBackend::new(backend)) as SharedBackend,
            false => backend,
        };
        let parent = of.map(|key| Secret::Parent(key.clone()));
        let secrets: Vec<_> = parent.iter().map(|secret| (secret, "system")).collect();
        let (repository, recovery) =
            Repository::init(backend, &secrets, single_writer, open_options(host))?;
        let vault = Self::of(place, host, repository);
        Ok(Made { vault, words: recovery.words().to_string() })
    }

    pub fn open(place: &Place, key: DataKey, host: &Host) -> Result<Self> {
        let backend = existing(place, &host.env)?;
        let repository = Repository::open_with_key(backend, key, open_options(host))?;
        Ok(Self::of(place, host, repository))
    }

    /// With the twelve words that open it.
    pub fn unlock(place: &Place, words: &str, host: &Host) -> Result<Self> {
        Self::unlock_with(place, &Secret::Recovery(RecoveryKey::parse(words)?), host)
    }

    /// One of a tenant, with the key of the system's repository.
    pub fn unlock_of(place: &Place, of: &DataKey, host: &Host) -> Result<Self> {
        Self::unlock_with(place, &Secret::Parent(of.clone()), host)
    }

    fn unlock_with(place: &Place, secret: &Secret, host: &Host) -> Result<Self> {
        let backend = existing(place, &host.env)?;
        let repository = Repository::open(backend, secret, open_options(host))?;
        Ok(Self::of(place, host, repository))
    }

    fn of(place: &Place, host: &Host, repository: Repository) -> Self {
        Self { place: place.clone(), host: host.clone(), repository: Arc::new(repository) }
    }

    pub fn id(&self) -> String {
        self.repository.id().to_string()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn key(&self) -> &DataKey {
        self.repository.keys().master()
    }

    /// Who works on it, as it stands in what is written.
    pub fn identity(&self) -> &Identity {
        self.repository.identity()
    }

    /// Visible snapshots, oldest first.
    pub fn snapshots(&self) -> Result<Listing> {
        self.repository.snapshots()
    }

    /// `NotFound` where there is none.
    pub fn snapshot(&self, id: &str) -> Result<Snapshot> {
        let found = self.snapshots()?.snapshots.into_iter().find(|s| s.id.to_string() == id);
        found.ok_or_else(|| Error::not_found(format!("there is no snapshot {id}")))
    }

    pub fn descriptor(&self, snapshot: &Snapshot) -> Result<Option<Descriptor>> {
        crate::group::descriptor(&self.repository, snapshot)
    }

    /// A file of it, whole; none where there is none of that path.
    pub fn small(&self, snapshot: &Snapshot, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let reader = self.repository.reader()?;
        let root = Root::of(&snapshot.manifest);
        crate::content::small(&reader, root, path.as_bytes(), limit)
    }

    /// `by` is who asked for it.
    pub fn change(&self, snapshot: &Snapshot, by: &str, change: Change) -> Result<Standing> {
        self.repository.annotate(snapshot.id, &snapshot.manifest, by, change)
    }
}

fn open_options(host: &Host) -> OpenOptions {
    OpenOptions {
        cache_root: host.cache.clone(),
        identity: identity::of_this_process(),
        env: host.env.clone(),
    }
}

fn existing(place: &Place, env: &Env) -> Result<SharedBackend> {
    let backend = place.open(env, false, false)?;
    match read_config(&backend)?.single_writer {
        true => place.open(env, false, true),
        false => Ok(backend),
    }
}

/// Whether a description says what its connector needs; looks at nothing on any host.
pub fn check_described(resource: &Resource) -> Result<()> {
    crate::group::check(&tintype_source::connectors(), resource)
}

/// So many threads for work that waits for a store or a disk.
const WAITING_WORKERS: usize = 6;

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tintype_model::ErrorKind;

    use super::*;
    use crate::progress::Progress;
    use crate::snapshot::part::Part;

    fn host(dir: &Path) -> Host {
        Host {
            env: Env::system(),
            cache: None,
            runtime: dir.join("run"),
            state: dir.to_owned(),
            scratch: dir.join("scratch"),
            journals: dir.join("restores"),
            guard: GuardCommand {
                program: "/bin/false".into(),
                arguments: Vec::new(),
                environment: Vec::new(),
            },
            own: Vec::new(),
            origin: None,
            passwords: Passwords::default(),
        }
    }

    #[test]
    fn the_systems_key_opens_what_is_its_tenants() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path());
        let storage =
            Place { url: dir.path().join("s").display().to_string(), access: None, limit: None };
        let (own, theirs) = (storage.below("own"), storage.below("theirs"));
        let system = Vault::create(&own, None, &host).unwrap();
        let tenant = Vault::create(&theirs, Some(system.vault.key()), &host).unwrap();
        assert_ne!(system.vault.key().bytes(), tenant.vault.key().bytes());
        let id = tenant.vault.id();
        assert_eq!(Vault::unlock_of(&theirs, system.vault.key(), &host).unwrap().id(), id);
        assert_eq!(Vault::unlock(&theirs, &tenant.words, &host).unwrap().id(), id);
        let key = DataKey::from_bytes(*tenant.vault.key().bytes());
        assert_eq!(Vault::open(&theirs, key.clone(), &host).unwrap().id(), id);
        // The other way round, and with other words, nothing opens.
        let refused = |error: Result<Vault>| match error {
            Err(error) => assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}"),
            Ok(_) => panic!("it opened"),
        };
        refused(Vault::unlock_of(&own, &key, &host));
        refused(Vault::open(&own, key, &host));
        refused(Vault::unlock(&own, &tenant.words, &host));
    }

    /// The same path on another host is something else.
    #[test]
    fn what_a_host_captured_is_compared_with_what_it_captured_before() {
        let dir = tempfile::tempdir().unwrap();
        let storage =
            Place { url: dir.path().join("s").display().to_string(), access: None, limit: None };
        let key = Vault::create(&storage, None, &host(dir.path())).unwrap().vault.key().clone();
        let of = |origin: &str| {
            let host = Host { origin: Some(origin.to_owned()), ..host(dir.path()) };
            Vault::open(&storage, key.clone(), &host).unwrap()
        };
        let (one, two) = (of("one"), of("two"));
        for name in ["a", "b"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let volume = |name: &str| {
            let at = serde_json::json!({ "path": dir.path().join(name) });
            let volume = serde_json::json!({
                "kind": "volume", "name": name, "connector": "files", "at": at,
            });
            serde_json::from_value::<tintype_model::resource::Resource>(volume).unwrap()
        };
        let order = |names: &[&str], part: Option<&str>| Order {
            tenant: "t".into(),
            resources: vec![volume("a"), volume("b")],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            part: part.map(|name| PartOf {
                part: Part { run: "run".into(), name: name.into() },
                places: vec!["tenants/t/volumes/a".into(), "tenants/t/volumes/b".into()],
                known: Vec::new(),
            }),
            ..Order::default()
        };
        let take = |vault: &Vault, order: Order| {
            let taken = vault.take(&order, &Cancel::default(), &Progress::default()).unwrap();
            (taken.outcome.id.to_string(), taken.outcome.manifest.parent.map(|id| id.to_string()))
        };
        let (first, parent) = take(&one, order(&["a"], None));
        assert_eq!(parent, None);
        assert_eq!(take(&two, order(&["a"], None)).1, None);
        assert_eq!(take(&one, order(&["a"], None)).1, Some(first));
        // A joined snapshot is compared with by all whose parts are in it.
        let parts = [(&one, "a"), (&two, "b")].map(|(vault, name)| {
            let (id, _) = take(vault, order(&[name], Some(name)));
            let wanted = Part { run: "run".into(), name: name.into() };
            assert_eq!(vault.part(&wanted).unwrap().unwrap().snapshot, id);
            id
        });
        let whole = Whole { names: vec!["a".into(), "b".into()], ..Whole::default() };
        let (joined, kept) = one.join(&parts, whole, "test", &Cancel::default()).unwrap();
        assert!(kept.is_empty() && one.snapshot(&parts[0]).is_err(), "{kept:?}");
        for (vault, name) in [(&one, "a"), (&two, "b")] {
            assert_eq!(take(vault, order(&[name], Some("next"))).1.as_ref(), Some(&joined));
        }
        assert_ne!(take(&two, order(&["a"], None)).1.as_ref(), Some(&joined));
    }

    /// A series goes on with its own marks, also after one of its resources was deleted.
    #[test]
    fn what_is_deleted_is_no_reason_to_borrow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let storage =
            Place { url: dir.path().join("s").display().to_string(), access: None, limit: None };
        let host = host(dir.path());
        let vault = Vault::create(&storage, None, &host).unwrap().vault;
        let volume = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            let volume = serde_json::json!({
                "kind": "volume", "name": name, "connector": "files", "at": { "path": path },
            });
            serde_json::from_value::<tintype_model::resource::Resource>(volume).unwrap()
        };
        let borrows = |known: &[&str], names: &[&str]| {
            let order = Order {
                tenant: "t".into(),
                resources: known.iter().map(|name| volume(name)).collect(),
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                ..Order::default()
            };
            let taken = vault.take(&order, &Cancel::default(), &Progress::default()).unwrap();
            taken.outcome.manifest.options["borrows"].as_bool().unwrap()
        };
        assert!(!borrows(&["a", "b"], &["a", "b"]));
        assert!(borrows(&["a", "b"], &["a"]), "a part of what there is");
        assert!(!borrows(&["a"], &["a"]), "all that is left of it");
        assert!(!borrows(&["a"], &["a"]));
    }

    #[test]
    fn notes_are_read_without_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Place { url: dir.path().display().to_string(), access: None, limit: None };
        let env = Env::system();
        storage.leave_note("a/b", b"one", &env).unwrap();
        // The first word stays.
        storage.leave_note("a/b", b"two", &env).unwrap();
        assert_eq!(storage.notes(&env).unwrap(), [("a/b".to_owned(), b"one".to_vec())]);
    }
}
