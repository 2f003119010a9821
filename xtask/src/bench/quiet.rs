//! Waits until the machine is quiet, because a busy neighbour makes every figure worthless.

use crate::clock::{self, Stopwatch};
use crate::interrupt;
use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A machine is quiet when its processors were idle for this share of a second, or busy with what
/// the benchmark itself has started: a guest is never quite idle.
const QUIET_PERCENT: f64 = 95.0;

/// Waits at most `limit_seconds` (0: looks for an instant only); returns the last idle share seen, in percent. Less than
/// [`QUIET_PERCENT`] means that the wait was given up; the figure is then marked.
pub(super) fn wait(limit_seconds: u64) -> anyhow::Result<f64> {
    let watch = Stopwatch::start();
    loop {
        let idle = idle_percent(if limit_seconds == 0 { 50 } else { 1000 })?;
        if is_quiet(idle) || watch.seconds() >= limit_seconds as f64 {
            return Ok(idle);
        }
        interrupt::check()?;
    }
}

pub(super) fn is_quiet(idle_percent: f64) -> bool {
    idle_percent >= QUIET_PERCENT
}

fn idle_percent(span_milliseconds: u64) -> anyhow::Result<f64> {
    let (before, own_before) = (ticks()?, descendants(std::process::id()));
    clock::sleep(Duration::from_millis(span_milliseconds));
    let (after, own_after) = (ticks()?, descendants(std::process::id()));
    let total = (after.total - before.total).max(1);
    let own: u64 = own_after
        .iter()
        .filter_map(|(process, ticks)| Some(ticks.saturating_sub(*own_before.get(process)?)))
        .sum();
    Ok((after.idle - before.idle + own) as f64 * 100.0 / total as f64)
}

/// Processor time of each process that this one started, or one of these (proc(5), stat).
fn descendants(root: u32) -> BTreeMap<u32, u64> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    let processes: Vec<Process> = entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Process::parse(id, &std::fs::read_to_string(entry.path().join("stat")).ok()?)
        })
        .collect();
    let mut known = BTreeSet::from([root]);
    // A child's number may be lower than its parent's.
    while let Some(child) =
        processes.iter().find(|p| known.contains(&p.parent) && !known.contains(&p.id))
    {
        known.insert(child.id);
    }
    let own = processes.iter().filter(|process| process.id != root && known.contains(&process.id));
    own.map(|process| (process.id, process.ticks)).collect()
}

struct Process {
    id: u32,
    parent: u32,
    ticks: u64,
}

impl Process {
    /// `1 (name, with any byte) S parent … utime stime`
    fn parse(id: u32, stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        Some(Self { id, parent: u32::try_from(number(1)?).ok()?, ticks })
    }
}

struct Ticks {
    idle: u64,
    total: u64,
}

/// Processor time since boot, of all processors (proc(5), /proc/stat).
fn ticks() -> anyhow::Result<Ticks> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    parse(&text)
}

fn parse(text: &str) -> anyhow::Result<Ticks> {
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if fields.len() < 8 {
        bail!("/proc/stat does not begin with the processors' times");
    }
    // user nice system idle iowait irq softirq steal; the guests' times are inside user.
    Ok(Ticks { idle: fields[3] + fields[4], total: fields[..8].iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_read() {
        let ticks = parse("cpu  10 0 5 80 3 1 1 0 0 0\ncpu0 1").expect("parsed");
        assert_eq!((ticks.idle, ticks.total), (83, 100));
        assert!(parse("").is_err());
    }

    #[test]
    fn what_the_benchmark_started_does_not_disturb_it() {
        let stat = "7 (a ) b) S 3 7 7 0 -1 4194560 1 0 0 0 40 2 0 0 20 0 1 0 5";
        let process = Process::parse(7, stat).expect("parsed");
        assert_eq!((process.id, process.parent, process.ticks), (7, 3, 42));
        assert!(Process::parse(7, "7 (a").is_none());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("started");
        assert!(descendants(std::process::id()).contains_key(&child.id()));
        child.kill().expect("killed");
        child.wait().expect("waited for");
    }
}
