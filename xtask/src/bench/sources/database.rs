//! What users of a database notice while its cluster is captured: pgbench at half of its best rate.

use super::super::Args;
use super::super::tools::Tool;
use super::lab::Lab;
use super::{Figure, part_of};
use crate::clock;
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;
use std::process::Child;
use std::time::Duration;
use tintype_testkit::postgres::Postgres;

const CLIENTS: &str = "4";

/// Seconds.
struct Spans {
    best: u64,
    before: u64,
    whole: u64,
    scale: &'static str,
}

pub(super) fn measure(args: &Args, _: &[Tool], scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let spans = if args.smoke {
        Spans { best: 1, before: 2, whole: 5, scale: "1" }
    } else {
        Spans { best: 10, before: 10, whole: 30, scale: "60" }
    };
    let lab = Lab::new(args, scratch)?;
    let mut cluster = Postgres::start();
    cluster.stop("fast");
    cluster.resume(&["fsync=on", "max_wal_size=4GB"]);
    ended(cluster.pgbench(&["-i", "-q", "-s", spans.scale]))?;
    cluster.sql("checkpoint");
    let log = lab.path("best");
    lab.wait()?;
    let (best, whole) = (spans.best.to_string(), spans.whole.to_string());
    ended(cluster.pgbench(&arguments(&log, &["-T", &best]))).context("at its best rate")?;
    let most = transactions(&log)?.len() as f64 / spans.best as f64;
    let rate = (most / 2.0).max(1.0).round();
    cluster.sql("checkpoint");
    let log = lab.path("steady");
    lab.wait()?;
    let at_rate = rate.to_string();
    let steady = cluster.pgbench(&arguments(&log, &["-T", &whole, "-R", &at_rate]));
    clock::sleep(Duration::from_secs(spans.before));
    let begun = clock::epoch_seconds();
    let resource = json!({ "kind": "database", "name": "rows", "connector": "postgres",
        "at": { "host": cluster.host(), "port": cluster.port } });
    let taken = lab.capture_now(&resource);
    let end = clock::epoch_seconds();
    ended(steady).context("at half of its best rate")?;
    let taken = taken?;
    let all = transactions(&log)?;
    let last = all.last().map_or(end, |one| one.ended);
    // The first second is that of connecting.
    let before = Span::of(&all, begun - spans.before as f64 + 1.0, begun);
    let during = Span::of(&all, begun, end.min(last));
    let quiet = lab.was_quiet();
    let name = |what: &str| format!("pgbench at half of its best rate: {what}");
    let captured = crate::table::bytes(taken.item["bytes"].as_u64().unwrap_or_default());
    let beside = format!("{captured} captured in {:.1} s, {}", end - begun, taken.memory());
    let kept = Figure::new(name("rate kept"), during.rate / rate * 100.0, "%").at_least(95.0);
    let asked = format!("{:.0} of {rate:.0} asked for, best {most:.0} a second", during.rate);
    Ok(vec![
        Figure::new(name("p95 before"), before.p95, "ms").quiet(quiet),
        Figure::new(name("p95 during a capture"), during.p95, "ms").beside(beside).quiet(quiet),
        kept.beside(asked).quiet(quiet),
    ])
}

fn arguments<'a>(log: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let prefix = log.to_str().expect("a plain path");
    let own = ["-n", "-c", CLIENTS, "-j", "1", "-l", "--log-prefix", prefix];
    [&own[..], more].concat()
}

fn ended(mut pgbench: Child) -> anyhow::Result<()> {
    let status = pgbench.wait()?;
    ensure!(status.success(), "pgbench failed: {status}");
    Ok(())
}

struct Transaction {
    /// Seconds since the epoch.
    ended: f64,
    /// Since the moment when it was to begin.
    milliseconds: f64,
}

/// What pgbench logged: client, number, microseconds, script, second and microsecond of the end.
fn transactions(prefix: &Path) -> anyhow::Result<Vec<Transaction>> {
    let name = prefix.file_name().unwrap_or_default().to_string_lossy();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(prefix.parent().unwrap_or(prefix))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
            let text = std::fs::read_to_string(entry.path())?;
            found.extend(text.lines().filter_map(transaction));
        }
    }
    ensure!(!found.is_empty(), "pgbench logged nothing at {}", prefix.display());
    found.sort_by(|a, b| a.ended.total_cmp(&b.ended));
    Ok(found)
}

fn transaction(line: &str) -> Option<Transaction> {
    let fields: Vec<f64> = line.split(' ').filter_map(|field| field.parse().ok()).collect();
    let [_, _, microseconds, _, second, part, ..] = fields[..] else { return None };
    Some(Transaction { ended: second + part / 1e6, milliseconds: microseconds / 1000.0 })
}

struct Span {
    p95: f64,
    /// Transactions a second.
    rate: f64,
}

impl Span {
    fn of(all: &[Transaction], from: f64, to: f64) -> Self {
        let inside = || all.iter().filter(|one| (from..to).contains(&one.ended));
        let p95 = part_of(inside().map(|one| one.milliseconds), 0.95);
        Self { p95, rate: inside().count() as f64 / (to - from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_pgbench_is_read() {
        let lines = ["0 199 2241 0 1175850568 995598 10", "1 5 1000 0 1175850569 500000", "x"];
        let all: Vec<_> = lines.iter().filter_map(|line| transaction(line)).collect();
        let span = Span::of(&all, 1_175_850_568.0, 1_175_850_570.0);
        assert_eq!((span.p95, span.rate, all.len()), (2.241, 1.0, 2));
    }
}
