//! From a storage and a tenant to an opened repository.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tintype_api::object::Object;
use tintype_api::resource::ResourceSpec;
use tintype_api::storage::{AccessKey, StorageKind, StorageSpec, StorageState};
use tintype_api::tenant::TenantSpec;
use tintype_model::forecast;
use tintype_model::identifier::Id;
use tintype_model::plan::{Check, Verdict};
use tintype_model::{Error, ErrorKind, Result};
use tintype_runner::vault::work::Access;
use tintype_runner::vault::{self, DataKey, Expected, Limit, Made, Place, Vault};
use zeroize::Zeroizing;

use crate::agents;
use crate::catalog::objects::{self, Kind as _};
use crate::catalog::repositories::{self, Repository};
use crate::catalog::secrets::{self, Of};
use crate::catalog::{audit, facts, snapshots};
use crate::state::{Shared, State};
use crate::usage;

/// Beside the repositories of a storage, one for each: what is known without a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub installation: Id,
    pub place: String,
    /// It holds the manager's state.
    pub is_system: bool,
    pub created: Timestamp,
}

/// Of a storage's access key.
pub const ACCESS_SECRET: &str = "access-secret";
/// Of the one that agents get.
pub const AGENT_ACCESS_SECRET: &str = "agent-access-secret";

/// Work that blocks, away from the threads that answer.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(format!("a thread ended: {error}")))?
}

impl Shared {
    /// Where a storage is; `secret` stands in for the one that is sealed.
    pub async fn place(
        &self,
        storage: &Object<StorageSpec>,
        secret: Option<&str>,
    ) -> Result<Place> {
        let spec = &storage.spec;
        if spec.kind == StorageKind::Internal {
            let directory = self.data.join("repositories");
            let place = Place::parse(&directory.display().to_string(), None)?;
            return Ok(Place { limit: Some(self.limit_of(storage)), ..place });
        }
        let access = match &spec.access_key {
            None => None,
            Some(key) => Some(self.access_key(&storage.id, key, ACCESS_SECRET, secret).await?),
        };
        let limit = Some(self.limit_of(storage));
        Ok(Place { limit, ..Place::parse(&spec.url, access)? })
    }

    /// What all runs of this host share of it, as its windows are now.
    pub fn limit_of(&self, storage: &Object<StorageSpec>) -> Arc<Limit> {
        let mut limits = self.bandwidths.lock().expect("no panic while held");
        let limit = limits.entry(storage.id.clone()).or_default();
        if limit.bandwidth() != storage.spec.bandwidth {
            limit.set(storage.spec.bandwidth.clone());
        }
        Arc::clone(limit)
    }

    async fn access_key(
        &self,
        storage: &Id,
        key: &AccessKey,
        name: &str,
        secret: Option<&str>,
    ) -> Result<vault::AccessKey> {
        if let Some(secret) = secret {
            return Ok(vault::AccessKey::new(&key.id, secret, None));
        }
        let of = Of { kind: StorageSpec::NAME, id: storage, name };
        let sealed = secrets::need(&mut *self.catalog.read().await?, of, &self.key).await?;
        let secret = std::str::from_utf8(&sealed).map_err(|_| Error::corrupt("an access key"))?;
        Ok(vault::AccessKey::new(&key.id, secret, None))
    }

    /// The same, as agents reach it.
    pub async fn place_for_agents(
        &self,
        storage: &Object<StorageSpec>,
        secret: Option<&str>,
    ) -> Result<Place> {
        let (spec, name) = (&storage.spec, &storage.name);
        let limit = spec.bandwidth.clone().map(|bandwidth| Arc::new(Limit::new(Some(bandwidth))));
        match spec.kind {
            StorageKind::Internal | StorageKind::Directory => {
                return Err(Error::unsupported(format!(
                    "storage {name} lies on the manager's host, where agents cannot reach it: use \
                     an object store, or a file system that is mounted on all hosts"
                )));
            }
            StorageKind::Mounted => return Ok(Place { limit, ..Place::parse(&spec.url, None)? }),
            StorageKind::S3 | StorageKind::Google | StorageKind::Azure => {}
        }
        let Some(key) = &spec.agent_access_key else {
            let why = match spec.access_key {
                Some(_) => "the manager's own can delete, and is given to no other host",
                None => "what the manager's environment says is of its own host alone",
            };
            return Err(Error::unsupported(format!(
                "storage {name} has no access key for agents, and {why}: give them one that can \
                 put, get and list (`tintype storage change {name} --agent-access-key ID`)"
            )));
        };
        let access = self.access_key(&storage.id, key, AGENT_ACCESS_SECRET, secret).await?;
        Ok(Place { limit, ..Place::parse(&spec.url, Some(access))? })
    }

    /// What opens a repository, for work that is done there.
    pub async fn access(&self, repository: &Repository, at: &agents::Place) -> Result<Access> {
        let mut on = self.catalog.read().await?;
        let storage = objects::get::<StorageSpec>(&mut on, &repository.storage).await?;
        let of = Of { kind: repositories::KIND, id: &repository.id, name: repositories::KEY };
        let key = secrets::need(&mut on, of, &self.key).await?;
        drop(on);
        let key: [u8; 32] =
            key.as_slice().try_into().map_err(|_| Error::corrupt("a key of a repository"))?;
        let place = match at {
            None => self.place(&storage, None).await?,
            Some(_) => self.place_for_agents(&storage, None).await?,
        };
        Ok(Access {
            storage: place.url.clone(),
            place: place.below(&repository.place),
            key: DataKey::from_bytes(key),
            mount_point: storage.spec.mount_point.map(PathBuf::from),
        })
    }

    pub fn expected(storage: &StorageSpec) -> Expected {
        let mount_point = storage.mount_point.as_ref().map(PathBuf::from);
        Expected { mount_point, ..Expected::default() }
    }

    /// Looks whether it can be used, now, and how full it is. `is_new`: it is not in use, or not for
    /// so much; `secret` stands in for the one that is sealed.
    pub async fn look_at_storage(
        &self,
        storage: &Object<StorageSpec>,
        secret: Option<&str>,
        secret_of_agents: Option<&str>,
        is_new: bool,
    ) -> Result<StorageState> {
        let place = self.place(storage, secret).await?;
        let of_agents = match &storage.spec.agent_access_key {
            None => None,
            Some(_) => Some(self.place_for_agents(storage, secret_of_agents).await?),
        };
        let mut expected = Expected { is_new, ..Self::expected(&storage.spec) };
        let known = repositories::list(&mut *self.catalog.read().await?, Some(&storage.id)).await?;
        expected.repositories = known.into_iter().map(|one| one.place).collect();
        if storage.spec.kind == StorageKind::Internal && storage.spec.is_default {
            let (at, env) = (place.clone(), self.host.env.clone());
            let used = blocking(move || Ok(at.room(&env)?.used_bytes)).await?;
            let content = self.content_for(storage).await?;
            expected.needed_bytes = Some(forecast::needed_bytes(&content, used));
        }
        let env = self.host.env.clone();
        let (mut checks, room) = blocking(move || {
            let mut checks = vault::check(&place, &expected, &env);
            let blocks = |checks: &[Check]| checks.iter().any(|c| c.outcome == Verdict::Block);
            if let Some(theirs) = of_agents.filter(|_| !blocks(&checks)) {
                checks.push(vault::check_key_of_agents(&theirs, &place, &env));
            }
            let is_blocked = checks.iter().any(|check| check.outcome == Verdict::Block);
            let room = if is_blocked { None } else { Some(place.room(&env)?) };
            Ok((checks, room))
        })
        .await?;
        if storage.spec.access_key.is_some() && storage.spec.agent_access_key.is_none() {
            checks.push(Check::warn(
                "agents",
                "agents cannot use it: they are not given the access key that can delete",
                "if there are any, give them one that can put, get and list: `tintype storage change \
                 NAME --agent-access-key ID`",
            ));
        }
        if storage.spec.kind == StorageKind::Internal {
            checks.push(Check::warn(
                "off-host",
                "it lies on this host and is lost together with it",
                "add a storage elsewhere, and keep full snapshots there",
            ));
        }
        let mut on = self.catalog.read().await?;
        let before: Option<StorageState> =
            facts::state(&mut on, StorageSpec::NAME, &storage.id).await?;
        drop(on);
        let now = self.now();
        let before = before.and_then(|before| before.usage).unwrap_or_default();
        let usage = room.map(|room| usage::after(before, &room, now));
        checks.extend(usage.as_ref().and_then(usage::check));
        Ok(StorageState { usage, ..StorageState::new(now, checks) })
    }

    /// Bytes of each protected resource, as it was captured last, whose snapshots go to a storage
    /// unless another is named.
    async fn content_for(&self, storage: &Object<StorageSpec>) -> Result<Vec<u64>> {
        let mut on = self.catalog.read().await?;
        let others = objects::all::<StorageSpec>(&mut on, None).await?;
        let others =
            others.into_iter().filter(|other| other.spec.is_default && other.id != storage.id);
        let elsewhere: BTreeSet<Id> = others.map(|other| other.tenant).collect();
        let goes_here = |tenant: &Id| {
            *tenant == storage.tenant || storage.spec.is_shared && !elsewhere.contains(tenant)
        };
        let mut content = Vec::new();
        for resource in objects::all::<ResourceSpec>(&mut on, None).await? {
            if resource.spec.is_protected && goes_here(&resource.tenant) {
                content.extend(snapshots::last_bytes(&mut on, &resource.id).await?);
            }
        }
        Ok(content)
    }

    /// The storage that a tenant's snapshots go to unless another is named.
    pub async fn default_storage(&self, tenant: &Id) -> Result<Object<StorageSpec>> {
        let mut on = self.catalog.read().await?;
        for (owner, shared) in [(tenant, false), (&self.system, true)] {
            let all = objects::all::<StorageSpec>(&mut on, Some(owner)).await?;
            let fits = |storage: &Object<StorageSpec>| {
                storage.spec.is_default
                    && (!shared || storage.spec.is_shared || *tenant == self.system)
            };
            if let Some(found) = all.into_iter().find(fits) {
                return Ok(found);
            }
        }
        Err(Error::not_found(
            "there is no storage for these snapshots: add one and make it the default (`tintype \
             storage add … --default`), or let the system's be shared",
        ))
    }

    /// Whether a tenant may keep snapshots there.
    pub fn may_use(&self, storage: &Object<StorageSpec>, tenant: &Id) -> bool {
        storage.tenant == *tenant || (storage.tenant == self.system && storage.spec.is_shared)
    }

    /// The repository of a tenant in a storage, which is made if there is none.
    pub async fn vault(
        self: &Arc<Self>,
        storage: &Object<StorageSpec>,
        tenant: &Id,
    ) -> Result<(Repository, Arc<Vault>)> {
        let known = repositories::of(&mut *self.catalog.read().await?, &storage.id, tenant).await?;
        match known {
            Some(known) => {
                let vault = self.open_vault(&known).await?;
                Ok((known, vault))
            }
            None => self.make_vault(storage, tenant).await,
        }
    }

    /// One that is there.
    pub async fn open_vault(self: &Arc<Self>, repository: &Repository) -> Result<Arc<Vault>> {
        let Access { place, key, mount_point, .. } = self.access(repository, &None).await?;
        let host = self.host.clone();
        let vault = blocking(move || {
            vault::check_mount(&Expected { mount_point, ..Expected::default() }, &place)?;
            Vault::open(&place, key, &host)
        });
        match vault.await {
            Ok(vault) => Ok(Arc::new(vault)),
            Err(error) => {
                let storage = self.catalog.get::<StorageSpec>(&repository.storage).await?;
                Err(error.context(format!("storage {}", storage.name)))
            }
        }
    }

    async fn make_vault(
        self: &Arc<Self>,
        storage: &Object<StorageSpec>,
        tenant: &Id,
    ) -> Result<(Repository, Arc<Vault>)> {
        // The system's own first: its key opens all others.
        let parent = match *tenant == self.system {
            true => None,
            false => Some(self.system_key(storage).await?),
        };
        let id = self.new_id();
        // A name of its own each: what an interrupted attempt left is in nobody's way.
        let place_below = format!("{}/{}", self.installation, id).to_lowercase();
        let place = self.place(storage, None).await?.below(&place_below);
        let (host, expected) = (self.host.clone(), Self::expected(&storage.spec));
        let made: Made = blocking(move || {
            vault::check_mount(&expected, &place)?;
            Vault::create(&place, parent.as_ref(), &host)
        })
        .await?;
        let repository = Repository {
            id,
            storage: storage.id.clone(),
            tenant: tenant.clone(),
            place: place_below,
            engine_id: made.vault.id(),
        };
        self.leave_note(storage, &repository).await?;
        let mut change = self.catalog.change().await?;
        if let Some(faster) = repositories::of(change.on(), &storage.id, tenant).await? {
            drop(change);
            let vault = self.open_vault(&faster).await?;
            return Ok((faster, vault));
        }
        repositories::insert(change.on(), &repository, self.now()).await?;
        let key = Zeroizing::new(made.vault.key().bytes().to_vec());
        let words = Zeroizing::new(made.words.clone().into_bytes());
        for (name, secret) in [(repositories::KEY, &key), (repositories::WORDS, &words)] {
            let of = Of { kind: repositories::KIND, id: &repository.id, name };
            secrets::put(change.on(), of, secret, &self.key, &*self.random).await?;
        }
        let told = audit::New {
            time: self.now(),
            tenant,
            actor: "manager",
            action: "repository.create",
            object: &format!("storage {}", storage.name),
            outcome: "done",
            detail: serde_json::json!({ "repository": repository.id }),
        };
        change.commit(&told).await?;
        Ok((repository, Arc::new(made.vault)))
    }

    /// What `tintype recover` finds it by.
    async fn leave_note(
        &self,
        storage: &Object<StorageSpec>,
        repository: &Repository,
    ) -> Result<()> {
        let note = Note {
            installation: self.installation.clone(),
            place: repository.place.clone(),
            is_system: repository.tenant == self.system,
            created: self.now(),
        };
        let text = serde_json::to_vec(&note).map_err(|error| Error::internal(error.to_string()))?;
        let name = format!("{}/{}", self.installation, repository.id);
        let (place, env) = (self.place(storage, None).await?, self.host.env.clone());
        blocking(move || place.leave_note(&name, &text, &env)).await
    }

    /// Of the system's repository in the same storage.
    async fn system_key(self: &Arc<Self>, storage: &Object<StorageSpec>) -> Result<DataKey> {
        let system = self.system.clone();
        let (_, vault) = Box::pin(self.vault(storage, &system)).await?;
        Ok(vault.key().clone())
    }

    pub async fn tenant(&self, id: &Id) -> Result<Object<TenantSpec>> {
        self.catalog.get(id).await
    }
}

/// A storage that may be named by a tenant, by id.
pub async fn usable_storage(state: &State, id: &Id, tenant: &Id) -> Result<Object<StorageSpec>> {
    let absent = || Error::not_found(format!("there is no storage {id}"));
    match state.catalog.get::<StorageSpec>(id).await {
        Ok(storage) if state.may_use(&storage, tenant) => Ok(storage),
        Ok(_) => Err(absent()),
        Err(error) if error.is(ErrorKind::NotFound) => Err(absent()),
        Err(error) => Err(error),
    }
}
