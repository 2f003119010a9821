//! `tintype debug load`: many connections that ask a manager at a steady rate, whatever it answers.
//! What an answer takes is counted from the moment at which it was to be asked for: a manager that
//! stalls is not asked less.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::page::Page;
use tintype_api::snapshot::Snapshot;
use tintype_engine::env::Env;

/// Snapshots that are asked about.
const KNOWN: usize = 5000;
const PAGE: usize = 1000;

/// Which manager, and as whom.
#[derive(clap::Args)]
pub(super) struct Asked {
    /// https://host:port
    #[arg(long, env = "TINTYPE_URL")]
    url: String,
    /// Certificate that signed the manager's
    #[arg(long, env = "TINTYPE_AUTHORITY")]
    authority: PathBuf,
    #[arg(long, env = "TINTYPE_TOKEN", hide_env_values = true)]
    token: String,
}

impl Asked {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let authority = std::fs::read(&self.authority)
            .with_context(|| format!("cannot read {}", self.authority.display()))?;
        Ok(Client::new(&self.url, Some(&authority), Some(self.token.clone()))?)
    }
}

#[derive(clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    asked: Asked,
    #[arg(long, default_value_t = 200)]
    connections: u32,
    /// Requests a second, of all connections together
    #[arg(long, default_value_t = 300)]
    rate: u32,
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// A kind of request, and how long its answer took; none: it was no success.
type Took = (&'static str, Option<Duration>);

/// What is asked for.
struct Questions {
    snapshots: Vec<Snapshot>,
    resources: Vec<String>,
}

impl Questions {
    /// Newest ones and older ones, as pages of a list.
    fn of(client: &Client) -> anyhow::Result<Self> {
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut cursor = String::new();
        while snapshots.len() < KNOWN {
            let page: Page<Snapshot> = client.get(&format!("/snapshots?limit={PAGE}{cursor}"))?;
            snapshots.extend(page.items);
            let Some(next) = page.next else { break };
            cursor = format!("&cursor={next}");
        }
        let newest = snapshots.first().context("there is no snapshot")?;
        let items = client.snapshot_items(&newest.id)?;
        let resources = items.iter().filter_map(|item| Some(item.resource.as_ref()?.to_string()));
        Ok(Self { resources: resources.collect(), snapshots })
    }

    /// Half of them lists, half of them details.
    fn path(&self, n: usize) -> (&'static str, String) {
        // Spread, and the same each time.
        let at = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> 20;
        let one = &self.snapshots[at % self.snapshots.len()];
        match n % 10 {
            0 => ("list, newest", "/snapshots?limit=100".into()),
            1 | 2 => {
                let cursor = format!("{}-{}", one.time.as_millisecond(), one.id);
                ("list, a later page", format!("/snapshots?limit=100&cursor={cursor}"))
            }
            3 => ("list of a tenant", format!("/snapshots?limit=100&tenant={}", one.tenant)),
            4 => {
                let resource = &self.resources[at % self.resources.len()];
                ("list of a resource", format!("/snapshots?limit=100&resource={resource}"))
            }
            5..=7 => ("snapshot", format!("/snapshots/{}", one.id)),
            8 => ("items", format!("/snapshots/{}/items", one.id)),
            _ => ("tenant", format!("/tenants/{}", one.tenant)),
        }
    }
}

impl Load {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let questions = Arc::new(Questions::of(&self.asked.client()?)?);
        let (told, heard) = channel();
        let env = Env::system();
        // All are connected before the first counts.
        let begin = env.clock.elapsed() + Duration::from_secs(5);
        for number in 0..self.connections {
            let asking = Asking {
                client: self.asked.client()?,
                questions: Arc::clone(&questions),
                told: told.clone(),
                number,
                begin,
                period: Duration::from_secs(1) * self.connections / self.rate,
                count: self.seconds * self.rate / self.connections,
                connections: self.connections,
            };
            env.tasks.spawn(Box::new(move || asking.ask()))?;
        }
        drop(told);
        println!("{}", figures(heard.into_iter().collect()));
        Ok(())
    }
}

/// One connection.
struct Asking {
    client: Client,
    questions: Arc<Questions>,
    told: Sender<Took>,
    number: u32,
    begin: Duration,
    period: Duration,
    count: u32,
    connections: u32,
}

impl Asking {
    fn ask(self) {
        let clock = Env::system().clock;
        let _ = self.client.whoami();
        let first = self.begin + self.period * self.number / self.connections;
        for k in 0..self.count {
            let due = first + self.period * k;
            clock.sleep(due.saturating_sub(clock.elapsed()));
            let (kind, path) = self.questions.path((k * self.connections + self.number) as usize);
            let answer = self.client.exchange("GET", &path, None, None);
            let is_good = answer.is_ok_and(|answer| answer.status.is_success());
            let took = is_good.then(|| clock.elapsed().saturating_sub(due));
            if self.told.send((kind, took)).is_err() {
                return;
            }
        }
    }
}

fn figures(all: Vec<Took>) -> Value {
    let mut kinds: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for (kind, took) in &all {
        kinds.entry(kind).or_default().extend(took);
    }
    let mut whole: Vec<Duration> = all.iter().filter_map(|(_, took)| *took).collect();
    let of_kinds: BTreeMap<&str, Value> =
        kinds.into_iter().map(|(kind, mut took)| (kind, of(&mut took))).collect();
    json!({
        "requests": all.len(), "errors": all.len() - whole.len(), "all": of(&mut whole),
        "kinds": of_kinds,
    })
}

/// Milliseconds.
fn of(took: &mut [Duration]) -> Value {
    took.sort_unstable();
    let at = |share: f64| {
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1))).map(|one| one.as_secs_f64() * 1000.0)
    };
    json!({ "count": took.len(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "most": at(1.0) })
}
