//! `agent`: does on its host what a manager elsewhere asks for. It listens nowhere: it asks.

mod identity;
mod link;
mod moved;
mod orders;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use tintype_api::work::{AskWork, Order};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_engine::id::encode_hex;
use tintype_engine::{Error, ErrorKind};
use tintype_model::skew;
use tintype_runner::vault::work::WorkOrder;
use tintype_runner::vault::{Host, Passwords};

use crate::exit::{self, Exit, usage};
use crate::remote::{Common, agent as noun};
use crate::report::Report;
use crate::{interrupt, platform, serve};
use identity::{Identity, Joining};
use link::Link;
use orders::Orders;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How far orders are is told so often.
const REPORT: Duration = Duration::from_secs(2);
/// A manager that cannot be reached for so long may have moved: looked for so often.
const LOST: Duration = Duration::from_secs(20);
/// After it could not be reached the manager is asked again so soon at first, and so late at last.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype agent token                              on any host: a token for one agent
  tintype agent --join tintype_join_…              on the other host: join, and work from now on
  tintype agent --join - < token                   the same, and the token stands in no process list
  tintype agent                                    work with the identity that there is
  tintype agent --manager new.example.com:8443     the manager has moved
  tintype agent list
  tintype agent discover web1 > resources.yaml     what runs there and can be protected
  tintype agent apply web1 resources.yaml          protect it

An agent only connects to its manager, and listens nowhere. Data goes from its host straight to the
storage.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<noun::Command>,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
struct Service {
    /// Join the manager of this token, which works once; `-`: from standard input
    #[arg(long, value_name = "TOKEN", env = "TINTYPE_JOIN_TOKEN", hide_env_values = true)]
    join: Option<String>,
    /// How the agent is called [default: the name of this host]
    #[arg(long, value_name = "NAME", requires = "join")]
    name: Option<String>,
    /// Join, and end: for a service that is started afterwards
    #[arg(long, requires = "join")]
    only_join: bool,
    /// Where the manager is, if it is not where it was
    #[arg(long, value_name = "HOST:PORT")]
    manager: Option<String>,
    /// Where its identity and its work are kept [default: /var/lib/tintype-agent, of a user
    /// ~/.local/share/tintype-agent]
    #[arg(long, value_name = "DIR", env = "TINTYPE_AGENT_DATA")]
    data: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self) -> Exit {
        let Self { command, service, common } = self;
        if let Some(command) = command {
            return common.ask(|client, report| command.run(client, report));
        }
        crate::app::log(0);
        let report = Report::new(false, false, false);
        match service.run(&report) {
            Ok(()) => Exit::Complete,
            Err(error) => {
                let exit = exit::of_error(&error);
                report.failure(&error, exit);
                exit
            }
        }
    }
}

impl Service {
    fn run(self, report: &Report) -> anyhow::Result<()> {
        let env = Env::system();
        let data = self.data.clone();
        let data = data.map_or_else(|| serve::default_data("tintype-agent"), Ok)?;
        tintype_manager::serve::prepare(&data)?;
        let _alone = alone(&data)?;
        let identity = self.identity(&data, report)?;
        if self.only_join {
            return Ok(());
        }
        report.text(format!(
            "tintype {VERSION}, agent {}, keeps what it needs in {}",
            identity.name,
            data.display()
        ))?;
        let host = host(&env, &data, &identity)?;
        let running = Arc::new(Running {
            link: Link::new(data, env.clone(), identity),
            orders: Arc::new(Orders::new(host)),
            ending: Cancel::default(),
            fatal: Mutex::default(),
            instance: encode_hex(&env.bytes::<8>()),
            env,
        });
        interrupt::install(running.ending.clone(), true)?;
        running.run()
    }

    /// The one that there is, or that joining gives.
    fn identity(&self, data: &Path, report: &Report) -> anyhow::Result<Identity> {
        let known = Identity::load(data)?;
        let Some(token) = &self.join else {
            let mut identity = known.ok_or_else(|| {
                usage(format!(
                    "{} holds no identity: join a manager first (`tintype agent --join TOKEN`)",
                    data.display()
                ))
            })?;
            if let Some(manager) = &self.manager {
                identity.addresses.retain(|address| address != manager);
                identity.addresses.insert(0, manager.clone());
                identity.save(data)?;
            }
            return Ok(identity);
        };
        if let Some(known) = known {
            return Err(Error::already_exists(format!(
                "{} holds the identity of agent {}: start it without --join, or, if it is to join \
                 anew, remove that directory first",
                data.display(),
                known.name
            ))
            .into());
        }
        let token = match &token[..] {
            "-" => std::io::read_to_string(std::io::stdin()).context("the token")?,
            token => token.to_owned(),
        };
        let manager = self.manager.as_deref();
        let joining = Joining { token: &token, name: self.name.clone(), manager };
        let identity = Identity::join(&joining)?;
        identity.save(data)?;
        report.text(format!("joined as agent {}", identity.name))?;
        Ok(identity)
    }
}

/// One at a time works with a data directory, as long as the file is open.
fn alone(data: &Path) -> anyhow::Result<File> {
    let path = data.join("agent.lock");
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::locked(format!(
            "{}: an agent runs with this data directory: stop it first, or use another",
            data.display()
        ))
        .into()),
        Err(error) => Err(Error::io(error.into(), path.display()).into()),
    }
}

fn host(env: &Env, data: &Path, identity: &Identity) -> anyhow::Result<Host> {
    use std::os::unix::fs::DirBuilderExt as _;
    let below = |name: &str| {
        let directory = data.join(name);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.with_context(|| format!("cannot make {}", directory.display())).map(|()| directory)
    };
    Ok(Host {
        env: env.clone(),
        cache: Some(below("cache")?),
        runtime: platform::runtime_dir(),
        state: data.to_owned(),
        scratch: below("scratch")?,
        journals: below("restores")?,
        guard: platform::guard_command()?,
        own: vec![data.to_owned()],
        origin: Some(identity.id.to_string()),
        passwords: Passwords::default(),
    })
}

fn read(body: serde_json::Value) -> tintype_engine::Result<WorkOrder> {
    serde_json::from_value(body).map_err(|error| {
        Error::unsupported(format!("the manager's order is not understood ({error})"))
    })
}

/// An agent at work.
struct Running {
    link: Link,
    orders: Arc<Orders>,
    ending: Cancel,
    /// Why it cannot go on.
    fatal: Mutex<Option<Error>>,
    env: Env,
    /// Of this process.
    instance: String,
}

impl Running {
    fn run(self: Arc<Self>) -> anyhow::Result<()> {
        let (asking, telling) = (Arc::clone(&self), Arc::clone(&self));
        let own = Report::new(false, false, false);
        self.env.tasks.spawn(Box::new(move || asking.ask_for_work(&own)))?;
        self.env.tasks.spawn(Box::new(move || telling.tell()))?;
        while !self.is_over() {
            self.env.clock.sleep(LOOK);
        }
        serve::notify("STOPPING=1");
        self.orders.stop();
        while !self.orders.is_idle() {
            self.env.clock.sleep(LOOK);
        }
        match self.fatal.lock().expect("no panic while held").take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn is_over(&self) -> bool {
        self.ending.is_canceled() || self.fatal.lock().expect("no panic while held").is_some()
    }

    fn ask_for_work(&self, report: &Report) {
        let (mut is_lost, mut is_first, mut wait) = (true, true, RETRY.0);
        let mut heard = self.env.clock.elapsed();
        while !self.is_over() {
            if self.orders.is_full() {
                self.env.clock.sleep(REPORT);
                continue;
            }
            // At first it hears at once whether it is heard.
            match self.one(!is_lost) {
                Ok(()) => {
                    if std::mem::take(&mut is_lost) {
                        let address = self.link.identity().addresses.remove(0);
                        let _ = report.text(format!("works for the manager at {address}"));
                    }
                    if std::mem::take(&mut is_first) {
                        serve::notify("READY=1");
                    }
                    wait = RETRY.0;
                    heard = self.env.clock.elapsed();
                }
                Err(error)
                    if !matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) =>
                {
                    if !std::mem::replace(&mut is_lost, true) || is_first && wait == RETRY.0 {
                        report.warn(match error.is(ErrorKind::Locked) {
                            true => format!("{error}; trying again"),
                            false => {
                                format!("the manager cannot be reached: {error}; trying again")
                            }
                        });
                    }
                    if self.env.clock.elapsed().saturating_sub(heard) > LOST {
                        heard = self.env.clock.elapsed();
                        self.look_for_it(report);
                    }
                    self.env.clock.sleep(wait);
                    wait = (wait * 2).min(RETRY.1);
                }
                Err(error) => *self.fatal.lock().expect("no panic while held") = Some(error),
            }
        }
    }

    fn one(&self, waits: bool) -> tintype_engine::Result<()> {
        self.link.renew()?;
        let (version, holding) = (VERSION.to_owned(), self.orders.holding());
        let ask = AskWork { version, holding, waits, instance: self.instance.clone() };
        let work = self.link.ask(|client| client.work(&ask))?;
        skew::check(&work.version, VERSION)?;
        self.link.learn(work.addresses)?;
        match work.order {
            Some(Order { id, body }) => {
                let order = read(body);
                if let Ok(order) = &order
                    && let Err(error) = self.link.keep_storage(order)
                {
                    tracing::warn!(%error, "where to look for a manager that moved is not kept");
                }
                self.orders.begin(id, order)
            }
            None => Ok(()),
        }
    }

    fn look_for_it(&self, report: &Report) {
        match self.link.find(&self.env) {
            Ok(Some(addresses)) => {
                let addresses = addresses.join(", ");
                report.note(format!("the manager has moved, says its notice: {addresses}"));
            }
            Ok(None) => {}
            Err(error) => report.warn(format!("no notice of the manager can be read: {error}")),
        }
    }

    /// How far orders are, and what came of them.
    fn tell(&self) {
        while !self.is_over() {
            for (id, progress) in self.orders.progress() {
                if let Ok(heard) = self.link.ask(|client| client.work_progress(&id, &progress)) {
                    self.orders.heard(&id, heard.is_known, heard.cancel);
                }
            }
            for (id, done) in self.orders.results() {
                match self.link.ask(|client| client.work_done(&id, &done)) {
                    Ok(heard) => self.orders.delivered(&id, heard.is_known),
                    Err(error) if !error.is(ErrorKind::Unavailable) => {
                        tracing::warn!(%error, "what came of an order is refused");
                    }
                    _ => {}
                }
            }
            self.env.clock.sleep(REPORT);
        }
    }
}
