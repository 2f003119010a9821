//! `tintype debug due`: makes profiles of all tenants due in one minute, and counts what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::page::Page;
use tintype_api::profile::ProfileSpec;
use tintype_api::run::{Run, RunState};
use tintype_api::tenant::TenantSpec;
use tintype_engine::env::Env;

use super::load::Asked;

/// All profiles must be made before they are due.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);
const LONGEST: Duration = Duration::from_hours(1);
/// What comes twice comes late.
const LATE: Duration = Duration::from_secs(45);

#[derive(clap::Args)]
pub(super) struct Due {
    #[command(flatten)]
    asked: Asked,
    /// Of each tenant but `system`; each must have a resource `files`
    #[arg(long, default_value_t = 20)]
    profiles: usize,
}

impl Due {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let clock = Env::system().clock;
        let client = self.asked.client()?;
        let own = client.whoami()?.tenant;
        let tenants = client.list::<TenantSpec>()?;
        let tenants: Vec<_> = tenants.into_iter().filter(|tenant| tenant.id != own).collect();
        let seconds = (clock.now() + AHEAD).as_second();
        let due = Timestamp::from_second(seconds - seconds.rem_euclid(60))?;
        let spec: ProfileSpec = serde_json::from_value(json!({
            "scope": { "partial": { "resources": ["files"] } },
            "periods": [{
                "name": "daily", "time_zone": "UTC",
                "frequency": { "daily": { "time": due.strftime("%H:%M").to_string() } },
            }],
        }))?;
        for tenant in &tenants {
            for n in 0..self.profiles {
                let (name, tenant) = (format!("p{n}"), Some(tenant.id.clone()));
                client.create(&NewObject { name, tenant, spec: spec.clone() })?;
            }
        }
        let expected = tenants.len() * self.profiles;
        let left = due.duration_since(clock.now());
        ensure!(left.is_positive(), "{expected} profiles were not made in time");
        clock.sleep(Duration::try_from(left).context("a time ahead")?);
        let begun = clock.elapsed();
        let passed = || clock.elapsed().saturating_sub(begun);
        loop {
            clock.sleep(Duration::from_secs(1));
            let runs = runs(&client)?;
            let is_over = runs.iter().all(|run| run.state.is_over()) && runs.len() >= expected;
            if is_over || passed() > LONGEST {
                let seconds = passed().as_secs_f64();
                clock.sleep(LATE);
                print(&self::runs(&client)?, expected, seconds);
                return Ok(());
            }
        }
    }
}

/// Those that profiles began.
fn runs(client: &Client) -> anyhow::Result<Vec<Run>> {
    let (mut runs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Page<Run> = client.get(&format!("/runs?kind=snapshot&limit=1000{cursor}"))?;
        runs.extend(page.items.into_iter().filter(|run| run.by.starts_with("profile ")));
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(runs),
        }
    }
}

fn print(runs: &[Run], expected: usize, seconds: f64) {
    let mut of = BTreeMap::<_, usize>::new();
    runs.iter().for_each(|run| *of.entry((&run.tenant, &run.by)).or_default() += 1);
    let doubled: usize = of.values().map(|count| count - 1).sum();
    let not_succeeded = runs.iter().filter(|run| run.state != RunState::Succeeded).count();
    let figures = json!({
        "runs": runs.len(), "lost": expected.saturating_sub(of.len()), "doubled": doubled,
        "not_succeeded": not_succeeded, "seconds": seconds,
    });
    println!("{figures}");
}
