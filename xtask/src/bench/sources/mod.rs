//! P: what a capture of real parts costs those who use them, and how much of them it reads.
//!
//! Machines are emulated, PostgreSQL writes with its flushes, the volume is btrfs on an image in
//! memory. Everything is done by the release program through its command line; the parts are those
//! that the tests start.

mod database;
mod disk;
mod lab;
mod volume;
mod windows;

use super::Args;
use super::tools::Tool;
use crate::table::Table;
use crate::{clock, interrupt};
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One thing that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) found: f64,
    pub(super) unit: String,
    /// The bar that it must reach, if there is one.
    pub(super) must: Option<Must>,
    /// What one must know to judge it.
    pub(super) beside: String,
    /// Whether the machine did nothing else before each of its commands.
    pub(super) quiet: bool,
    pub(super) date: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Must {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    fn new(name: impl Into<String>, found: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            found,
            unit: unit.to_owned(),
            must: None,
            beside: String::new(),
            quiet: true,
            date: clock::today(),
        }
    }

    fn at_most(mut self, bar: f64) -> Self {
        self.must = Some(Must::AtMost(bar));
        self
    }

    fn at_least(mut self, bar: f64) -> Self {
        self.must = Some(Must::AtLeast(bar));
        self
    }

    fn beside(mut self, text: impl Into<String>) -> Self {
        self.beside = text.into();
        self
    }

    fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    pub(super) fn found(&self) -> String {
        let mark = if self.quiet { "" } else { "*" };
        format!("{}{mark}", self.of(self.found))
    }

    pub(super) fn bar(&self) -> String {
        match self.must {
            None => String::new(),
            Some(Must::AtMost(bar)) => format!("≤ {}", self.of(bar)),
            Some(Must::AtLeast(bar)) => format!("≥ {}", self.of(bar)),
        }
    }

    pub(super) fn reached(&self) -> Option<bool> {
        self.must.map(|must| match must {
            Must::AtMost(bar) => self.found <= bar,
            Must::AtLeast(bar) => self.found >= bar,
        })
    }

    fn of(&self, value: f64) -> String {
        let digits = usize::from(value.fract() != 0.0) + usize::from(value < 10.0);
        format!("{value:.digits$} {}", self.unit)
    }
}

/// Measures everything; each figure is handed on as soon as it is there.
pub(super) fn run(
    args: &Args,
    tools: &[Tool],
    scratch: &Path,
    keep: &mut dyn FnMut(Figure),
) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("file systems and servers of set P are started by root only");
    }
    let mut keep = |figures: Vec<Figure>| {
        for figure in figures {
            println!("   {:<44} {:>12}  {}", figure.name, figure.found(), figure.beside);
            keep(figure);
        }
    };
    type Measure = fn(&Args, &[Tool], &Path) -> anyhow::Result<Vec<Figure>>;
    let parts: [Measure; 5] =
        [windows::qemu, windows::libvirt, disk::measure, volume::measure, database::measure];
    for part in parts {
        interrupt::check()?;
        keep(part(args, tools, scratch)?);
    }
    Ok(())
}

pub(super) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new(["windows and costs", "found", "must", "beside"]);
    for figure in figures {
        table.row([&figure.name, &figure.found(), &figure.bar(), &figure.beside]);
    }
    table
}

/// Of a list that is not empty.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    part_of(values, 0.5)
}

/// The value below which that part of a list lies (nearest rank); NaN of an empty list.
fn part_of(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_bars() {
        assert_eq!(part_of((1..=20).map(f64::from), 0.95).to_bits(), 19f64.to_bits());
        assert_eq!(median([3.0, 1.0, 2.0]).to_bits(), 2f64.to_bits());
        let figure = Figure::new("x", 12.0, "ms").at_most(10.0).quiet(false);
        assert_eq!((figure.found(), figure.bar()), ("12 ms*".into(), "≤ 10 ms".into()));
        assert_eq!(figure.reached(), Some(false));
        assert_eq!(Figure::new("x", 0.456, "s").found(), "0.46 s");
    }
}
