//! Waits until the machine is quiet, because a busy neighbour makes every figure worthless.

use crate::clock::{self, Stopwatch};
use crate::interrupt;
use anyhow::{Context, bail};
use std::time::Duration;

/// A machine is quiet when its processors were idle for this share of a second.
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
    let before = ticks()?;
    clock::sleep(Duration::from_millis(span_milliseconds));
    let after = ticks()?;
    let total = (after.total - before.total).max(1);
    Ok((after.idle - before.idle) as f64 * 100.0 / total as f64)
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
}
