//! `cargo xtask load`: the real program with a catalog as large as a big installation's, on both
//! databases, asked by many at once; then all tenants' schedules in one minute. Its figures are a
//! section of docs/benchmarks.md.

mod due;
mod served;

use crate::bench::machine::Machine;
use crate::clock::{self, today};
use crate::figures::{self, Part};
use crate::interrupt;
use crate::sh::Sh;
use crate::table::{Table, count};
use anyhow::{Context, bail};
use serde::Deserialize;
use served::{Place, Served};
use std::collections::BTreeMap;
use std::time::Duration;
use tintype_testkit::postgres::Postgres;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Small, to see that it works; writes no figures
    #[arg(long)]
    smoke: bool,
    /// Only one of them
    #[arg(long, value_parser = ["sqlite", "postgresql"])]
    database: Option<String>,
}

/// What is measured, and what it must reach.
#[derive(Clone, Copy)]
struct Size {
    snapshots: u64,
    items: u64,
    seconds: u32,
    tenants: usize,
    profiles: usize,
}

const WHOLE: Size = Size { snapshots: 100_000, items: 10, seconds: 60, tenants: 50, profiles: 20 };
const SMOKE: Size = Size { snapshots: 1000, items: 10, seconds: 5, tenants: 3, profiles: 2 };
const CONNECTIONS: u32 = 200;
const RATE: u32 = 300;
const P99_MILLISECONDS: f64 = 100.0;
const START_SECONDS: f64 = 2.0;
const IDLE_MIB: f64 = 80.0;
/// It has done what it does at its start, and nobody asks it.
const IDLE_AFTER: Duration = Duration::from_secs(30);

/// What `tintype debug load` tells.
#[derive(Deserialize)]
struct Loaded {
    requests: u64,
    errors: u64,
    all: Times,
    kinds: BTreeMap<String, Times>,
}

/// Milliseconds.
#[derive(Deserialize)]
struct Times {
    count: u64,
    p50: f64,
    p95: f64,
    p99: f64,
    most: f64,
}

struct Found {
    database: &'static str,
    start_seconds: f64,
    idle_mib: f64,
    loaded_mib: f64,
    loaded: Loaded,
    due: due::Found,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let size = if args.smoke { SMOKE } else { WHOLE };
    Sh::cargo()?.args(["build", "--release", "-p", "tintype"]).run()?;
    let mut all = Vec::new();
    for database in ["sqlite", "postgresql"] {
        if args.database.as_deref().is_none_or(|only| only == database) {
            all.push(measure(database, size)?);
        }
    }
    let text = section(&all, size);
    println!("\n{text}");
    if !args.smoke && args.database.is_none() {
        figures::put(Part::Load, &text)?;
    }
    let missed: Vec<String> = all.iter().flat_map(Found::missed).collect();
    match missed.is_empty() {
        true => Ok(()),
        false => bail!("not reached: {}", missed.join("; ")),
    }
}

fn measure(database: &'static str, size: Size) -> anyhow::Result<Found> {
    println!("── {database}");
    let server = (database == "postgresql").then(Postgres::start);
    let url = server.as_ref().map(|server| {
        format!("postgres://postgres@localhost:{}/postgres?host={}", server.port, server.host())
    });
    let place = Place::new(url)?;
    let served = Served::first(&place)?;
    due::prepare(&served, size.tenants)?;
    served.stop()?;
    println!("   {} snapshots with {} items each", count(size.snapshots), size.items);
    let fill = place.tintype(["debug", "fill-catalog", "--data"]).arg(place.data());
    let fill = fill.arg("--snapshots").arg(size.snapshots.to_string());
    place.with_database(fill.arg("--items").arg(size.items.to_string())).run()?;
    let served = Served::again(&place)?;
    let start_seconds = served.start_seconds;
    clock::sleep(IDLE_AFTER);
    let idle_mib = served.mebibytes()?;
    println!("   started in {start_seconds:.2} s, idle with {idle_mib:.0} MiB");
    let loaded = load(&served, size)?;
    let loaded_mib = served.mebibytes()?;
    interrupt::check()?;
    let due = due::measure(&served, size.profiles)?;
    served.stop()?;
    Ok(Found { database, start_seconds, idle_mib, loaded_mib, loaded, due })
}

fn load(served: &Served<'_>, size: Size) -> anyhow::Result<Loaded> {
    println!("   {RATE} requests a second over {CONNECTIONS} connections, {} s", size.seconds);
    let load = served.asking("load");
    let load = load.arg("--connections").arg(CONNECTIONS.to_string());
    let load = load.arg("--rate").arg(RATE.to_string());
    let told = load.arg("--seconds").arg(size.seconds.to_string()).read()?;
    serde_json::from_str(told.lines().last().unwrap_or_default()).context("the load's figures")
}

impl Found {
    fn missed(&self) -> Vec<String> {
        let Self { database, loaded, due, .. } = self;
        let bars = [
            (self.start_seconds < START_SECONDS, "its start"),
            (self.idle_mib < IDLE_MIB, "idle memory"),
            (loaded.errors == 0, "no errors"),
            (loaded.all.p99 < P99_MILLISECONDS, "the 99th percentile"),
            (due.is_right(), "runs that were due"),
        ];
        let missed = bars.into_iter().filter(|(reached, _)| !reached);
        missed.map(|(_, bar)| format!("{database}: {bar}")).collect()
    }
}

fn section(all: &[Found], size: Size) -> String {
    let mut text = format!(
        "## Manager under load\n\nWritten by `cargo xtask load` on {}; do not edit by hand. {}.\nThe \
         released program over TLS; its catalog holds {} snapshots with {} items of {} tenants, \
         written by `tintype debug fill-catalog`. {RATE} requests a second over {CONNECTIONS} \
         connections for {} s, half of them lists of 100, half of them details; each counts from the \
         moment at which it was to be sent. The program that asks runs on the same machine. Then \
         {} profiles of {} tenants are due in one minute.\n\n",
        today(),
        Machine::here().line(),
        count(size.snapshots),
        count(size.snapshots * size.items),
        size.tenants + 1,
        size.seconds,
        size.tenants * size.profiles,
        size.tenants,
    );
    let mut table = Table::new(
        ["bar"].into_iter().chain(all.iter().map(|found| found.database)).chain(["must"]),
    );
    let mut row = |name: &str, cell: &dyn Fn(&Found) -> String, must: String| {
        let cells = all.iter().map(cell);
        table.row([name.to_owned()].into_iter().chain(cells).chain([must]));
    };
    row("99th percentile, ms", &|f| format!("{:.1}", f.loaded.all.p99), "< 100".into());
    row("median, ms", &|f| format!("{:.1}", f.loaded.all.p50), String::new());
    row("95th percentile, ms", &|f| format!("{:.1}", f.loaded.all.p95), String::new());
    row("longest, ms", &|f| format!("{:.1}", f.loaded.all.most), String::new());
    row("requests", &|f| count(f.loaded.requests), String::new());
    row("errors", &|f| count(f.loaded.errors), "0".into());
    row("start, s", &|f| format!("{:.2}", f.start_seconds), "< 2".into());
    row("idle memory, MiB", &|f| format!("{:.0}", f.idle_mib), "< 80".into());
    row("memory after the load, MiB", &|f| format!("{:.0}", f.loaded_mib), String::new());
    row("due in one minute", &|f| count(f.due.runs), String::new());
    row("lost, doubled, not succeeded", &|f| f.due.wrong(), "0, 0, 0".into());
    row("until all had ended, s", &|f| format!("{:.0}", f.due.seconds), String::new());
    text.push_str(&table.markdown());
    let mut table =
        Table::new(["99th percentile, ms"].into_iter().chain(all.iter().map(|f| f.database)));
    let kinds = all.iter().flat_map(|found| found.loaded.kinds.keys());
    for kind in kinds.collect::<std::collections::BTreeSet<_>>() {
        let cell = |found: &Found| match found.loaded.kinds.get(kind) {
            Some(times) => format!("{:.1} ({})", times.p99, count(times.count)),
            None => String::new(),
        };
        table.row([kind.clone()].into_iter().chain(all.iter().map(cell)));
    }
    text.push_str(&format!("\n{}", table.markdown()));
    text
}
