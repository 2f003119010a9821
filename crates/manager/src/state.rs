//! What every request and run of one manager shares.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use tintype_model::env::{Clock, Random};
use tintype_model::identifier::Id;
use tintype_model::patience::Patience;
use tintype_runner::vault::{Host, Limit};
use tokio::sync::{RwLock, Semaphore};

use crate::agents::authority::Authority;
use crate::agents::outbox::Outbox;
use crate::auth::limiter::Limiter;
use crate::catalog::Catalog;
use crate::events::Hub;
use crate::lost::lead::Lead;
use crate::runs::Living;
use crate::seal::MasterKey;
use crate::standings::Books;
use crate::uploads::{Busy, Limits};
use crate::views::Views;

/// Hashes of passwords that are computed at once: each takes 19 MiB.
const PASSWORDS_AT_ONCE: usize = 2;
/// Files that are read at once: each takes about 10 MiB.
const READ_AT_ONCE: usize = 32;

pub struct Shared {
    pub catalog: Catalog,
    pub key: MasterKey,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Of the tenant that is the root.
    pub system: Id,
    /// Of this installation: travels with its snapshots.
    pub installation: Id,
    /// Its right to write for the installation.
    pub lead: Lead,
    /// Who leads now, once it is known that this one does no more.
    pub replaced_by: OnceLock<Lead>,
    pub data: PathBuf,
    /// What this host has for its runs.
    pub host: Host,
    pub limiter: Limiter,
    pub passwords: Semaphore,
    pub living: Living,
    pub views: Views,
    /// For whoever reads content.
    pub reading: Arc<Semaphore>,
    /// What may be uploaded.
    pub limits: Limits,
    pub busy: Busy,
    /// With storages that do not answer.
    pub patience: Patience,
    /// For whoever waits for what changes.
    pub events: Hub,
    pub standings: Books,
    /// Of storages, by their ids.
    pub bandwidths: Mutex<HashMap<Id, Arc<Limit>>>,
    /// Held by each request that changes something, until it is done.
    pub changing: Arc<RwLock<()>>,
    /// Of agents.
    pub authority: Authority,
    /// What agents are to do.
    pub outbox: Outbox,
    /// In which storages it was said when that this manager lives.
    pub signs: Mutex<BTreeMap<Id, Timestamp>>,
    /// `host:port` under which agents reach this manager; none before it listens.
    pub addresses: OnceLock<Vec<String>>,
}

pub type State = Arc<Shared>;

/// What a manager is made of.
pub struct Parts {
    pub catalog: Catalog,
    pub key: MasterKey,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub system: Id,
    pub installation: Id,
    pub lead: Lead,
    pub data: PathBuf,
    pub host: Host,
    pub limits: Limits,
    pub patience: Patience,
    pub authority: Authority,
}

impl Shared {
    pub fn new(parts: Parts) -> State {
        let Parts {
            catalog,
            key,
            clock,
            random,
            system,
            installation,
            lead,
            data,
            host,
            authority,
            limits,
            patience,
        } = parts;
        let events = Hub::new(&*random);
        Arc::new(Self {
            catalog,
            key,
            clock,
            random,
            system,
            installation,
            lead,
            replaced_by: OnceLock::new(),
            data,
            host,
            limiter: Limiter::default(),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            living: Living::default(),
            views: Views::default(),
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
            limits,
            busy: Busy::default(),
            patience,
            events,
            standings: Books::default(),
            bandwidths: Mutex::default(),
            changing: Arc::default(),
            authority,
            outbox: Outbox::default(),
            signs: Mutex::default(),
            addresses: OnceLock::new(),
        })
    }

    /// To the millisecond, as the catalog keeps times.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    pub fn new_id(&self) -> Id {
        Id::new(self.now(), &*self.random)
    }

    pub fn addresses(&self) -> Vec<String> {
        self.addresses.get().cloned().unwrap_or_default()
    }
}
