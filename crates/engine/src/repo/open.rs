//! Making and opening a repository.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tintype_model::{Error, ErrorKind, Result};

use super::session::is_unreadable;
use super::{Cache, Identity, Repository};
use crate::backend::{Backend, SharedBackend, list_all};
use crate::chunker::Chunker;
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::slot::{RecoveryKey, Secret, Slot};
use crate::env::Env;
use crate::format::limits;
use crate::format::object::ObjectType;
use crate::format::records::{Config, Deletions, Features, GcRecord, Operation, names};
use crate::id::RandomId;

pub struct OpenOptions {
    /// Where caches of all repositories lie; `None`: keep everything in memory.
    pub cache_root: Option<PathBuf>,
    pub identity: Identity,
    pub env: Env,
}

fn assemble(
    backend: SharedBackend,
    keys: Keys,
    config: Config,
    options: OpenOptions,
) -> Repository {
    let cache = Cache::open(options.cache_root.as_deref(), config.id);
    let chunker = Arc::new(Chunker::new(keys.gear_table()));
    Repository {
        backend,
        keys: Arc::new(keys),
        config,
        cache,
        chunker,
        env: options.env,
        identity: options.identity,
    }
}

/// The plain configuration; `NotFound` where there is no repository.
pub fn read_config(backend: &SharedBackend) -> Result<Config> {
    Ok(read_configs(backend)?.remove(0))
}

/// What `config` and its copy say, as far as they can be read: one, or two that differ. Which is
/// right shows as soon as the key is known.
fn read_configs(backend: &SharedBackend) -> Result<Vec<Config>> {
    let first = read_config_at(backend, names::CONFIG);
    let copy = read_config_at(backend, names::CONFIG_COPY);
    match (first, copy) {
        (Ok(first), Ok(copy)) if first != copy => Ok(vec![first, copy]),
        (Ok(first), _) => Ok(vec![first]),
        // A newer format is no damage.
        (Err(error), _) if !is_damage(&error) => Err(error),
        (Err(error), Ok(copy)) => {
            tracing::warn!(%error, "`config` cannot be used, its copy is");
            Ok(vec![copy])
        }
        (Err(error), Err(copy)) if copy.is(ErrorKind::NotFound) => Err(error),
        (Err(error), Err(copy)) => Err(Error::corrupt(format!(
            "both copies of the configuration are damaged: {error}; {copy}; bring `config` back \
             from a copy of the store"
        ))),
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Corrupt)
}

fn read_config_at(backend: &SharedBackend, name: &str) -> Result<Config> {
    let text = backend.get(name, limits::PLAIN_JSON_BYTES).map_err(|error| {
        if error.is(ErrorKind::NotFound) {
            Error::not_found(format!(
                "{} holds no Tintype repository (there is no `config`); make one with \
                 `tintype repo init`",
                backend.describe()
            ))
        } else {
            error.context(backend.describe())
        }
    })?;
    Config::parse(&text).map_err(|e| e.context(backend.describe()))
}

impl Repository {
    /// Makes a repository with a key slot for each of `secrets`, which have labels, and one for a
    /// recovery key that is given back once. Refuses a place that holds anything.
    pub fn init(
        backend: SharedBackend,
        secrets: &[(&Secret, &str)],
        single_writer: bool,
        options: OpenOptions,
    ) -> Result<(Self, RecoveryKey)> {
        let rests = Rests::find(&backend)?;
        let env = &options.env;
        let keys = Keys::new(MasterKey::generate(env));
        let config = Config {
            tintype: "repository".into(),
            version: 1,
            id: RandomId(env.bytes()),
            created: env.clock.now(),
            single_writer,
            features: Features::default(),
            mac: None,
        }
        .seal(&keys);
        let recovery = RecoveryKey::generate(env);
        let mut own = Vec::new();
        let of_init = Secret::Recovery(recovery.clone());
        for (secret, label) in secrets.iter().chain([&(&of_init, "recovery key of init")]) {
            let id = RandomId(env.bytes());
            let slot = Slot::seal(secret, &keys, config.id, id, label, env)?;
            own.push((names::slot(id), serde_json::to_vec(&slot).expect("plain data")));
        }
        let text = serde_json::to_vec(&config).expect("plain data");
        let repository = assemble(backend, keys, config, options);
        own.push((names::gc(0), repository.first_gc_record()?));
        if !repository.claim(&rests, &own, &text)? {
            rests.withdraw(&repository.backend, &own);
            return Err(Error::already_exists(format!(
                "{}: another `init` was faster, or is at work; what this one put was taken back",
                repository.backend.describe()
            )));
        }
        repository.settle_in(&rests, &own, &text)?;
        Ok((repository, recovery))
    }

    /// Puts the first objects, `config` last: before it exists there is no repository, only rests
    /// of an attempt. `false`: another `init` was there first.
    fn claim(&self, rests: &Rests, own: &[(String, Vec<u8>)], config: &[u8]) -> Result<bool> {
        if rests.record.is_some() {
            self.backend.delete(&names::gc(0))?;
        }
        let own = own.iter().map(|(name, data)| (&name[..], &data[..]));
        for (name, data) in own.chain([(names::CONFIG, config)]) {
            match put_exactly(&*self.backend, name, data) {
                Err(error) if error.is(ErrorKind::AlreadyExists) => return Ok(false),
                put => put?,
            }
        }
        Ok(true)
    }

    /// After `config` was put. Its copy comes later, because by itself it would open a repository.
    fn settle_in(&self, rests: &Rests, own: &[(String, Vec<u8>)], config: &[u8]) -> Result<()> {
        let backend = &*self.backend;
        put_exactly(backend, names::CONFIG_COPY, config)?;
        // Another `init` that began before there was `config` may have taken something for a rest.
        for (name, data) in own {
            if !holds(backend, name, data)? {
                backend.delete(name)?;
                put_exactly(backend, name, data)?;
            }
        }
        rests.keys.iter().try_for_each(|name| backend.delete(name))
    }

    /// So that a listing without any record is an error and never "no gc yet".
    fn first_gc_record(&self) -> Result<Vec<u8>> {
        let record = GcRecord {
            seq: 0,
            session: RandomId::default(),
            base: Vec::new(),
            absorbed: Vec::new(),
            annotations: BTreeMap::new(),
            retired: Vec::new(),
            delete: Deletions::default(),
            time: self.env.clock.now(),
        };
        self.seal(ObjectType::GcRecord, &names::gc(0), &record)
    }

    /// Opens with any secret that a key slot knows. `WrongKey` if none does.
    pub fn open(backend: SharedBackend, secret: &Secret, options: OpenOptions) -> Result<Self> {
        let (config, keys) = unlock_any(&backend, secret)?;
        config.features.allow(Operation::Read)?;
        Ok(assemble(backend, keys, config, options))
    }

    /// Opens with the repository's own key, without a key slot. `WrongKey` if it is another's.
    pub fn open_with_key(
        backend: SharedBackend,
        key: MasterKey,
        options: OpenOptions,
    ) -> Result<Self> {
        let keys = Keys::new(key);
        let mut failure = None;
        for config in read_configs(&backend)? {
            match config.verify(&keys) {
                Ok(()) => {
                    config.features.allow(Operation::Read)?;
                    return Ok(assemble(backend, keys, config, options));
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let error = failure.expect("there is at least one configuration");
        let place = backend.describe();
        Err(Error::wrong_key(format!("{place}: this is not the key of that repository: {error}")))
    }

    /// Checked before anything is written.
    pub fn allow_write(&self) -> Result<()> {
        self.config.features.allow(Operation::Write)
    }

    /// Gc and repair write and delete.
    pub fn allow_maintenance(&self) -> Result<()> {
        self.allow_write()?;
        self.config.features.allow(Operation::Delete)
    }
}

/// What an `init` that was interrupted before it put `config` left; or what one that is at work has
/// put. Its slots open nothing here, so they stay until this one has won: if that one wins, its
/// secrets must open.
struct Rests {
    keys: Vec<String>,
    /// The first gc record, whose name both need.
    record: Option<Vec<u8>>,
}

impl Rests {
    /// Refuses a place that holds anything else.
    fn find(backend: &SharedBackend) -> Result<Self> {
        refuse_repository(backend)?;
        let mut rests = Self { keys: Vec::new(), record: None };
        for listed in list_all(&**backend, "")? {
            if listed.name.starts_with("keys/") {
                rests.keys.push(listed.name);
            } else if listed.name == names::gc(0) {
                match backend.get(&listed.name, limits::PLAIN_JSON_BYTES) {
                    Ok(data) => rests.record = Some(data),
                    Err(error) if error.is(ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            } else if !listed.name.starts_with("tmp/") {
                return Err(Error::already_exists(format!(
                    "{} is not empty (it holds {}); choose an empty place",
                    backend.describe(),
                    listed.name
                )));
            }
        }
        Ok(rests)
    }

    /// After another `init` won: takes back what this one put, and gives back its first record if
    /// this one removed it. What fails here leaves slots that open nothing, or a gc record that a
    /// repair makes anew.
    fn withdraw(&self, backend: &SharedBackend, own: &[(String, Vec<u8>)]) {
        let take_back = || -> Result<()> {
            for (name, data) in own {
                if holds(&**backend, name, data)? {
                    backend.delete(name)?;
                }
            }
            match &self.record {
                Some(record) => put_exactly(&**backend, &names::gc(0), record),
                None => Ok(()),
            }
        };
        if let Err(error) = take_back() {
            tracing::debug!(%error, "rests of this init stay");
        }
    }
}

/// Whether an object is there and holds exactly these bytes.
fn holds(backend: &dyn Backend, name: &str, data: &[u8]) -> Result<bool> {
    match backend.get(name, data.len() as u64) {
        Ok(found) => Ok(found == data),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts, unless exactly these bytes are there: an earlier try got through.
fn put_exactly(backend: &dyn Backend, name: &str, data: &[u8]) -> Result<()> {
    match backend.put(name, data) {
        Err(error) if error.is(ErrorKind::AlreadyExists) && holds(backend, name, data)? => Ok(()),
        put => put,
    }
}

fn refuse_repository(backend: &SharedBackend) -> Result<()> {
    for name in [names::CONFIG, names::CONFIG_COPY] {
        match backend.stat(name) {
            Ok(_) => {
                return Err(Error::already_exists(format!(
                    "{} already holds a repository",
                    backend.describe()
                )));
            }
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn put_slot(
    backend: &SharedBackend,
    secret: &Secret,
    keys: &Keys,
    repository: RandomId,
    label: &str,
    env: &Env,
) -> Result<RandomId> {
    let id = RandomId(env.bytes());
    write_slot(backend, id, &Slot::seal(secret, keys, repository, id, label, env)?)
}

pub(super) fn write_slot(backend: &SharedBackend, id: RandomId, slot: &Slot) -> Result<RandomId> {
    backend.put(&names::slot(id), &serde_json::to_vec(slot).expect("plain data"))?;
    Ok(id)
}

/// What lies under `keys/`.
#[derive(Default)]
pub(super) struct Slots {
    /// Oldest first.
    pub usable: Vec<(RandomId, Slot)>,
    /// Another slot may still open, so these stop nothing by themselves.
    pub damaged: Vec<(RandomId, Error)>,
}

pub(super) fn read_slots(backend: &SharedBackend) -> Result<Slots> {
    let mut slots = Slots::default();
    for listed in list_all(&**backend, "keys/")? {
        let Some(id) = names::parse_id(&listed.name, "keys/") else { continue };
        let text = backend.get(&listed.name, limits::PLAIN_JSON_BYTES);
        let read = text.and_then(|text| {
            serde_json::from_slice::<Slot>(&text)
                .map_err(|e| Error::corrupt("is no key slot").with_source(e))
        });
        match read {
            Ok(slot) => slots.usable.push((id, slot)),
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(slot = %id, %error, "key slot is damaged");
                slots.damaged.push((id, error));
            }
            Err(error) => return Err(error),
        }
    }
    slots.usable.sort_by_key(|(_, slot)| slot.created);
    Ok(slots)
}

/// By `config`, or by its copy where that is damaged. What the first says is told if neither
/// opens.
fn unlock_any(backend: &SharedBackend, secret: &Secret) -> Result<(Config, Keys)> {
    let mut failure = None;
    for config in read_configs(backend)? {
        match unlock(backend, &config, secret) {
            Ok(keys) => {
                if failure.is_some() {
                    tracing::warn!(
                        "`config` is damaged, its copy opens the repository; `tintype repo verify \
                         --repair-index` mends it"
                    );
                }
                return Ok((config, keys));
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::WrongKey) => {
                failure.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(failure.expect("there is at least one configuration"))
}

/// The keys from the first slot that opens to one which fits `config`.
fn unlock(backend: &SharedBackend, config: &Config, secret: &Secret) -> Result<Keys> {
    let Slots { usable, mut damaged } = read_slots(backend)?;
    let count = usable.len();
    let mut misfit = None;
    for (id, slot) in usable {
        let keys = match slot.open(secret, config.id, id) {
            Ok(Some(master)) => Keys::new(master),
            Ok(None) if slot.kind() != "unknown" => continue,
            Ok(None) => {
                let what = "is of a kind that this version does not know, or damaged";
                damaged.push((id, Error::unsupported(what)));
                continue;
            }
            Err(error) => {
                tracing::warn!(slot = %id, %error, "key slot cannot be used");
                damaged.push((id, error));
                continue;
            }
        };
        let fits = match slot.verify(&keys, id) {
            Err(error) if slot.needs_mac() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "key slot is damaged and opens all the same; add a new one");
                config.verify(&keys)
            }
            Ok(()) => config.verify(&keys),
        };
        if let Err(error) = fits {
            misfit = Some(error);
            continue;
        }
        return Ok(keys);
    }
    Err(misfit.unwrap_or_else(|| nothing_opens(&backend.describe(), secret, count, &damaged)))
}

/// Where a slot cannot be used, it may be the one that was meant: the secret may be right.
fn nothing_opens(
    place: &str,
    secret: &Secret,
    usable: usize,
    damaged: &[(RandomId, Error)],
) -> Error {
    let what = match secret {
        Secret::Passphrase(_) => "this passphrase",
        Secret::Recovery(_) => "this recovery key",
        Secret::Age(_) => "this age identity",
        Secret::Parent(_) => "the key of the system's repository",
    };
    match damaged {
        [] if usable == 0 => Error::corrupt(format!("{place}: no key slot is left")),
        [] if usable == 1 => {
            Error::wrong_key(format!("{place}: {what} does not open the only key slot"))
        }
        [] => Error::wrong_key(format!("{place}: {what} opens none of the {usable} key slots")),
        _ => {
            let named: Vec<String> = damaged
                .iter()
                .map(|(id, error)| format!("{} ({error})", names::slot(*id)))
                .collect();
            Error::corrupt(format!(
                "{place}: {what} opens no key slot, and it may be right: damaged or refused are \
                 {}; open it with another secret (`tintype repo key remove` and `key add` then \
                 replace what is damaged), or bring these objects back from a copy of the store",
                named.join(", ")
            ))
        }
    }
}

/// What is known of a key slot without opening it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SlotInfo {
    pub id: RandomId,
    /// `damaged` where it cannot be read.
    pub kind: &'static str,
    pub label: String,
    pub created: Option<Timestamp>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl SlotInfo {
    pub fn is_usable(&self) -> bool {
        self.problem.is_none()
    }
}
