//! A manager of one's own on each database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tintype_api::client::Client;
use tintype_api::login::Login;
use tintype_api::object::{NewObject, Object};
use tintype_api::tenant::TenantSpec;
use tintype_api::token::TokenSpec;
use tintype_api::user::NewPassword;
use tintype_manager::config::RunsFile;
use tintype_manager::serve::{self, ADMINISTRATOR, Manager, Options};
use tintype_manager::state::State;
use tintype_manager::uploads::Limits;
use tintype_model::env::Clock;
use tintype_model::identifier::Id;
use tintype_model::rights::Role;
use tintype_runner::group::GuardCommand;
use tintype_runner::vault::Env;
use tintype_testkit::postgres::Postgres;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

pub(crate) const PASSWORD: &str = "a password of tests";

/// This program, as the process that thaws when a run dies.
fn guard() -> GuardCommand {
    let again = ["guard::the_guard_of_these_tests", "--exact", "--nocapture"];
    GuardCommand {
        program: std::env::current_exe().unwrap(),
        arguments: again.map(str::to_owned).to_vec(),
        environment: vec![("TINTYPE_TEST_GUARD".into(), "1".into())],
    }
}

pub(crate) struct Lab {
    pub(crate) url: String,
    pub(crate) authority: Vec<u8>,
    pub(crate) first_password: Option<String>,
    end: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<tintype_model::Result<()>>>,
    runtime: Runtime,
    database: Option<Database>,
    data: Arc<TempDir>,
    clock: Arc<Shifted>,
    /// Of the manager that runs.
    state: Option<State>,
}

#[derive(Clone)]
pub(crate) struct Database {
    server: Arc<Postgres>,
    url: String,
}

/// The real one, and so much more.
pub(crate) struct Shifted {
    real: Arc<dyn Clock>,
    seconds: AtomicI64,
    /// Nobody waits long for anything.
    is_hasty: AtomicBool,
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        let shift = SignedDuration::from_secs(self.seconds.load(Ordering::SeqCst));
        self.real.now().checked_add(shift).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        let most = match self.is_hasty.load(Ordering::SeqCst) {
            true => Duration::from_millis(20),
            false => Duration::MAX,
        };
        self.real.sleep(duration.min(most));
    }
}

/// Small, and with a host of this machine's own from which files may be fetched.
fn limits() -> Limits {
    Limits { most_bytes: 64 << 20, allowed: vec!["127.0.0.2".parse().unwrap()] }
}

fn options(data: &TempDir, database: Option<&Database>, clock: &Arc<Shifted>) -> Options {
    Options {
        data: data.path().join("data"),
        listen: "127.0.0.1:0".parse().unwrap(),
        database: database.map(|database| database.url.clone()),
        names: Vec::new(),
        tls: None,
        master_key: None,
        env: Env { clock: Arc::clone(clock) as Arc<dyn Clock>, ..Env::system() },
        guard: guard(),
        runtime: data.path().join("run"),
        limits: limits(),
        patience: RunsFile::default().patience(),
    }
}

impl Lab {
    pub(crate) fn sqlite() -> Self {
        Self::start(Arc::new(tempfile::tempdir().unwrap()), None).unwrap()
    }

    pub(crate) fn postgres() -> Self {
        let server = Arc::new(Postgres::start());
        let (host, port) = (server.host(), server.port);
        let url = format!("postgres://postgres@localhost:{port}/postgres?host={host}");
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start(data, Some(Database { server, url })).unwrap()
    }

    /// The same test on both.
    pub(crate) fn on_each(test: impl Fn(&Self)) {
        for lab in [Self::sqlite(), Self::postgres()] {
            test(&lab);
        }
    }

    /// The same, for a test that ends and begins its manager.
    pub(crate) fn on_each_owned(test: impl Fn(Self)) {
        test(Self::sqlite());
        test(Self::postgres());
    }

    pub(crate) fn options(&self) -> Options {
        options(&self.data, self.database.as_ref(), &self.clock)
    }

    /// From now on it is so much later, or earlier.
    pub(crate) fn shift(&self, hours: i64) {
        self.clock.seconds.fetch_add(hours * 3600, Ordering::SeqCst);
    }

    /// Stores are asked again at once: what a store needs minutes for takes a moment.
    pub(crate) fn hasty(self) -> Self {
        self.clock.is_hasty.store(true, Ordering::SeqCst);
        self
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Ends the manager, and gives what it worked with.
    pub(crate) fn stopped_state(&mut self) -> State {
        self.stop();
        self.block_on(serve::open(&self.options())).unwrap().0
    }

    fn start(data: Arc<TempDir>, database: Option<Database>) -> tintype_model::Result<Self> {
        Self::start_at(data, database, 0)
    }

    /// Another manager, with the same clock, in a process of its own as far as it knows.
    pub(crate) fn beside(&self, options: Options) -> Self {
        let (data, clock) = (Arc::clone(&self.data), Arc::clone(&self.clock));
        Self::with(options, data, None, clock).unwrap()
    }

    fn start_at(
        data: Arc<TempDir>,
        database: Option<Database>,
        hours: i64,
    ) -> tintype_model::Result<Self> {
        let real = Arc::clone(&Env::system().clock);
        let clock = Arc::new(Shifted {
            real,
            seconds: AtomicI64::new(hours * 3600),
            is_hasty: AtomicBool::new(false),
        });
        let options = options(&data, database.as_ref(), &clock);
        Self::with(options, data, database, clock)
    }

    fn with(
        options: Options,
        data: Arc<TempDir>,
        database: Option<Database>,
        clock: Arc<Shifted>,
    ) -> tintype_model::Result<Self> {
        let runtime = Runtime::new().unwrap();
        let mut manager = runtime.block_on(Manager::start(options))?;
        let url = format!("https://{}", manager.address);
        let authority = std::fs::read(manager.authority.clone().unwrap()).unwrap();
        let first_password = manager.first_password.take();
        let state = Some(Arc::clone(&manager.state));
        let (end, ended) = oneshot::channel::<()>();
        let running = runtime.spawn(manager.run(async {
            let _ = ended.await;
        }));
        let (end, running) = (Some(end), Some(running));
        Ok(Self {
            url,
            authority,
            first_password,
            end,
            running,
            runtime,
            database,
            data,
            clock,
            state,
        })
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Ends it as a signal does, and starts it again on the same data.
    pub(crate) fn restarted(mut self) -> tintype_model::Result<Self> {
        self.stop();
        Self::start(Arc::clone(&self.data), self.database.clone())
    }

    /// The same, at a moment that is so much later.
    pub(crate) fn restarted_later(mut self, hours: i64) -> tintype_model::Result<Self> {
        self.stop();
        let lab = Self::start_at(Arc::clone(&self.data), self.database.clone(), hours)?;
        Ok(lab)
    }

    pub(crate) fn state(&self) -> State {
        Arc::clone(self.state.as_ref().unwrap())
    }

    pub(crate) fn stop(&mut self) {
        self.state = None;
        drop(self.end.take());
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running).unwrap().unwrap();
        }
    }

    pub(crate) fn nobody(&self) -> Client {
        Client::new(&self.url, Some(&self.authority), None).unwrap()
    }

    pub(crate) fn login(
        &self,
        tenant: &str,
        user: &str,
        password: &str,
    ) -> tintype_model::Result<Client> {
        let nobody = self.nobody();
        let login = Login {
            user: user.to_owned(),
            tenant: Some(tenant.to_owned()),
            password: password.to_owned(),
            cookie: false,
        };
        Ok(nobody.with_bearer(nobody.login(&login)?.session.unwrap()))
    }

    /// The first administrator, who has changed the one-time password.
    pub(crate) fn administrator(&self) -> Client {
        if let Ok(client) = self.login("system", ADMINISTRATOR, PASSWORD) {
            return client;
        }
        let first = self.first_password.clone().unwrap();
        let client = self.login("system", ADMINISTRATOR, &first).unwrap();
        let own = client.whoami().unwrap().id;
        let new = NewPassword { old: Some(first), new: PASSWORD.to_owned() };
        client.set_password(&own, &new).unwrap();
        client
    }

    pub(crate) fn tenant(administrator: &Client, name: &str) -> Object<TenantSpec> {
        let new = NewObject { name: name.into(), tenant: None, spec: TenantSpec::default() };
        administrator.create(&new).unwrap()
    }

    /// Somebody with that role in that tenant.
    pub(crate) fn as_role(
        &self,
        administrator: &Client,
        tenant: &Id,
        role: Role,
        name: &str,
    ) -> Client {
        let spec = TokenSpec::new(role, None);
        let new = NewObject { name: name.into(), tenant: Some(tenant.clone()), spec };
        self.nobody().with_bearer(administrator.create_token(&new).unwrap().secret)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop();
        // After everything that uses it.
        drop(self.database.take().map(|database| database.server));
    }
}
