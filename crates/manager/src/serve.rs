//! From an empty directory to a manager that answers, and its end.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::fs::{FlockOperation, flock};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use serde_json::json;
use tintype_api::agent::SERVER_NAME;
use tintype_api::object::Object;
use tintype_api::storage::{INTERNAL, StorageKind, StorageSpec};
use tintype_api::tenant::{SYSTEM, TenantSpec};
use tintype_api::user::UserSpec;
use tintype_model::env::Random;
use tintype_model::identifier::Id;
use tintype_model::patience::Patience;
use tintype_model::rights::Role;
use tintype_model::{Error, Result};
use tintype_runner::group::GuardCommand;
use tintype_runner::vault::{Env, Host};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::agents::authority::{Authority, agent_of};
use crate::agents::moved;
use crate::auth::password;
use crate::catalog::remake::newer;
use crate::catalog::{Catalog, VERSION, audit, facts, objects, passwords};
use crate::guests::{Guests, Visit};
use crate::lost::copy::{self, Why};
use crate::lost::lead::{self, Lead};
use crate::lost::{alive, settle, switch};
use crate::runs::begin;
use crate::runs::{self, Dispatcher};
use crate::seal::MasterKey;
use crate::state::{Parts, Shared, State};
use crate::vaults::blocking;
use crate::{events, http, schedule, tls, uploads};

/// Name of the first administrator.
pub const ADMINISTRATOR: &str = "admin";
/// Of the facts of the catalog.
pub(crate) const INSTALLATION: &str = "installation";
/// In the data directory: held by the manager that runs, whose process it names.
pub(crate) const LOCK: &str = "manager.lock";
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that are being greeted at once.
const GREETED_AT_ONCE: usize = 256;

pub struct Options {
    pub data: PathBuf,
    pub listen: SocketAddr,
    /// `postgres://…`; none: SQLite in the data directory.
    pub database: Option<String>,
    pub names: Vec<String>,
    /// A certificate of one's own.
    pub tls: Option<tls::Files>,
    /// Where the master key lies; none: in the data directory.
    pub master_key: Option<PathBuf>,
    /// What this host has for its runs; cache, scratch and journals lie in the data directory.
    pub env: Env,
    pub guard: GuardCommand,
    /// Where all programs of this host know of each other's runs.
    pub runtime: PathBuf,
    pub limits: uploads::Limits,
    /// How long runs wait for a storage that does not answer.
    pub patience: Patience,
}

/// A manager that listens.
pub struct Manager {
    pub state: State,
    pub address: SocketAddr,
    pub authority: Option<PathBuf>,
    /// Of the first administrator, when it was made just now: told once, kept nowhere.
    pub first_password: Option<String>,
    listener: Encrypted,
    greeting: JoinHandle<()>,
    alone: File,
}

impl Manager {
    pub async fn start(options: Options) -> Result<Self> {
        let (data, clock) = (options.data.clone(), Arc::clone(&options.env.clock));
        let alone = blocking(move || switch::take(&data, &*clock)).await?;
        // Before anything is made: the first password is told once, by a manager that listens.
        let failed = |error| Error::io(error, format!("listening on {}", options.listen));
        let tcp = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        let (state, first_password) = open(&options).await?;
        upgraded(&state).await?;
        let files = if let Some(files) = options.tls.clone() {
            files
        } else {
            let mut names = tls::usual_names(options.listen.ip());
            names.extend(options.names.iter().cloned());
            let directory = options.data.join(tls::DIRECTORY);
            let files = tls::own(&directory, &names, options.env.clock.now())?;
            settle::remember(&state, &directory).await?;
            files
        };
        let agents = state.authority.server_config(&options.env.clock)?;
        let configs = Configs { usual: tls::server_config(&files)?, agents };
        let (listener, greeting) = Encrypted::new(tcp, address, configs);
        let _ = state.addresses.set(addresses(&options, address));
        let authority = files.authority;
        says_who_it_is(&alone, &options.data)?;
        Ok(Self { state, address, authority, first_password, listener, greeting, alone })
    }

    /// Answers and carries runs out until `end`; requests that have begun are finished, runs are
    /// stopped and go on when it is started again.
    pub async fn run(self, end: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let (ending, ended) = watch::channel(false);
        let state = Arc::clone(&self.state);
        let end = async move {
            end.await;
            ending.send_replace(true);
            state.outbox.close();
            state.events.close();
        };
        let dispatcher = tokio::spawn(Dispatcher::new(Arc::clone(&self.state)).run(ended.clone()));
        let clock = tokio::spawn(schedule::run(Arc::clone(&self.state), ended.clone()));
        let notices = tokio::spawn(moved::run(Arc::clone(&self.state), ended.clone()));
        let changes = tokio::spawn(events::run(Arc::clone(&self.state), ended.clone()));
        let signs = tokio::spawn(alive::run(Arc::clone(&self.state), ended));
        let (router, _) = http::application(Arc::clone(&self.state));
        let service = router.into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(self.listener, service).with_graceful_shutdown(end).await;
        // With the last of them the port is free for whoever starts next.
        for task in [dispatcher, clock, notices, changes, signs, self.greeting] {
            task.await.map_err(|error| Error::internal(format!("a task ended: {error}")))?;
        }
        // Those that nobody waits for any more, too.
        let _all = self.state.changing.write().await;
        self.state.catalog.close().await;
        // A process that is just being started here may have a copy of the lock for a moment: whoever
        // starts next waits for that, as it does for no manager.
        let _ = self.alone.set_len(0);
        served.map_err(|error| Error::io(error, "answering requests"))
    }
}

/// One at a time works with a data directory, as long as the file is open.
pub fn alone(data: &Path) -> Result<File> {
    prepare(data)?;
    let path = data.join(LOCK);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Error::io(error, path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            file.set_len(0).map_err(|error| Error::io(error, path.display()))?;
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::locked(format!(
            "{}: a manager runs with this data directory: stop it first, or use another",
            data.display()
        ))),
        Err(error) => Err(Error::io(error.into(), path.display())),
    }
}

/// So that a recovery over it can end it; wiped out by whoever takes the lock next.
fn says_who_it_is(mut alone: &File, data: &Path) -> Result<()> {
    writeln!(alone, "{}", std::process::id())
        .map_err(|error| Error::io(error, data.join(LOCK).display()))
}

/// For its owner only.
pub fn prepare(data: &Path) -> Result<()> {
    let failed = |error| Error::io(error, data.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    let found = std::fs::metadata(data).map_err(failed)?;
    if found.mode() & 0o077 != 0 {
        return Err(Error::denied(format!(
            "{}: others can enter the data directory, and it holds keys: chmod 700",
            data.display()
        )));
    }
    Ok(())
}

/// The catalog and all that is needed to work with it; an empty one gets its root and an
/// administrator, whose password is given back.
pub async fn open(options: &Options) -> Result<(State, Option<String>)> {
    prepare(&options.data)?;
    let catalog = catalog(options).await?;
    let first = find_system(&catalog).await?;
    // A catalog that holds something cannot be read with a new key.
    let key = master_key(options, first.is_none())?;
    let (system, first_password) = if let Some(system) = first {
        (system, None)
    } else {
        let (system, password) = populate(&catalog, options).await?;
        (system, Some(password))
    };
    Ok((state(catalog, key, system, options).await?, first_password))
}

/// Up to date. What an earlier program wrote is copied first; that this fails is said, and is no
/// reason not to start: each step up is a transaction.
pub(crate) async fn catalog(options: &Options) -> Result<Catalog> {
    let catalog = as_it_stands(options).await?;
    let before = catalog.version().await?;
    if before.is_some_and(|before| before < VERSION) {
        let now = options.env.clock.now();
        match copy::take(&catalog, &options.data, Why::Upgrade, now).await {
            Ok(copy) => tracing::warn!(
                back = copy.command(&options.data),
                "the catalog is of an earlier version of Tintype: it was copied, and is brought up \
                 to date"
            ),
            Err(error) => tracing::error!(
                %error,
                "the catalog is of an earlier version of Tintype, and is brought up to date without \
                 a copy"
            ),
        }
    }
    catalog.migrated().await
}

/// Of whatever version.
pub async fn as_it_stands(options: &Options) -> Result<Catalog> {
    let catalog = match &options.database {
        Some(url) => Catalog::postgres(url).await,
        None => Catalog::sqlite(&options.data.join("catalog.sqlite")).await,
    }?;
    match catalog.version().await? {
        Some(version) if version > VERSION => Err(newer()),
        _ => Ok(catalog),
    }
}

/// What was copied before the catalog was brought up to date goes to a storage, too, as a snapshot of
/// the manager's state; until it is queued, the copy says so.
async fn upgraded(state: &State) -> Result<()> {
    for copy in copy::list(&state.data)?.iter().filter(|copy| copy.is_due()) {
        let storage = match state.default_storage(&state.system).await {
            Ok(storage) => storage.id,
            Err(error) => {
                tracing::warn!(%error, copy = copy.name, "it stays on this host alone");
                continue;
            }
        };
        let wanted = runs::snapshot::of_copy(state, copy, storage)?;
        let mut change = state.catalog.change().await?;
        let id = begin::queue(state, change.on(), wanted).await?;
        let detail = json!({
            "from": copy.head.version, "to": VERSION, "copy": copy.name, "run": id,
            "program": env!("CARGO_PKG_VERSION"), "before": copy.head.program,
        });
        let told = audit::New {
            time: state.now(),
            tenant: &state.system,
            actor: "manager",
            action: "manager.upgrade",
            object: "catalog",
            outcome: "done",
            detail,
        };
        change.commit(&told).await?;
        copy.is_sent()?;
    }
    Ok(())
}

pub(crate) fn master_key(options: &Options, may_make: bool) -> Result<MasterKey> {
    let file = options.master_key.clone().unwrap_or_else(|| options.data.join("master.key"));
    MasterKey::of_file(&file, may_make, &*options.env.random)
}

pub(crate) async fn state(
    catalog: Catalog,
    key: MasterKey,
    system: Id,
    options: &Options,
) -> Result<State> {
    let (installation, host) = (installation(&catalog).await?, host(options)?);
    let lead = lead::get(&mut *catalog.read().await?).await?;
    let authority = Authority::of(&catalog, &key, &installation, &options.env).await?;
    Ok(Shared::new(Parts {
        catalog,
        key,
        clock: Arc::clone(&options.env.clock),
        random: Arc::clone(&options.env.random),
        system,
        installation,
        lead,
        data: options.data.clone(),
        host,
        limits: options.limits.clone(),
        patience: options.patience,
        authority,
    }))
}

/// Those under which agents can reach this manager: names that it was given, its host's, and the
/// address that it listens on.
fn addresses(options: &Options, address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let of_all = |name: &String| matches!(&name[..], "localhost" | "127.0.0.1" | "::1");
    let is_alone = address.ip().is_loopback();
    // What listens for its own host alone is reached by that alone.
    let usual = match is_alone {
        true => vec![address.ip().to_string()],
        false => tls::usual_names(address.ip()),
    };
    let usual = usual.into_iter().filter(|name| is_alone || !of_all(name));
    let all = options.names.iter().cloned().chain(usual);
    let mut shown: Vec<String> = all
        .map(|name| match name.parse::<std::net::Ipv6Addr>() {
            Ok(_) => format!("[{name}]:{port}"),
            Err(_) => format!("{name}:{port}"),
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    shown.retain(|one| seen.insert(one.clone()));
    shown
}

pub(crate) async fn find_system(catalog: &Catalog) -> Result<Option<Id>> {
    let mut on = catalog.read().await?;
    let found = objects::named_anywhere::<TenantSpec>(&mut on, SYSTEM).await?;
    Ok(found.map(|tenant| tenant.id))
}

async fn installation(catalog: &Catalog) -> Result<Id> {
    let found = facts::get(&mut *catalog.read().await?, INSTALLATION).await?;
    found.ok_or_else(|| Error::corrupt("the catalog does not know its installation"))?.parse()
}

/// Below the data directory, but for what all programs of the host share.
pub(crate) fn host(options: &Options) -> Result<Host> {
    let below = |name: &str| {
        let directory = options.data.join(name);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map(|()| directory.clone()).map_err(|error| Error::io(error, directory.display()))
    };
    Ok(Host {
        env: options.env.clone(),
        cache: Some(below("cache")?),
        runtime: options.runtime.clone(),
        state: options.data.clone(),
        scratch: below("scratch")?,
        journals: below("restores")?,
        guard: options.guard.clone(),
        own: vec![options.data.clone()],
        origin: None,
        passwords: tintype_runner::vault::Passwords::default(),
    })
}

/// The root, somebody who may do everything, and a place for the first snapshots.
async fn populate(catalog: &Catalog, options: &Options) -> Result<(Id, String)> {
    let (clock, random) = (&*options.env.clock, &*options.env.random);
    let now = clock.now();
    let new_id = || Id::new(now, random);
    let id = new_id();
    let tenant = Object {
        id: id.clone(),
        tenant: id.clone(),
        name: SYSTEM.to_owned(),
        version: 1,
        created: now,
        changed: now,
        spec: TenantSpec::default(),
    };
    let spec = UserSpec { role: Role::Administrator, is_enabled: true, must_change_password: true };
    let user = Object {
        id: new_id(),
        tenant: id.clone(),
        name: ADMINISTRATOR.to_owned(),
        version: 1,
        created: now,
        changed: now,
        spec,
    };
    let password = one_time_password(random);
    let hash = password::hash(&password, random)?;
    let mut change = catalog.change().await?;
    objects::insert(change.on(), &tenant).await?;
    objects::insert(change.on(), &user).await?;
    objects::insert(change.on(), &internal_storage(&id, new_id(), now)).await?;
    facts::set(change.on(), INSTALLATION, new_id().as_str()).await?;
    lead::set(change.on(), &Lead::first(new_id(), now)).await?;
    passwords::set(change.on(), &user.id, &hash, now).await?;
    let told = audit::New {
        time: now,
        tenant: &id,
        actor: "manager",
        action: "installation.begin",
        object: "tenant system",
        outcome: "done",
        detail: json!({ "program": env!("CARGO_PKG_VERSION") }),
    };
    change.commit(&told).await?;
    Ok((id, password))
}

fn internal_storage(system: &Id, id: Id, now: jiff::Timestamp) -> Object<StorageSpec> {
    Object {
        id,
        tenant: system.clone(),
        name: INTERNAL.to_owned(),
        version: 1,
        created: now,
        changed: now,
        spec: StorageSpec {
            kind: StorageKind::Internal,
            url: String::new(),
            mount_point: None,
            is_default: true,
            is_shared: true,
            access_key: None,
            agent_access_key: None,
            bandwidth: None,
        },
    }
}

/// 80 bits, in groups that can be typed.
pub(crate) fn one_time_password(random: &dyn Random) -> String {
    let id = Id::new(jiff::Timestamp::UNIX_EPOCH, random);
    let digits: Vec<char> = id.as_str().chars().skip(10).collect();
    digits.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-")
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The agent that showed its certificate.
    pub agent: Option<Id>,
}

impl Connected<IncomingStream<'_, Encrypted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Encrypted>) -> Self {
        let (_, tls) = stream.io().stream().get_ref();
        // Only connections for agents ask for one, and they check it.
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        Self { address: *stream.remote_addr(), agent: shown.and_then(agent_of) }
    }
}

type Greeted = Visit<TlsStream<TcpStream>>;

/// Connections whose handshake is done. Slow ones hold up nobody.
pub struct Encrypted {
    ready: mpsc::Receiver<(Greeted, SocketAddr)>,
    address: SocketAddr,
}

/// Agents ask for the manager by a name of their own, on the same port: what they are shown is of
/// their authority, and only they are asked for certificates.
#[derive(Clone)]
struct Configs {
    usual: Arc<ServerConfig>,
    agents: Arc<ServerConfig>,
}

impl Encrypted {
    fn new(tcp: TcpListener, address: SocketAddr, configs: Configs) -> (Self, JoinHandle<()>) {
        let (done, ready) = mpsc::channel(GREETED_AT_ONCE);
        let greeting = tokio::spawn(greet(tcp, configs, done));
        (Self { ready, address }, greeting)
    }
}

impl Configs {
    async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = match begun.client_hello().server_name() {
            Some(SERVER_NAME) => &self.agents,
            _ => &self.usual,
        };
        begun.into_stream(Arc::clone(config)).await
    }
}

async fn greet(mut tcp: TcpListener, configs: Configs, done: mpsc::Sender<(Greeted, SocketAddr)>) {
    let guests = Guests::default();
    let slots = Arc::new(tokio::sync::Semaphore::new(GREETED_AT_ONCE));
    loop {
        let permit = Arc::clone(&slots).acquire_owned().await;
        let (stream, address) = tokio::select! {
            accepted = Listener::accept(&mut tcp) => accepted,
            () = done.closed() => return,
        };
        let Some(guest) = guests.admit(address.ip()) else {
            tracing::debug!(%address, "there are too many connections");
            continue;
        };
        let (configs, done) = (configs.clone(), done.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // Small answers must not wait for more.
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, configs.accept(stream)).await {
                Ok(Ok(stream)) => drop(done.send((Visit::new(stream, guest), address)).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "no handshake"),
                Err(_) => tracing::debug!(%address, "the handshake took too long"),
            }
        });
    }
}

impl Listener for Encrypted {
    type Io = Greeted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The task that greets ends after this listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
